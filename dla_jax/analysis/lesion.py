"""Lesions: what a network is worth after blocks are deleted or exchanged, without training.

Veit et al. 2016, arXiv:1605.06431, section 4. Blocks count from 0 in the order of the network; the
networks are ours, whose blocks lie in one or more stacks (`models.layers.Stack`).
"""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis.loss import cross_entropy
from dla_jax.config.checks import check


def num_blocks(variables: dict) -> int:
    """Return how many blocks a network has that can be deleted, 0 for one without a wiring."""
    return sum(place.stop - place.start for place in _stacks(variables).values())


def _stacks(variables: dict) -> dict[str, slice]:
    """Return {stack: the numbers of its blocks}, in the order of the network."""
    places, begin = {}, 0
    for name, numbers in sorted(variables.get("wiring", {}).items()):
        places[name] = slice(begin, begin + len(numbers["skip"]))
        begin = places[name].stop
    return places


def delete(variables: dict, mask: jax.Array) -> dict:
    """Delete blocks: each passes its input on, in plain networks as well.

    Where a block changes the shape, what passes is its shortcut. A ResNet built without shortcuts
    (`shortcut=False`) has nothing to pass the input on by.

    Args:
      variables: {"params", "wiring", ...} of a network.
      mask: bool [L], the blocks to delete.

    Returns:
      The variables with skip 1 and branch 0 where the mask is true.

    Raises:
      ConfigError: the mask has another length.
    """
    _check_length("mask", mask, variables)
    wiring = {}
    for name, place in _stacks(variables).items():
        skip, branch = (variables["wiring"][name][path] for path in ("skip", "branch"))
        deleted = mask[place]
        wiring[name] = {
            "skip": jnp.where(deleted, 1.0, skip),
            "branch": jnp.where(deleted, 0.0, branch),
        }
    return variables | {"wiring": wiring}


def _check_length(name: str, given: jax.Array, variables: dict) -> None:
    blocks = num_blocks(variables)
    check(
        given.shape == (blocks,),
        f"{name}: shape {given.shape} for a network of {blocks} blocks; give one entry a block",
    )


def each_block(num_blocks: int) -> np.ndarray:
    """Return the masks that delete one block each: bool [L, L], row i deletes block i."""
    return np.eye(num_blocks, dtype=bool)


def random_blocks(
    rng: np.random.Generator, num_blocks: int, counts: Sequence[int], draws: int
) -> np.ndarray:
    """Draw masks that delete exactly so many blocks.

    Returns:
      bool [len(counts), draws, L].

    Raises:
      ConfigError: a count is negative, or more than there are blocks.
    """
    for count in counts:
        check(
            0 <= count <= num_blocks,
            f"counts: {count} blocks to delete, of {num_blocks}; give 0 to {num_blocks}",
        )
    ranks = rng.random((len(counts), draws, num_blocks)).argsort(-1).argsort(-1)
    return ranks < np.reshape(counts, (-1, 1, 1))


def reorder(variables: dict, order: jax.Array) -> dict:
    """Put the blocks of a network into another order, with their parameters, statistics and wiring.

    Args:
      variables: {"params", "wiring", ...} of a network.
      order: int [L]: block i of the result is block order[i]. Blocks stay within their stack, whose
        blocks have one shape (`swappable_pairs`).

    Raises:
      ConfigError: the order has another length.
    """
    _check_length("order", order, variables)
    kinds = [kind for kind in ("params", "batch_stats", "wiring") if kind in variables]
    edited = {kind: dict(variables[kind]) for kind in kinds}
    for name in _swappable_stacks(variables):
        place = _stacks(variables)[name]
        for tree in edited.values():
            if name in tree:
                tree[name] = _take(tree[name], order[place] - place.start)
    return variables | edited


def _take(stack: dict, order: jax.Array) -> dict:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[order], stack)


def _swappable_stacks(variables: dict) -> list[str]:
    """Return the stacks whose leaves are [n, ...], a row a block."""
    return [name for name in _stacks(variables) if "block" in variables["params"].get(name, {})]


