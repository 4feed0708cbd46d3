"""What the labs, He et al. and we say of depth and skips, as claims of the depth studies.

A contrast is a sum of weight x test accuracy of a group "<arm>-<depth>", taken seed by seed.
"reference", "second", "deepest", "each" and "next" stand for the study's own depths
(dla_jax/studies/depth/arms.py).
"""

from ml_collections import ConfigDict

from configs.claims.lab_tables import LAB_B_TABLE, OF_SECOND_DEPTH, OWN
from configs.labs import HYPOTHESIS, LAB_A, LAB_B, LAB_E
from dla_jax.evidence.claims import answerable, claim, difference

ALWAYS = "the CNN does not always gain from depth, the ResCNN always does (no intervals)"
CLAIMS = {
    "a_skip_makes_depth_pay": claim(
        "Depth helps residual nets, not plain ones: from the reference depth to the largest the "
        "one gains, the other loses",
        LAB_E,
        ALWAYS,
        difference("residual-deepest", "residual-reference"),
        difference("plain-reference", "plain-deepest"),
        example={
            "residual-reference": 90.0,
            "residual-deepest": 92.0,
            "plain-reference": 90.0,
            "plain-deepest": 85.0,
        },
    ),
    "a_skip_pays_more": claim(
        "From the reference depth to the largest, a residual net gains more than a plain one, or "
        "loses less",
        LAB_E,
        ALWAYS,
        (
            (1.0, "residual-deepest"),
            (-1.0, "residual-reference"),
            (-1.0, "plain-deepest"),
            (1.0, "plain-reference"),
        ),
        example={
            "residual-reference": 90.0,
            "residual-deepest": 92.0,
            "plain-reference": 90.0,
            "plain-deepest": 91.0,
        },
    ),
    "b_residual_gains_always": claim(
        "A residual net gains from every step in depth of the study",
        LAB_E,
        "the ResCNN always gains from depth",
        difference("residual-next", "residual-each"),
        example={"residual-each": 90.0, "residual-next": 91.0},
    ),
    "b_residual_gains_lab_e": claim(
        "A residual net gains from every step in depth that lab E took, 1 to 5, 5 to 10 and 10 to "
        "20",
        LAB_E,
        "the ResCNN always gains from depth",
        difference("residual-5", "residual-1"),
        difference("residual-10", "residual-5"),
        difference("residual-20", "residual-10"),
        example={
            "residual-1": 60.0,
            "residual-5": 80.0,
            "residual-10": 85.0,
            "residual-20": 88.0,
        },
    ),
    "b_residual_gains": claim(
        "The deepest residual net is better than the one of the reference depth",
        LAB_E,
        "the ResCNN always gains from depth",
        difference("residual-deepest", "residual-reference"),
        example={"residual-reference": 90.0, "residual-deepest": 92.0},
    ),
    "c_plain_loses": claim(
        "A deep plain net is worse than a shallower one",
        LAB_A,
        "CIFAR-10, validation: 73.5 % at depth 5, 72.0 % at 20, 60.8 % at 50 (one run each)",
        difference("plain-deepest", "plain-reference"),
        direction="<",
        figures={"plain-reference": 73.5, "plain-deepest": 60.8},
    ),
    "d_skip_helps_deep": claim(
        "At the largest depth a skip makes the net better",
        LAB_B,
        "CIFAR-10: 87.96 % with, 86.85 % without at 48 layers (one run each)",
        difference("residual-deepest", "plain-deepest"),
        figures={"residual-deepest": 87.96, "plain-deepest": 86.85},
    ),
    "e_skip_hurts_shallow": claim(
        "A skip makes a shallow net worse",
        LAB_B,
        "CIFAR-10: 88.20 % with, 88.74 % without at 9 layers (one run each)",
        difference("residual-reference", "plain-reference"),
        direction="<",
        figures={"residual-reference": 88.20, "plain-reference": 88.74},
    ),
    "f_identity_initialisation": claim(
        "Starting from the identity helps a deep plain net",
        "hypothesis, after airbench94 (K. Jordan 2024)",
        "not reported; the skip may act only through the first steps",
        difference("plain+dirac-deepest", "plain-deepest"),
        example={"plain+dirac-deepest": 90.0, "plain-deepest": 85.0},
    ),
    "g_torch_initialisation": claim(
        "PyTorch's default initialisation makes a deep plain net worse",
        HYPOTHESIS,
        "not reported; lab A keeps the default",
        difference("plain+torch_default-deepest", "plain-deepest"),
        direction="<",
        example={"plain+torch_default-deepest": 20.0, "plain-deepest": 85.0},
    ),
    "j_learning_rate": claim(
        "A learning rate tuned at the reference depth is too poor for the deep plain net",
        HYPOTHESIS,
        "not reported; labs A and B use one rate for all depths",
        difference("plain-deepest", "plain+shared_lr-deepest"),
        example={"plain-deepest": 85.0, "plain+shared_lr-deepest": 70.0},
    ),
    "k_branch_scale": claim(
        "Scaling the branch by 1/sqrt(depth - 1) makes the deep residual net better",
        HYPOTHESIS,
        "not reported",
        difference("residual+scaled-deepest", "residual-deepest"),
        example={"residual+scaled-deepest": 92.0, "residual-deepest": 90.0},
    ),
}


