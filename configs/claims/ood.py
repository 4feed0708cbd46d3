"""What labs and papers say of detectors of strange images, as contrasts of detectors.

Values of a detector and a network (`run_of` in dla_jax/studies/ood/report.py):

- near_auroc, far_auroc: area under the ROC curve, test images against strange ones: mean over the
  near, or the far, sets;
- noise_auroc: the same against lab B's noise, which no setting was chosen on, except that of
  `odin_as_implemented`: ODIN with the setting that is best on this noise and these test images;
- far_minus_near: far_auroc less near_auroc;
- temperature_gain: noise_auroc of ODIN without perturbation at the highest temperature, less that
  at temperature 1; step_cost: at the highest one with epsilon .005, less that with .025;
- strangeness_gap: mean of 1 - softmax of lab B's noise, less that of test images (msp alone).
"""

import functools
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import LAB_B, LAB_D_LABS
from dla_jax.evidence.claims import alone, answerable, claim, difference

LIANG = "Liang et al. 2018, arXiv:1706.02690"
OPENOOD = "OpenOOD v1.5, arXiv:2306.09301"
LIU = "Liu et al. 2020, arXiv:2010.03759"
RESNET = "CIFAR-10, ResNet-18"

auroc = functools.partial(claim, margin=0.01)


def claims(detectors: Iterable[str]) -> ConfigDict:
    """Return the claims that these detectors can answer."""
    detectors = set(detectors)
    tuned = {"odin_as_implemented"} if "odin" in detectors else set()
    return answerable(lab_claims() | odin_claims() | distance_claims(), detectors | tuned)


def lab_claims() -> dict[str, dict]:
    """Return the claims of labs B and D."""
    return {
        "a_strange_noise": auroc(
            "The sum of 1 - softmax over images is larger for noise than for test images",
            LAB_B,
            "mean .40 of noise, .17 of test images, .23 more, read off a plot",
            alone("msp"),
            value="strangeness_gap",
            figures={"msp": 0.23},
        ),
        "b_softmax_noise": auroc(
            "The softmax tells noise from test images: an AUROC above one half",
            LAB_B,
            "AUROC .783",
            alone("msp"),
            value="noise_auroc",
            threshold=0.5,
            figures={"msp": 0.783},
        ),
        "c_temperature": auroc(
            "A temperature alone, the largest of them, tells noise better than temperature 1",
            LAB_B,
            "AUROC .783 at T = 1, .907 at T = 1000, .124 more",
            alone("odin"),
            value="temperature_gain",
            figures={"odin": 0.124},
        ),
        "d_odin_as_implemented": auroc(
            "ODIN's AUROC on noise is more than .05 above the softmax's, as implemented: its "
            "setting is the best of the grid on the noise and the test images that are reported, "
            "which cannot make it worse (the threshold is ours)",
            LAB_B,
            "AUROC .783 without, .981 with ODIN",
            difference("odin_as_implemented", "msp"),
            value="noise_auroc",
            threshold=0.05,
            figures={"odin_as_implemented": 0.981, "msp": 0.783},
        ),
        "e_odin_as_intended": auroc(
            "ODIN tells noise better than the softmax, too, with a setting chosen on other sets",
            LAB_B,
            "not tested: no other sets",
            difference("odin", "msp"),
            value="noise_auroc",
            example={"odin": 0.95, "msp": 0.8},
        ),
        "f_larger_steps": auroc(
            "Larger steps of ODIN hurt: at the highest temperature an epsilon of .025 tells noise "
            "worse than one of .005, lab B's best (of images in [0, 1])",
            LAB_B,
            "AUROC .871 at T = 1000, eps .05, and .981 at .01, .11 more",
            alone("odin"),
            value="step_cost",
            figures={"odin": 0.11},
        ),
        "g_near_is_hard": auroc(
            "The softmax hardly tells classes that training left out: an AUROC below .75 (the "
            "threshold is ours)",
            LAB_D_LABS,
            ".63 with four classes of CIFAR-100, by a net with 60 % right",
            alone("msp"),
            direction="<",
            value="near_auroc",
            threshold=0.75,
            figures={"msp": 0.63},
        ),
        "h_near_is_harder": auroc(
            "Near sets are harder to tell than far ones",
            OPENOOD,
            f"{RESNET}: 88.03 near, 90.73 far, 2.7 more",
            alone("msp"),
            value="far_minus_near",
            figures={"msp": 2.7},
        ),
    }


def odin_claims() -> dict[str, dict]:
    """Return the claims about what is done with logits alone."""
    return {
        "i_odin_near": auroc(
            "ODIN is better than the plain softmax on near sets",
            f"{LIANG}; {OPENOOD} found the opposite",
            f"{RESNET}, OpenOOD: 82.87 with, 88.03 without ODIN",
            difference("odin", "msp"),
            value="near_auroc",
            example={"odin": 0.95, "msp": 0.9},
        ),
        "j_odin_far": auroc(
            "ODIN is better than the plain softmax on far sets",
            LIANG,
            "DenseNet, TinyImageNet cropped: 99.1 with ODIN; OpenOOD found the opposite, 87.96 to "
            "90.73",
            difference("odin", "msp"),
            value="far_auroc",
            example={"odin": 0.99, "msp": 0.95},
        ),
        "k_energy_far": auroc(
            "Energy is better than the softmax on far sets",
            f"{LIU}; {OPENOOD}",
            f"{RESNET}, OpenOOD: 91.21 to 90.73",
            difference("energy", "msp"),
            value="far_auroc",
            figures={"energy": 91.21, "msp": 90.73},
        ),
        "l_energy_near": auroc(
            "Energy is worse than the softmax on near sets",
            OPENOOD,
            f"{RESNET}: 87.58 to 88.03",
            difference("energy", "msp"),
            direction="<",
            value="near_auroc",
            figures={"energy": 87.58, "msp": 88.03},
        ),
        "m_gen_near": auroc(
            "Generalised entropy is better than the softmax on near sets",
            OPENOOD,
            f"{RESNET}: 88.20 to 88.03",
            difference("gen", "msp"),
            value="near_auroc",
            figures={"gen": 88.20, "msp": 88.03},
        ),
    }


# Detector -> (letter, its name, near AUROC, far AUROC) of OpenOOD, beside 88.03 and 90.73 of msp.
DISTANCES = {
    "knn": ("n", "The distance to the k-th nearest neighbour", 90.64, 92.96),
    "vim": ("o", "ViM", 88.68, 93.48),
    "mahalanobis": ("p", "Mahalanobis' distance", 84.20, 89.72),
    "relative_mahalanobis": ("q", "The relative Mahalanobis distance", 89.80, 92.20),
}
SOFTMAX = {"near": 88.03, "far": 90.73}


def distance_claims() -> dict[str, dict]:
    """Return the claims about distances between features, beside the softmax."""
    found = {}
    for detector, (letter, name, *measured) in DISTANCES.items():
        for kind, theirs in zip(("near", "far"), measured, strict=True):
            better = theirs > SOFTMAX[kind]
            found[f"{letter}_{detector}_{kind}"] = auroc(
                f"{name} is {'better' if better else 'worse'} than the softmax on {kind} sets",
                OPENOOD,
                f"{RESNET}: {theirs:.2f} to {SOFTMAX[kind]}",
                difference(detector, "msp"),
                direction=">" if better else "<",
                value=f"{kind}_auroc",
                figures={detector: theirs, "msp": SOFTMAX[kind]},
            )
    return found
