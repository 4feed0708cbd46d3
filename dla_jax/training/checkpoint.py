"""Checkpoints: written by orbax, by all processes together, atomic, the last two kept.

A damaged one is refused by name and the one before it used.
"""

import contextlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from dla_jax.config.checks import ConfigError

# Orbax may be used from one thread at a time (two deadlock). This also makes saving asynchronous.
_orbax_thread = ThreadPoolExecutor(1, thread_name_prefix="orbax")


class Checkpoints:
    """Keep the last two training checkpoints of one run, in `folder/<step>/`.

    The folder appears with the first save.
    """

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        self._saving = None

    def _manager(self) -> ocp.CheckpointManager:
        return ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False),
        )

    def save(self, step: int, tree) -> None:
        """Start saving a pytree of arrays.

        Returns when they are copied, before they are on disk.
        """
        self.wait()
        tree = jax.device_get(tree)

        def write():
            with self._manager() as manager:
                manager.save(step, args=ocp.args.StandardSave(tree))

        self._saving = _orbax_thread.submit(write)
        if jax.process_count() > 1:
            self.wait()  # all processes write together, and none trains on meanwhile

    def wait(self) -> None:
        """Wait until what was saved is on disk, and raise what went wrong with it."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def restore_latest(self, like) -> tuple[int, object] | None:
        """Return the newest checkpoint that can be read, as (step, tree), or None without one.

        One that cannot be read, or holds other arrays than `like` (a pytree of arrays), is named on
        standard error and set aside as `<folder>-damaged-<step>`, and the one before it is tried.
        """
        if not self.folder.is_dir():
            return None
        return _orbax_thread.submit(self._restore_latest, like).result()

    def _restore_latest(self, like):
        with self._manager() as manager:
            steps = sorted(manager.all_steps(), reverse=True)
        for step in steps:
            try:
                with self._manager() as manager:
                    tree = manager.restore(step, args=ocp.args.StandardRestore(like))
                _check_same_arrays(tree, like)
                return step, tree
            except Exception as error:
                # orbax and tensorstore raise whatever they meet in a damaged file
                if jax.process_index() == 0:
                    self._set_aside(step, error)
        return None

    def _set_aside(self, step: int, error: Exception) -> None:
        damaged = self.folder / str(step)
        print(f"checkpoint {damaged} cannot be used ({_reason(error)}); set aside", file=sys.stderr)
        aside = self.folder.with_name(f"{self.folder.name}-damaged-{step}")
        shutil.rmtree(aside, ignore_errors=True)
        damaged.rename(aside)

    def delete(self) -> None:
        """Remove all of it: the run is finished."""
        self.wait()
        if jax.process_index() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)


def _check_same_arrays(tree, like) -> None:
    found = jax.tree_util.tree_leaves_with_path(tree)
    for (path, got), want in zip(found, jax.tree.leaves(like), strict=True):
        if got.shape != want.shape or got.dtype != want.dtype:
            name = jax.tree_util.keystr(path)
            raise ValueError(
                f"{name} is {got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}"
            )


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]


def _checkpointer():
    return contextlib.closing(ocp.Checkpointer(ocp.StandardCheckpointHandler()))


def save_model(folder: Path, model) -> None:
    """Write a trained model (a pytree of arrays) to a folder, atomically.

    It replaces one that is there.
    """
    model = jax.device_get(model)

    def write():
        with _checkpointer() as checkpointer:
            checkpointer.save(folder.absolute(), args=ocp.args.StandardSave(model), force=True)

    _orbax_thread.submit(write).result()


def load_model(folder: Path, like):
    """Read a model that `save_model` wrote; `like` is a pytree of arrays of the same shapes.

    Raises:
      ConfigError: no model there, damaged, or of other shapes.
    """
    if not folder.is_dir():
        raise ConfigError(f"no trained model in {folder}; has the study finished?")

    def read():
        with _checkpointer() as checkpointer:
            return checkpointer.restore(folder.absolute(), args=ocp.args.StandardRestore(like))

    try:
        model = _orbax_thread.submit(read).result()
        _check_same_arrays(model, like)
    except Exception as error:  # as in `_restore_latest`
        raise ConfigError(
            f"model {folder} cannot be read ({_reason(error)}); train it again"
        ) from None
    return model


def load_variables(folder: Path, params: dict, model_state: dict) -> dict:
    """Return {"params", "model_state"} of a model that `save_model` wrote.

    Args:
      params, model_state: trees of arrays, or of shapes, like those that are read.

    Raises:
      ConfigError: no model there, damaged, or of other shapes.
    """

    def zeros(leaf):
        return jnp.zeros(leaf.shape, leaf.dtype)

    return load_model(folder, jax.tree.map(zeros, {"params": params, "model_state": model_state}))
