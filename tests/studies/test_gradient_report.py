"""What the report of the study of gradients measures, on made-up records."""

import numpy as np
import pytest

from configs import gradients as configured
from dla_jax.studies.gradients import figures as gradients_figures
from dla_jax.studies.gradients import report as gradients_report

FINISHED = {"diverged": False, "val_accuracy": 0.3}


def made_up(first, last, dense, norms, clipped=None, sizes=(1.0, 1.0)):
    """Rows of a run whose first and last convolution have these relative gradients at the probes, the first these mean |g|."""
    rows = [
        {
            "step": 0,
            "layers": ["stem", "blocks 0", "blocks 1", "head"],
            "stages": [0, 1, 2, 0],
            "probe_layer_relative": [first[0], 9.9, last[0], 9.9],
            "probe_layer_mean_abs": [sizes[0], 9.9, 9.9, 9.9],
        }
    ]
    for step, (mean_abs, norm) in enumerate(zip(dense, norms, strict=True), 1):
        rows.append(
            {"step": step, "layer_mean_abs": [9.9, 9.9, 9.9, mean_abs], "grad_norm": norm}
            | ({"clipped_norm": min(norm, clipped)} if clipped else {})
        )
    for i, (a, b) in enumerate(zip(first[1:], last[1:], strict=True), 1):
        rows[10 * i] |= {
            "probe_layer_relative": [a, 9.9, b, 9.9],
            "probe_layer_mean_abs": [sizes[i], 9.9, 9.9, 9.9],
        }
    return rows


def test_what_the_claims_compare_is_what_they_say():
    rows = made_up(
        [0.001, 0.1],
        [1.0, 1.0],
        [2.0] * 2 + [1.0] * 16 + [0.02] * 2,
        [5.0] * 19 + [50.0],
        clipped=10.0,
    )
    rows[-1]["val_accuracy"] = 0.7
    found = gradients_report.measure(rows, 20, FINISHED)
    assert found["last_val_accuracy"] == 0.7
    short = gradients_report.measure(
        rows[:3] + rows[-1:], 150, FINISHED
    )  # fewer steps than are to be traced
    assert short["last_dense"] == pytest.approx(np.log10(0.02 / 2) + 1)
    assert found["start_first_layer"] == pytest.approx(-3)
    assert found["first_layer"] == pytest.approx(-2) and found["above_vanishing"] == pytest.approx(
        -1
    )
    assert found["below_exploding"] == pytest.approx(3) and found[
        "start_above_vanishing"
    ] == pytest.approx(-2)
    assert found["start_below_exploding"] == pytest.approx(4) and found[
        "last_dense"
    ] == pytest.approx(-1)
    assert found["bounded"] == pytest.approx(2 - np.log10(50)) and found[
        "clipped_steps"
    ] == pytest.approx(1 / 20)


def test_the_size_of_the_first_gradient_is_that_of_its_numbers():
    rows = made_up([5.0, 7.0], [1.0, 1.0], [2.0] * 20, [5.0] * 20, sizes=(0.001, 10.0))
    rows[-1]["val_accuracy"] = 0.7
    assert gradients_report.measure(rows, 20, FINISHED)["first_size"] == pytest.approx((-3 + 1) / 2)


def test_a_diverged_run_counts_as_unbounded_and_a_dead_one_as_vanished():
    rows = made_up([0.0, 0.0], [1.0, 1.0], [1.0] * 20, [5.0] * 20)
    rows[-1]["val_accuracy"] = 0.1
    assert gradients_report.measure(rows, 20, FINISHED)["first_layer"] == -12
    found = gradients_report.measure(rows[:1], 20, FINISHED | {"diverged": True})
    assert (
        found["bounded"] == -10
        and found["last_dense"] is None
        and found["start_above_vanishing"] == -11
    )
    assert found["last_val_accuracy"] == FINISHED["val_accuracy"]  # chance


def test_a_gradient_that_overflowed_counts_as_exploded():
    rows = made_up([None, 1.0], [1.0, 1.0], [1.0] * 20, [5.0] * 20)
    rows[-1]["val_accuracy"] = 0.1
    found = gradients_report.measure(rows, 20, FINISHED)
    assert (
        found["start_below_exploding"] == -11
        and found["below_exploding"] == -5
        and found["above_vanishing"] == 7
    )
    rows = made_up(
        [0.0, 1.0], [None, 1.0], [1.0] * 20, [5.0] * 20
    )  # the last convolution's, not the first one's
    rows[-1]["val_accuracy"] = 0.1
    assert gradients_report.measure(rows, 20, FINISHED)["first_layer"] == -6
    rows = made_up(
        [None, 0.1], [None, 1.0], [1.0] * 20, [5.0] * 20
    )  # both: nothing is known of that probe
    rows[-1]["val_accuracy"] = 0.1
    found = gradients_report.measure(rows, 20, FINISHED)
    assert found["start_above_vanishing"] is None and found["first_layer"] == pytest.approx(-1)


def test_curves_of_stages_are_geometric_means_at_the_epochs_that_are_evaluated():
    config = configured.get_config("smoke")
    config.eval_every_epochs, config.num_epochs = 2, 5
    run = lambda *values: [
        {"step": i, "stage_mean_abs": [v, 1.0], "stage_var": [v * v, 0.0], "val_accuracy": 0.5}
        for i, v in enumerate(values)
    ]
    trained = {"plain": {0: [{"step": 0}, *run(1.0, 4.0, 9.0)], 1: run(4.0, 4.0)}, "residual": {}}
    found = gradients_figures.stage_curves(config, trained)
    assert list(found) == ["plain"] and found["plain"]["epoch"].tolist() == [2, 4]
    np.testing.assert_allclose(found["plain"]["mean_abs"], [[2.0, 1.0], [4.0, 1.0]])
    assert np.isnan(found["plain"]["var"][:, 1]).all()
    assert gradients_figures.epochs(config, 3).tolist() == [2, 4, 5]
