"""A walk along a line to a goal: an environment of one's own, of which the best return is known.

    python launch.py --config=configs/ppo.py:one --config.env.name=docs.examples.walk:Walk \\
        --config.total_steps=20000

A step costs 1, and the goal is 8 steps to the left or to the right: the best return is -8.
"""

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces


@struct.dataclass
class State:
    way: jax.Array  # steps to the goal; below 0: to the left
    time: int  # steps of this episode


@struct.dataclass
class Params:
    distance: float = 8.0
    max_steps_in_episode: int = 40  # the time limit


class Walk(environment.Environment):
    default_params = Params()

    def reset_env(self, key, params):  # begins an episode: (observation, state)
        side = jax.random.choice(key, jnp.array([-1.0, 1.0]))
        state = State(way=side * params.distance, time=0)
        return self.look(state, params), state

    def step_env(self, key, state, action, params):
        state = State(way=state.way - (2.0 * action - 1.0), time=state.time + 1)
        reward, terminated = -1.0, state.way == 0  # the time limit is left to is_truncated
        return self.look(state, params), state, reward, terminated, {}

    def look(self, state, params):
        return jnp.array([state.way / params.distance])

    def action_space(self, params):
        return spaces.Discrete(2)  # one step to the left, or to the right

    def observation_space(self, params):
        return spaces.Box(-jnp.inf, jnp.inf, (1,))
