"""What labs and papers say of attacks and of training against them, as contrasts of networks.

A network is one way of training. Values of a network and a seed (`run_of` in
dla_jax/studies/adversarial/report.py), accuracies of the test images that are attacked:

- clean_accuracy, fgsm_accuracy, pgd_accuracy, ... at `epsilon`; worst_accuracy: of images that no
  attack in the largest norm turned;
- fgsm_cost: clean_accuracy less fgsm_accuracy; clamp_cost: the same at epsilon 0 of lab B's attack
  as implemented, which should be 0;
- targeted_rise: accuracy under lab D's targeted attack as implemented at the largest epsilon, less
  that at the smallest; target_share: the share of images of other classes that PGD turns into the
  target;
- transfer_gap: accuracy under PGD's images made for the other networks of the seed, less that under
  its own;
- masking: worst accuracy under attacks that see gradients, less that under Square, which does not;
- pgd_lost: by how much, at the end of a training against an attack, accuracy under PGD on
  validation images is below the best of that training, whose state is kept;
- near_auroc, far_auroc: of the plain softmax, as in configs/ood.py.
"""

import functools
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_B, LAB_D_LABS
from dla_jax.evidence.claims import alone, answerable, claim, difference

MADRY = "Madry et al. 2018, arXiv:1706.06083"
WONG = "Wong et al. 2020, arXiv:2001.03994"
TRADES = "Zhang et al. 2019, arXiv:1901.08573"
ATTACK = "Croce and Hein 2020, arXiv:2003.01690"

accuracy = functools.partial(claim, margin=0.02)


def claims(networks: Iterable[str]) -> ConfigDict:
    """Return the claims that these networks can answer."""
    found = standard_claims() | training_claims() | strange_claims() | overfitting_claims()
    return answerable(found, networks)


def standard_claims() -> dict[str, dict]:
    """Return the claims about a network of standard training."""
    return {
        "a_clamp": accuracy(
            "Lab B's attack as implemented costs accuracy at epsilon 0, where it changes nothing "
            "but to clamp images of [-1, 1] to [0, 1]",
            f"{LAB_B}; {LAB_D_LABS}",
            "lab D: 60 % clean, 30 % at epsilon 0, .30 less; lab B: 74 and 42 %",
            alone("standard"),
            value="clamp_cost",
            figures={"standard": 0.30},
        ),
        "b_fgsm": accuracy(
            "FGSM takes the accuracy of a standard network",
            f"{LAB_B}; {LAB_D_LABS}",
            "46 % at epsilon 0, 10.8 % at .1 of images in [-1, 1]: .352 less; lab D: 30 % at 0, "
            "9 % at .3",
            alone("standard"),
            value="fgsm_cost",
            figures={"standard": 0.352},
        ),
        "c_targeted_as_implemented": accuracy(
            "Under lab D's targeted attack as implemented accuracy rises with epsilon: it moves "
            "away from the target",
            LAB_D_LABS,
            "30 % to 35 %: .05 more",
            alone("standard"),
            value="targeted_rise",
            figures={"standard": 0.05},
        ),
        "d_targeted": accuracy(
            "PGD towards a target turns most images of other classes into it, at the largest "
            "epsilon of the curves",
            HYPOTHESIS,
            "not reported",
            alone("standard"),
            value="target_share",
            threshold=0.5,
            example={"standard": 0.9},
        ),
        "e_transfer": accuracy(
            "Images that PGD made for other networks of the seed fool a standard one less than "
            "those made for itself",
            HYPOTHESIS,
            "not reported",
            alone("standard"),
            value="transfer_gap",
            example={"standard": 0.3},
        ),
    }


