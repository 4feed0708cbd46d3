"""What is said of scores equals counts of pairs and hand-made cases, ties included."""

import numpy as np
import pytest

from dla_jax.analysis import detection
from dla_jax.config.checks import ConfigError

RNG = np.random.default_rng(0)
# Rounded, so that many are equal.
FAMILIAR = np.round(RNG.normal(1.0, 1.0, 200), 1)
STRANGE = np.round(RNG.normal(0.0, 1.5, 130), 1)


def test_a_hand_made_case_with_ties():
    found = detection.detection_scores(np.array([3.0, 2, 2, 1]), np.array([2.0, 1, 0, 0]))
    # Pairs that are right: 4, 3, 3, 2; ties: 0, 1, 1, 1.
    assert found["auroc"] == (12 + 0.5 * 3) / 16
    # Thresholds 3, 2, 1: recall 1/4, 3/4, 1; precision 1, 3/4, 4/6.
    assert found["aupr_in"] == pytest.approx(1 / 4 * 1 + 2 / 4 * 3 / 4 + 1 / 4 * 4 / 6)
    # Strange at most 0, 1, 2: recall 2/4, 3/4, 1; precision 1, 3/4, 4/7.
    assert found["aupr_out"] == pytest.approx(2 / 4 * 1 + 1 / 4 * 3 / 4 + 1 / 4 * 4 / 7)
    assert found["fpr95"] == 2 / 4
    assert {name: type(value) for name, value in found.items()} == dict.fromkeys(found, float)


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    found = detection.detection_scores(FAMILIAR, STRANGE)
    above = FAMILIAR[:, None] - STRANGE
    assert np.sum(above == 0) > 100
    pairs = np.mean(above > 0) + 0.5 * np.mean(above == 0)
    assert found["auroc"] == pytest.approx(pairs)
    backwards = detection.detection_scores(STRANGE, FAMILIAR)
    assert backwards["auroc"] == pytest.approx(1 - pairs)


def test_scores_all_equal_say_nothing():
    found = detection.detection_scores(np.zeros(30), np.zeros(10))
    assert found == {"auroc": 0.5, "aupr_in": 0.75, "aupr_out": 0.25, "fpr95": 1.0}


@pytest.mark.parametrize("count", [20, 60, 180, 200])
def test_the_threshold_accepts_95_per_cent_and_the_next_one_fewer(count):
    familiar = RNG.permutation(count).astype(np.float32)
    found = detection.threshold(familiar)
    assert np.mean(familiar >= found) == 0.95 and np.mean(familiar >= found + 1) < 0.95
    strange = np.arange(count) - 0.5 * count
    accepted = np.mean(strange >= found)
    assert detection.detection_scores(familiar, strange)["fpr95"] == accepted > 0.4


def test_the_threshold_of_any_share_and_of_ties():
    familiar = np.array([5.0, 4, 3, 2, 1])
    for share, expected in ((0.2, 5), (0.21, 4), (0.8, 2), (0.81, 1), (1.0, 1), (0.01, 5)):
        assert detection.threshold(familiar, share) == expected
    assert detection.threshold(np.arange(100.0), 0.55) == 45  # 0.55 * 100 is above 55
    assert detection.threshold(np.array([1.0, 1, 1, 0])) == 0
    assert detection.threshold(np.array([1.0, 1, 1, 0]), 0.5) == 1
    fpr95 = detection.detection_scores(FAMILIAR, STRANGE)["fpr95"]
    accepted = detection.threshold(FAMILIAR)
    assert fpr95 == np.mean(accepted <= STRANGE)


def test_the_roc_curve_takes_the_upper_end_of_steps_and_the_middle_of_ties():
    found = detection.roc(np.array([3.0, 2, 1, 1]), np.array([2.0, 0]), points=5)
    np.testing.assert_array_equal(found["fpr"], [0, 0.25, 0.5, 0.75, 1])
    # 3: straight up to 1/4. 2: to (1/2, 1/2) in a line. 1: straight up to 1. 0: to the right.
    np.testing.assert_allclose(found["tpr"], [0.25, 0.375, 1, 1, 1])


