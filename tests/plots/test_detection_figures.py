"""Figures of detectors: the right curves, rows and cells, and words that rank them rightly."""

import math

import numpy as np
import pytest
from artists import band, drawn, figure_of, labelled, marked, points, row_names, same_colour
from matplotlib.patches import Rectangle
from sklearn.metrics import roc_auc_score, roc_curve

from dla_jax.plots import detection, strange
from dla_jax.plots.style import COLOURS

NAN = math.nan
X = np.linspace(0, 1, 101)
# tpr = fpr^a has the area 1 / (a + 1); the second is the better detector.
ROC = {
    "msp": {"fpr": X, "tpr": np.array([X**0.9, X**0.9])},
    "relative_mahalanobis": {"fpr": X, "tpr": np.array([X**0.4, X**0.6])},
    "my_own": {"fpr": X, "tpr": np.array([X, X])},
}
PRECISION = {
    "msp": {"recall": X[::-1], "precision": np.array([1 - 0.2 * X[::-1], 1 - 0.4 * X[::-1]])},
    "relative_mahalanobis": {"recall": X, "precision": np.array([1 - 0.1 * X] * 2)},
}
LABELS = ["softmax (MSP)", "relative Mahalanobis", "my own"]


def dashed(axis) -> list[list[tuple[float, float]]]:
    """Return the points of each dashed line."""
    return [points(line) for line in axis.get_lines() if line.get_linestyle() == "--"]


def test_curves_have_what_is_accepted_wrongly_to_the_right():
    figure, told = drawn(detection.curves, ROC, PRECISION, familiar=0.7)
    left, right = figure.axes
    assert list(labelled(left)) == [*LABELS, "chance"]
    for label, found in zip(LABELS, ROC.values(), strict=True):
        line = labelled(left)[label]
        np.testing.assert_allclose(line.get_data(), [X, found["tpr"].mean(0)])
    np.testing.assert_allclose(labelled(right)[LABELS[0]].get_xdata(), X[::-1])
    np.testing.assert_allclose(labelled(right)[LABELS[0]].get_ydata(), 1 - 0.3 * X[::-1])
    assert dashed(left) == [[(0, 0), (1, 1)]] and dashed(right) == [[(0, 0.7), (1, 0.7)]]
    assert "(FPR)" in left.get_xlabel() and "(recall)" in right.get_xlabel()
    # The range of the first detector and of the best, not of the third.
    assert len(left.collections) == 2
    np.testing.assert_allclose(band(left, 1), [X, X**0.6, X**0.4], atol=1e-12)
    assert right.get_ylim()[0] < 0.7 and right.get_ylim()[1] > 1
    assert told == (
        "Area under the ROC curve, the largest first: relative Mahalanobis 0.669, softmax (MSP) "
        "0.526, my own 0.500. Area under the precision-recall curve, the largest first: relative "
        "Mahalanobis 0.950, softmax (MSP) 0.850."
    )


def test_a_detector_looks_the_same_in_every_figure():
    alone = {"relative_mahalanobis": ROC["relative_mahalanobis"]}
    among, only = (
        labelled(figure_of(detection.curves, roc, PRECISION).axes[0])["relative Mahalanobis"]
        for roc in (ROC, alone)
    )
    assert (among.get_color(), among.get_marker()) == (only.get_color(), only.get_marker())


def test_errors_among_the_answered_end_at_the_error_of_all():
    shares = np.linspace(0.1, 1, 10)
    knn = np.array([0.2 * shares**2, 0.3 * shares**2])
    found = {
        "msp": {"coverage": shares, "risk": np.array([0.2 * shares, 0.3 * shares])},
        "knn": {"coverage": shares[::-1], "risk": knn[:, ::-1]},
        "short": {"coverage": shares[:3], "risk": np.full((1, 3), 0.25)},
    }
    figure, told = drawn(detection.coverage, found)
    (axis,) = figure.axes
    lines = labelled(axis)
    assert list(lines) == ["softmax (MSP)", "k nearest neighbours", "short", "refused at random"]
    np.testing.assert_allclose(lines["softmax (MSP)"].get_data(), [shares, 0.25 * shares])
    np.testing.assert_allclose(lines["refused at random"].get_ydata(), [0.25, 0.25])
    np.testing.assert_allclose(band(axis), [shares, 0.2 * shares, 0.3 * shares])
    np.testing.assert_allclose(band(axis, 1), [shares, *knn])  # of the best
    assert len(axis.collections) == 2
    assert told == (
        "Error with every image answered: 25.0 %; with 80 % answered, the smallest first: "
        "k nearest neighbours 16.0 %, softmax (MSP) 20.0 %, short unknown."
    )


