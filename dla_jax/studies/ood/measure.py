"""What detectors make of one network's strange sets: settings chosen, then scores of the scores."""

import functools
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from dla_jax.analysis import detection
from dla_jax.config.checks import check
from dla_jax.evidence.rows import brief
from dla_jax.studies.ood import detectors
from dla_jax.studies.ood.detectors import Fitted, Network
from dla_jax.studies.ood.sets import NOISE, Sets

AS_IMPLEMENTED = "odin_as_implemented"  # ODIN with the setting that is best on what is reported
SHOWN = 6  # of the strange images of a set that a network is surest about
BINS = 101  # points of a curve


class Scores(NamedTuple):
    """The scores of one detector: float32 [settings, n] each."""

    val: np.ndarray
    test: np.ndarray
    tuning: dict[str, np.ndarray]
    reported: dict[str, np.ndarray]


def score_sets(
    network: Network, fitted: Fitted, shown: Sets, settings: dict[str, list[dict]]
) -> dict[str, Scores]:
    """Return the scores of every detector, with every setting."""
    score = functools.partial(detectors.score, network, fitted, settings=settings)
    val, test = score(shown.val.images), score(shown.test.images)
    tuning = {name: score(images) for name, images in shown.tuning.items()}
    reported = {name: score(images) for name, images in shown.reported.items()}
    return {
        detector: Scores(
            val[detector],
            test[detector],
            {name: found[detector] for name, found in tuning.items()},
            {name: found[detector] for name, found in reported.items()},
        )
        for detector in settings
    }


def aurocs(familiar: np.ndarray, strange: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return {set: AUROC float [settings]}.

    Args:
      familiar: float32 [settings, n].
      strange: {set: float32 [settings, m]}.
    """
    return {name: detection.aurocs(familiar, scores) for name, scores in strange.items()}


def best_setting(familiar: np.ndarray, strange: dict[str, np.ndarray]) -> int:
    """Return the setting with the largest mean AUROC over sets, the first of equals.

    Raises:
      ConfigError: there is no set to choose on.
    """
    check(len(strange) > 0, "tuning: there is no set to choose settings on; name one")
    return int(np.mean(list(aurocs(familiar, strange).values()), axis=0).argmax())


def chosen_settings(scores: dict[str, Scores]) -> dict[str, int]:
    """Return the setting of each detector, chosen on validation images and the tuning sets.

    That of ODIN "as implemented" is chosen on test images and lab B's noise, which are reported.
    """
    chosen = {}
    for name, own in scores.items():
        many = len(own.val) > 1
        chosen[name] = best_setting(own.val, own.tuning) if many else 0
    if "odin" in scores:
        own = scores["odin"]
        chosen[AS_IMPLEMENTED] = best_setting(own.test, {NOISE: own.reported[NOISE]})
    return chosen


def measure(
    config, network: Network, shown: Sets, logits: np.ndarray, keep: bool
) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Return what is measured of each detector of one network, and the arrays that are drawn.

    Args:
      config: of the study; its near and far sets are those that there are.
      logits: float32 [n, C], of the test images that are shown.
      keep: whether there are arrays to draw.
    """
    settings = detectors.settings_of(config)
    fitted = detectors.fit(network, shown.train, settings)
    scores = score_sets(network, fitted, shown, settings)
    wrong = logits.argmax(-1) != shown.test.labels
    found, kept = {}, {}
    for name, setting in chosen_settings(scores).items():
        detector = "odin" if name == AS_IMPLEMENTED else name
        own = scores[detector]
        test = own.test[setting]
        strange = {place: values[setting] for place, values in own.reported.items()}
        found[name] = {"setting": settings[detector][setting]} | of_detector(
            config, test, strange, wrong
        )
        kept |= {f"{name}/test": test} | {f"{name}/{place}": own for place, own in strange.items()}
    if "odin" in scores:
        found["odin"]["grid"] = brief(aurocs(scores["odin"].test, scores["odin"].reported))
    if "msp" in scores:
        found["msp"] |= as_summed(scores["msp"]) | class_curves(logits, shown.test.labels)
    return found, kept | (surest(network, shown) if keep else {})


def of_detector(
    config, test: np.ndarray, strange: dict[str, np.ndarray], wrong: np.ndarray
) -> dict:
    """Return what the record holds of one detector.

    Args:
      test: float32 [n], its scores of test images.
      strange: {set: float32 [m]}.
      wrong: bool [n], which test images the network takes for another class.
    """
    each = {name: detection.detection_scores(test, scores) for name, scores in strange.items()}
    found = {"sets": each, "noise_auroc": each[NOISE]["auroc"]}
    for kind, names in (("near", config.near), ("far", config.far)):
        for key in ("auroc", "fpr95", "aupr_in", "aupr_out"):
            values = [each[name][key] for name in names]
            found[f"{kind}_{key}"] = float(np.mean(values)) if values else None
        if names:
            pooled = np.concatenate([strange[name] for name in names])
            found |= {
                f"{kind}_roc": brief(detection.roc(test, pooled, BINS)),
                f"{kind}_precision_recall": brief(detection.precision_recall(test, pooled, BINS)),
            }
    risk = brief(detection.risk_coverage(test, wrong, BINS))
    return found | {"risk_coverage": risk, "aurc": detection.area_under_risk(test, wrong)}


def as_summed(own: Scores) -> dict[str, float]:
    """Return the mean of 1 - softmax of test images and of lab B's noise, which it summed."""
    return {
        "strangeness_test": float(np.mean(1 - own.test[0])),
        "strangeness_noise": float(np.mean(1 - own.reported[NOISE][0])),
    }


def class_curves(logits: np.ndarray, labels: np.ndarray) -> dict:
    """Return the ROC curve of each class against the others, which lab B calls OOD.

    A class without test images has none.
    """
    p, curves = softmax(logits, axis=1), {}
    for label in np.unique(labels):
        of_class, others = p[labels == label, label], p[labels != label, label]
        curve = brief({"tpr": detection.roc(of_class, others, BINS)["tpr"]})
        (area,) = detection.aurocs(of_class[None], others[None])
        curves[str(label)] = curve | {"auroc": float(area)}
    return {"classes": curves}


def surest(network: Network, shown: Sets) -> dict[str, np.ndarray]:
    """Return the strange images of each set that a network is surest about, the surest first.

    Returns:
      {"surest/<set>": uint8 [k, H, W, C], "label/<set>": int [k], "p/<set>": float32 [k]}.
    """
    kept = {}
    for name, images in shown.reported.items():
        p = softmax(detectors.look(network, images)[0], axis=1)
        order = np.argsort(-p.max(1), kind="stable")[:SHOWN]
        kept |= {
            f"surest/{name}": images[order],
            f"label/{name}": p[order].argmax(1),
            f"p/{name}": p[order].max(1),
        }
    return kept
