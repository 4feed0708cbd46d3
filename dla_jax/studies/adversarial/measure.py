"""What attacks make of the networks of one seed, each alone, and of each other's images."""

import functools

import numpy as np
from scipy.special import softmax

from dla_jax.analysis import detection
from dla_jax.analysis.attacks import worst_case
from dla_jax.evidence.rows import brief
from dla_jax.studies.adversarial import attacking
from dla_jax.studies.adversarial.attacking import BLIND, OTHER_BALLS, as_floats
from dla_jax.studies.image_networks import Examples
from dla_jax.studies.ood import detectors
from dla_jax.studies.ood.detectors import Network
from dla_jax.studies.ood.familiar import SETTINGS

TARGETED = tuple(
    f"{name}_{what}_curve" for name in ("fgsm", "pgd", "lab_d") for what in ("targeted", "target")
)
SHOWN = 6  # images whose attacks are drawn
DETECTORS = ("msp", "knn")


def measure_networks(
    config, networks: dict[str, Network], test: Examples, target: int
) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Return what is measured of each network of a seed, and the arrays that are drawn.

    Args:
      networks: {name: network}, all of the same seed, and so of the same classes.
      test: test images, those that are attacked.
      target: the class that targeted attacks aim at.
    """
    x, labels = as_floats(test.images), test.labels
    found, fooled, kept = {}, {}, {}
    for name, network in networks.items():
        found[name], fooled[name] = measure(config, network, x, labels, target)
        kept |= {f"{name}/{key}": value for key, value in drawn(config, network, x, labels).items()}
    for name, network in networks.items():
        correct = {
            other: float((attacking.predicted(config, network, images) == labels).mean())
            for other, images in fooled.items()
        }
        others = [value for other, value in correct.items() if other != name]
        found[name]["transfer"] = correct
        found[name]["transfer_gap"] = float(np.mean(others) - correct[name]) if others else None
    return found, kept | {"image": test.images[:SHOWN], "label": labels[:SHOWN]}


def measure(
    config, network: Network, x: np.ndarray, labels: np.ndarray, target: int
) -> tuple[dict, np.ndarray]:
    """Return what is measured of a network alone, and the images that PGD made for it."""
    attack = functools.partial(attacking.attack_images, config, network, x, labels)
    clean = attacking.predicted(config, network, x) == labels
    correct, fooled = {}, x
    for name in config.attacks:
        images = attack(name)
        correct[name] = attacking.predicted(config, network, images) == labels
        fooled = images if name == "pgd" else fooled
    if "pgd" not in config.attacks:
        fooled = attack("pgd")
    accuracies = {f"{name}_accuracy": float(right.mean()) for name, right in correct.items()}
    # Of one ball: the Euclidean one is another.
    worst = [right for name, right in correct.items() if name not in OTHER_BALLS]
    worst = worst_case(clean, *worst)
    found = {"clean_accuracy": float(clean.mean()), "worst_accuracy": float(worst.mean())}
    found |= accuracies | {"masking": masking_of(clean, correct)}
    found |= curves(config, network, x, labels, attack)
    return found | targeted(config, network, x, labels, target), fooled


def masking_of(clean: np.ndarray, correct: dict[str, np.ndarray]) -> float | None:
    """Return how much lower accuracy is under a blind attack than under all that see gradients.

    Gradients that lead nowhere hide what a blind attack finds. Only attacks of one norm count.
    """
    blind = [right for name, right in correct.items() if name in BLIND]
    seeing = [right for name, right in correct.items() if name not in (*BLIND, *OTHER_BALLS)]
    if not blind or not seeing:
        return None
    return float(worst_case(clean, *seeing).mean() - worst_case(clean, *blind).mean())


def curves(config, network: Network, x: np.ndarray, labels: np.ndarray, attack) -> dict:
    """Return accuracy against epsilon of FGSM, PGD and lab B's FGSM as implemented.

    Args:
      attack: `attacking.attack_images` of these images.
    """
    found = {}
    for name in ("fgsm", "pgd", "lab_b"):
        accuracies = []
        for epsilon in config.epsilons:
            images = attack(name, epsilon=epsilon, restarts=1)
            accuracies.append(
                float((attacking.predicted(config, network, images) == labels).mean())
            )
        found[f"{name}_curve"] = accuracies
    return found


def targeted(config, network: Network, x: np.ndarray, labels: np.ndarray, target: int) -> dict:
    """Return accuracy and share of the target against epsilon, of images of other classes.

    Of FGSM and PGD towards the target, and of lab D's FGSM as implemented.
    """
    others = labels != target
    if not others.any():
        return dict.fromkeys(TARGETED)
    x, labels = x[others], labels[others]
    aimed, found = np.full(len(x), target, np.int32), {}
    for name, attack in (("fgsm", "fgsm"), ("pgd", "pgd"), ("lab_d", "lab_d_targeted")):
        accuracies, shares = [], []
        for epsilon in config.epsilons:
            images = attacking.attack_images(
                config, network, x, labels, attack, epsilon=epsilon, targets=aimed, restarts=1
            )
            taken_for = attacking.predicted(config, network, images)
            accuracies.append(float((taken_for == labels).mean()))
            shares.append(float((taken_for == target).mean()))
        found |= {f"{name}_targeted_curve": accuracies, f"{name}_target_curve": shares}
    return found


def strange_scores(
    network: Network, train: Examples, familiar: np.ndarray, strange: dict[str, dict]
) -> dict:
    """Return how well detectors tell strange images, with the settings of their papers.

    Args:
      familiar: uint8 [n, H, W, C], test images.
      strange: {"near", "far": {set: uint8 [m, H, W, C]}}.
    """
    settings = {name: [SETTINGS.get(name, {})] for name in DETECTORS}
    fitted = detectors.fit(network, train, settings)
    score = functools.partial(detectors.score, network, fitted, settings=settings)
    own, found = score(familiar), {}
    for kind, sets in strange.items():
        scores = [score(images) for images in sets.values()]
        for name in DETECTORS:
            areas = [detection.aurocs(own[name], each[name])[0] for each in scores]
            key = f"{kind}_auroc" if name == "msp" else f"{kind}_auroc_{name}"
            found[key] = float(np.mean(areas)) if areas else None
    return found


def drawn(config, network: Network, x: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is drawn of a few images: PGD's, what they are taken for, and the gradient.

    Returns:
      {"fooled", "saliency": float32 [k, H, W, C], "clean_p", "fooled_p": float32 [k, C]}.
    """
    x, labels = x[:SHOWN], labels[:SHOWN]
    fooled = attacking.attack_images(config, network, x, labels, "pgd")
    logits = [attacking.classified(config, network, images) for images in (x, fooled)]
    saliency = attacking.saliency_of(network.variables, x, labels, model=network.model)
    clean_p, fooled_p = (softmax(values, axis=1) for values in logits)
    return {
        "fooled": fooled,
        "saliency": np.asarray(saliency),
        "clean_p": clean_p,
        "fooled_p": fooled_p,
    }


def in_short(found: dict) -> dict:
    """Return a row's values with its curves in four digits."""
    lists = {key: value for key, value in found.items() if isinstance(value, list)}
    return found | brief(lists)
