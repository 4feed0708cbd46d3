"""What the labs, He et al. and we say of depth and skips in CNNs, as claims of the depth studies (configs/rescnn.py, mlp.py)."""

import functools

from ml_collections import ConfigDict

from dla_jax.evidence.claims import answerable, claim, difference

LAB_A = "lab A, https://github.com/giovancombo/DLA-Labs"
LAB_B = "lab B, https://github.com/ZappaRoberto/DeepLearningApplications"
LAB_C = "lab C, https://github.com/simogiovannini/ResNet-vs.-ConvNet-Gradient-and-Performance-Analysis-on-CIFAR10"
LAB_D = "lab D, https://github.com/salahjebali/Going-Deeper-With-Residual-Blocks"
LAB_E = "lab E (only its README is public)"
HE = "He et al. 2015, arXiv:1512.03385"
STEPS = ((1, 5), (5, 10), (10, 20))  # that lab E took
OWN_FIGURES = {
    "lab_a": (
        LAB_A,
        "validation, 1/5/10/20/30/50: CNN 64.8/73.5/74.6/72.0/70.4/60.8 %, ResCNN 51.7/59.8/64.5/66.8/68.3/71.2 %",
    ),
    "lab_b": (
        LAB_B,
        "9/17/48 layers: 88.74/89.65/86.85 % without, 88.20/89.51/87.96 % with skips (one run each)",
    ),
    "resnet": (
        HE,
        "plain nets: error grows with depth, > 60 % at 110 layers; ResNet-20/32/44/56/110: 8.75/7.51/7.17/6.97/6.43 %",
    ),
    "resnet34": (
        LAB_D,
        "validation: ResNet-18 and -34 about 90.5 %; VGG-16, -19 and -24 about 83, 82 and 80 % (pictures)",
    ),
}


