"""Image sets, their splits and official test parts, and the augmentation."""

import itertools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict
from PIL import Image
from sklearn.datasets import load_digits

from dla_jax.config.checks import ConfigError
from dla_jax.data import images, splits


def config(**changes):
    usual = {
        "name": "digits",
        "path": None,
        "test_path": None,
        "size": 32,
        "skip_bad": False,
        "val_fraction": 0.2,
        "test_fraction": 0.2,
        "left_out": 0,
        "num_examples": 0,
        "pad": 0,
        "flip": False,
    }
    return ConfigDict(usual | changes)


def image_set(labels, test_start=None):
    names = tuple(map(str, range(max(labels) + 1)))
    return images.digits()._replace(
        labels=np.asarray(labels, np.int32), class_names=names, test_start=test_start
    )


def test_digits_are_scikit_learns():
    digits = images.load(config(), data_dir=None, download=False)
    assert digits.images.shape == (1797, 8, 8, 1)
    assert digits.images.dtype == np.uint8
    assert digits.labels.dtype == np.int32
    theirs = load_digits().images / 16
    np.testing.assert_allclose(digits.images[..., 0] / 255, theirs, atol=0.5 / 255)
    np.testing.assert_allclose((digits.images / 255).mean(), digits.mean[0], atol=1e-3)
    np.testing.assert_allclose((digits.images / 255).std(), digits.std[0], atol=1e-3)


def test_unknown_data_set_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'digits'"):
        images.check_config(config(name="digit"), data_dir=None, download=False)


def test_the_split_is_disjoint_complete_stratified_and_seeded():
    digits = images.digits()
    labels, parts = digits.labels, splits.split(digits, 0, 0.2, 0.2)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    assert len(parts["val"]) == pytest.approx(0.2 * len(labels), abs=1)
    for part in parts.values():
        shares = np.bincount(labels[part], minlength=10) / len(part)
        np.testing.assert_allclose(shares, np.bincount(labels) / len(labels), atol=0.006)
    again, other = splits.split(digits, 0, 0.2, 0.2), splits.split(digits, 1, 0.2, 0.2)
    np.testing.assert_array_equal(parts["test"], again["test"])
    assert set(parts["test"]) != set(other["test"])
    assert list(map(len, other.values())) == list(map(len, parts.values()))


def test_a_split_too_small_for_its_classes_is_refused():
    with pytest.raises(ConfigError, match="cannot split"):
        splits.split(image_set([*range(10)] * 3), 0, 0.2, 0.2)


def test_a_part_without_one_of_the_classes_is_refused():
    rare = image_set([0] * 40 + [1] * 40 + [2] * 3)
    with pytest.raises(ConfigError, match=r"part, .* examples, has none of class"):
        splits.split(rare, 0, 0.1, 0.2)


def test_an_official_test_part_is_every_seeds_test_part():
    labels = np.arange(100) % 4
    examples = image_set(labels, test_start=80)
    parts, other = (splits.split(examples, seed, 0.25, 0.0) for seed in (0, 1))
    np.testing.assert_array_equal(parts["test"], np.arange(80, 100))
    np.testing.assert_array_equal(other["test"], parts["test"])
    assert sorted([*parts["train"], *parts["val"]]) == list(range(80))
    assert set(parts["val"]) != set(other["val"])
    np.testing.assert_array_equal(np.bincount(labels[parts["val"]]), [5, 5, 5, 5])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"val_fraction": 0.0}, "data.val_fraction"),
        ({"val_fraction": "a"}, "data.val_fraction"),
        ({"test_fraction": 0.0}, "greater"),
        ({"name": "cifar10"}, "has a test part"),
        ({"pad": -1}, "data.pad"),
    ],
)
def test_wrong_data_keys_are_refused(changes, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        images.check_config(config(**changes), tmp_path, download=False)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Make {"plain", "parts", "held": folder}: no test part, with one, and one to test on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    plain, parts = ("plain/cat", "plain/dog"), ("parts/train/cat", "parts/train/dog")
    for place in (*plain, *parts, "parts/test/dog", "held/dog"):
        (tmp_path / place).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 4), (len(place), 50 * i, 9)).save(tmp_path / place / f"{i}.png")
    return {name: str(tmp_path / name) for name in ("plain", "parts", "held")}


