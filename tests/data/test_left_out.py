"""Classes that a seed leaves out are in none of its parts, and the others keep their images."""

import itertools

import numpy as np
import pytest
from launching import answers_to, assert_refused

from dla_jax.data import images, splits
from dla_jax.data.left_out import left_out_classes, left_out_images, seen_by, surplus_of

DIGITS = images.digits()


def test_each_class_is_left_out_once_by_five_seeds_in_a_row():
    chosen = [left_out_classes(seed, num_classes=10, count=2) for seed in range(10)]
    assert all(len(set(classes)) == 2 for classes in chosen)
    for five in (chosen[:5], chosen[5:]):
        assert sorted(itertools.chain(*five)) == list(range(10))
    assert len(set(chosen)) > 7 and chosen[3] == left_out_classes(3, num_classes=10, count=2)


def parts_of(seed, count=2):
    seen = seen_by(DIGITS, seed, count)
    return seen, splits.split(seen, seed, val_fraction=0.2, test_fraction=0.2)


def test_parts_hold_the_other_classes_under_their_own_names():
    for seed in (0, 3):
        seen, parts = parts_of(seed)
        positions = np.concatenate(list(parts.values()))
        assert len(positions) == len(set(positions)) and len(seen.class_names) == 8
        names = np.array(seen.class_names)[seen.labels[positions]]
        assert np.array_equal(names.astype(int), DIGITS.labels[positions])
        assert not set(DIGITS.labels[positions]) & set(seen.left_out)


def test_parts_have_one_size_for_every_seed_and_lose_few_images():
    sizes = {tuple(len(part) for part in parts_of(seed)[1].values()) for seed in range(6)}
    assert len(sizes) == 1
    used, whole = sum(sizes.pop()), len(DIGITS.labels)
    counts = np.bincount(DIGITS.labels)
    assert used == whole - np.sort(counts)[-2:].sum() > 0.79 * whole


def test_none_left_out_changes_nothing_and_twice_is_once():
    assert seen_by(DIGITS, 0, 0) is DIGITS
    seen = seen_by(DIGITS, 4, 2)
    assert seen_by(seen, 4, 2) is seen and DIGITS.left_out == () and DIGITS.labels.min() == 0


def test_what_is_left_out_is_all_of_its_classes_or_their_official_test_part():
    found = left_out_images(DIGITS, seed=1, count=2)
    classes = left_out_classes(1, num_classes=10, count=2)
    assert np.array_equal(found, np.flatnonzero(np.isin(DIGITS.labels, classes)))
    official = DIGITS._replace(test_start=1500)
    tested = left_out_images(official, seed=1, count=2)
    assert tested.min() >= 1500 and set(tested) < set(found)
    seen = seen_by(official, 1, 2)
    parts = splits.split(seen, 1, val_fraction=0.2, test_fraction=0.0)
    assert not set(parts["test"]) & set(tested) and parts["test"].min() >= 1500
    assert set(seen.labels[parts["test"]]) == set(range(8))


def test_copies_are_left_out_as_before():
    doubled = np.concatenate([DIGITS.images, DIGITS.images[:100]])
    labels = np.concatenate([DIGITS.labels, DIGITS.labels[:100]])
    copies = splits.copies_of(np.ascontiguousarray(image) for image in doubled)
    whole = DIGITS._replace(images=doubled, labels=labels, copies=copies)
    parts = splits.split(seen_by(whole, 2, 2), 2, val_fraction=0.2, test_fraction=0.2)
    positions = np.concatenate(list(parts.values()))
    assert max(positions) < 1797 and len(positions) == sum(map(len, parts_of(2)[1].values()))


@pytest.mark.parametrize("count", [9, -1])
def test_too_few_classes_are_refused(count):
    line = f"--config=configs/mlp.py:smoke --config.data.left_out={count}"
    (answer,) = answers_to([line]).values()
    assert_refused(answer, ["data.left_out", str(count)])


def test_a_rare_class_loses_its_share_of_what_is_left_over():
    labels = np.repeat(np.arange(4), (300, 30, 30, 10)).astype(np.int32)
    usable = np.arange(370, dtype=np.int32)
    found = surplus_of(usable, labels, 120, seed=0)
    lost = np.bincount(labels[found], minlength=4)
    assert len(found) == len(set(found)) == 120 and lost.tolist() == [97, 10, 10, 3]
    assert not np.array_equal(found, surplus_of(usable, labels, 120, seed=1))
