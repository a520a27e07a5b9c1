"""The strictest JAX that the library promises to run under; set before anything of fnnet is imported."""

import contextlib
import gc
import itertools
import os
import shutil
import signal
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

# Most programs of the tests run once, so that what makes them fast costs more than it saves: the passes are a third of
# the time of the whole suite, and the emitters of fused loops are a third of what is left. Processes that tests start
# compile as users do, but for experiments and what is killed (`compiling_less`), and so does parity in .ci/run.
flags = os.environ.get("XLA_FLAGS")
known = jax.__version_info__ < (0, 11)  # XLA ends a process over a flag that it does not know
EMITTERS = " --xla_cpu_use_fusion_emitters=false" if known else ""
if flags is None:
    os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0" + EMITTERS
jax.config.update("jax_num_cpu_devices", 4)
jax.devices()  # XLA reads its flags once
if flags is None:
    del os.environ["XLA_FLAGS"]
# Workers compile many of the same programs, as do the runs of .ci/run; one of them is enough.
CREATED = None
if "FNNET_TEST_PROGRAMS" not in os.environ:
    CREATED = Path(tempfile.mkdtemp(prefix="fnnet-programs-"))
    os.environ["FNNET_TEST_PROGRAMS"] = str(CREATED)
jax.config.update("jax_compilation_cache_dir", os.environ["FNNET_TEST_PROGRAMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
# JAX keeps what it has traced, so that there is much to look through and little to find.
gc.set_threshold(100_000, 50, 100)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Where signatures speak of shapes they are checked at every call. Not elsewhere: at the edges of the library
# a wrong argument has to meet fnnet's own sentence, and the tests look for that.
install_import_hook(["fnnet.draws", "fnnet.losses", "fnnet.metrics", "fnnet.trees"], "beartype.beartype")

if flags is None:
    from fnnet.train import options  # after the hook above

    options.ONCE = 0

COMPILED = "/jax/core/compile/backend_compile_duration"


def pytest_unconfigure(config):
    """Deletes the programs that were kept, by the process that began to keep them."""
    if CREATED is not None:
        shutil.rmtree(CREATED, ignore_errors=True)


@pytest.fixture
def compilations():
    """A list that grows by one with every program that XLA compiles during the test."""
    found = []

    def listen(name, seconds, **kwargs):
        if name == COMPILED:
            found.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def checking_leaks():
    """`jax.checking_leaks`, which looks at every object that Python's collector knows: not at those from before."""
    gc.freeze()
    with jax.checking_leaks():
        yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def compiling_less():
    """``compiling_less(level)``: the environment of a process that trains too briefly for more optimisation to pay."""

    def environment(level):
        return {"XLA_FLAGS": f"--xla_backend_optimization_level={level}{EMITTERS}"} | os.environ

    return environment


@pytest.fixture(scope="session")
def flowers():
    """Training and validation data of three classes; 17 rows do not divide by a batch of 5."""
    from fnnet import data  # after the hook above

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(23, 3)).astype(np.float32)
    targets = (inputs[:, 0] > 0).astype(np.int32) + (inputs[:, 1] > 0).astype(np.int32)
    return data.from_arrays(inputs[:17], targets[:17]), data.from_arrays(inputs[17:], targets[17:])


@pytest.fixture(scope="session")
def pressing():
    """``with pressing(method, at, times)``: Ctrl-C is pressed when the line of progress is told so for the at-th time.

    With ``at=None`` every time it is.
    """
    from fnnet.train.progress import Progress  # after the hook above

    @contextlib.contextmanager
    def press(method="update", at=1, times=1):
        calls, pressed = itertools.count(1), []

        def called(self, *arguments, **named):
            if next(calls) == at or at is None:
                pressed.append(method)
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Progress, method, called)
                yield
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "the library keeps the signal"
            assert pressed or at is None, "Ctrl-C was never pressed"
        finally:
            signal.signal(signal.SIGINT, before)

    return press


@pytest.fixture(scope="session")
def same():
    """Asserts that two trees have bitwise equal leaves."""

    def check(a, b):
        def plain(leaf):
            is_key = hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

        assert jax.tree.structure(a) == jax.tree.structure(b)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            x, y = plain(x), plain(y)
            assert x.dtype == y.dtype
            assert x.shape == y.shape
            assert x.tobytes() == y.tobytes(), f"{x} is not {y}"

    return check
