"""The map of a net: its kernels, and its layers or blocks, in the order of the network."""

from typing import NamedTuple

import jax

STEM, INNER, BEHIND, HEAD = range(4)  # parts of a net, in its order
# Names inside a unit that say nothing of what the kernel does.
WRAPPERS = ("block", "single", "Conv_0", "Dense_0")


class Layer(NamedTuple):
    """One kernel of a net.

    `stage` counts from 1; it is 0 for the stem and for what stands behind the blocks. `index` is
    the place in a stack of blocks, whose leaves are [n, ...], or None.
    """

    name: str
    stage: int
    path: tuple[str, ...]
    index: int | None


def layers_of(params: dict) -> tuple[Layer, ...]:
    """Return the kernels of one of our nets in the order of the network.

    They are those of convolutions, also of shortcuts, and of dense layers. The stages are those of
    a ResNet; the blocks of other nets are cut into four parts of equal length.

    Args:
      params: arrays, or anything with shapes.
    """
    kernels = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        keys = tuple(part.key for part in path)
        if keys[-1] == "kernel":
            places = range(leaf.shape[0]) if "block" in keys else (-1,)
            kernels += [(_part(keys[0]), keys[0], i, keys) for i in places]
    kernels.sort()
    blocks = list(dict.fromkeys(_block(name, i) for part, name, i, _ in kernels if part == INNER))
    layers = []
    for part, name, i, keys in kernels:
        stage = 0
        if part == INNER:
            stage = _stage(name, blocks.index(_block(name, i)), len(blocks))
        inside = [key for key in keys[1:-1] if key not in WRAPPERS]
        number = [str(i)] if i >= 0 else []
        layers.append(Layer(" ".join([name, *number, *inside]), stage, keys, i if i >= 0 else None))
    return tuple(layers)


def _part(name: str) -> int:
    if name.startswith(("blocks", "layer")):
        return INNER
    return {"stem": STEM, "head": HEAD}.get(name, BEHIND)


def _block(name: str, i: int) -> tuple[str, int]:
    """Return the block that a kernel is in: "layer007a" is of "layer007"."""
    return name[:8], i


def _stage(name: str, block: int, num_blocks: int) -> int:
    """Return the stage that a ResNet's name has, or the fourth of the blocks that `block` is in."""
    if name[:6] == "blocks" and name[6:]:
        return int(name[6])
    return 1 + min(4, num_blocks) * block // num_blocks


def units_of(params: dict) -> list[tuple[set[str], int | None]]:
    """Return the layers or blocks of one of our nets in its order.

    Each is (entries of `params`, place in a stack of blocks or None). First the stem ("stem",
    "stem_norm"), then "blocks..." (a stack of blocks, leaves [n, ...], where it holds "block") or
    "layer...", each counted alone and in the order of their names, with their norms, and the rest:
    the head and what stands before it.
    """
    inner = [name for name in params if name.startswith(("blocks", "layer"))]
    units = [({name for name in params if name.startswith("stem")}, None)]
    for name in sorted({name.removesuffix("_norm") for name in inner}):
        names = {name, f"{name}_norm"} & params.keys()
        places = [None]
        if "block" in params[name]:
            places = range(len(jax.tree.leaves(params[name])[0]))
        units += [(names, place) for place in places]
    taken = set().union(*(names for names, _ in units))
    return [*units, (params.keys() - taken, None)]
