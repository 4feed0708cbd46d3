"""What the report of the study of gradients measures, on made-up records."""

from pathlib import Path

import numpy as np
import pytest

from configs import gradients
from dla_jax.studies.gradients.figures import epochs, stage_curves
from dla_jax.studies.gradients.report import measure
from dla_jax.studies.study import Finished
from dla_jax.trials.arms import resolve

DONE = {"diverged": False, "val_accuracy": 0.3}


def made_up(first, last, dense, norms, clipped=None, sizes=(1.0, 1.0)):
    """Return rows of a run with these gradients.

    Args:
      first: relative gradients of the first convolution at the probes.
      last: those of the last one.
      dense: mean |g| of the last dense layer in the steps.
      norms: of the whole gradient in the steps.
      clipped: the threshold, where there is one.
      sizes: mean |g| of the first convolution at the probes.
    """
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
        row = {"step": step, "layer_mean_abs": [9.9, 9.9, 9.9, mean_abs], "grad_norm": norm}
        rows.append(row | ({"clipped_norm": min(norm, clipped)} if clipped else {}))
    for i, (a, b) in enumerate(zip(first[1:], last[1:], strict=True), 1):
        rows[10 * i] |= {
            "probe_layer_relative": [a, 9.9, b, 9.9],
            "probe_layer_mean_abs": [sizes[i], 9.9, 9.9, 9.9],
        }
    return rows


def test_what_the_claims_compare_is_what_they_say():
    dense = [2.0] * 2 + [1.0] * 16 + [0.02] * 2
    rows = made_up([0.001, 0.1], [1.0, 1.0], dense, [5.0] * 19 + [50.0], clipped=10.0)
    rows[-1]["val_accuracy"] = 0.7
    found = measure(rows, 20, DONE)
    assert found["last_val_accuracy"] == 0.7
    # Fewer steps than are to be traced.
    short = measure(rows[:3] + rows[-1:], 150, DONE)
    assert short["last_dense_change"] == pytest.approx(np.log10(0.02 / 2))
    assert found["start_first_layer"] == pytest.approx(-3)
    assert found["first_layer"] == pytest.approx(-2)
    assert found["last_dense_change"] == pytest.approx(-2)
    assert found["largest_norm"] == pytest.approx(np.log10(50))
    assert found["clipped_steps"] == pytest.approx(1 / 20)


def test_the_size_of_the_first_gradient_is_that_of_its_numbers():
    rows = made_up([5.0, 7.0], [1.0, 1.0], [2.0] * 20, [5.0] * 20, sizes=(0.001, 10.0))
    rows[-1]["val_accuracy"] = 0.7
    assert measure(rows, 20, DONE)["first_size"] == pytest.approx((-3 + 1) / 2)


def test_a_diverged_run_counts_as_unbounded_and_a_dead_one_as_vanished():
    rows = made_up([0.0, 0.0], [1.0, 1.0], [1.0] * 20, [5.0] * 20)
    rows[-1]["val_accuracy"] = 0.1
    assert measure(rows, 20, DONE)["first_layer"] == -12
    found = measure(rows[:1], 20, DONE | {"diverged": True})
    assert found["largest_norm"] == 12 and found["last_dense_change"] is None
    assert found["start_first_layer"] == -12
    assert found["last_val_accuracy"] == DONE["val_accuracy"]  # chance


def test_a_gradient_that_overflowed_counts_as_exploded():
    rows = made_up([None, 1.0], [1.0, 1.0], [1.0] * 20, [5.0] * 20)
    rows[-1]["val_accuracy"] = 0.1
    found = measure(rows, 20, DONE)
    assert found["start_first_layer"] == 12 and found["first_layer"] == 6
    # The last convolution's, not the first one's.
    rows = made_up([0.0, 1.0], [None, 1.0], [1.0] * 20, [5.0] * 20)
    rows[-1]["val_accuracy"] = 0.1
    assert measure(rows, 20, DONE)["first_layer"] == -6
    # Both: nothing is known of that probe.
    rows = made_up([None, 0.1], [None, 1.0], [1.0] * 20, [5.0] * 20)
    rows[-1]["val_accuracy"] = 0.1
    found = measure(rows, 20, DONE)
    assert found["start_first_layer"] is None and found["first_layer"] == pytest.approx(-1)


def evaluated(*values):
    return [
        {"step": i, "stage_mean_abs": [v, 1.0], "stage_var": [v * v, 0.0], "val_accuracy": 0.5}
        for i, v in enumerate(values)
    ]


def test_curves_of_stages_are_geometric_means_at_the_epochs_that_are_evaluated():
    config = gradients.get_config("smoke")
    config.eval_every_epochs, config.num_epochs = 2, 5
    config.networks.plain.seeds = (0, 1)
    runs = {0: [{"step": 0}, *evaluated(1.0, 4.0, 9.0)], 1: evaluated(4.0, 4.0)}
    trained = [{"group": "plain", "seed": seed, "diverged": False} for seed in runs]
    found = Finished(
        workdir=Path(),
        written={},
        config=config,
        arms=resolve(config),
        rows={f"final/plain/seed{seed}": rows for seed, rows in runs.items()},
        done={},
        summary={"runs": trained},
    )
    curves = stage_curves(found)
    assert list(curves) == ["plain"] and curves["plain"]["epoch"].tolist() == [2, 4]
    np.testing.assert_allclose(curves["plain"]["mean_abs"], [[2.0, 1.0], [4.0, 1.0]])
    assert np.isnan(curves["plain"]["var"][:, 1]).all()
    assert epochs(config, 3).tolist() == [2, 4, 5]
