"""What papers say of skips, as contrasts of networks, seed by seed.

Values of a run (`run_of` in dla_jax/studies/why/report.py):

- lesion_cost: test accuracy lost when one block is deleted, mean over blocks; half_cost: when a
  random half of them is; swap_cost: when two random blocks change places; lesion_cost_recomputed:
  as lesion_cost, BatchNorm's statistics those of the edited network;
- length_ratio: mean length of a path, weighed by the gradient that it carries, over half the number
  of blocks, which it is where all paths carry as much;
- shattering: 1 minus the autocorrelation of dy/dx of the deepest fresh network with one input, at
  `shattering.lag` steps of the grid: 0 for a linear one, 1 for white noise;
- log_rise: mean log10 of the rise of the loss, in nats, within half the radius of the landscape;
- log_curvature: log10 of the largest eigenvalue of the Hessian at the end; log_curvature_along: its
  mean along training.
"""

import functools
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import alone, answerable, claim, difference

VEIT = "Veit et al. 2016, arXiv:1605.06431"
BALDUZZI = "Balduzzi et al. 2017, arXiv:1702.08591"
LI = "Li et al. 2018, arXiv:1712.09913"
GHORBANI = "Ghorbani et al. 2019, arXiv:1901.10159"
SKIPINIT = "De and Smith 2020, arXiv:2002.10444"
FIXUP = "Zhang et al. 2019, arXiv:1901.09321"
AIRBENCH = "Jordan 2024, arXiv:2404.00498"

points = functools.partial(claim, unit="points", margin=0.05)
decades = functools.partial(claim, unit="decades", margin=0.1)

LESIONS = {
    "a_lesion": points(
        "One deleted block costs a plain net more accuracy than a residual one",
        VEIT,
        "CIFAR-10, a picture: VGG-16 falls to guessing, ResNet-110 hardly changes",
        difference("plain", "residual"),
        value="lesion_cost",
        example={"plain": 0.8, "residual": 0.01},
    ),
    "b_half": points(
        "So does a random half of the blocks",
        HYPOTHESIS,
        "of ResNet-110 alone, a picture: its error grows smoothly",
        difference("plain", "residual"),
        value="half_cost",
        example={"plain": 0.85, "residual": 0.2},
    ),
    "c_swap": points(
        "Two blocks that change places cost a plain net more than a residual one",
        HYPOTHESIS,
        "of ResNet-110 alone, a picture: its error grows smoothly with swaps",
        difference("plain", "residual"),
        value="swap_cost",
        example={"plain": 0.7, "residual": 0.02},
    ),
    "d_batch_lesion": points(
        "With BatchNorm, its statistics recomputed, one deleted block still costs the plain net "
        "more",
        HYPOTHESIS,
        "not reported: the statistics were kept",
        difference("plain_batch", "residual_batch"),
        value="lesion_cost_recomputed",
        example={"plain_batch": 0.5, "residual_batch": 0.01},
    ),
    "e_short_paths": claim(
        "The gradient of a residual net comes over short paths: their mean length, each weighed by "
        "its gradient, is less than half the number of blocks",
        VEIT,
        "ResNet-110: over paths of 10 to 34 of its 54 blocks",
        alone("residual"),
        direction="<",
        value="length_ratio",
        unit="of half the blocks",
        threshold=1.0,
        margin=0.05,
        example={"residual": 0.63},
    ),
}
GEOMETRY = {
    "f_shattering": claim(
        "With depth the gradient of a plain net is shattered more than that of a residual one",
        BALDUZZI,
        "pictures; correlations fall as 2^-L without and as 1/sqrt(L) with skips",
        difference("plain", "residual"),
        value="shattering",
        unit="correlation",
        margin=0.05,
        example={"plain": 0.7, "residual": 0.1},
    ),
    "g_landscape": decades(
        "Around a plain net the loss rises further than around a residual one",
        LI,
        "CIFAR-10, pictures of ResNet-56 with and without skips",
        difference("plain", "residual"),
        value="log_rise",
        example={"plain": 1.0, "residual": 0.0},
    ),
    "h_curvature": decades(
        "At the end of training the largest curvature of a plain net is larger than that of a "
        "residual one",
        GHORBANI,
        "spectra of ResNets, pictures",
        difference("plain", "residual"),
        value="log_curvature",
        example={"plain": 2.0, "residual": 1.0},
    ),
    "i_curvature_along": decades(
        "So it is along training",
        HYPOTHESIS,
        "not reported",
        difference("plain", "residual"),
        value="log_curvature_along",
        example={"plain": 2.0, "residual": 1.0},
    ),
}

accuracy = functools.partial(claim, margin=0.01)
# What stands for a skip -> (how a net starts with it, who says so, what was reported).
STARTS = {
    "looks_linear": (
        "looks-linear",
        BALDUZZI,
        "CIFAR-10, a picture: plain nets of up to 198 layers learn",
    ),
    "orthogonal": (
        "orthogonal",
        HYPOTHESIS,
        "Xiao et al. 2018, arXiv:1806.05393: trains 10,000 layers of tanh",
    ),
    "identity": (
        "as the identity",
        AIRBENCH,
        "used to train a net of 94 % on CIFAR-10 fast; no comparison",
    ),
}
BRANCHES = {
    "skipinit": (SKIPINIT, "CIFAR-10, a Wide ResNet-16-4: as good as with BatchNorm"),
    "fixup": (FIXUP, "CIFAR-10, ResNet-110: error 7.2 %, with BatchNorm 6.6 %"),
}


def remedy_claims() -> dict[str, dict]:
    """Return the claims about what stands for a skip, and for the norm beside it."""
    found = {}
    for letter, (name, (words, source, reported)) in zip("jkl", STARTS.items(), strict=True):
        found[f"{letter}_{name}_helps"] = accuracy(
            f"A plain net that starts {words} is better than one with He's start",
            source,
            reported,
            difference(name, "plain"),
            example={name: 0.95, "plain": 0.9},
        )
        found[f"{letter}_{name}_is_enough"] = accuracy(
            f"A plain net that starts {words} is as good as a residual one",
            HYPOTHESIS,
            "not reported",
            difference(name, "residual"),
            direction="=",
            example={name: 0.95, "residual": 0.95},
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
    """Return the claims that these networks can answer."""
    return answerable(LESIONS | GEOMETRY | remedy_claims(), networks)
