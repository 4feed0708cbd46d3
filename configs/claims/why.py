"""What papers say of skips, as contrasts of networks, seed by seed.

Values of a run (`run_of` in dla_jax/studies/why/report.py):

- lesion_cost: test accuracy lost when one block is deleted, mean over blocks; half_cost: when a
  random half of them is; swap_cost: when two random blocks change places; lesion_cost_recomputed:
  as lesion_cost, BatchNorm's statistics those of the network as it then is;
- length_ratio: mean length of a path, weighed by the gradient that it carries, over half the number
  of blocks, which it is where all paths carry as much;
- shattering: 1 minus the autocorrelation of dy/dx of the deepest fresh networks with one input, at
  `shattering.lag` steps of the grid: 0 for a linear one, 1 for white noise;
- log_rise: log10 of the rise of the loss, in nats, within half the radius of the landscape;
- log_curvature: log10 of the largest eigenvalue of the Hessian of the network that is kept;
  log_curvature_along: its mean along training.
"""

import functools
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import alone, answerable, claim, difference

VEIT = "Veit et al. 2016, arXiv:1605.06431"
BALDUZZI = "Balduzzi et al. 2017, arXiv:1702.08591"
LI = "Li et al. 2018, arXiv:1712.09913"
SKIPINIT = "De and Smith 2020, arXiv:2002.10444"
FIXUP = "Zhang et al. 2019, arXiv:1901.09321"
AIRBENCH = "Jordan 2024, arXiv:2404.00498"

# Pairs of twins: (plain, residual, what stands before the statement, the letter behind its place).
PAIRS = (
    ("plain", "residual", "", ""),
    ("plain_batch", "residual_batch", "With BatchNorm: ", "_batch"),
)

points = functools.partial(claim, unit="points", margin=0.05)
decades = functools.partial(claim, unit="decades", margin=0.1)


def twin_claims(plain: str, residual: str, before: str, behind: str) -> dict[str, dict]:
    """Return the claims about a plain net and its residual twin.

    Args:
      before: words before each statement.
      behind: what stands behind the name of each claim.
    """
    return _lesions(plain, residual, before, behind) | _geometry(plain, residual, before, behind)


def _lesions(plain: str, residual: str, before: str, behind: str) -> dict[str, dict]:
    return {
        f"a_lesion{behind}": points(
            f"{before}One deleted block costs a plain net more accuracy than a residual one",
            VEIT,
            "CIFAR-10, a picture: VGG-16 falls to guessing, ResNet-110 hardly changes",
            difference(plain, residual),
            value="lesion_cost",
            example={plain: 0.8, residual: 0.01},
        ),
        f"b_lesion_recomputed{behind}": points(
            f"{before}It does so too where BatchNorm's statistics are recomputed",
            HYPOTHESIS,
            "not reported",
            difference(plain, residual),
            value="lesion_cost_recomputed",
            example={plain: 0.5, residual: 0.01},
        ),
        f"c_half{behind}": points(
            f"{before}A random half of the blocks, deleted, costs a plain net more",
            HYPOTHESIS,
            "of ResNet-110 alone, a picture: its error grows smoothly",
            difference(plain, residual),
            value="half_cost",
            example={plain: 0.85, residual: 0.2},
        ),
        f"d_swap{behind}": points(
            f"{before}Two blocks that change places cost a plain net more",
            HYPOTHESIS,
            "of ResNet-110 alone, a picture: its error grows smoothly with swaps",
            difference(plain, residual),
            value="swap_cost",
            example={plain: 0.7, residual: 0.02},
        ),
        f"e_short_paths{behind}": claim(
            f"{before}The gradient of a residual net comes over short paths: their mean length, "
            "each weighed by its gradient, is less than half the number of blocks",
            VEIT,
            "ResNet-110: over paths that are only 10 to 34 layers deep",
            alone(residual),
            direction="<",
            value="length_ratio",
            unit="of half the blocks",
            threshold=1.0,
            margin=0.05,
            example={residual: 0.63},
        ),
    }


