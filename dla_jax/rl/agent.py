"""What a method of reinforcement learning is to the loop that runs it."""

from collections.abc import Callable
from typing import NamedTuple


class Agent(NamedTuple):
    """One method on one environment, as pure functions.

    A state has at least `updates` and `env_steps`, both int32 []. The metrics of an update are
    scalars, among them `episodes`, `return_sum` and `length_sum` of the episodes that ended in it.
    """

    init: Callable  # key, hyper -> state
    # state -> (state, metrics); where steps depend on the episodes, also takes `playing`, bool []:
    # else what it returns is of no use
    update: Callable
    actor: Callable  # state -> what acting needs of it: a pytree of arrays, the trained model
    act: Callable  # actor, obs [E, ...] -> the greedy action of each
    steps_per_update: int  # environment steps; 0: it depends on the episodes
    most_steps: int  # environment steps of an update at most
    first_steps: int = 0  # environment steps before the first update
