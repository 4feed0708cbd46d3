"""A run stops where something happens, and its steps between two stops are one call."""

import itertools

import numpy as np
import pytest

from dla_jax.training.loop import stack_batches
from dla_jax.training.task import Plan

PLAN = Plan(
    num_steps=20,
    eval_steps=(5, 10, 15, 20),
    log_every_steps=4,
    checkpoint_every_steps=0,
    steps_per_call=3,
    patience=0,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"log_every_steps": 0},
        {"eval_steps": (20,), "log_every_steps": 7},
        {"checkpoint_every_steps": 2},
    ],
)
def test_no_stretch_is_longer_than_the_longest(changes):
    plan, stops = PLAN._replace(**changes), [0]
    while stops[-1] < plan.num_steps:
        stops.append(plan.next_stop(stops[-1]))
    assert plan.longest_stretch() == max(b - a for a, b in itertools.pairwise(stops))


def test_batches_past_the_last_repeat_it_and_are_not_made():
    made = []

    def batch_at(step):
        made.append(step)
        return {"index": np.full(2, step)}

    stacked = stack_batches(batch_at, first=3, stop=5, rows=4)
    np.testing.assert_array_equal(stacked["index"], [[3, 3], [4, 4], [4, 4], [4, 4]])
    assert made == [3, 4]