def of_folder(photos, path, test_path=None, **changes):
    paths = {"path": photos[path], "test_path": test_path and photos[test_path]}
    return config(name="folder", size=4, **paths, **changes)


def test_a_folder_with_an_official_test_part_is_tested_on_it(photos):
    for paths in (("parts",), ("plain", "held")):
        data = of_folder(photos, *paths, test_fraction=0.0)
        images.check_config(data, data_dir=None, download=False)
        found = images.load(FrozenConfigDict(data.to_dict()), data_dir=None, download=False)
        assert found.test_start == 6 and found.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    images.check_config(of_folder(photos, "plain"), data_dir=None, download=False)
    assert images.load(of_folder(photos, "plain"), data_dir=None, download=False).test_start is None


@pytest.mark.parametrize(
    ("path", "changes", "words"),
    [
        ("parts", {}, "0.2 with folder, which has a test part; leave it at 0"),
        (
            "plain",
            {"test_fraction": 0.0},
            r"0.0, and .*plain has no test part; give a fraction, or "
            r"--config\.data\.test_path=FOLDER",
        ),
        ("plain", {"test_fraction": 0.5}, "must be less than 0.5"),
        ("plain", {"test_fraction": -0.1}, "must be greater than 0"),
        ("plain", {"test_path": "held"}, "which has a test part; leave it at 0"),
    ],
)
def test_the_fraction_of_a_test_part_that_is_there_or_not(photos, path, changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        images.check_config(of_folder(photos, path, **changes), data_dir=None, download=False)
    assert str(caught.value).startswith("data.test_fraction: ") and "\n" not in str(caught.value)


def test_the_fingerprint_depends_on_pixels_and_labels():
    digits = images.digits()
    flipped = digits._replace(labels=digits.labels[::-1])
    brighter = digits._replace(images=digits.images + np.uint8(1))
    assert len({each.identity["fingerprint"] for each in (digits, flipped, brighter)}) == 3


def sample(shape=(64, 6, 5, 2)):
    return np.random.default_rng(0).integers(1, 255, shape).astype(np.uint8)


def test_no_augmentation_is_the_identity():
    x = sample()
    np.testing.assert_array_equal(images.augment(jax.random.key(0), x, pad=0, flip=False), x)


def test_crops_are_windows_of_the_padded_image():
    x, pad = sample(), 2
    cropped = np.asarray(images.augment(jax.random.key(1), x, pad=pad, flip=False))
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    shifts = []
    for image, found in zip(padded, cropped, strict=True):
        places = itertools.product(range(2 * pad + 1), repeat=2)
        windows = {(i, j): image[i : i + 6, j : j + 5] for i, j in places}
        matches = [shift for shift, window in windows.items() if np.array_equal(window, found)]
        assert len(matches) == 1
        shifts += matches
    assert len(set(shifts)) > 12  # of 25: each image draws its own
    assert {i for i, _ in shifts} == {j for _, j in shifts} == set(range(5))


def test_flips_mirror_left_and_right_half_of_the_time():
    x = sample()
    flipped = np.asarray(images.augment(jax.random.key(2), x, pad=0, flip=True))
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(x, flipped, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(x, flipped, strict=True)]
    assert all(m or s for m, s in zip(mirrored, same, strict=True))
    assert 16 < sum(mirrored) < 48
    other = images.augment(jax.random.key(3), x, pad=0, flip=True)
    assert not np.array_equal(other, flipped) and other.dtype == np.uint8
