"""Every test has four CPU devices, and all processes share one compilation cache."""

import functools
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="dla_jax_test_cache_"))

import jax  # noqa: E402
import pytest  # noqa: E402
from launching import launch  # noqa: E402

from dla_jax.config.stop import stop_requested  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture(autouse=True)
def no_stop_request():
    """Forget a stop that a test asked for, which must not stop the next one."""
    stop_requested.clear()
    yield
    stop_requested.clear()


@pytest.fixture(autouse=True, scope="module")
def not_too_many_programs():
    """Drop compiled programs before there are too many.

    Each takes memory maps, of which Linux gives a process 65,530; beyond, XLA's compiler crashes.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_text().splitlines()) > 20_000:
        jax.clear_caches()


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """Return a function: name of a config -> (workdir, answer) of its smoke preset.

    It is run once for all tests that read it.
    """

    @functools.cache
    def run(name):
        workdir = tmp_path_factory.mktemp(name) / "run"
        answer = launch(f"--config=configs/{name}.py:smoke", f"--workdir={workdir}", "--quiet")
        assert answer.code == 0, answer.err
        return workdir, answer

    return run