def _geometry(plain: str, residual: str, before: str, behind: str) -> dict[str, dict]:
    return {
        f"f_shattering{behind}": claim(
            f"{before}The gradient of deep plain nets is shattered more than that of residual ones",
            BALDUZZI,
            "pictures; exponential in depth without skips, slower with skips and scaled branches",
            difference(plain, residual),
            value="shattering",
            unit="correlation",
            margin=0.05,
            example={plain: 0.7, residual: 0.1},
        ),
        f"g_landscape{behind}": decades(
            f"{before}Around a plain net the loss rises further than around a residual one",
            LI,
            "CIFAR-10, pictures of ResNet-56 with and without skips",
            difference(plain, residual),
            value="log_rise",
            example={plain: 1.0, residual: 0.0},
        ),
        f"h_curvature{behind}": decades(
            f"{before}The largest curvature at a trained plain net is larger than at a residual "
            "one",
            HYPOTHESIS,
            "not reported as a number",
            difference(plain, residual),
            value="log_curvature",
            example={plain: 2.0, residual: 1.0},
        ),
        f"i_curvature_along{behind}": decades(
            f"{before}So it is along training",
            HYPOTHESIS,
            "not reported",
            difference(plain, residual),
            value="log_curvature_along",
            example={plain: 2.0, residual: 1.0},
        ),
    }


# Of the other explanations: the factor of the branches, and the learning rate.
CONTROLS = {
    "f_shattering_unscaled": claim(
        "Deep residual nets whose branches are not scaled are shattered less than plain ones, too",
        BALDUZZI,
        "with skips alone, slower than without; with scaled branches slower still",
        difference("plain", "residual_unscaled"),
        value="shattering",
        unit="correlation",
        margin=0.05,
        example={"plain": 0.9, "residual_unscaled": 0.5},
    ),
    "g_landscape_same_rate": decades(
        "At the plain net's learning rate, too, the loss rises further around the plain net",
        HYPOTHESIS,
        "not reported",
        difference("plain", "residual_same_rate"),
        value="log_rise",
        example={"plain": 1.0, "residual_same_rate": 0.0},
    ),
    "h_curvature_same_rate": decades(
        "At the plain net's learning rate, too, the largest curvature is larger at the plain net",
        HYPOTHESIS,
        "not reported",
        difference("plain", "residual_same_rate"),
        value="log_curvature",
        example={"plain": 2.0, "residual_same_rate": 1.0},
    ),
}

accuracy = functools.partial(claim, margin=0.01)
# What stands for a skip -> (how a net starts with it, who says so, what was reported).
STARTS = {
    "looks_linear": ("looks-linear", BALDUZZI, "CIFAR-10, a picture: nets of 198 layers learn"),
    "orthogonal": ("orthogonal", HYPOTHESIS, "of nets with tanh, not with ReLU"),
    "identity": ("as the identity", AIRBENCH, "used to train a net to 94 % on CIFAR-10 fast"),
}
BRANCHES = {
    "skipinit": (SKIPINIT, "CIFAR-10, a Wide ResNet-16-4: as good as with BatchNorm"),
    "fixup": (FIXUP, "CIFAR-10, ResNet-110: nearly as good as with BatchNorm"),
}


def remedy_claims(residual: str) -> dict[str, dict]:
    """Return the claims about what stands for a skip, and for the norm beside it.

    Args:
      residual: the net with skips that starts are compared with.
    """
    found = {}
    for letter, (name, (words, source, reported)) in zip("jkl", STARTS.items(), strict=True):
        found[f"{letter}_{name}_helps"] = accuracy(
            f"A plain net without norm that starts {words} is better than one with He's start",
            source,
            reported,
            difference(name, "plain"),
            example={name: 0.95, "plain": 0.9},
        )
        found[f"{letter}_{name}_is_enough"] = accuracy(
            f"A plain net that starts {words} is as good as a residual one",
            HYPOTHESIS,
            "not reported",
            difference(name, residual),
            direction="=",
            example={name: 0.95, residual: 0.95},
        )
    for letter, (name, (source, reported)) in zip("mn", BRANCHES.items(), strict=True):
        found[f"{letter}_{name}"] = accuracy(
            f"{name.capitalize()}, without a norm, is as good as a residual net with BatchNorm",
            source,
            reported,
            difference(name, "residual_batch"),
            direction="=",
            example={name: 0.95, "residual_batch": 0.951},
        )
    return found


def claims(networks: Iterable[str]) -> ConfigDict:
    """Return the claims that these networks can answer.

    What only networks with BatchNorm have is left out of the claims about others.
    """
    networks = set(networks)
    found = dict(CONTROLS)
    for pair in PAIRS:
        found |= twin_claims(*pair)
    if "plain_batch" in networks:
        del found["b_lesion_recomputed"]
    residual = "residual" if "residual" in networks else "residual_batch"
    return answerable(found | remedy_claims(residual), networks)
