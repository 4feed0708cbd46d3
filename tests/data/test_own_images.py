"""Images that a function of one's own returns are checked at once, and read as they are."""

import importlib
import sys
import textwrap

import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.data import images, own_images

HEAD = """
import numpy as np
x = np.arange(6 * 4 * 4 * 3).reshape(6, 4, 4, 3).astype(np.uint8)
y = np.array([0, 1, 2, 0, 1, 2])
train, names = (x, y), ("a", "b", "c")
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that writes a module with a function `mine`, and loads what it returns."""
    monkeypatch.syspath_prepend(tmp_path)

    def load_it(source):
        (tmp_path / "owned.py").write_text(HEAD + textwrap.dedent(source))
        sys.modules.pop("owned", None)
        importlib.invalidate_caches()
        return own_images.load("owned:mine")

    yield load_it
    sys.modules.pop("owned", None)


WRONG = {  # what is returned: words of the line
    "None": ["returned a NoneType", "return ((images, labels), (images, labels) or None"],
    "train": ["returned a tuple of 2"],
    "train, None, ('a', 'a', 'b')": ["as class names", "two or more different texts"],
    "train, None, ('a',)": ["two or more different texts"],
    "train, None, (1, 2, 3)": ["(1, 2, 3) as class names"],
    "None, train, names": ["train is a NoneType, and not (images, labels)"],
    "(x[..., 0], y), None, names": ["images of shape (6, 4, 4)", "grey images with C = 1"],
    "(x[:0], y[:0]), None, names": ["images of shape (0, 4, 4, 3)"],
    "(x.astype(int), y), None, names": ["images of int64; give uint8, or float32 in [0, 1]"],
    "(x.astype(float), y), None, names": ["images from 0 to 255; give them in [0, 1]"],
    "(x * np.nan, y), None, names": ["images from nan to nan"],
    "(x, y[:5]), None, names": ["labels int64 of shape (5,) for 6 images; give 6 integers"],
    "(x, y * 1.0), None, names": ["labels float64"],
    "(x, y + 1), None, names": ["labels from 1 to 3, and there are 3 class names", "from 0 to 2"],
    "(x, y - 1), None, names": ["labels from -1 to 1"],
    "(x, y % 2), None, names": ["no training image of c; leave such classes out"],
    "train, (x[:, :3], y), names": ["(4, 4, 3) and (3, 4, 3) to train and to test on"],
    "train, (x, y + 1), names": ["owned:mine: test has labels from 1 to 3"],
    "(x * [1, 0, 1], y), None, names": ["images of int64"],
    "((x * [1, 0, 1]).astype(np.uint8), y), None, names": ["channel 1 is the same everywhere"],
    "1 / 0": ["owned:mine raised ZeroDivisionError", "(owned.py, line "],
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_with_images_is_one_line(load, words):
    with pytest.raises(ConfigError) as refused:
        load(f"def mine(): return {words}")
    message = str(refused.value)
    assert message.startswith("data.name: owned:mine") and "\n" not in message, message
    assert all(word in message for word in WRONG[words]), message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("mine = 3", "is an int, which cannot be called"),
        ("other = 3", "owned has no mine"),
        ("def mine(size): pass", "raised TypeError"),
        ("import no_such_library", "importing owned raised ModuleNotFoundError"),
    ],
)
def test_what_is_no_function_is_one_line(load, source, words):
    with pytest.raises(ConfigError, match=words):
        load(source)


def test_bytes_stay_as_they_are_and_numbers_are_rounded(load):
    found = load("def mine(): return train, (np.maximum(x[:2] - 0.4, 0) / 255, y[:2]), list(names)")
    x = np.arange(6 * 4 * 4 * 3).reshape(6, 4, 4, 3).astype(np.uint8)
    np.testing.assert_array_equal(found.images, np.concatenate([x, x[:2]]))
    np.testing.assert_array_equal(found.labels, [0, 1, 2, 0, 1, 2, 0, 1])
    assert found.images.dtype == np.uint8 and found.labels.dtype == np.int32
    assert found.class_names == ("a", "b", "c") and found.test_start == 6
    np.testing.assert_allclose(found.mean, x.mean((0, 1, 2)) / 255, atol=1e-4)
    np.testing.assert_allclose(found.std, x.std((0, 1, 2)) / 255, atol=1e-4)
    assert load("def mine(): return train, None, names").test_start is None


def test_a_test_part_and_a_fraction_exclude_each_other(load, tmp_path):
    from configs.own import get_config

    data = get_config().data
    data.name = "owned:mine"
    load("def mine(): return train, train, names")
    with pytest.raises(ConfigError, match=r"test_fraction: 0.2 with owned:mine, which has a test"):
        images.check_config(data, tmp_path, download=False)
    load("def mine(): return train, None, names")
    images.check_config(data, tmp_path, download=False)
    data.test_fraction = 0.0
    with pytest.raises(ConfigError, match="owned:mine returns no test part; give a fraction"):
        images.check_config(data, tmp_path, download=False)


def test_the_identity_is_that_of_pixels_labels_and_where_the_test_part_begins(load, tmp_path):
    from configs.own import get_config

    data = get_config().data
    data.name = "owned:mine"

    def identity(source):
        load(source)
        return images.load(data, tmp_path, download=False).identity

    one = identity("def mine(): return train, None, names")
    assert one == identity("def mine():\n    # another code\n    return train, None, names")
    assert one != identity("def mine(): return (x // 2, y), None, names")
    two = identity("def mine(): return (x[:5], y[:5]), (x[5:], y[5:]), names")
    assert two["fingerprint"] == one["fingerprint"] and two["test_start"] == 5
