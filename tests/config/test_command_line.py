"""Flags of a config as they are typed: of a key that is given twice the last value holds."""

from launching import launch

from dla_jax.config.command_line import last_of_each


def test_the_last_of_each_key_is_kept_in_its_place():
    typed = ["--config=a.py", "--config.lr=1", "-config.seeds=0,1", "--quiet", "--config.lr=2"]
    assert last_of_each(typed) == [typed[0], *typed[2:]]
    assert last_of_each(["--config.all", "--noconfig.all"]) == ["--noconfig.all"]
    others = ["--workdir=a", "--workdir=b", "--config.optim.lr=1", "--config.lr=1", "x=1", "x=1"]
    assert last_of_each(others) == others


def test_values_of_a_key_given_twice_are_not_put_together(tmp_path):
    study = ("--config=configs/mlp.py:smoke", f"--workdir={tmp_path / 'run'}", "--dry_run")
    once = launch(*study, "--config.seeds=0,1,2")
    twice = launch(*study, "--config.seeds=5,6", "--config.seeds=0,1,2")
    assert once.code == twice.code == 0 and "3 seeds" in once.out + once.err
    assert (once.out, once.err) == (twice.out, twice.err)
