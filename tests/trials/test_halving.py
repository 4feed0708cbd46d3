"""Successive halving picks by hand-made curves, and runs each rate no further than it goes."""

from fractions import Fraction

import pytest

from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.data.batches import epoch_end
from dla_jax.evidence.rows import read_record
from dla_jax.training.record import Record
from dla_jax.trials import halving
from dla_jax.trials.arms import Trial, best_rate, choose_rates, mean_score
from dla_jax.trials.grid import Job, run_grid

# Scores at the two cuts, and at the end, of runs at each rate.
EARLY = {0.001: (0.2, 0.3, 0.9), 0.003: (0.5, 0.8, 0.85), 0.01: (0.7, 0.6, 0.5), 0.03: (0.1,) * 3}
SLOW = {0.001: (0.4, 0.9, 0.95), 0.003: (0.5, 0.8, 0.85), 0.01: (0.3, 0.6, 0.5), 0.03: (0.1,) * 3}


def raced(curves, **more):
    return halving.race(curves, lambda rate, cut: curves[rate][cut], **more)


def test_cuts_are_the_first_evaluations_not_before_a_third_and_three_quarters():
    assert halving.cuts(90, range(10, 90, 10)) == (30, 70)
    assert halving.cuts(200, range(10, 200, 10)) == (70, 150)
    assert halving.cuts(1000, (200, 400, 600, 800)) == (400, 800)
    assert halving.cuts(20, (10,)) == (10, 20)
    assert halving.cuts(7, ()) == (7, 7)  # without evaluations before, the end is both


@pytest.mark.parametrize("num_examples", range(300, 380))
def test_cuts_of_epochs_are_whole_epochs_whatever_a_batch_leaves_over(num_examples):
    ends = [epoch_end(epoch, 64, num_examples) for epoch in range(1, 13)]
    assert halving.cuts(ends[-1], ends) == (ends[3], ends[8])


def test_half_of_the_rates_go_on_and_the_better_one_at_the_second_cut_is_chosen():
    found = raced(EARLY)
    assert found.chosen == 0.003
    assert found.last_cut == {0.001: 0, 0.03: 0, 0.003: 1, 0.01: 1}


