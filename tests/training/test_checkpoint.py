"""Checkpoints are kept, restored, and set aside when they are damaged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.training import checkpoint


def tree(scale, width=300):
    return {
        "params": {"w": jnp.arange(width * 40.0).reshape(width, 40) * scale},
        "step": jnp.int32(scale),
    }


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def saved(folder, *steps):
    checkpoints = checkpoint.Checkpoints(folder)
    for step in steps:
        checkpoints.save(step, tree(step))
    checkpoints.wait()
    return checkpoints


def truncate_largest_file(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


def test_the_last_two_are_kept_and_the_latest_restored(tmp_path):
    checkpoints = saved(tmp_path / "run", 3, 6, 9)
    assert {path.name for path in (tmp_path / "run").iterdir() if path.name.isdigit()} == {"6", "9"}
    step, found = checkpoints.restore_latest(tree(0))
    assert step == 9
    assert_same(found, tree(9))


def test_nothing_saved_is_nothing_restored_and_makes_no_folder(tmp_path):
    assert checkpoint.Checkpoints(tmp_path / "run").restore_latest(tree(0)) is None
    assert not (tmp_path / "run").exists()


def test_saving_copies_before_it_returns(tmp_path):
    values = np.ones(1000)
    checkpoints = checkpoint.Checkpoints(tmp_path / "run")
    checkpoints.save(1, {"w": jnp.asarray(values)})
    donated = jax.jit(lambda x: x + 1, donate_argnums=0)
    donated(jnp.asarray(values))
    checkpoints.wait()
    _, found = checkpoints.restore_latest({"w": jnp.zeros(1000)})
    np.testing.assert_array_equal(found["w"], values)


def test_a_truncated_checkpoint_is_named_and_the_one_before_it_used(tmp_path, capsys):
    checkpoints = saved(tmp_path / "run", 3, 6)
    truncate_largest_file(tmp_path / "run" / "6")
    step, found = checkpoints.restore_latest(tree(0))
    assert step == 3
    assert_same(found, tree(3))
    assert str(tmp_path / "run" / "6") in capsys.readouterr().err
    assert (tmp_path / "run-damaged-6").is_dir()  # nothing is thrown away
    checkpoints.save(6, tree(6))  # and the way is free
    checkpoints.wait()
    assert checkpoints.restore_latest(tree(0))[0] == 6


def test_when_all_are_damaged_the_run_starts_again(tmp_path):
    checkpoints = saved(tmp_path / "run", 3, 6)
    for step in ("3", "6"):
        truncate_largest_file(tmp_path / "run" / step)
    assert checkpoints.restore_latest(tree(0)) is None


def test_a_foreign_checkpoint_is_refused(tmp_path, capsys):
    saved(tmp_path / "run", 3)
    for like in (tree(0, width=200), {"other": jnp.zeros(3)}):
        assert checkpoint.Checkpoints(tmp_path / "run").restore_latest(like) is None
        damaged = tmp_path / "run-damaged-3"
        damaged.rename(tmp_path / "run" / "3")
    assert "cannot be used" in capsys.readouterr().err


def test_an_unfinished_write_is_ignored(tmp_path):
    checkpoints = saved(tmp_path / "run", 3)
    partial = tmp_path / "run" / "6.orbax-checkpoint-tmp-123"
    partial.mkdir()
    (partial / "junk").write_bytes(b"half")
    assert checkpoints.restore_latest(tree(0))[0] == 3


def test_models_are_saved_and_read(tmp_path):
    checkpoint.save_model(tmp_path / "model", tree(1))
    checkpoint.save_model(tmp_path / "model", tree(2))  # replaces
    assert_same(checkpoint.load_model(tmp_path / "model", tree(0)), tree(2))


@pytest.mark.parametrize("spoil", ["missing", "truncated", "other shape"])
def test_models_that_cannot_be_read_are_wrong_input(tmp_path, spoil):
    like = tree(0, width=10) if spoil == "other shape" else tree(0)
    if spoil != "missing":
        checkpoint.save_model(tmp_path / "model", tree(1))
    if spoil == "truncated":
        truncate_largest_file(tmp_path / "model")
    with pytest.raises(ConfigError, match=str(tmp_path / "model")):
        checkpoint.load_model(tmp_path / "model", like)
