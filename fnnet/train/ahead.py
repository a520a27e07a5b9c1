"""Programs that XLA compiles while Python goes on."""

from __future__ import annotations

import contextlib
import threading
from typing import Any


class Program:
    """A jitted function whose compiling can begin before its first call."""

    def __init__(self, jitted: Any) -> None:
        self._jitted, self.lower = jitted, jitted.lower
        self._compiling: threading.Thread | None = None

    def ahead(self, *arguments: Any) -> None:
        """Traces for these arguments, of which shapes are enough, and compiles in another thread.

        Tracing stays in this one, since `jax.enable_x64` and its like hold for the thread that says them. What goes
        wrong while compiling is left to the call, which then compiles for itself and raises.
        """
        lowered = self.lower(*arguments)

        def compiling() -> None:
            with contextlib.suppress(Exception):
                lowered.compile()

        self._compiling = threading.Thread(target=compiling, name="fnnet-compiling")
        self._compiling.start()

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives, once what is being compiled is there."""
        if self._compiling is not None:
            self._compiling.join()
        return self._jitted(*arguments)
