"""Does the gradient vanish in a plain net, and neither vanish nor explode in a residual one?

Networks of one depth (configs/gradients.py) are trained side by side. Every row of a run holds, layer by layer and stage by
stage, what the gradient of that very step looks like and what it moves; every `probe_every_steps` also the gradient on a probe
batch that stays the same from initialisation to the end.
"""

import functools

import jax
import jax.numpy as jnp

from dla_jax.analysis.layer_gradients import BINS, SMALLEST, statistics, step_statistics
from dla_jax.analysis.units import layers_of
from dla_jax.config.checks import check, check_count
from dla_jax.config.workdir import Run
from dla_jax.data import splits
from dla_jax.studies.architectures import study
from dla_jax.studies.gradients.report import draw as draw
from dla_jax.tasks import image_classifier, image_runs
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import own_config
from dla_jax.trials.grid import Setting, Story

LIMITS = [float(exponent) for exponent in range(SMALLEST, SMALLEST + BINS)]  # of the bins, log2 |g|


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow."""
    check_count("trace_first_steps", config.trace_first_steps, low=20)
    for key in ("probe_every_steps", "max_histograms"):
        check_count(key, config[key])
    for network in config.networks:
        depth = own_config(config, network).model.depth
        check(
            depth > 1,
            f"networks.{network}: model.depth: {depth} has no blocks whose gradient could be traced; give at least 2",
        )
    study.check_config(config, run)


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    image_set, mesh = image_runs.load(config, run), data_mesh()
    data = image_runs.put_data(image_set, mesh)
    prepare = functools.partial(
        image_runs.prepare,
        image_set=image_set,
        data=data,
        mesh=mesh,
        trace=step_statistics,
        trace_first_steps=config.trace_first_steps,
        probe_every_steps=config.probe_every_steps,
    )
    settings = {name: prepare(own_config(config, name)) for name in config.networks}
    study.run_networks(config, run, settings, make_story, draw)


def make_story(setting: Setting, seed: int) -> Story:
    """What makes a run that is probed as it trains."""
    index = image_runs.split(setting.config, setting.source, seed)["train"][
        : setting.config.batch_size
    ]
    # What the net would learn from, but for the augmentation, and where there is dropout always the same.
    config, weights = (
        setting.config,
        splits.class_weights(setting.config.class_weight, setting.source),
    )
    loss_fn = image_classifier.make_loss(
        study.make_model(setting),
        0,
        False,
        config.label_smoothing,
        image_runs.freeze_norm_at(setting),
        weights,
    )
    probe = functools.partial(
        probe_gradients, data=setting.data, index=index, key=jax.random.key(seed), loss_fn=loss_fn
    )
    return study.make_story(setting, seed)._replace(
        probe=probe, annotate=functools.partial(annotate, setting=setting)
    )


def probe_gradients(state, *, data: dict, index, key, loss_fn) -> dict[str, jax.Array]:
    """`statistics` of the gradient on the examples `index` int32 [B], as "probe_..."; nothing of the state moves."""
    found = _probe(state.params, state.model_state, data, index, key, loss_fn=loss_fn)
    return {f"probe_{name}": value for name, value in found.items()}


@functools.partial(jax.jit, static_argnames="loss_fn")
def _probe(params, model_state, data, index, key, *, loss_fn):
    batch = {name: rows[index] for name, rows in data.items()}
    (loss, _), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, model_state, batch, key)
    return statistics(grads, params) | {"loss": jnp.float32(loss)}


@functools.cache
def histogram_steps(num_steps: int, probe_every_steps: int, max_histograms: int) -> frozenset[int]:
    """Of the steps that are probed, at most `max_histograms`, evenly spread."""
    probed = range(0, num_steps + 1, probe_every_steps)
    return frozenset(probed[:: -(-len(probed) // max_histograms)])


def annotate(row: dict, *, setting: Setting) -> dict:
    """The row with names of the layers at step 0, and with histograms at a bounded number of steps only."""
    config, plan = setting.config, setting.plan
    if row["step"] == 0:
        layers = layers_of(
            image_classifier.shapes_of(study.make_model(setting), setting.source.images.shape[1:])
        )
        row = row | {
            "layers": [layer.name for layer in layers],
            "stages": [layer.stage for layer in layers],
        }
    if row["step"] in histogram_steps(
        plan.num_steps, config.probe_every_steps, config.max_histograms
    ):
        return row | {"histogram_limits": LIMITS}
    return {name: value for name, value in row.items() if not name.endswith("_histogram")}
