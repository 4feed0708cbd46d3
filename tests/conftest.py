"""Every test has four CPU devices; all processes share compiled programs, which are kept."""

import fcntl
import functools
import gc
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["JAX_PLATFORMS"] = "cpu"
# In the folder that --cache-clear empties.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "d" / "programs"))

# The workers of pytest share the cores, and what they start has those of its worker: on networks as
# small as these, threads of XLA on several cores mostly wait for one another, which takes CPU time.
if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.sched_setaffinity(0, cores[number % len(cores) :: workers])

from launching import QUICKLY, SELDOM, UNTRACED, Answer, copy_as_killed, num_rows, start  # noqa: E402

os.environ.setdefault("XLA_FLAGS", QUICKLY)
os.environ.update(UNTRACED)
gc.set_threshold(*SELDOM)
import jax  # noqa: E402
import kept_programs  # noqa: E402
import pytest  # noqa: E402

from dla_jax.config.stop import stop_requested  # noqa: E402

LONGEST = (
    # with -m slow
    "test_accelerator_stages",
    "test_notebooks",
    "test_lunar_lander",
    "test_multihost",
    # without
    "test_resume",
    # Each reads smokes, or goes on with them in the process that ran them.
    "test_agents_study",
    "test_why_study",
    "test_cam_study",
    "test_adversarial_study",
    "test_choices_study",
    "test_language_study",
    "test_text_studies",
    "test_configs",  # which runs the smokes that are left
    "test_presets",
    "test_language",
    "test_texts",
    "test_architectures",
)
# Smokes that are copied while they run, as a kill would leave them: when runs whose names begin so
# have so many rows.
COPIED_AT = {"agents": ("final/reinforce", 8)}
MOST_BYTES = 3 * 2**30  # that a worker may take before it drops all programs after each file
if "PYTEST_XDIST_WORKER" not in os.environ:  # before there are workers
    kept_programs.tidy(Path(os.environ["JAX_COMPILATION_CACHE_DIR"]))
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that all workers end together."""

    def place(item) -> int:
        return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def no_stop_request():
    """Forget a stop that a test asked for, which must not stop the next one."""
    stop_requested.clear()
    yield
    stop_requested.clear()


def resident_bytes() -> int:
    """Return how much memory this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.fixture(scope="session")
def allowed():
    """Hold how many bytes may be resident before compiled programs are dropped."""
    return {"bytes": 2**30}


@pytest.fixture(autouse=True, scope="module")
def not_too_many_programs(allowed):
    """Drop compiled programs before there are too many.

    Each takes memory, and memory maps, of which Linux gives a process 65,530; beyond, XLA's
    compiler crashes. What is needed again comes from the compilation cache.
    """
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return
    if len(maps.read_text().splitlines()) > 10_000 or resident_bytes() > allowed["bytes"]:
        jax.clear_caches()
        gc.collect()  # which runs seldom, and drops what only cycles still hold
        # The allocator keeps what is freed for what comes: else each file would drop all again.
        allowed["bytes"] = min(resident_bytes() + 2**29, MOST_BYTES)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, worker_id):
    """Return a function: name of a config -> (workdir, answer) of its smoke preset.

    It is run once for all tests that read it, also for those of other workers. Beside the workdir
    of some lies `killed`, a copy that was made while it ran.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    @functools.cache
    def run(name):
        folder = shared / "smokes" / name
        folder.mkdir(parents=True, exist_ok=True)
        workdir, kept = folder / "run", folder / "answer.json"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                flags = [f"--config=configs/{name}.py:smoke", f"--workdir={workdir}", "--quiet"]
                if name in COPIED_AT:  # one run after another: it is known which is under way
                    flags.append("--config.cells_at_a_time=1")
                process = start(*flags, warm=True, drawn=True)
                if name in COPIED_AT:
                    of, count = COPIED_AT[name]
                    is_time = lambda: num_rows(workdir, of) >= count
                    copy_as_killed(process, workdir, folder / "killed", is_time)
                out, err = process.communicate()
                kept.write_text(json.dumps(Answer(process.returncode, out, err)))
        answer = Answer(*json.loads(kept.read_text()))
        assert answer.code == 0, answer.err
        return workdir, answer

    return run
