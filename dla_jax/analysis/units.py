"""The map of a net: its kernels, and its layers or blocks, in the order of the network."""

from typing import NamedTuple

import jax


class Layer(NamedTuple):
    """One kernel of a net. `stage` counts from 1; it is 0 for the stem and for what stands behind the blocks."""

    name: str
    stage: int
    path: tuple[str, ...]
    index: int | None  # in a stack of blocks, whose leaves are [n, ...]


def layers_of(params: dict) -> tuple[Layer, ...]:
    """The kernels of one of our nets in the order of the network: convolutions, also those of shortcuts, and dense layers.

    The stages are those of a ResNet; the blocks of other nets are cut into four parts of equal length.

    Args:
      params: arrays, or anything with shapes.
    """
    kernels = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        keys = tuple(part.key for part in path)
        if keys[-1] == "kernel":
            inner = keys[0].startswith(("blocks", "layer"))
            place = 0 if keys[0] == "stem" else 1 if inner else 3 if keys[0] == "head" else 2
            kernels += [
                (place, keys[0], i, keys)
                for i in (range(leaf.shape[0]) if "block" in keys else (-1,))
            ]
    kernels.sort()
    blocks = list(
        dict.fromkeys((name[:8], i) for place, name, i, _ in kernels if place == 1)
    )  # "layer007a": "layer007"
    layers = []
    for place, name, i, keys in kernels:
        stage = 0
        if place == 1:
            stage = (
                int(name[6])
                if name[:6] == "blocks" and name[6:]
                else 1 + min(4, len(blocks)) * blocks.index((name[:8], i)) // len(blocks)
            )
        inside = [key for key in keys[1:-1] if key not in ("block", "single", "Conv_0", "Dense_0")]
        layers.append(
            Layer(
                " ".join([name, *([str(i)] if i >= 0 else []), *inside]),
                stage,
                keys,
                i if i >= 0 else None,
            )
        )
    return tuple(layers)


def units_of(params: dict) -> list[tuple[set[str], int | None]]:
    """The layers or blocks of one of our nets in its order: (entries of `params`, place in a stack of blocks or None).

    First the stem ("stem", "stem_norm"), then "blocks..." (a stack of blocks, leaves [n, ...], where it holds "block") or
    "layer...", each counted alone and in the order of their names, with their norms, and the rest: the head and what stands
    before it.
    """
    stem = {name for name in params if name.startswith("stem")}
    inner = sorted(
        {name.removesuffix("_norm") for name in params if name.startswith(("blocks", "layer"))}
    )
    units = [(stem, None)]
    for name in inner:
        names = {name, f"{name}_norm"} & params.keys()
        stacked = "block" in params[name]
        units += (
            [(names, i) for i in range(len(jax.tree.leaves(params[name])[0]))]
            if stacked
            else [(names, None)]
        )
    taken = set().union(*(names for names, _ in units))
    return [*units, (params.keys() - taken, None)]
