"""What is measured of one trained network, the one that is kept, and along its training."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from dla_jax.analysis import curvature, landscape, lesion, paths
from dla_jax.analysis.loss import loss_with_batch_statistics
from dla_jax.evidence.rows import brief


class Sample(NamedTuple):
    """Images of one part of the data."""

    images: np.ndarray  # float32 [B, H, W, C] in [0, 1]
    labels: np.ndarray  # int32 [B]


def drawn(index: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return at most so many of the positions of a part, drawn by the seed.

    An official test part may lie class by class.
    """
    return np.random.default_rng((seed, 2)).permutation(index)[:most]


def samples_of(image_set, parts: dict, most: int, seed: int) -> dict[str, Sample]:
    """Return images of each part of a seed's data, at most so many.

    Args:
      parts: {"train", "val", "test"}: int32 positions.
    """
    samples = {}
    for name, index in parts.items():
        chosen = drawn(index, most, seed)
        images = image_set.images[chosen].astype(np.float32) / 255
        samples[name] = Sample(images, image_set.labels[chosen].astype(np.int32))
    return samples


def spread(high: int, most: int, *always: int) -> tuple[int, ...]:
    """Return at most `most` whole numbers, evenly spread from 0 to `high`, and some beside."""
    even = np.linspace(0, high, most).round().astype(int)
    return tuple(np.unique([*even, *always]).tolist())


def counts_of(config, blocks: int) -> tuple[int, ...]:
    """Return how many of so many blocks are deleted together, none and half of them among them."""
    half = blocks // 2, blocks - blocks // 2
    if config.lesions.counts:
        return tuple(sorted({0, *half, *config.lesions.counts}))
    return spread(blocks, config.lesions.num_counts, *half)


@functools.partial(jax.jit, static_argnames=("model", "edit"))
def edited(variables, cases, sample: Sample, statistics_of, *, model, edit) -> dict:
    """Return `lesion.scores` of a network: float32 [cases] each."""
    return lesion.scores(
        model.apply,
        variables,
        cases,
        sample.images,
        sample.labels,
        edit=edit,
        statistics_of=statistics_of,
    )


def lesions(config, model, variables: dict, samples: dict[str, Sample], seed: int) -> dict:
    """Return the accuracy on test images after blocks are deleted, or exchanged.

    With BatchNorm both with the statistics that training left and with those that the edited
    network has on training images ("recomputed").
    """
    blocks, own = lesion.num_blocks(variables), config.lesions
    rng = np.random.default_rng((seed, 0))
    counts = counts_of(config, blocks)
    each = np.concatenate([np.zeros((1, blocks), bool), lesion.each_block(blocks)])
    random = lesion.random_blocks(rng, blocks, counts, own.num_draws)
    masks = np.concatenate([each, random.reshape(-1, blocks)])

    def accuracies(statistics_of):
        how = {"model": model, "edit": lesion.delete}
        found = edited(variables, masks, samples["test"], statistics_of, **how)["accuracy"]
        whole, single, many = np.split(np.asarray(found), [1, 1 + blocks])
        return whole[0], single, many.reshape(random.shape[:2]).mean(1)

    found = {"deleted_counts": counts}
    found["whole_accuracy"], found["lesion_accuracy"], found["deleted_accuracy"] = accuracies(None)
    if "batch_stats" in variables:
        whole, single, _ = accuracies(samples["train"].images)
        found |= {"whole_accuracy_recomputed": whole, "lesion_accuracy_recomputed": single}
    return found | swaps(own, rng, model, variables, samples["test"])


def swaps(own, rng, model, variables: dict, sample: Sample) -> dict:
    """Return the accuracy after pairs of blocks are exchanged; nothing where no two are alike."""
    if not len(lesion.swappable_pairs(variables)):
        return {}
    counts = spread(own.max_swaps, own.num_counts, 1)
    orders = lesion.random_swaps(rng, variables, counts, own.num_draws)
    how = {"model": model, "edit": lesion.reorder}
    found = edited(variables, orders, sample, None, **how)["accuracy"]
    return {"swap_counts": counts, "swapped_accuracy": np.asarray(found).mean(1)}


@functools.partial(jax.jit, static_argnames=("model", "at_once"))
def route_norms(variables, sample: Sample, routes, *, model, at_once: int) -> jax.Array:
    """Return `paths.route_norms` of a network: float32 [R]."""
    return paths.route_norms(
        model.apply, variables, sample.images, sample.labels, routes, at_once=at_once
    )


