"""Tests what the report of language models says of made-up runs, and how its claims weigh them."""

from pathlib import Path

import pytest

from configs import dante
from dla_jax.evidence.weighing import weigh
from dla_jax.studies.language.report import censored_of, run_of, verdict_words
from dla_jax.studies.study import Finished

RUN = {"reached_target": True, "nats_risen": 0.2, "best_step": 200, "diverged": False}


def weighed(preset, name, values, **changes):
    """Return a claim of a preset, with changes, and what it says of runs with these values."""
    claim = dante.get_config(preset).claims[name].to_dict() | changes
    ((_, arm),) = claim["contrasts"][0]
    runs = [
        {"group": arm, "seed": seed, "diverged": False, claim["value"]: value}
        for seed, value in enumerate(values)
    ]
    return weigh(claim, runs)


def test_who_does_not_beat_the_ngrams_is_named():
    run = {"group": "a", "best_ngram_order": 2, "ngram_nats_per_char": {"1": 3.0, "2": 1.0}}
    runs = [run | {"above_ngram": -0.1}, run | {"group": "b", "above_ngram": 0.2}]
    found = Finished(
        Path(),
        written={},
        config=None,
        arms=dict.fromkeys("ab"),
        rows={},
        done={},
        summary={"runs": runs},
    )
    words = verdict_words(found)
    assert "order 2" in words and "a has 0.100 nats less than it on average" in words
    assert "b has 0.200 nats more than it on average" in words


def test_what_the_budget_cut_off_is_known_to_be_a_bound():
    assert censored_of(RUN) == []
    assert censored_of(RUN | {"reached_target": False}) == ["log2_steps"]
    assert censored_of(RUN | {"nats_risen": None}) == []
    # Validation fell to the end: what follows is not known.
    assert censored_of(RUN | {"nats_risen": 0.0}) == [
        "nats_risen",
        "best_kilosteps",
        "over_fits",
        "best_past_reported",
    ]


def test_the_summary_says_after_how_many_thousand_steps_a_run_was_best():
    kept = run_of(found=None, row=RUN)
    assert kept["best_kilosteps"] == pytest.approx(0.2) and kept["censored"] == []
    assert run_of(found=None, row=RUN | {"diverged": True})["best_kilosteps"] is None


def test_a_rise_below_the_threshold_is_no_over_fitting():
    """Six runs that each end a little above their best, as any run does."""
    rises = [0.001 * seed for seed in range(6)]
    found = weighed("small", "g_llama_over_fits", rises)
    assert found["value"] == "nats_risen" and found["threshold"] == 0.01
    assert found["verdict"] == "does not hold"
    larger = [rise + 0.05 for rise in rises]
    assert weighed("small", "g_llama_over_fits", larger)["verdict"] == "holds"


def test_the_rise_that_counts_is_what_exceeds_the_threshold():
    found = weighed("gpt", "f_gpt_over_fits", [0.2] * 6)
    assert found["results"][0]["mean"] == pytest.approx(0.19)


def test_the_best_step_is_compared_with_the_one_that_lab_d_saw():
    kept = run_of(found=None, row=RUN)
    found = weighed("gpt", "h_best_by_3000", [kept["best_kilosteps"]] * 6, threshold=0.4)
    assert found["value"] == "best_kilosteps"
    assert found["results"][0]["mean"] == pytest.approx(-0.2)
    kilosteps = [2.0 + 0.01 * seed for seed in range(6)]
    assert weighed("gpt", "h_best_by_3000", kilosteps)["verdict"] == "holds"
    later = [value + 2.0 for value in kilosteps]
    assert weighed("gpt", "h_best_by_3000", later)["verdict"] == "does not hold"
