"""What the labs read off their maps by eye, as contrasts of methods, network by network."""

import functools

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_A, LAB_C
from dla_jax.evidence.claims import alone, answerable, claim, difference

ADEBAYO = "Adebayo et al. 2018, arXiv:1810.03292"
BY_EYE = "16 test images and 18 photographs, looked at; no number"
NAMES = {"cam": "CAM", "grad_cam": "Grad-CAM", "hires_cam": "HiResCAM"}

inserted = functools.partial(claim, value="insertion_auc", margin=0.01)


def claims(method: str, methods: tuple[str, ...]) -> ConfigDict:
    """Return the claims about `method`, as far as `methods` has what it is compared with."""
    found = insertion_claims(method) | {
        "b_deletion": claim(
            "Its pixels, taken out first, lose the class sooner than those of noise",
            f"{LAB_A}; {LAB_C}",
            BY_EYE,
            difference(method, "random"),
            direction="<",
            value="deletion_auc",
            margin=0.01,
            example={method: 0.3, "random": 0.5},
        ),
        "f_outlives": claim(
            f"{NAMES[method]}'s map outlives its network: a rank correlation above .5 with itself "
            "when every layer has forgotten (a map that passes the check does not)",
            f"{ADEBAYO}; the threshold was set after a first run on digits",
            "ImageNet: guided backpropagation's does, Grad-CAM's does not",
            alone(method),
            value="likeness_forgotten",
            threshold=0.5,
            unit="rank correlation",
            margin=0.05,
            example={method: 0.8},
        ),
    }
    return answerable(found, methods)


def insertion_claims(method: str) -> dict[str, dict]:
    """Return the claims about `insertion_auc`, of pixels put back in the order of `method`."""
    name = NAMES[method]
    return {
        "a_insertion": inserted(
            f"{name} marks what the network uses: its pixels, put back first, bring the class back "
            "sooner than those of noise",
            f"{LAB_A}; {LAB_C}",
            BY_EYE,
            difference(method, "random"),
            example={method: 0.7, "random": 0.5},
        ),
        "c_head": inserted(
            "The weights of the class matter: features weighted at random are a worse map "
            "(insertion)",
            HYPOTHESIS,
            "not reported",
            difference(method, "random_cam"),
            example={method: 0.7, "random_cam": 0.6},
        ),
        "d_edges": inserted(
            f"{name} knows more than the edges of the image (insertion)",
            ADEBAYO,
            "many maps look like an edge detector's",
            difference(method, "edges"),
            example={method: 0.7, "edges": 0.6},
        ),
        "e_own_features": inserted(
            "A map of another image's features, as implemented for all images but the first, is a "
            "worse one (insertion)",
            LAB_C,
            "as implemented: features_blobs[0] for each of 16 images",
            difference(method, "another_image"),
            example={method: 0.7, "another_image": 0.5},
        ),
    }
