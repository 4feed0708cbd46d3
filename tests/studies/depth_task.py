"""The Task of one run of a depth study, and its state before the first step."""

from ml_collections import ConfigDict

from dla_jax.data import images
from dla_jax.studies.depth.arms import arm_of
from dla_jax.tasks import image_data, image_task
from dla_jax.training import steps
from dla_jax.training.mesh import data_mesh
from dla_jax.training.task import Task


def load(config: ConfigDict, devices: list | None = None) -> image_data.Loaded:
    """Return the images of a study, on these devices, by default on all."""
    image_set, mesh = images.load(config.data, data_dir=None, download=False), data_mesh(devices)
    return image_data.Loaded(image_set, image_data.put_data(image_set, mesh), mesh)


def task_of(config: ConfigDict, loaded, kind: str, seed: int = 0, depth: int = 4) -> Task:
    """Return the Task of a kind of net at a depth, whether or not the study runs it."""
    arm = arm_of(config, kind, depth, (seed,))
    return image_task.make_task(arm.config, loaded, seed)


def start(task: Task, seed: int = 0, lr: float = 1e-3) -> steps.TrainState:
    """Return the state of a run before its first step."""
    return steps.init_state(task.init_fn, task.tx, seed=seed, lr=lr, mesh=task.mesh)[0]