def path_lengths(config, model, variables: dict, sample: Sample, seed: int) -> dict:
    """Return how much gradient the paths of each length carry, on training images."""
    blocks, own = lesion.num_blocks(variables), config.paths
    rng = np.random.default_rng((seed, 1))
    routes = paths.sample_routes(rng, blocks, tuple(range(blocks + 1)), own.num_routes)
    norms = route_norms(variables, sample, routes, model=model, at_once=own.at_once)
    found = paths.mass(np.asarray(norms), routes)
    return {f"path_{name}": values for name, values in found.items()}


def alphas_of(config) -> np.ndarray:
    """Return the places on an axis of the landscape: float [points], 0 in their middle."""
    return np.linspace(-config.landscape.radius, config.landscape.radius, config.landscape.points)


@functools.partial(jax.jit, static_argnames=("model", "chunk"))
def losses_around(variables, sample: Sample, key, alphas, line, *, model, chunk: int):
    """Return the loss on a grid float32 [A, A], and on a line through its middle [A']."""
    loss = loss_with_batch_statistics(model.apply, variables, *sample)
    first, second = (landscape.direction(own, variables["params"]) for own in jax.random.split(key))
    around = functools.partial(landscape.surface, loss, variables["params"], chunk=chunk)
    along = landscape.cut(loss, variables["params"], first, line, chunk=chunk)
    return around(first, second, alphas, alphas), along


def loss_landscape(config, model, variables: dict, sample: Sample, seed: int) -> dict:
    """Return the loss around a network, on validation images.

    The directions are drawn by the seed alone, so that twins have the same ones, each scaled by its
    own filters.
    """
    alphas = alphas_of(config)
    line = np.linspace(alphas[0], alphas[-1], config.landscape.cut_points)
    key, chunk = jax.random.key(seed), config.landscape.chunk
    around, along = losses_around(variables, sample, key, alphas, line, model=model, chunk=chunk)
    return {"surface": around, "cut": along}


@functools.partial(jax.jit, static_argnames=("model", "num_products"))
def top_eigenvalue(variables, sample: Sample, key, *, model, num_products: int) -> jax.Array:
    """Return the largest eigenvalue of the Hessian of a network's loss: float32 []."""
    loss = loss_with_batch_statistics(model.apply, variables, *sample)
    matvec, dim = curvature.flat_hvp(loss, variables["params"])
    return curvature.top_eigenvalue(matvec, dim, key, num_products)


@functools.partial(jax.jit, static_argnames=("model", "num_probes", "num_products"))
def spectrum(variables, sample: Sample, key, *, model, num_probes: int, num_products: int):
    """Return (nodes, weights) of the Hessian's spectrum: float32 [num_probes, num_products]."""
    loss = loss_with_batch_statistics(model.apply, variables, *sample)
    matvec, dim = curvature.flat_hvp(loss, variables["params"])
    return curvature.spectral_density(matvec, dim, key, num_probes, num_products)


def probe_curvature(state, *, config, model, sample: Sample, key) -> dict[str, jax.Array]:
    """Return the largest eigenvalue of the Hessian in the middle of training, for a row."""
    variables = {"params": state.params, **state.model_state}
    products = config.curvature.num_products
    return {
        "top_eigenvalue": top_eigenvalue(variables, sample, key, model=model, num_products=products)
    }


def curvatures(config, model, variables: dict, sample: Sample, seed: int) -> dict:
    """Return the largest eigenvalue of the Hessian, and its spectrum, on training images."""
    key, own = jax.random.key(seed), config.curvature
    top = top_eigenvalue(variables, sample, key, model=model, num_products=own.num_products)
    nodes, weights = spectrum(
        variables,
        sample,
        key,
        model=model,
        num_probes=own.num_probes,
        num_products=own.num_density_products,
    )
    return {"kept_top_eigenvalue": top, "spectrum_nodes": nodes, "spectrum_weights": weights}


def diagnose(config, model, variables: dict, samples: dict[str, Sample], seed: int) -> dict:
    """Return all that is measured of a trained network, as numbers and lists for a row.

    Args:
      config: of the study.
      model: of the network.
      variables: of the network.
      samples: {"train", "val", "test"}.
      seed: of the run.
    """
    found = lesions(config, model, variables, samples, seed)
    found |= path_lengths(config, model, variables, samples["train"], seed)
    found |= loss_landscape(config, model, variables, samples["val"], seed)
    found |= curvatures(config, model, variables, curved(config, samples["train"]), seed)
    return brief(found)


def curved(config, sample: Sample) -> Sample:
    """Return the images that curvature is measured on: fewer, since a product costs gradients."""
    return Sample(*(part[: config.curvature.num_images] for part in sample))
