"""What lab A, lab B, lab D and He et al. report of their own networks of several depths."""

import functools
from typing import NamedTuple

from configs.labs import HE, LAB_A, LAB_B, LAB_D
from dla_jax.evidence.claims import claim, difference


class Own(NamedTuple):
    """What a lab, or paper, reports of its own networks, on which it is tested.

    `asked` names the claims of configs/claims/depth.py that are put to it, `accuracies` are {group:
    per cent}, and `invented` are those that it left out: what needs one of them has an example, no
    figures.
    """

    source: str
    reported: str
    accuracies: dict[str, float]
    invented: dict[str, float] = {}
    asked: tuple[str, ...] = (
        "a_skip_makes_depth_pay",
        "a_skip_pays_more",
        "b_residual_gains_always",
        "b_residual_gains",
        "c_plain_loses",
        "d_skip_helps_deep",
        "e_skip_hurts_shallow",
    )

    def says(self, entry: dict) -> dict:
        """Return a claim with this source, and with its words and numbers."""
        groups = sorted({group for terms in entry["contrasts"] for _, group in terms})
        known = self.accuracies | self.invented
        numbers = tuple((group, known[group]) for group in groups)
        left_out = set(groups) & set(self.invented)
        return entry | {
            "source": self.source,
            "reported": self.reported,
            "figures": () if left_out else numbers,
            "example": numbers if left_out else (),
        }


OWN = {
    "lab_a": Own(
        LAB_A,
        "validation, 1/5/10/20/30/50: CNN 64.8/73.5/74.6/72.0/70.4/60.8 %, ResCNN "
        "51.7/59.8/64.5/66.8/68.3/71.2 %",
        {
            "plain-reference": 64.8,
            "plain-deepest": 60.8,
            "residual-reference": 51.7,
            "residual-deepest": 71.2,
            "residual-each": 51.7,
            "residual-next": 59.8,
        },
    ),
    "lab_b": Own(
        LAB_B,
        "9/17/48 layers: 88.74/89.65/86.85 % without, 88.20/89.51/87.96 % with skips (one run "
        "each)",
        {
            "plain-reference": 88.74,
            "plain-deepest": 86.85,
            "residual-reference": 88.20,
            "residual-deepest": 87.96,
            "residual-each": 89.51,  # the step in which it loses
            "residual-next": 87.96,
        },
    ),
    "resnet": Own(
        HE,
        "plain nets: error grows with depth, > 60 % at 110 layers; ResNet-20/32/44/56/110: "
        "8.75/7.51/7.17/6.97/6.43 %",
        {
            "plain-deepest": 100 - 60,
            "residual-reference": 100 - 8.75,
            "residual-deepest": 100 - 6.43,
            "residual-each": 100 - 8.75,
            "residual-next": 100 - 7.51,
        },
        invented={"plain-reference": 100 - 8.5},
    ),
    "resnet34": Own(
        LAB_D,
        "validation: ResNet-18 and -34 about 90.5 %; VGG-16, -19 and -24 about 83, 82 and 80 % "
        "(pictures)",
        {
            "plain-reference": 83.0,
            "plain-deepest": 80.0,
            "residual-reference": 90.5,
            "residual-deepest": 90.5,
            "residual-each": 90.5,
            "residual-next": 90.5,
        },
    ),
}

loss_claim = functools.partial(claim, value="test_loss", unit="nats", margin=0.01)
# What lab B's table says beside that, of its 9, 17 and 48 layers with and without skips.
LAB_B_TABLE = {
    "o_second_depth_helps_plain": claim(
        "The plain net of the second depth is better than that of the reference depth",
        LAB_B,
        "CIFAR-10: 89.65 % at 17 layers, 88.74 % at 9",
        difference("plain-second", "plain-reference"),
        figures={"plain-second": 89.65, "plain-reference": 88.74},
    ),
    "p_skip_hurts_second": claim(
        "A skip makes the net of the second depth worse",
        LAB_B,
        "CIFAR-10: 89.51 % with, 89.65 % without at 17 layers",
        difference("residual-second", "plain-second"),
        direction="<",
        figures={"residual-second": 89.51, "plain-second": 89.65},
    ),
    "q_deepest_residual_below_shallow_plain": claim(
        "The deepest net with skips stays below the plain one of the reference depth",
        LAB_B,
        "CIFAR-10: 87.96 % at 48 layers with skips, 88.74 % at 9 without",
        difference("residual-deepest", "plain-reference"),
        direction="<",
        figures={"residual-deepest": 87.96, "plain-reference": 88.74},
    ),
    "r_skip_loss_reference": loss_claim(
        "A skip makes the test loss of a shallow net higher",
        LAB_B,
        "CIFAR-10: .5433 with, .5249 without at 9 layers",
        difference("residual-reference", "plain-reference"),
        figures={"residual-reference": 0.5433, "plain-reference": 0.5249},
    ),
    "s_skip_loss_second": loss_claim(
        "A skip makes the test loss of the net of the second depth higher",
        LAB_B,
        "CIFAR-10: .5189 with, .4871 without at 17 layers",
        difference("residual-second", "plain-second"),
        figures={"residual-second": 0.5189, "plain-second": 0.4871},
    ),
    "t_skip_loss_deepest": loss_claim(
        "At the largest depth a skip makes the test loss higher",
        LAB_B,
        "CIFAR-10: .5245 with, .5053 without at 48 layers",
        difference("residual-deepest", "plain-deepest"),
        figures={"residual-deepest": 0.5245, "plain-deepest": 0.5053},
    ),
}
OF_SECOND_DEPTH = ("o_second_depth_helps_plain", "p_skip_hurts_second", "s_skip_loss_second")
