"""What glibc is told to keep is not fetched again, and elsewhere nothing is done."""

import json
import platform
import subprocess
import sys

import pytest

from dla_jax.front import heap

# Pages fetched by ten arrays of 16 MiB, one after another: 507 here with huge pages, else 40,960.
FETCH = """
import json, resource, sys
import numpy as np
from dla_jax.front import heap

kept = sys.argv[1] == "keep" and heap.keep_freed_memory()
np.ones(1 << 22, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(1 << 22, np.float32)
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_freed_memory_is_not_fetched_again():
    def fetched(how):
        command = (sys.executable, "-c", FETCH, how)
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    (kept, pages), (_, fetched_anew) = fetched("keep"), fetched("as it is")
    assert kept == (platform.libc_ver()[0] == "glibc")
    assert not kept or pages < 50 < 100 < fetched_anew


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not heap.keep_freed_memory()
