"""What the labs, the course and we say of MLPs: of deep ones, and of those for MNIST."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.claims import depth
from configs.labs import HYPOTHESIS, LAB_A, LAB_B, LAB_E
from dla_jax.evidence.claims import alone, answerable, claim, difference

LAB_A_DEPTHS = "MNIST, validation: 96.02 % at depth 5, 91.50 % at 10, 11.46 % at 20 (one run each)"
# What the labs say of CNNs, and of MLPs we: with an example that holds for it.
SAID_OF_CNNS = {
    "a_skip_makes_depth_pay": {
        "residual-reference": 96.0,
        "residual-deepest": 97.0,
        "plain-reference": 96.0,
        "plain-deepest": 80.0,
    },
    "a_skip_pays_more": {
        "residual-reference": 97.0,
        "residual-deepest": 96.0,
        "plain-reference": 97.0,
        "plain-deepest": 80.0,
    },
    "b_residual_gains_always": {"residual-each": 96.0, "residual-next": 97.0},
    "b_residual_gains": {"residual-reference": 96.0, "residual-deepest": 97.0},
    "d_skip_helps_deep": {"residual-deepest": 97.0, "plain-deepest": 80.0},
    "e_skip_hurts_shallow": {"residual-reference": 95.0, "plain-reference": 96.0},
    "i_skip_with_norm": {"residual+batch-deepest": 97.0, "plain+batch-deepest": 96.0},
}
OF_20_LAYERS = {
    "l_fails_as_implemented": claim(
        "A 20-layer plain MLP is worse than a 5-layer one: as implemented, PyTorch's "
        "initialisation",
        LAB_A,
        LAB_A_DEPTHS,
        difference("plain+torch_default-20", "plain+torch_default-5"),
        direction="<",
        figures={"plain+torch_default-20": 11.46, "plain+torch_default-5": 96.02},
    ),
    "m_fails_as_intended": claim(
        "A 20-layer plain MLP is worse than a 5-layer one: as intended, He initialisation",
        LAB_A,
        LAB_A_DEPTHS,
        difference("plain-20", "plain-5"),
        direction="<",
        figures={"plain-20": 11.46, "plain-5": 96.02},
    ),
    "n_initialisation_rescues": claim(
        "He initialisation makes the 20-layer plain MLP better than PyTorch's default",
        HYPOTHESIS,
        "not reported",
        difference("plain-20", "plain+torch_default-20"),
        example={"plain-20": 94.0, "plain+torch_default-20": 11.0},
    ),
}
ON_MNIST = {
    "a_wide_fails": claim(
        "784 hidden units do worse than 16 + 16",
        LAB_B,
        "32.57 %; the course's 16 + 16: 94.7 %",
        difference("mlp_784", "mlp_16_16"),
        direction="<",
        margin=0.002,
        figures={"mlp_784": 32.57, "mlp_16_16": 94.7},
    ),
    "b_wider_helps": claim(
        "256 + 256 hidden units do better than 128 + 64",
        HYPOTHESIS,
        "not reported",
        difference("mlp_256_256", "mlp_128_64"),
        margin=0.002,
        example={"mlp_256_256": 98.3, "mlp_128_64": 97.9},
    ),
    "c_lab_e_beats_the_baseline": claim(
        "128 + 64 hidden units do better than the baseline's 16 + 16",
        LAB_E,
        "no figure",
        difference("mlp_128_64", "mlp_16_16"),
        margin=0.002,
        example={"mlp_128_64": 97.9, "mlp_16_16": 94.7},
    ),
    "d_deep_fails": claim(
        "A 20-layer MLP is worse than a 5-layer one",
        LAB_A,
        "validation: 96.02 % at depth 5, 11.46 % at 20 (one run each)",
        difference("depth_20", "depth_5"),
        direction="<",
        margin=0.002,
        figures={"depth_20": 11.46, "depth_5": 96.02},
    ),
    "e_lab_e_is_the_best": claim(
        "128 + 64 hidden units do better than each of the others",
        LAB_E,
        "its best MLP, no figure",
        difference("mlp_128_64", "mlp_16_16"),
        difference("mlp_128_64", "mlp_256_256"),
        difference("mlp_128_64", "mlp_784"),
        margin=0.002,
        example={"mlp_128_64": 98.5, "mlp_16_16": 94.7, "mlp_256_256": 98.0, "mlp_784": 32.6},
    ),
    "f_recipe_fails": claim(
        "By lab B's recipe, shortened, the median run of 784 hidden units stays at 32.6 % or below",
        LAB_B,
        "32.57 % (test) in up to 150 epochs",
        alone("lab_b"),
        direction="<",
        threshold=0.326,
        figures={"lab_b": 0.3257},
    ),
    "g_own_rate_helps": claim(
        "At a learning rate of its own the same net is better",
        HYPOTHESIS,
        "not reported",
        difference("own_rate", "lab_b"),
        example={"own_rate": 97.0, "lab_b": 32.6},
    ),
}


def depth_claims(config: ConfigDict) -> ConfigDict:
    """Return the claims of the depth studies, as made of MLPs, and those about depth 20."""
    found = depth.claims(config).to_dict()
    found["c_plain_loses"] |= {
        "source": LAB_A,
        "reported": LAB_A_DEPTHS,
        "figures": (("plain-reference", 96.02), ("plain-deepest", 11.46)),
        "example": (),
    }
    for name, example in SAID_OF_CNNS.items():
        if name in found:
            found[name] |= {
                "source": HYPOTHESIS,
                "reported": "the labs say it of CNNs",
                "figures": (),
                "example": tuple(example.items()),
            }
    if 20 in config.side_depths:
        found |= OF_20_LAYERS
    return ConfigDict(found)


def mnist_claims(networks: Iterable[str]) -> ConfigDict:
    """Return who claimed what about the networks that are there."""
    return answerable(ON_MNIST, networks)