def test_the_roc_curve_has_the_area_of_its_pairs():
    found = detection.roc(FAMILIAR, STRANGE, points=10 * len(STRANGE) + 1)
    auroc = detection.detection_scores(FAMILIAR, STRANGE)["auroc"]
    assert np.trapezoid(found["tpr"], found["fpr"]) == pytest.approx(auroc, abs=1e-3)
    assert found["fpr"][-1] == found["tpr"][-1] == 1


def test_the_roc_curve_meets_its_steps_at_shares_that_are_points_of_the_grid():
    strange = np.arange(10.0)
    found = detection.roc(strange + 0.5, strange, points=11)
    np.testing.assert_allclose(found["tpr"], np.minimum(np.arange(1, 12) / 10, 1))


def test_the_precision_is_that_of_the_highest_threshold_with_the_recall():
    familiar, strange = np.array([4.0, 2, 2, 1]), np.array([5.0, 2, 0])
    found = detection.precision_recall(familiar, strange, points=5)
    np.testing.assert_array_equal(found["recall"], [0, 0.25, 0.5, 0.75, 1])
    # Thresholds 5, 4, 2, 1 have recall 0, 1/4, 3/4, 1.
    np.testing.assert_allclose(found["precision"], [0, 1 / 2, 3 / 5, 3 / 5, 4 / 6])
    fine = detection.precision_recall(FAMILIAR, STRANGE, points=len(FAMILIAR) + 1)
    aupr = detection.detection_scores(FAMILIAR, STRANGE)["aupr_in"]
    assert np.mean(fine["precision"][1:]) == pytest.approx(aupr)


def expected_risks(scores, wrong, rng, repeats=4000):
    """Return the risk at 1, 2, ... n images, ties broken at random, on average."""
    total = 0
    for _ in range(repeats):
        order = np.lexsort((rng.random(len(scores)), -scores))
        total = total + np.cumsum(wrong[order]) / np.arange(1, len(scores) + 1)
    return total / repeats


def test_risk_is_the_error_rate_among_the_most_familiar():
    scores, wrong = np.array([0.1, 0.9, 0.5, 0.7]), np.array([True, False, True, False])
    found = detection.risk_coverage(scores, wrong, points=4)
    np.testing.assert_array_equal(found["coverage"], [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found["risk"], [0, 0, 1 / 3, 2 / 4])
    assert detection.area_under_risk(scores, wrong) == pytest.approx((1 / 3 + 1 / 2) / 4)
    in_part = detection.risk_coverage(scores, wrong, points=8)
    np.testing.assert_allclose(in_part["risk"][[0, 4, 5]], [0, 0.5 / 2.5, 1 / 3])


def test_tied_images_share_their_errors():
    wrong = (RNG.random(60) < 0.3).astype(float)
    scores = np.round(RNG.normal(0, 1, 60) - wrong, 0)
    risks = expected_risks(scores, wrong, RNG)
    found = detection.risk_coverage(scores, wrong, points=60)
    np.testing.assert_allclose(found["risk"], risks, atol=0.03)
    assert detection.area_under_risk(scores, wrong) == pytest.approx(risks.mean(), abs=0.01)
    np.testing.assert_allclose(detection.risk_coverage(0 * scores, wrong)["risk"], wrong.mean())


@pytest.mark.parametrize(
    "measure",
    [
        lambda bad: detection.detection_scores(bad, STRANGE),
        lambda bad: detection.detection_scores(STRANGE, bad),
        lambda bad: detection.roc(STRANGE, bad),
        lambda bad: detection.precision_recall(bad, STRANGE),
        lambda bad: detection.threshold(bad),
        lambda bad: detection.risk_coverage(bad, np.zeros(4)),
        lambda bad: detection.area_under_risk(bad, np.zeros(4)),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(measure, value):
    with pytest.raises(ConfigError, match="scores: 2 of 4 are not finite"):
        measure(np.array([0.0, value, value, 1.0]))


def test_areas_of_many_detectors_are_those_of_each():
    rng = np.random.default_rng(3)
    familiar, strange = rng.integers(0, 6, (4, 30)), rng.integers(0, 5, (4, 21))
    each = [
        detection.detection_scores(a, b)["auroc"] for a, b in zip(familiar, strange, strict=True)
    ]
    np.testing.assert_allclose(detection.aurocs(familiar, strange), each)