ROWS = {
    "msp": {"left_out": np.array([0.6, 0.8]), "gaussian": np.array([0.9, 0.92])},
    "odin": {"left_out": np.array([0.4, 0.6]), "gaussian": np.array([0.98, 1.0])},
    "vim": {"left_out": np.array([0.7, NAN]), "gaussian": np.array([0.99, 0.95])},
}
INTERVALS = {
    "msp": {"left_out": (0.55, 0.85), "gaussian": (0.89, 0.93)},
    "odin": {"left_out": (0.35, 0.65), "gaussian": (0.97, 1.01)},
    "vim": {"left_out": (NAN, NAN), "gaussian": (0.93, 1.01)},
}


def test_the_table_has_a_panel_a_set_and_a_row_a_detector():
    figure, told = drawn(detection.table, ROWS, INTERVALS, ["left_out", "gaussian"])
    axes = figure.axes
    assert [axis.get_title(loc="left") for axis in axes] == ["left out", "gaussian"]
    assert row_names(axes[0]) == {0: "softmax (MSP)", 1: "ODIN", 2: "ViM"}
    assert axes[0].get_ylim() == (2.5, -0.5)  # the first on top
    for axis, name in zip(axes, ("left_out", "gaussian"), strict=True):
        dots = [line for line in axis.get_lines() if line.get_marker() == "."]
        bars = [line for line in axis.get_lines() if line.get_marker() == "None"]
        bars = {line.get_ydata()[0]: line for line in bars if line.get_linestyle() == "-"}
        for y, (detector, of) in enumerate(ROWS.items()):
            np.testing.assert_array_equal(dots[y].get_xdata(), of[name])
            assert np.abs(dots[y].get_ydata() - y).max() < 0.5
            bounds = INTERVALS[detector][name]
            if math.isfinite(bounds[0]):
                assert list(bars[y].get_xdata()) == list(bounds)
            else:
                assert y not in bars
        means = [np.nanmean(of[name]) for of in ROWS.values()]
        np.testing.assert_allclose(marked(axis, "D"), list(zip(means, range(3), strict=True)))
        assert dashed(axis) == [[(0.5, 0), (0.5, 1)]]
    weights = [[text.get_weight() for text in axis.texts] for axis in axes]
    assert weights == [["bold", "normal", "bold"], ["normal", "bold", "normal"]]
    assert [text.get_text() for text in axes[1].texts] == ["0.910", "0.990", "0.970"]
    assert told == (
        "Mean AUROC, the highest first. left out: softmax (MSP) 0.700, ViM (not finite in 1 of 2 "
        "runs) 0.700, ODIN 0.500. gaussian: ODIN 0.990, ViM 0.970, softmax (MSP) 0.910."
    )


def test_sets_are_drawn_in_their_order_and_chance_only_in_range():
    figure, told = drawn(detection.table, {"odin": ROWS["odin"]}, INTERVALS, ["gaussian"])
    (axis,) = figure.axes
    assert axis.get_title(loc="left") == "gaussian" and not dashed(axis)
    assert axis.get_xlim()[0] > 0.9 and "chance" not in figure._supxlabel.get_text()
    assert told == "Mean AUROC, the highest first. gaussian: ODIN 0.990."
    three = {"odin": ROWS["odin"] | {"turned": np.array([NAN])}}
    bounds = {"odin": INTERVALS["odin"] | {"turned": (NAN, NAN)}}
    sets = ["turned", "gaussian", "left_out"]
    figure, told = drawn(detection.table, three, bounds, sets)
    titles = [axis.get_title(loc="left") for axis in figure.axes[:3]]
    assert titles == ["turned", "gaussian", "left out"]
    assert not figure.axes[3].get_visible()
    assert "turned: ODIN (not finite in 1 of 1 runs) unknown. gaussian" in told