def swappable_pairs(variables: dict) -> np.ndarray:
    """Return every two blocks of one stack: int32 [P, 2], the earlier one first."""
    stacks, pairs = _stacks(variables), []
    for name in _swappable_stacks(variables):
        pairs += itertools.combinations(range(stacks[name].start, stacks[name].stop), 2)
    return np.array(pairs, np.int32).reshape(-1, 2)


def swapped(num_blocks: int, pairs: np.ndarray) -> np.ndarray:
    """Return the order after the places of each pair in turn are swapped, for `reorder`.

    Args:
      num_blocks: L.
      pairs: int [k, 2].

    Returns:
      int32 [L].
    """
    order = np.arange(num_blocks, dtype=np.int32)
    for pair in np.asarray(pairs):
        order[pair] = order[pair[::-1]]
    return order


def random_swaps(
    rng: np.random.Generator, variables: dict, counts: Sequence[int], draws: int
) -> np.ndarray:
    """Draw orders of blocks: as many random pairs as `counts` says are swapped, one after another.

    Returns:
      int32 [len(counts), draws, L], each an order for `reorder`.

    Raises:
      ConfigError: no two blocks have one shape.
    """
    pairs, blocks = swappable_pairs(variables), num_blocks(variables)
    check(
        len(pairs) > 0,
        f"network: of its {blocks} blocks no two have one shape, so none can be swapped; "
        "take a deeper network",
    )
    orders = [
        [swapped(blocks, pairs[rng.integers(len(pairs), size=count)]) for _ in range(draws)]
        for count in counts
    ]
    return np.array(orders, np.int32).reshape(len(counts), draws, blocks)


def recompute(apply: Callable, variables: dict, x: jax.Array) -> dict:
    """Replace the running statistics of BatchNorm by those of one batch.

    An edited network has other activations than the one whose statistics were kept.

    Args:
      apply: of one of our nets.
      variables: of the edited network; without "batch_stats" they come back as they are.
      x: float32 [B, H, W, C].
    """
    if "batch_stats" not in variables:
        return variables

    def step(running):
        _, changed = apply(
            variables | {"batch_stats": running}, x, train=True, mutable=["batch_stats"]
        )
        return changed["batch_stats"]

    # A step from `running` leads to momentum * running + (1 - momentum) * statistics of the batch;
    # its derivative is the momentum.
    zeros = jax.tree.map(jnp.zeros_like, variables["batch_stats"])
    ones = jax.tree.map(jnp.ones_like, zeros)
    found, momentum = jax.jvp(step, (zeros,), (ones,))
    statistics = jax.tree.map(lambda leaf, kept: leaf / (1 - kept), found, momentum)
    return variables | {"batch_stats": statistics}


def scores(
    apply: Callable,
    variables: dict,
    cases: jax.Array,
    x: jax.Array,
    labels: jax.Array,
    *,
    edit: Callable = delete,
    statistics_of: jax.Array | None = None,
    chunk: int = 1,
) -> dict[str, jax.Array]:
    """Return what a network is worth after each of many edits, in one program.

    Args:
      apply: of one of our nets.
      variables: of the whole network.
      cases: bool masks [..., L] for `delete`, or int orders [..., L] for `reorder`.
      x: float32 [B, H, W, C].
      labels: int32 [B].
      edit: (variables, case) -> variables.
      statistics_of: images float32 [N, H, W, C] whose statistics BatchNorm has in each edited
        network (`recompute`); None: it keeps its running ones.
      chunk: cases computed at once; more take more memory, and are faster on accelerators alone.

    Returns:
      {"accuracy": fraction of x, "loss": mean cross-entropy in nats}: float32 [...] each.
    """

    def score(case):
        edited = edit(variables, case)
        if statistics_of is not None:
            edited = recompute(apply, edited, statistics_of)
        logits, _ = apply(edited, x, train=False)
        correct = logits.argmax(-1) == labels
        return {
            "accuracy": correct.mean(dtype=jnp.float32),
            "loss": cross_entropy(logits, labels),
        }

    flat = jnp.reshape(cases, (-1, cases.shape[-1]))
    found = jax.lax.map(score, flat, batch_size=chunk)
    return {name: values.reshape(cases.shape[:-1]) for name, values in found.items()}
