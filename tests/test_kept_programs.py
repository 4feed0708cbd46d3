"""Kept programs: what cannot be read is removed, and what nobody has read for long."""

import os
import time
from pathlib import Path

import jax
import kept_programs
import numpy as np

DAY = 24 * 60 * 60


def a_program() -> bytes:
    """Return a program as JAX has written it."""
    np.testing.assert_array_equal(jax.jit(lambda x: 3 * x + 4)(np.arange(2)), [4, 7])
    found = Path(jax.config.jax_compilation_cache_dir).glob("jit__lambda-*-cache")
    return next(found).read_bytes()


def test_parts_and_what_is_old_are_removed_and_the_rest_stays(tmp_path):
    program, now = a_program(), time.time()
    for name, content, days in (
        ("read_today", program, 0),
        ("read_lately", program, 29),
        ("read_long_ago", program, 31),
        ("cut", program[:-9], 0),
        ("begun", b"", 0),
    ):
        path = tmp_path / f"{name}-cache"
        path.write_bytes(content)
        os.utime(path, (now - days * DAY, now - 40 * DAY))
    (tmp_path / "of another").write_bytes(b"")
    kept_programs.tidy(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"read_today-cache", "read_lately-cache", "of another", "tidied"}


def test_what_was_looked_at_is_not_read_again(tmp_path, monkeypatch):
    folder, read = tmp_path / "not there yet", []
    monkeypatch.setattr(kept_programs, "is_whole", lambda path: read.append(path.name) or True)
    kept_programs.tidy(folder)
    for name, written in (("before-cache", -DAY), ("after-cache", DAY)):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (time.time(), time.time() + written))
    kept_programs.tidy(folder)
    assert read == ["after-cache"]