def training_claims() -> dict[str, dict]:
    """Return the claims about training against attacks."""
    better = "networks trained with FGSM are more robust"
    return {
        "f_lab_b_fgsm": accuracy(
            "Training with lab B's FGSM makes a network more robust to FGSM than a standard one",
            LAB_B,
            "at .1 of images in [-1, 1]: 19 %, a standard one 10.8 %",
            difference("fgsm_lab_b", "standard"),
            value="fgsm_accuracy",
            figures={"fgsm_lab_b": 19, "standard": 10.8},
        ),
        "g_lab_b_pgd": accuracy(
            "Training with lab B's FGSM makes a network more robust to PGD, too",
            f"{LAB_B}; {LAB_D_LABS}",
            f"{better}, by FGSM alone",
            difference("fgsm_lab_b", "standard"),
            value="pgd_accuracy",
            example={"fgsm_lab_b": 0.3, "standard": 0.1},
        ),
        "h_fgsm_pgd": accuracy(
            "Training with FGSM at one epsilon, kept where PGD's accuracy on validation images is "
            "best, makes a network more robust to PGD than a standard one",
            f"{LAB_D_LABS}; {MADRY} found the opposite",
            f"{better}, by FGSM alone; with catastrophic overfitting, 0 % under PGD",
            difference("fgsm", "standard"),
            value="pgd_accuracy",
            example={"fgsm": 0.7, "standard": 0.1},
        ),
        "i_pgd": accuracy(
            "Training with PGD makes a network more robust than a standard one to all attacks in "
            "the largest norm together",
            MADRY,
            "CIFAR-10, by AutoAttack: 44.04 %, a standard one 0.00 %",
            difference("pgd", "standard"),
            value="worst_accuracy",
            figures={"pgd": 44.04, "standard": 0.0},
        ),
        "j_fgsm_is_enough": accuracy(
            "One step from a random start is as good as PGD",
            WONG,
            "CIFAR-10, as good as PGD in a fraction of the time: 46.06 % under PGD-50-10",
            difference("rs_fgsm", "pgd"),
            direction="=",
            value="worst_accuracy",
            example={"rs_fgsm": 0.43, "pgd": 0.44},
        ),
        "k_trades": accuracy(
            "TRADES makes a network more robust than PGD does",
            f"{TRADES}; {ATTACK}",
            "CIFAR-10, by AutoAttack: 53.08 % and 44.04 %, other networks",
            difference("trades", "pgd"),
            value="worst_accuracy",
            figures={"trades": 53.08, "pgd": 44.04},
        ),
        "l_costs_clean": accuracy(
            "Training with PGD costs clean accuracy",
            MADRY,
            "CIFAR-10: 87.14 %, a standard one 94.78 %",
            difference("standard", "pgd"),
            value="test_accuracy",
            margin=0.01,
            figures={"standard": 94.78, "pgd": 87.14},
        ),
    }


def strange_claims() -> dict[str, dict]:
    """Return the claims about strange images."""
    return {
        "m_fgsm_near": accuracy(
            "Training with FGSM helps the softmax to tell strange images that are near",
            LAB_D_LABS,
            "four classes of CIFAR-100: AUROC .65 with, .63 without",
            difference("fgsm", "standard"),
            value="near_auroc",
            figures={"fgsm": 0.65, "standard": 0.63},
        ),
        "n_pgd_near": accuracy(
            "Training with PGD helps the softmax to tell strange images that are near",
            HYPOTHESIS,
            "not reported",
            difference("pgd", "standard"),
            value="near_auroc",
            example={"pgd": 0.95, "standard": 0.9},
        ),
        "o_pgd_far": accuracy(
            "Training with PGD helps the softmax to tell strange images that are far",
            HYPOTHESIS,
            "not reported",
            difference("pgd", "standard"),
            value="far_auroc",
            example={"pgd": 0.95, "standard": 0.9},
        ),
    }


def overfitting_claims() -> dict[str, dict]:
    """Return the claims that one step is learnt by heart, in the state where training ends."""
    collapsed = "at its end accuracy under PGD is more than 20 points below its best"
    return {
        "p_fgsm_overfits": accuracy(
            f"Training with FGSM at one epsilon overfits catastrophically: {collapsed}",
            WONG,
            "CIFAR-10: to 0 % under PGD within an epoch",
            alone("fgsm"),
            value="pgd_lost",
            threshold=0.2,
            example={"fgsm": 0.45},
        ),
        "q_rs_fgsm_overfits": accuracy(
            f"So does training with FGSM from a random start: {collapsed}",
            HYPOTHESIS,
            "not reported at this epsilon and number of epochs",
            alone("rs_fgsm"),
            value="pgd_lost",
            threshold=0.2,
            example={"rs_fgsm": 0.45},
        ),
    }
