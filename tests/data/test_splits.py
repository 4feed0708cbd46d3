"""Copies of an example are on one side of every split, and rare classes are named."""

from typing import NamedTuple

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from dla_jax.config.checks import ConfigError
from dla_jax.data import images, splits


class Examples(NamedTuple):
    labels: np.ndarray
    class_names: tuple
    test_start: int | None
    copies: np.ndarray | None

    @property
    def identity(self):
        return {"num_examples": len(self.labels)} | splits.counted_copies(self)


def make(contents, labels, test_start=None, names=None):
    labels = np.array(labels, np.int32)
    names = names or tuple(f"class {i}" for i in range(labels.max() + 1))
    return Examples(
        labels, names, test_start, splits.copies_of(content.encode() for content in contents)
    )


def test_without_copies_a_split_is_what_it_was():
    digits = images.digits()
    known = digits._replace(copies=splits.copies_of(image.tobytes() for image in digits.images))
    np.testing.assert_array_equal(known.copies, np.arange(len(digits.labels)))
    for seed in (0, 7):
        before, after = (splits.split(examples, seed, 0.2, 0.2) for examples in (digits, known))
        assert all(np.array_equal(before[part], after[part]) for part in before)
    assert known.identity == digits.identity


@pytest.mark.parametrize("seed", range(5))
def test_of_copies_one_alone_is_in_a_split(seed):
    """Noise with up to forty copies of a picture: a net must not be rewarded for remembering."""
    rng = np.random.default_rng(9)
    times = [*rng.integers(1, 6, 59), 40]
    contents = [f"{i}" for i, count in enumerate(times) for _ in range(count)]
    contents = [contents[i] for i in rng.permutation(len(contents))]
    examples = make(contents, [int(content) % 2 for content in contents])
    parts = splits.split(examples, seed, 0.2, 0.2)
    found = [contents[i] for part in parts.values() for i in part]
    assert sorted(found) == sorted(map(str, range(60)))
    assert [len(part) for part in parts.values()] == [36, 12, 12]  # of one size for every seed
    assert splits.counted_copies(examples) == {"copies": len(contents) - 60}
    assert splits.remarks(examples)[0].startswith(
        f"data: of {len(contents)} examples {len(contents) - 60} exact copies of others are"
    )


def test_what_an_official_test_part_holds_is_left_out_of_training():
    train = [f"{i}" for i in range(40)] + ["7", "8"]
    test = [f"{i}" for i in range(5)] + ["x", "y", "0"]
    labels = [int(name) % 2 for name in train] + [0, 1, 0, 1, 0, 1, 0, 0]
    examples = make(train + test, labels, test_start=42)
    parts = splits.split(examples, 3, 0.2, 0.0)
    np.testing.assert_array_equal(parts["test"], np.arange(42, 50))
    assert {*parts["train"], *parts["val"]} == set(range(5, 40))
    assert len(parts["train"]) + len(parts["val"]) == 35
    assert splits.counted_copies(examples) == {"copies": 2, "copies_of_test": 5}
    (words,) = splits.remarks(examples)
    assert words == (
        "data: of 50 examples 2 exact copies of others and 5 exact copies of examples of the test "
        "part are left out"
    )


def test_a_test_part_that_is_all_in_training_says_so():
    contents = [f"{i}" for i in range(72)]
    examples = make(contents * 2, [i % 2 for i in range(72)] * 2, test_start=72)
    words = "has 0, .* has 0 of 0 distinct .*of 144 examples 72 exact copies of examples of the"
    with pytest.raises(ConfigError, match=f"{words} test part"):
        splits.split(examples, 0, 0.2, 0.0)


def test_copies_within_a_test_part_stay_and_a_set_without_copies_has_no_remark():
    examples = make("abcdefghxx", [0, 0, 0, 0, 1, 1, 1, 1, 0, 0], test_start=8)
    np.testing.assert_array_equal(splits.split(examples, 0, 0.3, 0.0)["test"], [8, 9])
    assert splits.counted_copies(examples) == {}
    assert splits.remarks(examples) == ["data: the test part has no example of class 1"]
    assert splits.remarks(make("abcdefgh", [0, 0, 0, 0, 1, 1, 1, 1], test_start=6)) == [
        "data: the test part has no example of class 0"
    ]


def test_a_class_with_too_few_examples_is_named():
    names = ("lynx", "cat", "owl")
    examples = make("abcdefghijk", [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2], names=names)
    words = "class 'lynx' has 1 of 11 distinct examples, and training"
    with pytest.raises(ConfigError, match=f"{words}, validation and test need one"):
        splits.split(examples, 0, 0.2, 0.2)
    copied = make("aaabcdefghijk", [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2], names=names)
    with pytest.raises(ConfigError, match="'lynx' has 1 of 11 distinct"):
        splits.split(copied, 0, 0.2, 0.2)
    labels = [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 1]
    official = make("abcdefghijklm", labels, test_start=11, names=names)
    with pytest.raises(ConfigError, match=f"{words} and validation need"):
        splits.split(official, 0, 0.3, 0.0)


def test_an_official_test_part_may_lack_a_class():
    examples = make(
        "abcdefghijkl", [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1], test_start=10, names=("owl", "cat")
    )
    parts = splits.split(examples, 0, 0.2, 0.0)
    np.testing.assert_array_equal(parts["test"], [10, 11])
    assert splits.remarks(examples) == ["data: the test part has no example of owl"]


def test_balanced_weights_are_scikit_learns_and_have_mean_1():
    examples = make([f"{i}" for i in range(200)], [0] * 190 + [1] * 10)
    weights = splits.class_weights("balanced", examples)
    np.testing.assert_allclose(
        weights, compute_class_weight("balanced", classes=np.array([0, 1]), y=examples.labels)
    )
    assert np.mean(np.array(weights)[examples.labels]) == pytest.approx(1)
    assert splits.class_weights("none", examples) is None
    official = examples._replace(test_start=100)  # the test part does not count
    np.testing.assert_allclose(splits.class_weights("balanced", official), [0.5, 50])
