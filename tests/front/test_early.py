"""A set that cannot be fetched is said to be so before JAX is imported."""

import resource
import subprocess
import sys

import pytest
from launching import ROOT, environment, launch

# What is started, and whether JAX and the rest came in.
SHELL = """
import runpy, sys
sys.argv = ["launch.py", *sys.argv[1:]]
try:
    runpy.run_path("launch.py", run_name="__main__")
except SystemExit as exit:
    print(exit.code, *sorted({"jax", "scipy", "matplotlib"} & set(sys.modules)))
"""
PYTHON = """
import sys, dla_jax
from dla_jax.config.checks import ConfigError
config, *changes = (word.removeprefix("--config=") for word in sys.argv[1:] if "_dir" not in word)
changes = dict(word.removeprefix("--config.").split("=") for word in changes)
try:
    dla_jax.run(config, data_dir=sys.argv[-1].partition("=")[2], **changes)
except ConfigError as error:
    print(error, file=sys.stderr)
    print(2, *sorted({"jax", "scipy", "matplotlib"} & set(sys.modules)))
"""


PHOTOS = ("--config=configs/rescnn.py", "--config.data.name=hub:me/photos")
TOPICS = ("--config=configs/yahoo.py:minilm", "--config.data.name=yahoo_answers_topics")
STARTS = [
    (SHELL, "--config=configs/rescnn.py", "--config.data.name=cifar10"),
    (SHELL, *PHOTOS),
    (SHELL, "--config=configs/race.py:dream"),
    (PYTHON, *TOPICS),
    (PYTHON, "--config=configs/race.py:dream", "--config.data.name=race"),
]


def cpu_seconds():
    """Return what ended processes of this one took; by the clock, others take their time too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start[-1].rpartition("=")[2])
def test_no_network_is_said_before_the_slow_imports(tmp_path, start):
    (tmp_path / "datasets.py").write_text("1 / 0  # is there, and is not imported\n")
    changes = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "HF_ENDPOINT": "http://127.0.0.1:9"}
    before, (code, *words) = cpu_seconds(), start
    answer = subprocess.run(
        (sys.executable, "-c", code, *words, f"--data_dir={tmp_path / 'data'}"),
        env=environment(**changes, no_proxy="127.0.0.1", HF_HUB_OFFLINE="0"),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert answer.stdout == "2\n", answer
    (said,) = answer.stderr.splitlines()
    assert "data.name: http://127.0.0.1:9 cannot be reached" in said and "--data_dir" in said
    assert cpu_seconds() - before < 5 and not list((tmp_path / "data").glob("*"))


def test_a_dry_run_says_so_and_goes_on_and_what_is_not_to_be_fetched_is_left_to_the_study(tmp_path):
    config, data = "--config=configs/rescnn.py:cifar10", f"--data_dir={tmp_path}"
    answer = launch(config, data, "--dry_run", HF_ENDPOINT="http://127.0.0.1:9")
    assert answer.code == 0 and "data.name: cifar10 is not in" in answer.out, answer
    answer = launch(config, data, "--nodownload", "--config.num_epochs=0")
    assert answer.code == 2 and "num_epochs" in answer.err, answer
