"""Strange images made from familiar ones, or in their shape.

Each is a function of its input and of a numpy generator: the same bits for the same seed.
"""

import numpy as np
from scipy import ndimage

from dla_jax.config.checks import check, check_choice
from dla_jax.data.cache import channel_stats

NOISE = ("uniform", "gaussian", "wrapped_gaussian")
MADE = (*NOISE, "permuted", "inverted", "turned", "blurred")
BLOCK = 1000  # images in float at a time


def make(kind: str, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return strange images, as many as there are familiar ones and in their shape.

    `uniform`: each pixel independent, uniform on 0..255. `inverted`: 255 - x. `turned`: by 90
    degrees counter-clockwise. The others: see `gaussian`, `wrapped`, `permuted`, `blurred`.

    Args:
      kind: one of `MADE`.
      images: uint8 [N, H, W, C], familiar ones that are used for nothing else.

    Returns:
      uint8 [N, H, W, C].

    Raises:
      ConfigError: no such kind; `turned` of images that are not square.
    """
    check_choice("strange set", kind, MADE)
    if kind == "uniform":
        return rng.integers(0, 256, images.shape, dtype=np.uint8)
    if kind == "gaussian":
        return gaussian(images, rng)
    if kind == "wrapped_gaussian":
        return wrapped(rng.standard_normal(images.shape, dtype=np.float32))
    if kind == "permuted":
        return permuted(images, rng)
    if kind == "inverted":
        return 255 - images
    if kind == "blurred":
        return blurred(images)
    height, width = images.shape[1:3]
    check(
        height == width,
        f"strange set turned: images of {height}x{width} are not square, and turned by 90 "
        "degrees they have another shape; leave it out",
    )
    return np.ascontiguousarray(np.rot90(images, axes=(1, 2)))


def gaussian(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return normal noise, each pixel independent: uint8 in the shape of `images` [N, H, W, C].

    Each channel has the mean and the standard deviation of `images`, before values are rounded and
    clipped to 0..255.
    """
    mean, std = channel_stats(images)
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    noise *= 255 * np.float32(std)
    noise += 255 * np.float32(mean)
    return np.rint(noise, out=noise).clip(0, 255, out=noise).astype(np.uint8)


def wrapped(normals: np.ndarray) -> np.ndarray:
    """Return what torchvision's FakeData makes of normals float32 [...]: uint8 [...].

    It is what lab B calls out of distribution. FakeData takes standard normals for an image in
    [0, 1], and `ToPILImage` turns them into bytes by `mul(255).byte()`: cut off toward zero, then
    modulo 256. So -1 becomes 1; two of three normals lie outside [0, 1].
    """
    return (normals * np.float32(255)).astype(np.int32).astype(np.uint8)


def permuted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images with their pixels in another order, drawn for each: uint8 [N, H, W, C].

    The channels of a pixel stay together.
    """
    pixels = images.reshape(len(images), -1, images.shape[-1])
    places = np.arange(pixels.shape[1], dtype=np.int32)
    orders = rng.permuted(np.tile(places, (len(pixels), 1)), axis=1)
    return np.take_along_axis(pixels, orders[..., None], axis=1).reshape(images.shape)


def blurred(images: np.ndarray) -> np.ndarray:
    """Return images after a Gaussian blur, each and each channel by itself: uint8 [N, H, W, C].

    Its standard deviation is an eighth of the shorter side: a pixel of an 8x8 digit, four of a
    32x32 photo. Beyond the border the nearest pixel goes on.
    """
    side = min(images.shape[1:3]) / 8
    smooth = np.empty_like(images)
    for first in range(0, len(images), BLOCK):
        part = images[first : first + BLOCK].astype(np.float32)
        # No sigma over images and channels, or they would run into one another.
        part = ndimage.gaussian_filter(part, sigma=(0, side, side, 0), mode="nearest")
        smooth[first : first + BLOCK] = np.rint(part)
    return smooth
