"""Programs that run once: at which level they are compiled."""

import pytest

from dla_jax.tasks.compiling import LEVEL, cheaply


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("", 1),
        ("--xla_cpu_enable_fast_math=false", 1),
        (f"--{LEVEL}=0 --xla_cpu_enable_fast_math=false", 0),
        (f"--{LEVEL}=1", 1),
        (f"--{LEVEL}=3", 1),
    ],
)
def test_cheaply_is_level_one_unless_a_lower_one_is_asked_for(flags, level, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", flags)
    assert cheaply() == {LEVEL: level}
    monkeypatch.delenv("XLA_FLAGS")
    assert cheaply() == {LEVEL: 1}
