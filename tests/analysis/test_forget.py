"""The units of a net are all of it in its order, and the last ones are forgotten alone."""

import drawn
import jax
import numpy as np
import pytest

from dla_jax.analysis.faithfulness import forget, num_units
from dla_jax.analysis.units import units_of
from dla_jax.models.cnn import CNN
from dla_jax.models.labs import LabA, LabB
from dla_jax.models.mlp import MLP
from dla_jax.models.resnet import ResNet

COMMON = {"num_classes": 5, "mean": (0.3,), "std": (0.4,), "dtype": "float32"}
BLOCKS = {"norm": "batch", "init_scheme": "he", "width": 4}
RESNET = {"bottleneck": False, "shortcut": True, "projection": True, "init_scheme": "he"}
STEM = ({"stem", "stem_norm"}, None)
LAST = ({"last1", "last2", "head"}, None)


def pair(name, i):
    """Return the units of lab A's or B's block i, with these parts."""
    return [({f"layer{i:03}{part}", f"layer{i:03}{part}_norm"}, None) for part in name]


HEAD = ({"head"}, None)
HEAD_AND_NORM = ({"head", "norm"}, None)


def blocks(name, count):
    """Return the units of a stack of blocks."""
    return [({name}, i) for i in range(count)]


RESNET_UNITS = [STEM]
for stage in ("blocks1", "blocks2", "blocks3"):
    RESNET_UNITS += [({f"{stage}a"}, None), *blocks(f"{stage}b", 2)]
# name: (net, units in the order of the network)
NETS = {
    "cnn": (
        CNN(depth=4, pools=1, **BLOCKS, **COMMON),
        [({"stem"}, None), *blocks("blocks", 3), HEAD_AND_NORM],
    ),
    "cnn_plain": (
        CNN(depth=4, pools=1, **(BLOCKS | {"norm": "none"}), **COMMON),
        [({"stem"}, None), *blocks("blocks", 3), HEAD],
    ),
    "cnn_1": (CNN(depth=1, pools=0, **BLOCKS, **COMMON), [({"stem"}, None), HEAD_AND_NORM]),
    "mlp": (
        MLP(depth=3, **BLOCKS, **COMMON),
        [({"stem"}, None), *blocks("blocks", 2), HEAD_AND_NORM],
    ),
    "resnet": (ResNet(depth=20, **RESNET, **COMMON), [*RESNET_UNITS, HEAD]),
    "lab_a": (
        LabA(depth=2, residual=True, width=8, **COMMON),
        [STEM, *pair("ab", 0), *pair("ab", 1), HEAD],
    ),
    "lab_b": (
        LabB(depth=9, as_implemented=True, projection=True, **COMMON),
        [({"stem"}, None), *pair("abc", 0), *pair("abc", 1), *pair("abc", 2), *pair("ab", 3), LAST],
    ),
}


def numbers(model, start):
    """Make variables of a net with a number of their own in every entry.

    Of each leaf there is the first axis alone.
    """
    shape = (1, 32, 32, 1) if isinstance(model, LabB) else (1, 8, 8, 1)
    leaves, tree = jax.tree.flatten(drawn.shapes_of(model, shape))
    lengths = [leaf.shape[0] for leaf in leaves]
    ends = np.cumsum(lengths)
    pairs = zip(lengths, ends, strict=True)
    return tree.unflatten([start + end - np.arange(length, dtype=float) for length, end in pairs])


def assert_exchanged(mixed, known, fresh, forgotten):
    """Assert that the forgotten units' leaves are the fresh ones, and all others the known ones."""
    assert jax.tree.structure(mixed) == jax.tree.structure(known)
    places = {(name, index) for names, index in forgotten for name in names}

    def check(path, found, old, new):
        expected = np.array(old)
        collection, name = path[0].key, path[1].key
        if collection != "wiring":
            for place, index in places:
                if place == name:
                    here = ... if index is None else index
                    expected[here] = new[here]
        np.testing.assert_array_equal(found, expected, err_msg=jax.tree_util.keystr(path))

    jax.tree_util.tree_map_with_path(check, mixed, known, fresh)


@pytest.mark.parametrize("net", NETS)
def test_units_stand_in_the_order_of_the_network_and_are_all_of_it(net):
    model, expected = NETS[net]
    variables = numbers(model, 0)
    units = units_of(variables["params"])
    assert units == expected and num_units(variables) == len(expected)
    named = set().union(*(names for names, _ in units))
    assert named == variables["params"].keys() >= variables.get("batch_stats", {}).keys()
    assert units_of(jax.eval_shape(lambda: variables)["params"]) == expected


@pytest.mark.parametrize("net", NETS)
def test_what_is_forgotten_is_the_last_units_and_nothing_else(net):
    model, units = NETS[net]
    known, fresh = numbers(model, 1000), numbers(model, -90000)
    before = jax.tree.map(np.copy, known)
    for count in range(len(units) + 1):
        mixed = forget(known, fresh, count)
        assert_exchanged(mixed, known, fresh, units[len(units) - count :])
        if count == 0:
            jax.tree.map(np.testing.assert_array_equal, mixed, known)
    kept = {"wiring": known["wiring"]} if "wiring" in known else {}
    jax.tree.map(np.testing.assert_array_equal, mixed, fresh | kept)  # all forgotten
    jax.tree.map(np.testing.assert_array_equal, known, before)  # and nothing was written to


def test_the_head_goes_first_and_with_it_the_norm_before_it():
    known, fresh = (numbers(NETS["cnn"][0], start) for start in (1000, -90000))
    first, second = forget(known, fresh, 1), forget(known, fresh, 2)
    assert_same = lambda a, b: jax.tree.map(np.testing.assert_array_equal, a, b)
    for collection, names in (("params", ("head", "norm")), ("batch_stats", ("norm",))):
        for name in names:
            assert_same(first[collection][name], fresh[collection][name])
        assert_same(first[collection]["blocks"], known[collection]["blocks"])
        # the last block follows
        follow = lambda old, new: np.array([old[0], old[1], new[2]])
        expected = jax.tree.map(follow, known[collection]["blocks"], fresh[collection]["blocks"])
        assert_same(second[collection]["blocks"], expected)
    assert_same(second["wiring"], known["wiring"])
