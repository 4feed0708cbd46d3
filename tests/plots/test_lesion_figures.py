"""Figures of damaged networks and of paths: block by block, length by length, run by run."""

import math

import numpy as np
import pytest
from artists import band, drawn, labelled, points, same_colour

from dla_jax.plots import gradient_paths, lesions
from dla_jax.plots.style import looks_of

LOOKS = looks_of(["plain_3", "residual"])
NAN = math.nan
PLAIN = np.array([[0.25, 0.1, 0.4], [0.35, 0.1, 0.6]])  # two runs of three blocks
RESIDUAL = np.array([[0.7, 0.9, 0.9], [0.8, 0.9, 0.9]])
WHOLE = {"plain_3": np.array([0.9, 0.92]), "residual": np.array([0.95, 0.97])}
AGAIN = {"plain_3": np.array([0.86, 0.9]), "residual": np.array([0.91, 0.95])}  # recomputed


def level(axis, height: float) -> list:
    """Return the lines of a panel that lie at one height from side to side."""
    return [line for line in axis.get_lines() if points(line) == [(0, height), (1, height)]]


def test_deleted_blocks_are_counted_from_the_first_and_the_undamaged_are_dashed():
    networks = {"plain_3": PLAIN, "residual": RESIDUAL}
    recomputed = {label: accuracy + 0.05 for label, accuracy in networks.items()}
    figure, told = drawn(lesions.deleted_blocks, networks, recomputed, WHOLE, AGAIN, 0.1, LOOKS)
    kept, again = figure.axes
    assert kept.get_title(loc="left").endswith("kept")
    assert again.get_title(loc="left").endswith("recomputed")
    for axis, values, undamaged in ((kept, networks, WHOLE), (again, recomputed, AGAIN)):
        for which, label in enumerate(values):
            line = labelled(axis)[label.replace("_", " ")]
            assert list(line.get_xdata()) == [1, 2, 3]
            np.testing.assert_allclose(line.get_ydata(), values[label].mean(0))
            assert (line.get_color(), line.get_marker()) == LOOKS[label]
            low, high = values[label].min(0), values[label].max(0)
            np.testing.assert_allclose(band(axis, which), [[1, 2, 3], low, high])
            (whole,) = level(axis, undamaged[label].mean())
            assert whole.get_linestyle() == "--" and same_colour(whole.get_color(), LOOKS[label][0])
        assert len(level(axis, 0.1)) == 1  # chance
    assert (
        "plain 3 91.0 %, 30.0 %, 10.0 % (block 2); residual 96.0 %, 85.0 %, 75.0 % (block 1)."
        in told
    )
    with_recomputed = told[told.index("With statistics recomputed") :]
    assert "plain 3 88.0 %, 35.0 %, 15.0 % (block 2)" in with_recomputed


def test_a_run_that_diverged_is_left_out_and_told():
    accuracy = np.array([[0.4, 0.2], [NAN, NAN], [0.6, 0.3]])
    whole = {"residual": np.array([0.9, NAN, 0.8])}
    figure, told = drawn(lesions.deleted_blocks, {"residual": accuracy}, {}, whole, {}, 0.1, LOOKS)
    (axis,) = figure.axes  # without recomputed statistics there is one panel
    np.testing.assert_allclose(labelled(axis)["residual"].get_ydata(), [0.5, 0.25])
    np.testing.assert_allclose(band(axis), [[1, 2], [0.4, 0.2], [0.6, 0.3]])
    assert "residual 85.0 %, 37.5 %, 25.0 % (block 2) (not finite in 1 of 3 runs)" in told


def test_deleted_lies_left_of_swapped():
    plain = {"counts": [1, 3], "deleted": PLAIN[:, :2], "swaps": [2, 4, 6], "swapped": PLAIN + 0.2}
    residual = plain | {"deleted": RESIDUAL[:, :2], "swapped": RESIDUAL - 0.2}
    networks = {"plain_3": plain, "residual": residual}
    figure, told = drawn(lesions.deleted_and_swapped, networks, 0.1, LOOKS)
    left, right = figure.axes
    assert "deleted" in left.get_xlabel() and "swaps" in right.get_xlabel()
    for axis, amounts, values in ((left, "counts", "deleted"), (right, "swaps", "swapped")):
        for label, found in networks.items():
            line = labelled(axis)[label.replace("_", " ")]
            assert list(line.get_xdata()) == found[amounts]
            np.testing.assert_allclose(line.get_ydata(), found[values].mean(0))
        assert len(level(axis, 0.1)) == 1
    deleted, swapped = told.split(" By number of swaps")
    assert "plain 3 30.0 % at 1, 10.0 % at 3; residual 75.0 % at 1, 90.0 % at 3." in deleted
    assert "plain 3 50.0 % at 2, 70.0 % at 6; residual 55.0 % at 2, 70.0 % at 6." in swapped
    assert told.endswith("Chance: 10.0 %.")


