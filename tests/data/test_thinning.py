"""Of a set that is thinned, each class and part keeps its share, and the rest follows."""

import numpy as np
import pytest
from launching import assert_refused, launch

from configs.image_base import image_data, use_digits
from configs.rescnn import get_config
from configs.text_base import text_data
from dla_jax.config.checks import ConfigError
from dla_jax.data import images, labelled, splits
from dla_jax.data.thinning import places_in_class, thinned

DIGITS = images.digits()


def made_set(labels, test_start=None, copies=None):
    """Return texts "0", "1", ... of three classes."""
    names, texts = ("a", "b", "c"), tuple(map(str, range(len(labels))))
    return labelled.LabelledTexts("made", texts, labels, names, test_start, copies)


def test_nothing_is_thinned_without_a_number():
    assert thinned(DIGITS, 0) is DIGITS and thinned(DIGITS, 1797) is DIGITS


def test_each_class_keeps_its_share_and_a_larger_number_takes_those_of_a_smaller_one():
    labels = np.repeat(np.arange(3, dtype=np.int32), (600, 300, 100))
    whole = made_set(np.random.default_rng(0).permutation(labels))
    kept = {number: thinned(whole, number) for number in (30, 100, 500)}
    for number, few in kept.items():
        shares = np.bincount(few.labels) / number
        np.testing.assert_allclose(shares, (0.6, 0.3, 0.1), atol=1 / number + 1e-9)
        positions = np.array(few.texts, int)
        assert len(positions) == number and (np.diff(positions) > 0).all()
        np.testing.assert_array_equal(few.labels, whole.labels[positions])
        assert few.class_names == whole.class_names and thinned(whole, number).texts == few.texts
    assert set(kept[30].texts) < set(kept[100].texts) < set(kept[500].texts)
    assert np.ptp(np.array(kept[30].texts, int)) > 500, "not at random"


def test_pixels_stay_beside_their_labels():
    few = thinned(DIGITS, 200)
    assert few.images.shape == (200, 8, 8, 1) and few.images.dtype == np.uint8
    by_pixels = {image.tobytes(): label for image, label in zip(*DIGITS[1:3], strict=True)}
    assert all(by_pixels[image.tobytes()] == label for image, label in zip(*few[1:3], strict=True))
    assert few.mean == DIGITS.mean and few.identity["num_examples"] == 200
    assert few.identity["fingerprint"] != DIGITS.identity["fingerprint"]


def test_an_official_test_part_is_thinned_as_the_others_are():
    labels = np.tile(np.arange(3, dtype=np.int32), 40)
    few = thinned(made_set(labels, test_start=90), 39)
    assert few.test_start == 30 and len(few.labels) == 39
    assert (np.array(few.texts[:30], int) < 90).all() and (
        np.array(few.texts[30:], int) >= 90
    ).all()
    parts = splits.split(few, seed=0, val_fraction=0.2, test_fraction=0.0)
    assert parts["test"].tolist() == list(range(30, 39))


def test_copies_of_what_is_gone_are_those_of_the_first_that_stays():
    contents = [b"x", b"y", b"x", b"z", b"x", b"y", b"w", b"x"]
    labels = np.zeros(8, np.int32)
    whole = made_set(labels, copies=splits.copies_of(contents))
    for number in range(3, 8):
        few = thinned(whole, number)
        kept = [contents[int(text)] for text in few.texts]
        np.testing.assert_array_equal(few.copies, splits.copies_of(kept))
        assert few.copies.dtype == np.int32


def test_sets_are_thinned_as_they_are_read(tmp_path):
    config = get_config("smoke")
    config.data = image_data()
    use_digits(config)
    config.data.num_examples = 300
    assert len(images.load(config.data, tmp_path, False).labels) == 300
    data = text_data()
    data.name, data.num_examples = "docstrings", 50
    few = labelled.load(data, tmp_path, False)
    assert len(few.texts) == len(few.labels) == 50 and set(few.labels) == set(range(4))


def test_so_few_that_a_part_lacks_what_it_needs_are_refused():
    labels = np.arange(4040, dtype=np.int32) % 3
    whole = made_set(labels, test_start=4000)
    with pytest.raises(ConfigError, match="100 of made's 4,040 examples have none of its test"):
        thinned(whole, 100)
    few = thinned(whole, 1000)
    assert 8 <= len(few.labels) - few.test_start <= 12
    rare = made_set(np.repeat(np.arange(3, dtype=np.int32), (9000, 980, 20)))
    message = "100 of made's 10,000 examples have 0 of class 'c' to train on and draw from; give"
    with pytest.raises(ConfigError, match=message):
        thinned(rare, 100)
    assert np.bincount(thinned(rare, 1600).labels).tolist() == [1440, 157, 3]
    alone = made_set(np.array([0] * 50 + [1] * 50 + [2], np.int32))  # which had one before
    assert np.bincount(thinned(alone, 60).labels)[2] == 1


def test_places_are_those_of_a_loop_over_classes_and_parts():
    labels = np.random.default_rng(1).integers(0, 3, 200).astype(np.int32)
    for start in (None, 150):
        order, expected = np.random.default_rng(0).permutation(200), np.empty(200)
        parts = [range(200)] if start is None else [range(150), range(150, 200)]
        for part in parts:
            for label in range(3):
                own = [i for i in order if i in part and labels[i] == label]
                for place, i in enumerate(own):
                    expected[i] = (place + 0.5) / len(own)
        found = places_in_class(made_set(labels, test_start=start))
        np.testing.assert_array_equal(found, expected)


def test_more_than_a_published_set_has_is_refused_before_it_is_fetched(tmp_path):
    cases = ((images, image_data, "cifar10", "60,000"),)
    cases += ((labelled, text_data, "yahoo_answers_topics", "1,460,000"),)
    for module, group, name, size in cases:
        data = group()
        data.name, data.num_examples = name, 2_000_000
        with pytest.raises(ConfigError, match=f"2000000, and {name} has {size}; give at most"):
            module.check_config(data, tmp_path, True)


def test_more_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="1798, and digits has 1,797; give at most that"):
        thinned(DIGITS, 1798)
    flags = ("--config=configs/rescnn.py:digits", "--config.data.num_examples=1798", "--dry_run")
    assert_refused(launch(*flags), ["data.num_examples: 1798", "has 1,797", "or 0 for all"])
    flags = ("--config=configs/yahoo.py:quick", "--config.data.num_examples=-1", "--dry_run")
    assert_refused(launch(*flags), ["data.num_examples", "-1"])
