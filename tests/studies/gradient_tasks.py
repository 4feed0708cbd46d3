"""Makes the tasks of the study of gradients, as its smoke preset runs them."""

import functools

import jax

from configs import gradients
from dla_jax.data import images
from dla_jax.studies.gradients.study import make_probed
from dla_jax.tasks.image_data import Loaded, info_of, put_data
from dla_jax.tasks.image_task import make_model
from dla_jax.training.mesh import data_mesh
from dla_jax.training.steps import init_state
from dla_jax.trials.arms import own_config


@functools.cache
def loaded():
    """Return the embedded images, and their copy on one device."""
    image_set, mesh = images.digits(), data_mesh(jax.devices()[:1])
    return Loaded(image_set, put_data(image_set, mesh), mesh)


def config_of(network):
    """Return the config of a network."""
    return own_config(gradients.get_config("smoke"), network)


def module_of(network):
    """Return the Flax module of a network."""
    return make_model(config_of(network), info_of(loaded().image_set))


@functools.cache
def task_of(network, seed=0):
    """Return the Task of a run."""
    return make_probed(config_of(network), loaded(), seed)


@functools.cache
def start_of(network, seed=0):
    """Return the Task of a run, its state before the first step, and the key of its steps."""
    task = task_of(network, seed)
    return task, *init_state(task.init_fn, task.tx, seed=seed, lr=0.01, mesh=task.mesh)