def test_class_curves_are_not_called_detection():
    y = np.array([0, 0, 0, 1, 1])
    found = {}
    for name, scores in {"cat": [0, 1, 4, 2, 3], "a_dog": [0, 1, 3, 2, 4]}.items():
        fpr, tpr, _ = roc_curve(y, scores, drop_intermediate=False)
        found[name] = {"fpr": fpr, "tpr": tpr, "auroc": roc_auc_score(y, scores)}
    figure, told = drawn(detection.class_rocs, found)
    (axis,) = figure.axes
    lines = labelled(axis)
    assert list(lines) == ["cat 0.667", "a dog 0.833", "chance 0.500"]
    np.testing.assert_array_equal(lines["cat 0.667"].get_xdata(), found["cat"]["fpr"])
    np.testing.assert_array_equal(lines["cat 0.667"].get_ydata(), found["cat"]["tpr"])
    assert "no strange image" in figure.get_suptitle()
    assert told.endswith("the lowest first: cat 0.667, a dog 0.833.")
    many = {f"class {i}": found["cat"] | {"auroc": 0.9 - 0.01 * i} for i in range(20)}
    figure, told = drawn(detection.class_rocs, many)
    names = list(labelled(figure.axes[0]))
    assert names[0] == "class 8 0.820" and names[-2] == "class 19 0.710" and len(names) == 13
    assert "class 19 0.710, class 18 0.720" in told and told.endswith("class 8 0.820, 8 more.")


