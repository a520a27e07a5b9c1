"""References that are not dependencies."""

import pytest


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is a reference and not a dependency")
