"""What lab C and we say of ResNet-34, of the same net without skips, and of an MLP.

`above_guessing` is test accuracy minus that of guessing; `log2_seconds` the
binary logarithm of the seconds of an epoch, so that a difference of 1 is twice the time. What an
epoch costs is compared with a plain net that is built without shortcuts: the twin multiplies them
by 0. `mean_val_loss` is the validation loss, mean over the epochs (worse than guessing counts as
guessing), and `val_loss_rise` the last one less the lowest.
"""

from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_C
from dla_jax.evidence.claims import alone, answerable, claim, difference

BETTER = (
    '"skip connections lead to an actual improvement": curves of two of ten runs, no test, no '
    "interval"
)
NEGLIGIBLE = 0.05  # accuracy above guessing that would be of no use
CNNS = ("convnet", "resnet", "resnet_bottleneck")
CLAIMS = {
    "a_skips_help": claim(
        "The residual net is more accurate than its plain twin",
        LAB_C,
        BETTER,
        difference("resnet", "convnet"),
        example={"resnet": 94.0, "convnet": 93.0},
    ),
    "b_lower_loss": claim(
        "The residual net has the lower test loss",
        LAB_C,
        '"reaches lower values of loss"',
        difference("resnet", "convnet"),
        direction="<",
        value="test_loss",
        unit="nats",
        margin=0.01,
        example={"resnet": 0.25, "convnet": 0.35},
    ),
    "c_slower": claim(
        "An epoch of the residual net takes longer",
        LAB_C,
        "about twice as slow (curves, nothing controlled)",
        difference("resnet", "convnet_no_addition"),
        value="log2_seconds",
        unit="doublings",
        margin=0.1,
        example={"resnet": 6.0, "convnet_no_addition": 5.0},  # 64 and 32 seconds
    ),
    "d_mlp_useless": claim(
        "The MLP is within 5 points of guessing: as implemented, with a ReLU behind its logits",
        LAB_C,
        '"completely uneffective on this task"',
        alone("mlp_relu_logits"),
        direction="<",
        value="above_guessing",
        threshold=NEGLIGIBLE,
        margin=0.01,
        example={"mlp_relu_logits": 0.12 - 0.10},  # 12 % among ten classes
    ),
    "e_mlp_useless_as_intended": claim(
        "The MLP is within 5 points of guessing: as intended",
        LAB_C,
        '"completely uneffective on this task"',
        alone("mlp"),
        direction="<",
        value="above_guessing",
        threshold=NEGLIGIBLE,
        margin=0.01,
        example={"mlp": 0.12 - 0.10},
    ),
    "f_relu_logits": claim(
        "A ReLU behind the logits makes the MLP worse",
        HYPOTHESIS,
        "not reported",
        difference("mlp_relu_logits", "mlp"),
        direction="<",
        example={"mlp_relu_logits": 20.0, "mlp": 50.0},
    ),
    "g_deeper": claim(
        "The net with bottlenecks and the basic one do not differ, to within a point",
        LAB_C,
        '"no particular difference between ResNet34 and ResNet50"',
        difference("resnet_bottleneck", "resnet"),
        direction="=",
        margin=0.01,
        example={"resnet_bottleneck": 0.943, "resnet": 0.940},
    ),
    "h_skips_help_bottlenecks": claim(
        "With bottlenecks, too, the residual net is better than its plain twin",
        HYPOTHESIS,
        "not reported",
        difference("resnet_bottleneck", "convnet_bottleneck"),
        example={"resnet_bottleneck": 94.0, "convnet_bottleneck": 92.0},
    ),
    "i_stage_1": claim(
        "The residual net loses without the skips of its first stage",
        HYPOTHESIS,
        "lab C's ResNet34 has none there",
        difference("resnet_plain_stage_1", "resnet"),
        direction="<",
        example={"resnet_plain_stage_1": 93.5, "resnet": 94.0},
    ),
    "j_cnn_beats_mlp": claim(
        "The plain convolutional net is better than the MLP",
        LAB_C,
        '"all the CNNs work nicely"',
        difference("convnet", "mlp"),
        example={"convnet": 93.0, "mlp": 55.0},
    ),
    "l_sooner": claim(
        "The residual net gets to a low loss in fewer epochs: its validation loss, mean over the "
        "epochs, is the lower",
        LAB_C,
        '"reaches lower values of loss" in fewer epochs (curves of two of ten runs)',
        difference("resnet", "convnet"),
        direction="<",
        value="mean_val_loss",
        unit="nats",
        margin=0.01,
        example={"resnet": 0.5, "convnet": 0.7},
    ),
}


def claims(networks: Iterable[str]) -> ConfigDict:
    """Return who claimed what, and the one contrast that decides it, fixed before the run."""
    networks = list(networks)
    found = CLAIMS | {"k_cnns_over_fit": over_fitting([cnn for cnn in CNNS if cnn in networks])}
    if "mlp" not in networks:  # as implemented it has a ReLU behind its logits
        found["j_cnn_beats_mlp"] = found["j_cnn_beats_mlp"] | {
            "contrasts": (difference("convnet", "mlp_relu_logits"),),
            "example": (("convnet", 93.0), ("mlp_relu_logits", 12.0)),
        }
    return answerable(found, networks)


def over_fitting(cnns: list[str]) -> dict:
    """Return the claim that each of the CNNs that are there over-fits."""
    return claim(
        "The CNNs over-fit: in the median run of each the validation loss ends more than .02 above "
        "its lowest",
        LAB_C,
        "all CNNs over-fit quickly (curves of the losses)",
        *map(alone, cnns),
        value="val_loss_rise",
        unit="nats",
        margin=0.01,
        threshold=0.02,
        example=dict.fromkeys(cnns, 0.3),
    )