def populations(axis) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (shares, edges) of each population of a panel."""
    drawn_in_order = [patch.get_data()[:2] for patch in axis.patches]
    return dict(zip(("familiar", "strange"), drawn_in_order, strict=True))


def test_histograms_hold_every_image_and_the_threshold_passes_most_of_the_familiar():
    familiar, near = np.linspace(0, 1, 201), np.linspace(-0.5, 0.5, 100)
    far = np.concatenate([np.full(60, -1e9), np.full(39, -0.2), [NAN]])
    panels = [
        {"title": "far_off", "familiar": familiar, "strange": far, "auroc": 1.0},
        {"title": "left_out", "familiar": familiar, "strange": near, "auroc": 0.875},
    ]
    panels = [panel | {"threshold": 0.05} for panel in panels]
    figure, told = drawn(strange.histograms, panels, "mahalanobis")
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["far off: AUROC 1.000", "left out: AUROC 0.875"]
    for axis, panel in zip(figure.axes, panels, strict=True):
        for name, (shares, edges) in populations(axis).items():
            scores = panel[name][~np.isnan(panel[name])]
            assert shares.sum() == pytest.approx(1)
            middle = (edges[:-1] >= -0.1) & (edges[1:] < 0.4)
            inside = (scores >= edges[:-1][middle][0]) & (scores < edges[1:][middle][-1])
            assert shares[middle].sum() == pytest.approx(inside.mean())
        assert edges[0] == pytest.approx(0.005 - 3 * 0.99) and 0.99 < edges[-1] < 1
        assert dashed(axis) == [[(0.05, 0), (0.05, 1)]]
    shares, _ = populations(figure.axes[0])["strange"]
    assert shares[0] == pytest.approx(60 / 99)  # beyond the axis
    assert same_colour(figure.axes[0].patches[1].get_facecolor(), COLOURS[0])
    assert told == (
        "Mahalanobis, AUROC by strange set, the lowest first: left out 0.875, far off 1.000. "
        "Strange images that reach the score that 95 % of the familiar reach, the most first: "
        "left out 45.0 %, far off 0.0 %."
    )


def test_equal_scores_and_one_set_are_drawn(tmp_path):
    same = {"title": "uniform", "familiar": np.ones(9), "strange": np.ones(4), "auroc": 0.5}
    figure, told = drawn(strange.histograms, [same | {"threshold": 1.0}], "knn")
    (shares, edges), (others, _) = populations(figure.axes[0]).values()
    assert shares.max() == others.max() == 1 and shares.argmax() == others.argmax()
    assert edges[shares.argmax()] <= 1 <= edges[shares.argmax() + 1]
    assert told.endswith("the most first: uniform 100.0 %.")
    path = tmp_path / "odd.png"
    strange.histograms([same | {"strange": np.zeros(3), "threshold": 1.0}], "knn", path)
    assert path.exists()


TEMPERATURES, EPSILONS = [1, 10], [0, 0.0014, 0.01]
NEAR = np.array([[0.6, 0.62, 0.5], [0.61, 0.59, 0.4]])
NOISE = np.array([[0.78, 0.8, 0.82], [0.9, NAN, 0.98]])


def test_the_grid_has_temperatures_downwards_and_tells_what_choosing_adds():
    values = {"left_out": NEAR, "lab B's noise": NOISE}
    arguments = (values, TEMPERATURES, EPSILONS, (1, 0), "ODIN")
    figure, told = drawn(strange.grid, *arguments)
    near, noise, bar = figure.axes
    for axis, areas in ((near, NEAR), (noise, NOISE)):
        (image,) = axis.images
        np.testing.assert_array_equal(image.get_array().filled(NAN), areas)
        np.testing.assert_allclose([image.norm.vmin, image.norm.vmax], [0.4, 0.98])
        assert image.origin == "upper" and row_names(axis) == {0: "1", 1: "10"}
        written = {text.get_position(): text.get_text() for text in axis.texts}
        assert written == {
            (j, i): "–" if math.isnan(area) else f"{area:.3f}"
            for (i, j), area in np.ndenumerate(areas)
        }
        (frame,) = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        assert frame.get_xy() == (-0.5, 0.5) and frame.get_width() == frame.get_height() == 1
    dots = [np.round(marked(axis, "o")[0]).tolist() for axis in (near, noise)]
    assert dots == [[1, 0], [2, 1]]
    assert list(noise.get_xticks()) == [0, 1, 2]
    assert [text.get_text() for text in noise.get_xticklabels()] == ["0", "0.0014", "0.01"]
    assert figure.get_suptitle() == "ODIN" and bar.get_ylabel() == "AUROC"
    assert told == (
        "AUROC at T 10, ε 0, which the tuning sets chose, and at the best setting of each panel, "
        "the largest difference first: lab B's noise 0.900, best 0.980 at T 10, ε 0.01 (0.080 "
        "more); left out 0.610, best 0.620 at T 1, ε 0.0014 (0.010 more)."
    )


def test_a_grid_of_one_cell_or_of_nothing_is_drawn(tmp_path):
    path = tmp_path / "grid.png"
    values = {"one": np.array([[0.5]]), "none": np.array([[NAN]])}
    told = strange.grid(values, [1], [0], (0, 0), "ODIN", path)
    assert path.exists()
    assert told.endswith("one 0.500, best 0.500 at T 1, ε 0 (0.000 more); none unknown.")
    told = strange.grid({"noise": NOISE}, TEMPERATURES, EPSILONS, (1, 1), "ODIN", path)
    assert "noise unknown, best 0.980" in told and "(unknown more)" in told


def test_one_network_and_one_detector_are_drawn(tmp_path):
    path = tmp_path / "odd.png"
    roc = {"msp": {"fpr": [0, 1], "tpr": np.array([[0, 1.0]])}}
    precision = {"msp": {"recall": [1, 0], "precision": np.array([[0.5, 1.0]])}}
    assert "softmax (MSP) 0.500" in detection.curves(roc, precision, path)
    dead = {"msp": {"fpr": [0, 1], "tpr": np.full((2, 2), NAN)}}
    assert "softmax (MSP) (not finite in 2 of 2 runs) unknown" in detection.curves(
        dead, precision, path
    )
    risk = {"msp": {"coverage": [1.0], "risk": np.zeros((1, 1))}}
    assert "softmax (MSP) unknown" in detection.coverage(risk, path)
    rows = {"msp": {"turned": np.array([0.5])}}
    told = detection.table(rows, {"msp": {"turned": (-math.inf, math.inf)}}, ["turned"], path)
    assert told.endswith("turned: softmax (MSP) 0.500.") and path.exists()
