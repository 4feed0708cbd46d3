"""What halving would have chosen, by grids made by hand and by the record of a study."""

import pytest

from bench.halving import RULES, USED, Grid, grids_of, main, outcome
from dla_jax.config.checks import ConfigError
from dla_jax.trials.arms import mean_score


def grid_of(curves, value="val_accuracy", sign=1.0):
    """Return the grid of {rate: [scores along the training of each run]}."""

    def run(scores):
        best = max(scores) if sign > 0 else min(scores)
        rows = [{"step": 10 * i, value: score} for i, score in enumerate(scores, 1)]
        return rows, {"step": rows[-1]["step"], "diverged": False, value: best}

    runs = {rate: [run(scores) for scores in own] for rate, own in curves.items()}
    return Grid("net", runs, mean_score(value, sign), value)


SLOW = {
    0.1: [(0.5, 0.5, 0.6), (0.4, 0.6, 0.6)],
    0.2: [(0.3, 0.4, 0.8), (0.3, 0.5, 1.0)],  # the best at the end, the worst before
    0.3: [(0.6, 0.6, 0.7), (0.6, 0.6, 0.7)],
    0.4: [(0.1, 0.1, 0.1), (0.1, 0.1, 0.1)],
}


def test_what_another_choice_costs_is_a_difference_of_whole_runs():
    found = outcome(grid_of(SLOW), RULES[USED])
    assert (found.full, found.halved) == (0.2, 0.3)
    assert found.cost == pytest.approx(0.9 - 0.7)
    assert found.steps == pytest.approx((3 + 3 + 1 + 1) / 12)  # in thirds, of four whole runs
    losses = {rate: [[1 - score for score in run] for run in runs] for rate, runs in SLOW.items()}
    found = outcome(grid_of(losses, "val_nats_per_char", sign=-1.0), RULES[USED])
    assert (found.full, found.halved) == (0.2, 0.3) and found.cost == pytest.approx(0.2)


def test_a_rate_that_leads_throughout_is_chosen_by_every_rule():
    curves = {rate: [(rate, rate, 2 * rate)] for rate in (0.1, 0.2, 0.3, 0.4, 0.5)}
    found = {name: outcome(grid_of(curves), rule) for name, rule in RULES.items()}
    assert {(each.full, each.halved, each.cost) for each in found.values()} == {(0.5, 0.5, 0.0)}
    steps = {name: round(each.steps * 15) for name, each in found.items()}  # in thirds
    assert steps == dict(zip(RULES, (5, 5, 5, 11, 11, 8, 15, 11), strict=True))


def test_the_record_of_a_study_is_read(smoke, monkeypatch, capsys):
    workdir = smoke("rescnn")[0]
    grids = grids_of(workdir)
    assert [grid.arm for grid in grids] and {len(grid.runs) for grid in grids} == {2}
    monkeypatch.setattr("sys.argv", ["halving", str(workdir)])
    main()
    told = capsys.readouterr().out
    assert told.count(" of 7 |") == len(RULES) and "| plain-2 | 2 |" in told


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(ConfigError):
        grids_of(tmp_path)
