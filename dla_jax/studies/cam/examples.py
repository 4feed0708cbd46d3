"""What is shown of the best network: images with their maps, and a canvas of several images."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.data import canvas
from dla_jax.studies.cam.measure import (
    Examples,
    Network,
    all_maps,
    features_of,
    forgetting,
    maps_of,
)

NUM_CANVASES = 8
MOST = 10  # classes of an image whose maps are kept, beside that of its own class


def shown(config, network: Network, test: Examples, p: np.ndarray) -> dict[str, np.ndarray]:
    """The images that are shown, half of them wrongly classified where there are so many, and their maps.

    Args:
      p: float32 [N, C], what the network says of the test part.

    Returns:
      Of n images: image, label, index and p; classes int32 [n, K], the most probable first and the
      true one last, with their maps [n, K, h, w]; method_<name> [n, h, w] of the most probable
      class, and cascade [n, layers + 1, h, w] as the network forgets.
    """
    rng, correct = np.random.default_rng((network.row["seed"], 1)), p.argmax(-1) == test.labels
    right, wrong = (rng.permutation(np.flatnonzero(which)) for which in (correct, ~correct))
    num_right = min(len(right), config.num_shown - min(len(wrong), config.num_shown // 2))
    chosen = np.concatenate([right[:num_right], wrong[: config.num_shown - num_right]])
    images, labels, key, first = (
        test.images[chosen],
        test.labels[chosen],
        jax.random.key(network.row["seed"]),
        config.methods[:1],
    )
    probable = np.argsort(-p[chosen], axis=1, kind="stable")[:, :MOST]
    classes = np.concatenate([probable, labels[:, None]], 1).astype(np.int32)
    _, own = maps_of(
        network.variables,
        images.astype(np.float32) / 255,
        classes,
        key,
        model=network.model,
        layer=network.layer,
        methods=first,
    )
    look = lambda variables, methods: all_maps(
        network, variables, images, classes[:, 0], key, methods
    )
    trained = look(network.variables, config.methods)
    cascade = [
        trained[first[0]],
        *(look(variables, first)[first[0]] for variables in forgetting(network)),
    ]
    return {
        "image": images,
        "label": labels,
        "index": test.index[chosen],
        "p": p[chosen],
        "classes": classes,
        "maps": np.asarray(own[first[0]]),
        "cascade": np.stack(cascade, 1),
        **{f"method_{name}": maps for name, maps in trained.items()},
    }


def window_of(network: Network) -> tuple[int, int]:
    """The window that makes a dense network of one: the size of "last_conv" of a training image."""
    return features_of(network.model, network.shape)["last_conv"].shape[1:3]


@functools.partial(jax.jit, static_argnames=("model", "window"))
def dense_probabilities(variables, images, *, model, window) -> jax.Array:
    """Of the classes, float32 [B, h', w', C], at each place of images uint8 [B, H, W, C] larger than those of training."""
    one = lambda image: model.apply(
        variables, image[None].astype(jnp.float32) / 255, train=False, window=window
    )[0][0]
    return jax.nn.softmax(jax.lax.map(one, images))  # one by one, for their size


def step_of(network: Network) -> int:
    """Pixels between two windows of the dense network, measured far from what rounding does to the size of a map."""
    side, channels = 16 * network.shape[0], network.shape[2]
    dense = functools.partial(dense_probabilities, model=network.model, window=window_of(network))
    places = jax.eval_shape(
        dense, network.variables, jax.ShapeDtypeStruct((1, side, side, channels), jnp.uint8)
    ).shape[1]
    return round((side - network.shape[0]) / (places - 1))


def on_canvases(
    config, network: Network, test: Examples, p: np.ndarray, mean: tuple[float, ...]
) -> tuple[dict[str, float], dict]:
    """The network as a dense one, on canvases of several test images each.

    Args:
      p: float32 [N, C], what the network says of the images alone.
      mean: of the training images, per channel.

    Returns:
      The accuracy of the same images alone ("alone_accuracy") and at their places on a canvas of
      the mean colour ("canvas_accuracy") or black ("black_canvas_accuracy"); and of the first
      canvas of the mean colour what is drawn: its image, corners, side, step and labels, the
      probabilities float32 [h', w', C], the class found at the corners ("there").
    """
    rng, step, side = (
        np.random.default_rng((network.row["seed"], 2)),
        step_of(network),
        network.shape[:2],
    )
    placed = [canvas.scatter(rng, side, *config.canvas, step) for _ in range(NUM_CANVASES)]
    corners, size = np.stack([corners for corners, _ in placed]), placed[0][1]
    chosen = rng.integers(len(test.images), size=corners.shape[:2])
    labels, rows = test.labels[chosen], np.arange(NUM_CANVASES)[:, None]
    grey, black = (
        (255 * np.array(mean)).round().astype(np.uint8),
        np.zeros(network.shape[2], np.uint8),
    )

    def look(background):
        images = np.stack(
            [
                canvas.place(test.images[row], at, size, background)
                for row, at in zip(chosen, corners, strict=True)
            ]
        )
        found = np.asarray(
            dense_probabilities(
                network.variables, images, model=network.model, window=window_of(network)
            )
        )
        return (
            images[0],
            found,
            found[rows, corners[..., 0] // step, corners[..., 1] // step].argmax(-1),
        )

    image, found, there = look(grey)
    accuracy = lambda found: float((found == labels).mean())
    scores = {
        "alone_accuracy": accuracy(p[chosen].argmax(-1)),
        "canvas_accuracy": accuracy(there),
        "black_canvas_accuracy": accuracy(look(black)[2]),
    }
    return scores, {
        "image": image,
        "corners": corners[0],
        "side": side[0],
        "step": step,
        "labels": labels[0],
        "probabilities": found[0],
        "there": there[0],
    }
