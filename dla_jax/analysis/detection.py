"""How well scores tell familiar images from strange ones, and right answers from wrong ones.

A higher score means more like the training data; "familiar" images are the positive class.
"""

import numpy as np

from dla_jax.config.checks import check


def _together(familiar, strange) -> tuple[np.ndarray, np.ndarray]:
    """Return which images are familiar, bool [n + m], and all their scores, float64."""
    scores = np.concatenate([_finite(familiar), _finite(strange)])
    return np.arange(len(scores)) < len(familiar), scores


def _finite(scores) -> np.ndarray:
    """Return scores as float64, all finite."""
    scores = np.asarray(scores, np.float64)
    wrong = np.count_nonzero(~np.isfinite(scores))
    check(
        wrong == 0,
        f"scores: {wrong} of {scores.size} are not finite; give a network whose logits and "
        "features are finite (one that did not diverge)",
    )
    return scores


def _even(points: int) -> np.ndarray:
    """Return `points` numbers from 0 to 1, each equal to the share that it stands for."""
    return np.arange(points) / (points - 1)


def detection_scores(familiar: np.ndarray, strange: np.ndarray) -> dict[str, float]:
    """Score a detector.

    Args:
      familiar, strange: scores, float [n] and [m].

    Returns:
      "auroc": the share of pairs of a familiar and a strange image in which the familiar one has
        the higher score; ties count half.
      "aupr_in", "aupr_out": average precision with the familiar, or the strange, images as the
        positive class. That of a useless detector is the share of that class.
      "fpr95": the share of strange images that are accepted at the highest threshold that accepts
        at least 95 % of the familiar ones.

    Raises:
      ConfigError: scores that are not finite.
    """
    from sklearn import metrics  # slow to import, only for who needs it

    known, scores = _together(familiar, strange)
    accepted, recalled, _ = metrics.roc_curve(known, scores, drop_intermediate=False)
    found = {
        "auroc": metrics.roc_auc_score(known, scores),
        "aupr_in": metrics.average_precision_score(known, scores),
        "aupr_out": metrics.average_precision_score(~known, -scores),
        "fpr95": accepted[np.argmax(recalled >= 0.95)],
    }
    return {name: float(value) for name, value in found.items()}


def threshold(familiar: np.ndarray, share: float = 0.95) -> float:
    """Return the largest t such that at least `share`, in (0, 1], of the scores [n] are >= t."""
    scores = np.sort(_finite(familiar))
    enough = np.searchsorted(np.arange(1, len(scores) + 1) / len(scores), share) + 1
    return float(scores[len(scores) - enough])


def roc(familiar: np.ndarray, strange: np.ndarray, points: int = 201) -> dict[str, np.ndarray]:
    """Return the ROC curve on an even grid, so that curves can be averaged.

    Tied scores make a straight line, what breaking ties at random gives on average. Where the curve
    rises straight up, the upper end counts.

    Args:
      familiar, strange: scores, float [n] and [m].

    Returns:
      "fpr": float [points] from 0 to 1, the share of strange images that are accepted.
      "tpr": float [points], the share of familiar ones.
    """
    from sklearn import metrics

    known, scores = _together(familiar, strange)
    accepted, recalled, _ = metrics.roc_curve(known, scores, drop_intermediate=False)
    grid = _even(points)
    # Of points with the same x, np.interp takes the last for x itself, and draws lines between
    # neighbours: the curve as described.
    return {"fpr": grid, "tpr": np.interp(grid, accepted, recalled)}


def precision_recall(
    familiar: np.ndarray, strange: np.ndarray, points: int = 201
) -> dict[str, np.ndarray]:
    """Return the precision-recall curve on an even grid, the familiar images being positive.

    It is a step function: the precision at the highest threshold that has the recall, at least. A
    straight line between thresholds would promise too much (Davis and Goadrich 2006,
    doi:10.1145/1143844.1143874).

    Args:
      familiar, strange: scores, float [n] and [m].

    Returns:
      "recall": float [points] from 0 to 1, the share of familiar images that are accepted.
      "precision": float [points], the share of those accepted that are familiar.
    """
    from sklearn import metrics

    found = metrics.precision_recall_curve(*_together(familiar, strange), drop_intermediate=False)
    # The lowest threshold comes first, and after the highest a point (recall 0, precision 1) that
    # no threshold has.
    precision, recall = (values[-2::-1] for values in found[:2])
    grid = _even(points)
    return {"recall": grid, "precision": precision[np.searchsorted(recall, grid)]}


def risk_coverage(
    scores: np.ndarray, wrong: np.ndarray, points: int = 101
) -> dict[str, np.ndarray]:
    """Return the error rate among the most familiar images, when the others get no answer.

    Geifman and El-Yaniv 2017, arXiv:1705.08500. Images of equal score share their errors, what
    answering them in random order gives on average.

    Args:
      scores: float [n].
      wrong: bool or float [n], whether the answer is wrong.

    Returns:
      "coverage": float [points], 1 / points, 2 / points, ... 1: the share of images answered. Where
        that is no whole number of images, the last one counts in part.
      "risk": float [points], the share of these answers that are wrong.
    """
    errors = _errors(scores, wrong)
    coverage = np.arange(1, points + 1) / points
    answered = coverage * (len(errors) - 1)
    risk = np.interp(answered, np.arange(len(errors)), errors) / answered
    return {"coverage": coverage, "risk": risk}


def area_under_risk(scores: np.ndarray, wrong: np.ndarray) -> float:
    """Return AURC, the mean of the risk at coverages of 1, 2, ... n images.

    Geifman et al. 2019, arXiv:1805.08206. Args as `risk_coverage`.
    """
    errors = _errors(scores, wrong)
    return float(np.mean(errors[1:] / np.arange(1, len(errors))))


def _errors(scores, wrong) -> np.ndarray:
    """Return how many of the 0, 1, ... n most familiar images are wrong: float64 [n + 1]."""
    _, place, counts = np.unique(-_finite(scores), return_inverse=True, return_counts=True)
    rates = np.bincount(place, np.asarray(wrong, np.float64)) / counts
    return np.concatenate([[0.0], np.cumsum(np.repeat(rates, counts))])


def aurocs(familiar: np.ndarray, strange: np.ndarray) -> np.ndarray:
    """Return "auroc" of `detection_scores` for many detectors at once.

    By the ranks of all scores (Mann and Whitney 1947), ties sharing theirs.

    Args:
      familiar, strange: scores, float [K, n] and [K, m].

    Returns:
      float64 [K].
    """
    from scipy.stats import rankdata  # slow to import

    scores = np.concatenate([_finite(familiar), _finite(strange)], axis=1)
    count, others = np.shape(familiar)[1], np.shape(strange)[1]
    ranks = rankdata(scores, axis=1)[:, :count]
    return (ranks.sum(1) - count * (count + 1) / 2) / (count * others)
