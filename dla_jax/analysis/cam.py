"""Class activation maps: where in an image a network finds what speaks for a class.

All maps are of a layer's own size, for any number of images and classes in one call. A layer is
named as the network's features are, with the place in a stack of blocks behind a slash:
"last_conv", "blocks/3", "blocks2b/0".
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

AT_ONCE = 16  # classes whose gradients are computed together


def layer_sizes(features: dict) -> dict[str, tuple[int, int]]:
    """Return {layer: (height, width) of its map}, in the order of the network.

    Args:
      features: a network's, arrays or shapes.
    """
    sizes = {}
    for name in sorted(features, key=lambda name: (name == "last_conv", name)):
        leaf = features[name]
        if leaf.ndim == 5:  # a stack of blocks
            sizes |= {f"{name}/{i}": leaf.shape[2:4] for i in range(leaf.shape[0])}
        elif leaf.ndim == 4:
            sizes[name] = leaf.shape[1:3]
    return sizes


def layer_of(features: dict, layer: str) -> jax.Array:
    """Return the features of a layer: [B, h, w, D]."""
    name, _, index = layer.partition("/")
    return features[name][int(index)] if index else features[name]


def class_gradients(
    forward: Callable, features: dict, layer: str, classes: jax.Array | None = None
):
    """Differentiate the logits of several classes with respect to a layer.

    It takes one pass forward, and one back for all classes.

    Args:
      forward: nudge -> (logits float32 [B, C], features), as our networks' `nudge` is.
      features: of the network, as arrays or shapes.
      layer: named as the module's docstring says.
      classes: int [B, K], which classes of each image; None: the most probable one, K = 1.

    Returns:
      logits: float32 [B, C].
      features: of the layer, float32 [B, h, w, D].
      gradients: float32 [B, K, h, w, D].
    """
    name = layer.partition("/")[0]
    nudge = {name: jnp.zeros(features[name].shape, jnp.float32)}
    logits, pull_back, found = jax.vjp(forward, nudge, has_aux=True)
    classes = logits.argmax(-1)[:, None] if classes is None else classes
    chosen = jax.nn.one_hot(classes, logits.shape[-1], axis=-1).swapaxes(0, 1)

    def gradient(cotangent):
        return layer_of(pull_back(cotangent)[0], layer)

    if len(chosen) <= AT_ONCE:
        gradients = jax.vmap(gradient)(chosen)
    else:
        gradients = jax.lax.map(gradient, chosen, batch_size=AT_ONCE)
    return logits, layer_of(found, layer).astype(jnp.float32), gradients.swapaxes(0, 1)


def cam(features: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute CAM: what each place adds to a class's logit, times the number of places.

    Zhou et al. 2016, arXiv:1512.04150, equation 2. For nets that end in the mean over the image and
    one dense layer: the mean of the map plus the bias is the logit.

    Args:
      features: float32 [B, h, w, D], what the mean is taken of.
      kernel: float32 [D, C] of the head, or a column for each class of each image, [B, D, K].

    Returns:
      float32 [B, C, h, w], of both signs.
    """
    return jnp.einsum("bhwd,dc->bchw" if kernel.ndim == 2 else "bhwd,bdc->bchw", features, kernel)


def grad_cam(features: jax.Array, gradients: jax.Array, rectify: bool = True) -> jax.Array:
    """Compute Grad-CAM: the channels, weighted by their mean gradient.

    Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2. For nets that end in the mean over
    the image and one dense layer it is, at the last layer before it and without `rectify`, CAM
    divided by the number of places.

    Args:
      features: float32 [B, h, w, D].
      gradients: float32 [B, K, h, w, D], of the classes' logits (`class_gradients`).
      rectify: sets what speaks against the class to 0, as the paper has it.

    Returns:
      float32 [B, K, h, w].
    """
    maps = jnp.einsum("bhwd,bkd->bkhw", features, gradients.mean((2, 3)))
    return jax.nn.relu(maps) if rectify else maps


def hires_cam(features: jax.Array, gradients: jax.Array, rectify: bool = True) -> jax.Array:
    """Compute HiResCAM: features times gradient, place by place.

    Draelos and Carin 2020, arXiv:2011.08891, equation 4. Where `grad_cam` takes the mean of the
    gradient over the places first, this shows the places that the network used. At the last layer
    before a dense head its sum, without `rectify`, is the logit without biases.

    Args and result as `grad_cam`.
    """
    maps = jnp.einsum("bhwd,bkhwd->bkhw", features, gradients)
    return jax.nn.relu(maps) if rectify else maps


def random_cam(key: jax.Array, features: jax.Array, num_classes: int) -> jax.Array:
    """Compute CAM with random weights: a map that knows the features, not the head.

    The weights are drawn uniformly from [-1, 1] for each class of each image.

    Args:
      key: of the weights.
      features: float32 [B, h, w, D].
      num_classes: maps an image.

    Returns:
      float32 [B, num_classes, h, w].
    """
    weights = jax.random.uniform(key, (len(features), features.shape[-1], num_classes), minval=-1.0)
    return cam(features, weights)


def random_maps(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draw noise, uniform in [-1, 1): a map that knows nothing, of the size that maps have."""
    return jax.random.uniform(key, shape, minval=-1.0)


def to_pixels(maps: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Resize maps [..., h, w] to the resolution of an image, [..., H, W].

    It interpolates bilinearly between the centres of the places.
    """
    return jax.image.resize(maps, (*maps.shape[:-2], *size), method="bilinear")


def scaled(maps: np.ndarray) -> np.ndarray:
    """Divide each map [..., h, w] by its largest absolute value, into [-1, 1].

    A map of zeros stays as it is.
    """
    largest = np.abs(maps).max((-2, -1), keepdims=True)
    return maps / np.where(largest > 0, largest, 1)