def test_a_slow_starter_that_half_keeps_and_a_third_would_lose():
    curves = {**SLOW, 1.0: (0.45, 0.2, 0.1), 3.0: (0.05,) * 3}
    assert raced(curves).chosen == 0.001
    third = lambda rates: -(-rates // 3)
    assert raced(curves, keep=third).chosen == 0.003
    assert max(curves, key=lambda rate: curves[rate][2]) == 0.001


def test_of_two_or_three_rates_two_are_left_to_the_second_cut():
    assert raced({0.1: (0.9, 0.1), 0.2: (0.1, 0.9)}).chosen == 0.2
    assert raced({0.1: (0.9, 0.1), 0.2: (0.2, 0.9), 0.3: (0.1, 1.0)}).chosen == 0.2
    assert halving.kept(2) == halving.kept(3) == halving.kept(4) == 2


def test_a_rate_that_is_behind_at_the_first_cut_is_lost_whatever_it_would_reach():
    assert raced(EARLY).chosen != max(EARLY, key=lambda rate: EARLY[rate][2]) == 0.001


def test_of_equals_the_smallest_goes_on_and_is_chosen():
    assert raced({0.1: (1, 1), 0.01: (1, 1), 0.3: (1, 1)}).chosen == 0.01
    assert raced({0.1: (1, 1), 0.01: (1, 1), 0.3: (1, 1)}).last_cut == {0.01: 1, 0.1: 1, 0.3: 0}


@pytest.mark.parametrize(("rates", "goes_on"), [(2, 2), (3, 2), (4, 2), (5, 3), (7, 4)])
def test_the_share_of_the_steps_is_a_count_of_them(rates, goes_on):
    length, (first, second) = 90, halving.cuts(90, range(1, 90))
    steps = rates * first + goes_on * (second - first)
    assert halving.share(rates, length, range(1, length)) == Fraction(steps, rates * length)
    curves = {rate: (rate, rate) for rate in range(rates)}
    assert list(raced(curves).last_cut.values()).count(1) == goes_on


def row(*scores):
    return {"cuts": [{"score": score, "diverged_at": None} for score in scores]}


def test_last_rows_say_what_was_chosen_by_the_mean_over_seeds():
    rows = {
        0.1: [row(0.9, 0.2), row(0.9, 0.4)],
        0.2: [row(0.5, 0.5), row(0.9, 0.2)],
        0.3: [row(0.1), row(0.2)],  # they went no further
        0.4: [row(0.99), row(0.0)],
    }
    assert halving.chosen_rate(rows, mean_score("score")) == 0.2
    trials = [Trial("select", "a", seed, lr) for lr in rows for seed in (0, 1)]
    done = {trial.name: rows[trial.lr][trial.seed] for trial in trials}

    class Own:
        name, lender, rates = "a", None, tuple(rows)

    arms = {"a": Own}
    picked = choose_rates(arms, trials, done, mean_score("score"), halving.chosen_rate)
    assert picked == {"a": 0.2}


def test_a_run_that_ended_early_scores_at_a_later_cut_what_it_ended_with():
    rows = {0.1: [row(0.9)], 0.2: [row(0.8, 0.7)], 0.3: [row(0.1)], 0.4: [row(0.2)]}
    assert halving.chosen_rate(rows, mean_score("score")) == 0.1


CURVES = {"a": EARLY, "b": SLOW}
SELECT = [Trial("select", arm, seed, lr) for arm in CURVES for lr in EARLY for seed in (8, 9)]
FINAL = [Trial("final", arm, 0, 0.0) for arm in CURVES]


class Halved:
    """A study whose runs only write how far they came; a run trains again after a stop."""

    def __init__(self, workdir):
        self.workdir, self.log, self.on_advance = workdir, [], lambda trial, cut: None

    def job(self, trial, record):
        results = []

        def advance(cut, progress):
            self.on_advance(trial, cut)
            self.log.append((trial.name, cut))
            results.append({"score": CURVES[trial.arm][trial.lr][cut], "diverged_at": None})
            return results

        def end(cut, progress):
            record.append({"run": trial.name, "step": len(results), "done": True, "cuts": results})

        def run(given, progress):
            (final,) = given
            record.append({"run": final.name, "step": 9, "done": True, "lr": final.lr})

        return Job([trial], 1, None, lambda: None, run, advance, end)

    def run(self):
        record, score = Record(self.workdir), mean_score("score")
        try:
            run_grid(
                record,
                SELECT,
                FINAL,
                make_jobs=lambda trials: [self.job(trial, record) for trial in trials],
                choose_rates=lambda done: {
                    arm: halving.chosen_rate(
                        {
                            lr: [done[t.name] for t in SELECT if (t.arm, t.lr) == (arm, lr)]
                            for lr in EARLY
                        },
                        score,
                    )
                    for arm in CURVES
                },
                side_by_side=1,
                quiet=True,
                unit="step",
                halved_by=score,
            )
        finally:
            record.close()
        return {row["run"]: row for row in read_record(self.workdir)}


def test_each_run_goes_as_far_as_its_rate_and_the_chosen_one_is_compared(tmp_path):
    study = Halved(tmp_path)
    rows = study.run()
    assert study.log[:16] == [(trial.name, 0) for trial in SELECT]
    again = {("a", 0.003), ("a", 0.01), ("b", 0.001), ("b", 0.003)}
    assert study.log[16:] == [(t.name, 1) for t in SELECT if (t.arm, t.lr) in again]
    assert {run: row["lr"] for run, row in rows.items() if "lr" in row} == {
        "final/a/seed0": 0.003,
        "final/b/seed0": 0.001,
    }
    assert sum(row["step"] for run, row in rows.items() if "select" in run) == 16 + 8


@pytest.mark.parametrize("stop", [(SELECT[3], 0), (SELECT[13], 0), (SELECT[5], 1), (SELECT[9], 1)])
def test_a_stop_in_a_rung_leads_to_the_same_record(tmp_path, stop):
    whole, stopped = Halved(tmp_path / "whole"), Halved(tmp_path / "stopped")

    def on_advance(trial, cut):
        if (trial, cut) == stop:
            stop_requested.set()

    stopped.on_advance = on_advance
    with pytest.raises(Interrupted):
        stopped.run()
    stop_requested.clear()
    stopped.on_advance = lambda trial, cut: None
    assert stopped.run() == whole.run()


def test_a_full_grid_picks_the_best_of_the_ends():
    rows = {lr: [{"score": scores[2]}] for lr, scores in EARLY.items()}
    assert best_rate(rows, mean_score("score")) == 0.001
