"""Image sets as uint8 arrays, their seeded splits, and the augmentation that runs inside the training step."""

import functools
import hashlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.config import check, check_choice

DATASETS = ("digits",)  # downloaded sets join here


class ImageSet(NamedTuple):
    """images: uint8 [N, H, W, C]; labels: int32 [N]; mean, std: per channel, of images in [0, 1]."""

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def identity(self) -> dict:
        """What a workdir remembers of its data: name, sizes and a SHA-256 of pixels and labels."""
        digest = hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()
        return {"name": self.name, "num_examples": len(self.labels), "num_classes": len(self.class_names),
                "fingerprint": digest[:16]}  # fmt: skip


@functools.cache
def load(name: str) -> ImageSet:
    """An image set by name.

    `digits`: 1,797 8x8 images, the test part of the UCI optical digits, embedded in scikit-learn
    (Alpaydin and Kaynak 1998, doi:10.24432/C50P49).

    Raises:
      ConfigError: unknown name.
    """
    check_choice("data.name", name, DATASETS)
    from sklearn.datasets import load_digits  # 0.4 s, only for who needs it

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    names = tuple(str(name) for name in digits.target_names)
    # Mean and std of all pixels: a fixed affine map of the inputs, the same for every split.
    return ImageSet("digits", images, digits.target.astype(np.int32), names, mean=(0.3053,), std=(0.3761,))


def split(labels: np.ndarray, seed: int, val_fraction: float, test_fraction: float) -> dict[str, np.ndarray]:
    """A stratified split, a pure function of the seed.

    Args:
      labels: int32 [N].
      val_fraction, test_fraction: parts of all N examples, in (0, 1).

    Returns:
      {"train", "val", "test"}: int32 positions, disjoint, together all N.

    Raises:
      ConfigError: a part too small to hold every class.
    """
    from sklearn.model_selection import train_test_split

    try:
        everything = np.arange(len(labels), dtype=np.int32)
        rest, test = train_test_split(everything, test_size=test_fraction, stratify=labels, random_state=seed)
        val_part = val_fraction / (1 - test_fraction)
        train, val = train_test_split(rest, test_size=val_part, stratify=labels[rest], random_state=seed)
    except ValueError as error:
        check(False, f"data.val_fraction, data.test_fraction: cannot split {len(labels)} examples ({error})")
    return {"train": train, "val": val, "test": test}


def augment(key: jax.Array, images: jax.Array, pad: int, flip: bool) -> jax.Array:
    """Pad-and-crop by up to `pad` pixels (zeros), then a left-right flip with probability 1/2; each image its own draw.

    The usual CIFAR augmentation (He et al. 2015, arXiv:1512.03385, section 4.2). `pad=0, flip=False` is the identity.

    Args:
      key: one typed key.
      images: [B, H, W, C], any dtype.

    Returns:
      Same shape and dtype.
    """
    key_crop, key_flip = jax.random.split(key)
    if pad:
        shifts = jax.random.randint(key_crop, (len(images), 2), 0, 2 * pad + 1)
        padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        crop = lambda image, shift: jax.lax.dynamic_slice(image, (*shift, 0), images.shape[1:])  # noqa: E731
        images = jax.vmap(crop)(padded, shifts)
    if flip:
        flipped = jax.random.bernoulli(key_flip, 0.5, (len(images), 1, 1, 1))
        images = jnp.where(flipped, images[:, :, ::-1], images)
    return images