def claims(config: ConfigDict) -> ConfigDict:
    """Return who claimed what, and the one contrast that decides it, fixed before the run."""
    found = CLAIMS | norm_claims(with_norm=config.model.norm == "batch")
    if config.model.name != "cnn" or not {1, 5, 10, 20} <= set(config.depths):
        del found["b_residual_gains_lab_e"]
    if config.model.name in ("cnn", "lab_b"):
        found |= LAB_B_TABLE
        if len([depth for depth in config.depths if depth > 1]) < 3:
            for name in OF_SECOND_DEPTH:  # the second depth is the deepest then
                del found[name]
    own = "resnet34" if max(config.depths) == 34 else config.model.name
    if config.model.name in OWN:  # what is tested on its own networks is what it reports itself
        for name in OWN[own].asked:
            found[name] = OWN[own].says(found[name])
    named = ("reference", "second", "deepest", "each", "next", *config.depths)
    groups = {f"{arm}-{depth}" for arm in config.arms for depth in named}
    groups |= {f"{arm}-deepest" for arm in config.side_arms}
    return answerable(found, groups)


def norm_claims(with_norm: bool) -> dict[str, dict]:
    """Return the claims about BatchNorm; `with_norm`: whether the main arms have it."""
    normed, bare = ("", "+no_norm") if with_norm else ("+batch", "")
    found = {
        "h_normalisation": claim(
            "BatchNorm helps a deep plain net",
            HYPOTHESIS,
            "not reported; labs A to D use it in all their CNNs",
            difference(f"plain{normed}-deepest", f"plain{bare}-deepest"),
            example={f"plain{normed}-deepest": 90.0, f"plain{bare}-deepest": 80.0},
        )
    }
    if with_norm:  # then d_skip_helps_deep asks the other one
        found["i_skip_without_norm"] = claim(
            "Without norm in either, a deep net is better with a skip",
            HYPOTHESIS,
            "not reported",
            difference(f"residual{bare}-deepest", f"plain{bare}-deepest"),
            example={f"residual{bare}-deepest": 90.0, f"plain{bare}-deepest": 80.0},
        )
    else:
        found["i_skip_with_norm"] = claim(
            "With BatchNorm in both, a deep net is still better with a skip",
            LAB_B,
            "CIFAR-10, BatchNorm in both: 87.96 % with, 86.85 % without at 48 layers (one run "
            "each)",
            difference(f"residual{normed}-deepest", f"plain{normed}-deepest"),
            figures={f"residual{normed}-deepest": 87.96, f"plain{normed}-deepest": 86.85},
        )
    return found
