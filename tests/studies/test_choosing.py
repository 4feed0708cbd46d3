"""What a report says of the steps that halving took."""

from types import SimpleNamespace

from ml_collections import ConfigDict

from dla_jax.studies.choosing import halving_facts


def found(selection):
    """Return what a study of two arms found: of three rates each, two and one went on."""
    cuts = {"plain": (1, 2, 2), "residual": (1, 1, 2)}
    rows = [
        {
            "stage": "select",
            "group": arm,
            "step": 10 * count,
            "whole_steps": 30,
            "cuts": [{}] * count,
        }
        for arm, counts in cuts.items()
        for count in counts
    ]
    rows.append({"stage": "final", "step": 30})
    return SimpleNamespace(config=ConfigDict({"selection": selection}), done=dict(enumerate(rows)))


def test_runs_and_steps_of_all_arms_are_counted():
    (words,) = halving_facts(found("halving")).values()
    assert words.startswith("by successive halving: 6 runs began, 3 went on from the first cut, ")
    assert words.endswith("90 of 180 steps, 50 % of their steps saved")


def test_of_a_full_grid_nothing_is_said():
    assert halving_facts(found("full")) == {}
