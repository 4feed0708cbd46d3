"""Workers that are forked: what they are told, how they end, and when none may be forked."""

import json
import subprocess
import sys

from launching import ROOT, environment

# In a process of its own: that of the tests has started JAX.
FORKING = """
import atexit, json, os, signal, sys, time
from pathlib import Path
import jax
from dla_jax.config.checks import ConfigError
from dla_jax.front import forks
from dla_jax.front.processes import Start

ends = {
    "returns": lambda: print("said", os.environ["GIVEN"], os.getsid(0) == os.getpid()),
    "exits": lambda: sys.exit(3),
    "exits with words": lambda: sys.exit("these words"),
    "raises": lambda: 1 / 0,
    "sleeps": lambda: time.sleep(60),
}
def ask_in_vain(*given):
    raise RuntimeError("a forked process has none of this one's handlers")

signal.signal(signal.SIGTERM, ask_in_vain)
atexit.register(print, "ends")
workers = {}
for name, work in ends.items():
    log = Path(sys.argv[1], name)
    log.touch()
    workers[name] = forks.Forked(Start([], log, {"GIVEN": name}), work)
workers["sleeps"].send_signal(signal.SIGTERM)
while any(worker.poll() is None for worker in workers.values()):
    time.sleep(0.01)
workers["sleeps"].send_signal(signal.SIGTERM)  # to nobody

def refuse(words):
    raise ConfigError(words)

def first_device():
    return str(jax.devices()[0].platform), forks.can_fork()

found = {name: worker.returncode for name, worker in workers.items()}
found["elsewhere"] = forks.forked(first_device)
found["elsewhere again"] = forks.forked(lambda: 1 + 1)
found["before"] = forks.can_fork(), jax.config.jax_num_cpu_devices
jax.config.update("jax_num_cpu_devices", 3)
found["three"] = forks.can_fork(), jax.config.jax_num_cpu_devices
try:
    forks.forked(lambda: os.kill(os.getpid(), signal.SIGKILL))
except RuntimeError as error:
    found["killed"] = str(error)

def divide():
    return 1 / 0

def find_no_room():
    raise OSError(28, "No space left", "a file")

try:
    forks.forked(divide)
except RuntimeError as error:
    found["divided"] = str(error)
try:
    forks.forked(find_no_room)
except OSError as error:
    found["room"] = error.errno, error.filename
from dla_jax import commands
for name in ("depth", "agents"):
    commands.find_experiment(name)
    found[name] = forks.can_fork()
try:
    forks.forked(refuse, "no such thing")
except ConfigError as error:
    found["refused"] = str(error)
found["after"] = forks.can_fork()
print(json.dumps(found))
"""


def test_forked_workers_end_as_processes_do_and_only_before_jax_has_started(tmp_path):
    words = (sys.executable, "-c", FORKING, str(tmp_path))
    answer = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    said, *others = answer.stdout.splitlines()
    assert others == ["ends"]  # once: what a child says goes to its log, and its end is its own
    found = json.loads(said)
    codes = [found[name] for name in ("returns", "exits", "exits with words", "raises", "sleeps")]
    assert codes == [0, 3, 1, 1, -15]
    assert (tmp_path / "exits with words").read_text() == "these words\n"
    assert (tmp_path / "returns").read_text() == "said returns True\n"
    assert "ZeroDivisionError" in (tmp_path / "raises").read_text()
    assert found["elsewhere"] == ["cpu", False]
    assert found["elsewhere again"] == 2 and "ended before" in found["killed"]
    assert found["before"] == [True, -1] and found["three"] == [True, 3]
    assert "divide ended before it was done" in found["divided"] and found["room"] == [28, "a file"]
    assert "ZeroDivisionError" in answer.stderr
    # the import of gymnax starts JAX
    assert found["depth"] is True and found["agents"] is found["after"] is False
    assert found["refused"] == "no such thing"
