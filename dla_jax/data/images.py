"""Image sets as uint8 arrays, and the augmentation that runs inside the training step."""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.config.checks import (
    check,
    check_choice,
    check_number,
    check_rules,
    count,
    number,
)
from dla_jax.config.elsewhere import is_own
from dla_jax.data import folder, hub_fetch, hub_folder, hub_sets, own_images, prepared, splits
from dla_jax.data.hub_sets import is_hub
from dla_jax.data.thinning import check_enough, thinned

DATASETS = ("digits", *prepared.NAMES, "folder")
RULES = {
    "val_fraction": number(above=0, below=0.5),
    "pad": count(low=0),
    "left_out": count(low=0),
    "num_examples": count(low=0),
}


class ImageSet(NamedTuple):
    """A set of images with a label each.

    images: uint8 [N, H, W, C]; labels: int32 [N]; mean, std: per channel, of images in [0, 1].
    test_start: where the official test part begins, to the end; None where there is none and
      `split` makes one.
    copies: int32 [N], the first image with the same pixels (`splits.copies_of`); None: not looked
      for.
    commit: of the Hugging Face hub's set; "" where it is of another place.
    left_out: classes that a seed leaves out (`left_out.seen_by`), as the whole set numbers them;
      images that are then in no part have the label -1. (): none.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    test_start: int | None
    copies: np.ndarray | None = None
    left_out: tuple[int, ...] = ()
    commit: str = ""

    @property
    def identity(self) -> dict:
        """Return what a workdir remembers of its data.

        That is its name and sizes, what a trained net is used with, and a SHA-256 of pixels and
        labels.
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        known = {}
        # A set of one's own may be cut into training and test part in several ways, a published
        # set only in its own.
        if (self.name == "folder" or ":" in self.name) and self.test_start is not None:
            known["test_start"] = self.test_start
        known |= {
            "name": self.name,
            "num_examples": len(self.labels),
            "num_classes": len(self.class_names),
            "class_names": list(self.class_names),
            "shape": list(self.images.shape[1:]),
            "mean": list(self.mean),
            "std": list(self.std),
            "fingerprint": digest.hexdigest()[:16],
        }
        known |= {"commit": self.commit} if self.commit else {}
        return known | splits.counted_copies(self)


def check_config(data, data_dir: Path, download: bool) -> None:
    """Raise ConfigError for a `config.data` that cannot be read.

    Nothing is decoded or downloaded before; a function of one's own is called.
    """
    if not (is_own(data.name) or is_hub(data.name)):
        check_choice("data.name", data.name, DATASETS)
    check_rules(data, RULES, prefix="data.")
    if is_hub(data.name):
        known = hub_fetch.check_available(hub_sets.of_data(data), data_dir, download)
        if known is not None:  # else it is seen when it is fetched
            check_fraction(data, official="test" in known["sizes"])
            check_enough(data.name, sum(known["sizes"].values()), data.num_examples)
        return
    official, given = data.name in prepared.NAMES, f"data.test_fraction: {data.test_fraction}"
    if data.name == "folder":
        official = folder.check_folder(data.path, data.size, data.test_path).test is not None
        check(
            official or data.test_fraction != 0,
            f"{given}, and {data.path} has no test part; give a fraction, or "
            "--config.data.test_path=FOLDER",
        )
    if is_own(data.name):
        official = own_images.load(data.name).test_start is not None
        check(
            official or data.test_fraction != 0,
            f"{given}, and {data.name} returns no test part; give a fraction",
        )
    check_fraction(data, official)
    if data.name in prepared.NAMES:
        check_enough(data.name, hub_sets.size_of(data.name), data.num_examples)
        prepared.check_available(data.name, data_dir, download)


def check_fraction(data, official: bool) -> None:
    """Raise ConfigError for a `data.test_fraction` that does not suit the data.

    Args:
      official: whether they have a test part.
    """
    if official:
        check(
            data.test_fraction == 0,
            f"data.test_fraction: {data.test_fraction} with {data.name}, which has a test part; "
            "leave it at 0",
        )
    else:
        check_number("data.test_fraction", data.test_fraction, above=0, below=0.5)


def load(data, data_dir: Path, download: bool) -> ImageSet:
    """Load the image set of a `config.data`, thinned to `data.num_examples`.

    `digits`: 1,797 8x8 images, the test part of the UCI optical digits, embedded in scikit-learn
    (Alpaydin and Kaynak 1998, doi:10.24432/C50P49).
    `mnist` (LeCun et al. 1998), `fashion_mnist` (Xiao et al. 2017, arXiv:1708.07747), `cifar10`,
    `cifar100` (Krizhevsky 2009), `svhn_cropped` (Netzer et al. 2011): prepared by
    tensorflow_datasets in `data_dir`, or fetched.
    `hub:OWNER/NAME`: any set of the Hugging Face hub, its images resized to `data.size`.
    `package.module:function`: what a function of one's own returns (data/own_images.py).
    `folder`: one's own images in `data.path`, a sub-folder a class, and where there is one
    `data.test_path`.

    Raises:
      ConfigError: not there, not readable, or fewer than `data.num_examples`.
    """
    return thinned(load_whole(data, data_dir, download), data.num_examples)


def load_whole(data, data_dir: Path, download: bool) -> ImageSet:
    """Load the image set of a `config.data`, all of it."""
    if data.name == "digits":
        return digits()
    if is_hub(data.name):
        found = hub_folder.read_images(
            hub_fetch.find_or_fetch(hub_sets.of_data(data), data_dir, download)
        )
        check_fraction(data, official=found.test_start is not None)
    elif is_own(data.name):
        found = own_images.load(data.name)
    elif data.name == "folder":
        found = folder.load(data.path, data.size, data.skip_bad, data.test_path)
    else:
        found = prepared.load(data.name, data_dir, download)
    copies = splits.copies_of(np.ascontiguousarray(image) for image in found.images)
    return ImageSet(name=data.name, **found._asdict(), copies=copies)


@functools.cache
def digits() -> ImageSet:
    """Return the embedded image set."""
    from sklearn.datasets import load_digits  # 0.4 s, only for who needs it

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[..., None]
    names = tuple(str(name) for name in found.target_names)
    # Mean and std of all pixels: a fixed affine map of the inputs, the same for every split.
    return ImageSet(
        name="digits",
        images=images,
        labels=found.target.astype(np.int32),
        class_names=names,
        mean=(0.3053,),
        std=(0.3761,),
        test_start=None,
    )


def augment(key: jax.Array, images: jax.Array, pad: int, flip: bool) -> jax.Array:
    """Shift each image by up to `pad` pixels, and flip it left to right with probability 1/2.

    It is padded with zeros and cropped. Each image has its own draw. This is the usual CIFAR
    augmentation (He et al. 2015, arXiv:1512.03385, section 4.2). `pad=0, flip=False` is the
    identity.

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
        crop = lambda image, shift: jax.lax.dynamic_slice(image, (*shift, 0), images.shape[1:])
        images = jax.vmap(crop)(padded, shifts)
    if flip:
        flipped = jax.random.bernoulli(key_flip, 0.5, (len(images), 1, 1, 1))
        images = jnp.where(flipped, images[:, :, ::-1], images)
    return images