def claims(config: ConfigDict) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run.

    A contrast is a sum of weight x test accuracy of a group "<arm>-<depth>", taken seed by seed; "reference", "second",
    "deepest", "each" and "next" stand for the study's own depths (`depth_grid.resolve`).
    """
    with_norm = config.model.norm == "batch"  # of the main arms
    normed, bare = ("", "+no_norm") if with_norm else ("+batch", "")

    found = {
        "a_skip_makes_depth_pay": claim(
            "Depth helps residual nets, not plain ones: from the reference depth to the largest the one gains, the other loses",
            LAB_E,
            "the CNN does not always gain from depth, the ResCNN always does (no intervals)",
            difference("residual-deepest", "residual-reference"),
            difference("plain-reference", "plain-deepest"),
        ),
        "a_skip_pays_more": claim(
            "From the reference depth to the largest, a residual net gains more than a plain one, or loses less",
            LAB_E,
            "the CNN does not always gain from depth, the ResCNN always does (no intervals)",
            (
                (1.0, "residual-deepest"),
                (-1.0, "residual-reference"),
                (-1.0, "plain-deepest"),
                (1.0, "plain-reference"),
            ),
        ),
        "b_residual_gains_always": claim(
            "A residual net gains from every step in depth of the study",
            LAB_E,
            "the ResCNN always gains from depth",
            difference("residual-next", "residual-each"),
        ),
        "b_residual_gains_lab_e": claim(
            "A residual net gains from every step in depth that lab E took, 1 to 5, 5 to 10 and 10 to 20",
            LAB_E,
            "the ResCNN always gains from depth",
            *(difference(f"residual-{b}", f"residual-{a}") for a, b in STEPS),
        ),
        "b_residual_gains": claim(
            "The deepest residual net is better than the one of the reference depth",
            LAB_E,
            "the ResCNN always gains from depth",
            difference("residual-deepest", "residual-reference"),
        ),
        "c_plain_loses": claim(
            "A deep plain net is worse than a shallower one",
            LAB_A,
            "CIFAR-10, validation: 73.5 % at depth 5, 72.0 % at 20, 60.8 % at 50 (one run each)",
            difference("plain-deepest", "plain-reference"),
            direction="<",
        ),
        "d_skip_helps_deep": claim(
            "At the largest depth a skip makes the net better",
            LAB_B,
            "CIFAR-10: 87.96 % with, 86.85 % without at 48 layers (one run each)",
            difference("residual-deepest", "plain-deepest"),
        ),
        "e_skip_hurts_shallow": claim(
            "A skip makes a shallow net worse",
            LAB_B,
            "CIFAR-10: 88.20 % with, 88.74 % without at 9 layers (one run each)",
            difference("residual-reference", "plain-reference"),
            direction="<",
        ),
        "f_identity_initialisation": claim(
            "Starting from the identity helps a deep plain net",
            "hypothesis, after airbench94 (K. Jordan 2024)",
            "not reported; the skip may act only through the first steps",
            difference("plain+dirac-deepest", "plain-deepest"),
        ),
        "g_torch_initialisation": claim(
            "PyTorch's default initialisation makes a deep plain net worse",
            "hypothesis",
            "not reported; lab A keeps the default",
            difference("plain+torch_default-deepest", "plain-deepest"),
            direction="<",
        ),
        "h_normalisation": claim(
            "BatchNorm helps a deep plain net",
            "hypothesis",
            "not reported; labs A to D use it in all their CNNs",
            difference(f"plain{normed}-deepest", f"plain{bare}-deepest"),
        ),
        "i_skip_with_norm": claim(
            "With BatchNorm in both, a deep net is still better with a skip",
            LAB_B,
            "CIFAR-10, BatchNorm in both: 87.96 % with, 86.85 % without at 48 layers (one run each)",
            difference(f"residual{normed}-deepest", f"plain{normed}-deepest"),
        ),
        "j_learning_rate": claim(
            "A learning rate tuned at the reference depth is too poor for the deep plain net",
            "hypothesis",
            "not reported; labs A and B use one rate for all depths",
            difference("plain-deepest", "plain+shared_lr-deepest"),
        ),
        "k_branch_scale": claim(
            "Scaling the branch by 1/sqrt(depth - 1) makes the deep residual net better",
            "hypothesis",
            "not reported",
            difference("residual+scaled-deepest", "residual-deepest"),
        ),
    }
    if with_norm:  # then d asks what i asks
        found["i_skip_without_norm"] = found.pop("i_skip_with_norm") | claim(
            "Without norm in either, a deep net is better with a skip",
            "hypothesis",
            "not reported",
            difference(f"residual{bare}-deepest", f"plain{bare}-deepest"),
        )
    if config.model.name != "cnn" or not {1, 5, 10, 20} <= set(config.depths):
        del found["b_residual_gains_lab_e"]
    if config.model.name in ("cnn", "lab_b"):
        found |= lab_b_claims()
        if (
            len([depth for depth in config.depths if depth > 1]) < 3
        ):  # then the second depth is the deepest
            for name in ("o_second_depth_helps_plain", "p_skip_hurts_second", "s_skip_loss_second"):
                del found[name]
    if (
        config.model.name in OWN_FIGURES
    ):  # on its own networks a lab's, or paper's, own figures are what is tested
        source, reported = OWN_FIGURES[
            config.model.name if max(config.depths) != 34 else "resnet34"
        ]
        for name in (
            "a_skip_makes_depth_pay",
            "a_skip_pays_more",
            "b_residual_gains_always",
            "b_residual_gains",
            "c_plain_loses",
            "d_skip_helps_deep",
            "e_skip_hurts_shallow",
        ):
            found[name] |= {"source": source, "reported": reported}
    named = ("reference", "second", "deepest", "each", "next", *config.depths)
    groups = {f"{arm}-{depth}" for arm in config.arms for depth in named}
    groups |= {f"{arm}-deepest" for arm in config.side_arms}
    return answerable(found, groups)


def lab_b_claims() -> dict[str, dict]:
    """What lab B's table says beside that, of its 9, 17 and 48 layers with and without skips: one run each."""
    loss = functools.partial(claim, value="test_loss", unit="nats", margin=0.01)
    return {
        "o_second_depth_helps_plain": claim(
            "The plain net of the second depth is better than that of the reference depth",
            LAB_B,
            "CIFAR-10: 89.65 % at 17 layers, 88.74 % at 9",
            difference("plain-second", "plain-reference"),
        ),
        "p_skip_hurts_second": claim(
            "A skip makes the net of the second depth worse",
            LAB_B,
            "CIFAR-10: 89.51 % with, 89.65 % without at 17 layers",
            difference("residual-second", "plain-second"),
            direction="<",
        ),
        "q_deepest_residual_below_shallow_plain": claim(
            "The deepest net with skips stays below the plain one of the reference depth",
            LAB_B,
            "CIFAR-10: 87.96 % at 48 layers with skips, 88.74 % at 9 without",
            difference("residual-deepest", "plain-reference"),
            direction="<",
        ),
        "r_skip_loss_reference": loss(
            "A skip makes the test loss of a shallow net higher",
            LAB_B,
            "CIFAR-10: .5433 with, .5249 without at 9 layers",
            difference("residual-reference", "plain-reference"),
        ),
        "s_skip_loss_second": loss(
            "A skip makes the test loss of the net of the second depth higher",
            LAB_B,
            "CIFAR-10: .5189 with, .4871 without at 17 layers",
            difference("residual-second", "plain-second"),
        ),
        "t_skip_loss_deepest": loss(
            "At the largest depth a skip makes the test loss higher",
            LAB_B,
            "CIFAR-10: .5245 with, .5053 without at 48 layers",
            difference("residual-deepest", "plain-deepest"),
        ),
    }
