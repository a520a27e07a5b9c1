"""Every public part has a row in the catalogue, so that a new one cannot escape the laws."""

import catalogue
import pytest

from fnnet import losses, metrics, nn, optim

FAMILIES = [
    pytest.param(nn, catalogue.LAYERS, catalogue.NOT_LAYERS, id="layers"),
    pytest.param(optim, catalogue.OPTIMIZERS, catalogue.NOT_OPTIMIZERS, id="optimizers"),
    pytest.param(optim.schedules, catalogue.SCHEDULES, {}, id="schedules"),
    pytest.param(losses, catalogue.LOSSES, catalogue.NOT_LOSSES, id="losses"),
    pytest.param(metrics, catalogue.METRICS, catalogue.NOT_METRICS, id="metrics"),
]


@pytest.mark.parametrize(("family", "table", "others"), FAMILIES)
def test_every_public_name_is_in_the_catalogue_or_named_as_an_exception(family, table, others):
    missing = set(family.__all__) - set(table) - set(others)
    assert not missing, f"add a row to tests/laws/catalogue/ for {sorted(missing)}"
    assert set(table) | set(others) <= set(family.__all__), "the catalogue has names that are not public"


@pytest.mark.parametrize(("family", "table", "others"), FAMILIES)
def test_what_can_be_called_with_numbers_is_tested_with_every_float_it_takes(family, table, others):
    import inspect

    for name, cases in table.items():
        if not hasattr(cases[0], "numbers"):
            continue
        parameters = inspect.signature(getattr(family, name)).parameters.values()
        floats = {p.name for p in parameters if "Scalar" in str(p.annotation)}
        built = set().union(*(set(case.numbers) for case in cases))
        assert floats <= built, f"{name}: no case varies {sorted(floats - built)}"


@pytest.mark.parametrize(("family", "table", "others"), FAMILIES)
def test_public_names_exist_and_have_a_docstring(family, table, others):
    for name in family.__all__:
        assert getattr(family, name).__doc__, f"{family.__name__}.{name} has no docstring"