PATHS = {
    "residual": {
        "length": [0, 1, 2],
        "norm": np.array([[8.0, 4.0, 1.0], [8.0, 1.0, 1.0]]),
        "mass": np.array([[8.0, 8.0, 0.0], [6.0, 2.0, 2.0]]),
    },
    "plain_3": {"length": [2], "norm": np.array([[0.5], [0.5]]), "mass": np.array([[0.5], [0.5]])},
}


def test_the_norm_of_a_path_times_their_number_gives_the_share():
    figure, told = drawn(gradient_paths.path_mass, PATHS, 2, LOOKS)
    norms, numbers, shares = figure.axes
    titles = [axis.get_title(loc="left")[:3] for axis in figure.axes]
    assert titles == ["gra", "× s", "= s"]
    assert norms.get_yscale() == "log" and numbers.get_yscale() == shares.get_yscale() == "linear"
    assert points(labelled(norms)["residual"]) == [(0, 8.0), (1, 2.5), (2, 1.0)]
    assert points(labelled(norms)["plain 3"]) == [(2, 0.5)]
    assert points(numbers.get_lines()[0]) == [(0, 0.25), (1, 0.5), (2, 0.25)]
    lines = labelled(shares)  # [0.5, 0.5, 0] and [0.6, 0.2, 0.2]: 0.5 and 0.6 blocks
    line = lines["residual, effective length 0.6"]
    np.testing.assert_allclose(line.get_ydata(), [0.55, 0.35, 0.1])
    assert points(lines["plain 3, effective length 2.0"]) == [(2, 1.0)]
    assert list(lines["mean length of all paths 1.0"].get_xdata()) == [1, 1]
    marks = [line for line in shares.get_lines() if line.get_linestyle() == "--"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in marks], [0.55, 2.0])
    assert [line.get_color() for line in marks] == [LOOKS[label][0] for label in PATHS]
    assert "residual 0.6 (norm of a path of 0: 8 times that of one of 2); plain 3 2.0." in told
    assert told.endswith("The mean of all paths is 1.0 of 2 blocks.")


def test_equal_norms_have_the_effective_length_of_all_paths():
    mass = [[math.comb(7, k) for k in range(8)]]
    assert gradient_paths.effective_length(range(8), mass) == pytest.approx(3.5)
    assert math.isnan(gradient_paths.effective_length([0, 1], [[0.0, 0.0]]))
    half = gradient_paths.effective_length([0, 4], [[NAN, NAN], [1.0, 3.0]])
    assert half == pytest.approx(3.0)  # of the run that is finite


def test_odd_cases_are_drawn(tmp_path):
    nothing, one = np.full((2, 1), NAN), np.array([[0.5]])
    path, runs = tmp_path / "odd.png", {"plain_3": nothing, "residual": one}
    whole = {label: values[:, 0] for label, values in runs.items()}
    told = lesions.deleted_blocks(runs, runs, whole, whole, 0.1, LOOKS, path)
    assert path.exists()
    unknown = "plain 3 unknown, unknown, unknown (not finite in 2 of 2 runs); residual 50.0 %"
    assert told.count(unknown) == 2
    alone = {"counts": [1], "deleted": one, "swaps": [], "swapped": np.zeros((1, 0))}
    told = lesions.deleted_and_swapped({"residual": alone}, 0.1, LOOKS, path)
    assert "swaps" not in told and "residual 50.0 % at 1." in told
    dead = {"length": [0, 1], "norm": np.zeros((1, 2)), "mass": np.zeros((1, 2))}
    told = gradient_paths.path_mass({"plain_3": dead}, 1, LOOKS, path)
    assert "plain 3 unknown." in told
    wild = {"length": [0, 1], "norm": np.full((1, 2), NAN), "mass": np.full((1, 2), NAN)}
    assert "unknown (not finite in 1 of 1 runs)" in gradient_paths.path_mass(
        {"residual": wild}, 1, LOOKS, path
    )
