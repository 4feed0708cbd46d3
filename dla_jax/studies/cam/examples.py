"""Test images with their maps, and a canvas of several images, of one network."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.data import canvas
from dla_jax.studies.cam.network_maps import (
    Network,
    all_maps,
    forgetting,
    maps_of,
)
from dla_jax.studies.image_networks import Examples, features_of

NUM_CANVASES = 8
MOST = 10  # classes of an image whose maps are kept, beside that of its own class


def shown(config, network: Network, test: Examples, p: np.ndarray) -> dict[str, np.ndarray]:
    """Return the images that are shown, and their maps.

    Half of them are wrongly classified, where there are so many.

    Args:
      p: float32 [N, C], what the network says of the test part.

    Returns:
      Of n images: image, label, index and p; classes int32 [n, K], the most probable first and the
      true one last, with their maps [n, K, h, w]; method_<name> [n, h, w] of the most probable
      class, and cascade [n, layers + 1, h, w] as the network forgets.
    """
    rng = np.random.default_rng((network.row["seed"], 1))
    correct = p.argmax(-1) == test.labels
    right, wrong = (rng.permutation(np.flatnonzero(which)) for which in (correct, ~correct))
    num_right = min(len(right), config.num_shown - min(len(wrong), config.num_shown // 2))
    chosen = np.concatenate([right[:num_right], wrong[: config.num_shown - num_right]])
    images, labels = test.images[chosen], test.labels[chosen]
    key = jax.random.key(network.row["seed"])
    first = config.methods[0]
    probable = np.argsort(-p[chosen], axis=1, kind="stable")[:, :MOST]
    classes = np.concatenate([probable, labels[:, None]], 1).astype(np.int32)
    _, own = maps_of(
        network.variables,
        images.astype(np.float32) / 255,
        classes,
        key,
        model=network.model,
        layer=network.layer,
        methods=(first,),
    )

    def look(variables: dict, methods: tuple[str, ...]) -> dict:
        return all_maps(network, variables, images, classes[:, 0], key, methods)

    trained = look(network.variables, config.methods)
    forgotten = [look(variables, (first,))[first] for variables in forgetting(network)]
    return {
        "image": images,
        "label": labels,
        "index": test.index[chosen],
        "p": p[chosen],
        "classes": classes,
        "maps": np.asarray(own[first]),
        "cascade": np.stack([trained[first], *forgotten], 1),
        **{f"method_{name}": maps for name, maps in trained.items()},
    }


def window_of(network: Network) -> tuple[int, int]:
    """Return the window that makes a dense network of one: (h, w).

    It is the size of "last_conv" of a training image.
    """
    return features_of(network.model, network.shape)["last_conv"].shape[1:3]


@functools.partial(jax.jit, static_argnames=("model", "window"))
def dense_probabilities(variables, images, *, model, window) -> jax.Array:
    """Return the probabilities of the classes at each place of images: float32 [B, h', w', C].

    Args:
      images: uint8 [B, H, W, C], larger than those of training.
      window: as `window_of` returns it.
    """

    def logits_of(image):
        x = image[None].astype(jnp.float32) / 255
        logits, _ = model.apply(variables, x, train=False, window=window)
        return logits[0]

    return jax.nn.softmax(jax.lax.map(logits_of, images))  # one by one, for their size


def step_of(network: Network) -> int:
    """Return the number of pixels between two windows of the dense network.

    It is measured on a large image, where rounding of the size of a map does no harm.
    """
    side, channels = 16 * network.shape[0], network.shape[2]
    dense = functools.partial(dense_probabilities, model=network.model, window=window_of(network))
    image = jax.ShapeDtypeStruct((1, side, side, channels), jnp.uint8)
    places = jax.eval_shape(dense, network.variables, image).shape[1]
    return round((side - network.shape[0]) / (places - 1))


class Layout(NamedTuple):
    """Which test images lie where on NUM_CANVASES canvases of one size, n on each."""

    size: tuple[int, int]  # (H, W) of a canvas
    step: int  # pixels between two windows of the dense network
    corners: np.ndarray  # int [NUM_CANVASES, n, 2], row and column of each top left pixel
    chosen: np.ndarray  # int [NUM_CANVASES, n], positions in the test part


def make_layout(config, network: Network, num_images: int) -> Layout:
    """Return the layout of a network's canvases, drawn with its seed.

    Args:
      num_images: of the test part.
    """
    rng = np.random.default_rng((network.row["seed"], 2))
    step = step_of(network)
    side = network.shape[:2]
    placed = [canvas.scatter(rng, side, *config.canvas, step) for _ in range(NUM_CANVASES)]
    corners = np.stack([corners for corners, _ in placed])
    chosen = rng.integers(num_images, size=corners.shape[:2])
    return Layout(placed[0][1], step, corners, chosen)


class Seen(NamedTuple):
    """The canvases of one background, as the dense network sees them."""

    images: np.ndarray  # uint8 [NUM_CANVASES, H, W, C]
    probabilities: np.ndarray  # float32 [NUM_CANVASES, h', w', C]
    there: np.ndarray  # int [NUM_CANVASES, n], the class found at each corner


def look_at(network: Network, test: Examples, layout: Layout, background: np.ndarray) -> Seen:
    """Return what the dense network makes of canvases.

    Args:
      background: their colour, uint8 [C].
    """
    places = zip(layout.chosen, layout.corners, strict=True)
    images = np.stack(
        [canvas.place(test.images[row], at, layout.size, background) for row, at in places]
    )
    window = window_of(network)
    p = np.asarray(
        dense_probabilities(network.variables, images, model=network.model, window=window)
    )
    at = layout.corners // layout.step
    there = p[np.arange(NUM_CANVASES)[:, None], at[..., 0], at[..., 1]].argmax(-1)
    return Seen(images, p, there)


def on_canvases(
    config, network: Network, test: Examples, p: np.ndarray, mean: tuple[float, ...]
) -> tuple[dict[str, float], dict]:
    """Return how the network does as a dense one, on canvases of several test images each.

    Args:
      p: float32 [N, C], what the network says of the images alone.
      mean: of the training images, per channel.

    Returns:
      The accuracy of the same images alone ("alone_accuracy") and at their places on a canvas of
      the mean colour ("canvas_accuracy") or black ("black_canvas_accuracy"); and of the first
      canvas of the mean colour what is drawn: its image, corners, side, step and labels, the
      probabilities float32 [h', w', C], the class found at the corners ("there").
    """
    layout = make_layout(config, network, len(test.images))
    labels = test.labels[layout.chosen]
    grey = look_at(network, test, layout, (255 * np.array(mean)).round().astype(np.uint8))
    black = look_at(network, test, layout, np.zeros(network.shape[2], np.uint8))

    def accuracy(found: np.ndarray) -> float:
        return float((found == labels).mean())

    scores = {
        "alone_accuracy": accuracy(p[layout.chosen].argmax(-1)),
        "canvas_accuracy": accuracy(grey.there),
        "black_canvas_accuracy": accuracy(black.there),
    }
    return scores, {
        "image": grey.images[0],
        "corners": layout.corners[0],
        "side": network.shape[0],
        "step": layout.step,
        "labels": labels[0],
        "probabilities": grey.probabilities[0],
        "there": grey.there[0],
    }
