"""A network without a block is the network built without it, and scores are those of a loop."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.analysis import lesion
from dla_jax.config.checks import ConfigError
from dla_jax.models.build import wire
from dla_jax.models.cnn import CNN
from dla_jax.models.mlp import MLP, Perceptron
from dla_jax.models.resnet import ResNet

X, LABELS = np.random.default_rng(0).random((6, 8, 8, 1), np.float32), np.arange(6)
COMMON = {"num_classes": 10, "mean": (0.0,), "std": (1.0,), "dtype": "float32"}


def mlp(depth, norm="batch"):
    return MLP(depth=depth, width=5, norm=norm, init_scheme="he", **COMMON)


def cnn(depth):
    return CNN(depth=depth, width=4, norm="none", pools=1, init_scheme="he", **COMMON)


def resnet(depth):
    layout = {"bottleneck": False, "shortcut": True, "projection": False}
    return ResNet(depth=depth, init_scheme="he", **layout, **COMMON)


delete, reorder = jax.jit(lesion.delete), jax.jit(lesion.reorder)


def variables_of(model, *, skip=True, branch=1.0):
    return wire(drawn.variables_of(model, X.shape), skip=skip, branch=branch)


def without_each(tree):
    """Return the variables without one block each, one after another along a first axis."""
    cut = lambda leaf: np.stack([np.delete(leaf, i, axis=0) for i in range(len(leaf))])
    repeated = lambda leaf: np.stack([leaf] * 3)
    return {
        kind: jax.tree.map(repeated, part) | {"blocks": jax.tree.map(cut, part["blocks"])}
        for kind, part in tree.items()
    }


@functools.partial(jax.jit, static_argnames=("model", "shorter"))
def without_blocks(variables, cuts, *, model, shorter):
    """Return logits of a net, whole and without each block, and those of the nets without them."""
    masks = jnp.concatenate([jnp.zeros((1, 3), bool), lesion.each_block(3)])
    logits = lambda model, variables: model.apply(variables, X, train=False)[0]
    found = jax.vmap(lambda mask: logits(model, lesion.delete(variables, mask)))(masks)
    of_cuts = jax.vmap(lambda cut: logits(shorter, cut))(cuts)
    return found, jnp.concatenate([logits(model, variables)[None], of_cuts])


@pytest.mark.parametrize(("kind", "skip"), [(mlp, False), (mlp, True), (cnn, False)])
def test_a_deleted_block_leaves_the_network_that_is_built_without_it(kind, skip):
    model, shorter = kind(4), kind(3)
    variables = variables_of(model, skip=skip, branch=0.7)
    cuts = without_each(jax.device_get(variables))
    found, expected = jax.device_get(without_blocks(variables, cuts, model=model, shorter=shorter))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert len(np.unique(np.round(expected[:, 0, 0], 4))) == 4


def test_blocks_of_all_stacks_count_in_the_order_of_the_network():
    model = resnet(14)
    variables = variables_of(model, skip=False)
    assert lesion.num_blocks(variables) == 6

    @jax.jit
    def outputs(variables):
        def of(mask):
            return model.apply(lesion.delete(variables, mask), X, train=False)[1]

        return jax.lax.map(of, jnp.asarray(lesion.each_block(6)))

    found = jax.device_get(outputs(variables))
    names = ["blocks1a", "blocks1b", "blocks2a", "blocks2b", "blocks3a", "blocks3b"]
    for i in range(1, 6):
        before, after = found[names[i - 1]][i, 0], found[names[i]][i, 0]
        widened = after.shape[-1] - before.shape[-1]
        stride = 2 if widened else 1
        channels = slice(widened // 2, widened // 2 + before.shape[-1])
        np.testing.assert_array_equal(after[..., channels], before[:, ::stride, ::stride])
        np.testing.assert_allclose(after.sum(), before[:, ::stride, ::stride].sum(), rtol=1e-5)
        assert not np.array_equal(found[names[i]][i - 1, 0], after)


@functools.partial(jax.jit, static_argnums=0)
def logits_of(model, variables, statistics_of=None):
    if statistics_of is not None:
        variables = lesion.recompute(model.apply, variables, statistics_of)
    return model.apply(variables, X, train=False)[0]


def expected_scores(model, variables, statistics_of=None):
    """Return (accuracy, loss), the mean by numpy."""
    logits = np.asarray(logits_of(model, variables, statistics_of), np.float64)
    log_sums = np.log(np.exp(logits).sum(-1))
    right = logits[np.arange(6), LABELS]
    return (logits.argmax(-1) == LABELS).mean(), (log_sums - right).mean()


@pytest.mark.parametrize(("recomputed", "chunks"), [(False, (1, 4)), (True, (4,))])
def test_scores_of_all_masks_equal_a_loop(recomputed, chunks):
    model = mlp(4)
    variables = variables_of(model)
    other = np.random.default_rng(1).random((20, 8, 8, 1), np.float32)
    masks = lesion.random_blocks(np.random.default_rng(0), 3, (0, 1, 2), 2)
    statistics_of = other if recomputed else None
    runs = []
    for chunk in chunks:
        score = functools.partial(lesion.scores, model.apply, chunk=chunk)
        runs.append(jax.jit(score)(variables, masks, X, LABELS, statistics_of=statistics_of))
    expected = []
    for mask in masks.reshape(-1, 3):
        edited = delete(variables, mask)
        expected.append(expected_scores(model, edited, statistics_of))
    accuracy, loss = np.array(expected).T.reshape(2, 3, 2)
    for found in runs:
        np.testing.assert_array_equal(found["accuracy"], accuracy.astype(np.float32))
        np.testing.assert_allclose(found["loss"], loss, rtol=1e-4)
    kept = expected_scores(model, variables)[1]
    assert (abs(loss[0, 0] - kept) > 0.01) == recomputed


@pytest.mark.parametrize("model", [mlp(4), resnet(14)], ids=["mlp", "resnet"])
def test_recomputed_statistics_are_those_of_the_batch_that_the_edited_network_sees(model):
    variables = variables_of(model)
    mask = np.arange(lesion.num_blocks(variables)) == 1
    variables = delete(variables, mask)

    @jax.jit
    def found_and_expected(variables):
        recomputed = lesion.recompute(model.apply, variables, X)
        in_training, _ = model.apply(variables, X, train=True, mutable=["batch_stats"])
        return recomputed, *model.apply(recomputed, X, train=False), in_training[0]

    recomputed, found, features, expected = found_and_expected(variables)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    if "norm" in recomputed["batch_stats"]:
        last = np.asarray(features["blocks"][-1], np.float64)
        norm = recomputed["batch_stats"]["norm"]
        np.testing.assert_allclose(norm["mean"], last.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(norm["var"], last.var(0), rtol=1e-3, atol=1e-5)


def test_a_network_without_batch_norm_has_no_statistics_to_recompute():
    plain = variables_of(mlp(3, norm="none"))
    assert lesion.recompute(mlp(3, norm="none").apply, plain, X) is plain


def test_random_masks_delete_exactly_so_many_blocks_and_any():
    masks = lesion.random_blocks(np.random.default_rng(0), 7, (0, 2, 7), 40)
    assert masks.shape == (3, 40, 7) and masks.dtype == bool
    np.testing.assert_array_equal(masks.sum(-1), np.repeat([[0], [2], [7]], 40, axis=1))
    assert masks[1].any(0).all() and len(np.unique(masks[1], axis=0)) > 10


def test_swapped_blocks_take_parameters_statistics_and_wiring_with_them():
    variables = variables_of(mlp(5))
    variables["wiring"] = {"blocks": {"skip": np.arange(4.0), "branch": np.arange(4.0) + 9}}
    order = lesion.swapped(4, [(0, 2), (2, 3)])
    np.testing.assert_array_equal(order, [2, 1, 3, 0])
    found = reorder(variables, order)
    for kind, tree in variables.items():
        expected = jax.tree.map(lambda leaf: leaf[[2, 1, 3, 0]], tree["blocks"])
        jax.tree.map(np.testing.assert_array_equal, found[kind], tree | {"blocks": expected})
    assert found.keys() == variables.keys()


def test_only_blocks_of_one_shape_are_swapped():
    variables = variables_of(resnet(20))
    variables["wiring"] = dict(reversed(variables["wiring"].items()))
    pairs = lesion.swappable_pairs(variables)
    np.testing.assert_array_equal(pairs, [(1, 2), (4, 5), (7, 8)])
    found = jax.device_get(reorder(variables, lesion.swapped(9, [(4, 5)])))
    changed = lambda kind, name: (
        not np.array_equal(*(flat(v[kind][name]) for v in (found, variables)))
    )
    flat = lambda tree: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
    for kind in ("params", "batch_stats"):
        assert [name for name in variables[kind] if changed(kind, name)] == ["blocks2b"]
    ours, theirs = (v["params"]["blocks2b"]["block"]["conv1"]["kernel"] for v in (found, variables))
    np.testing.assert_array_equal(ours, theirs[::-1])


def test_random_swaps_are_so_many_swaps_within_stacks():
    variables = variables_of(resnet(20))
    orders = lesion.random_swaps(np.random.default_rng(0), variables, (0, 1, 3), 30)
    assert orders.shape == (3, 30, 9) and orders.dtype == np.int32
    np.testing.assert_array_equal(orders[0], np.tile(np.arange(9), (30, 1)))
    np.testing.assert_array_equal((orders[1] != np.arange(9)).sum(-1), 2)
    stack = np.array([0, 1, 1, 2, 3, 3, 4, 5, 5])
    np.testing.assert_array_equal(stack[orders], np.broadcast_to(stack, orders.shape))
    assert len(np.unique(orders[1], axis=0)) == 3


def test_scores_of_orders_equal_a_loop():
    model = mlp(4, norm="none")
    variables = variables_of(model)
    orders = np.array([lesion.swapped(3, [pair]) for pair in lesion.swappable_pairs(variables)])
    score = functools.partial(lesion.scores, model.apply, edit=lesion.reorder)
    found = jax.jit(score)(variables, orders, X, LABELS)
    expected = [expected_scores(model, reorder(variables, order)) for order in orders]
    np.testing.assert_allclose(found["loss"], np.array(expected)[:, 1], rtol=1e-4)
    assert len(np.unique(found["loss"])) == 3


def test_more_masks_are_no_larger_program():
    model, calls = mlp(4), []

    def apply(*args, **kwargs):
        calls.append(args)
        return model.apply(*args, **kwargs)

    score = functools.partial(lesion.scores, apply, variables_of(model), x=X, labels=LABELS)
    size = lambda masks: len(jax.make_jaxpr(score)(masks).eqns)
    few, many = np.zeros((2, 3), bool), np.zeros((900, 3), bool)
    assert size(few) == size(many)
    assert len(calls) == 2


def test_a_lesion_that_cannot_be_is_refused():
    rng, variables = np.random.default_rng(0), variables_of(mlp(4))
    with pytest.raises(ConfigError, match="counts: 4 blocks to delete, of 3; give 0 to 3"):
        lesion.random_blocks(rng, 3, (1, 4), 2)
    with pytest.raises(ConfigError, match=r"mask: shape \(2,\) for a network of 3 blocks"):
        lesion.delete(variables, np.zeros(2, bool))
    with pytest.raises(ConfigError, match=r"order: shape \(4,\) for a network of 3 blocks"):
        lesion.reorder(variables, np.arange(4))
    with pytest.raises(ConfigError, match="of its 1 blocks no two have one shape"):
        lesion.random_swaps(rng, variables_of(mlp(2)), (1,), 2)
    layout = {"widths": (4,), "dropout": 0.0, "dropout_at": "every", "relu_logits": False}
    assert lesion.num_blocks(variables_of(Perceptron(**layout, init_scheme="he", **COMMON))) == 0
