"""What the functions of an environment of one's own return is looked at before a step is taken."""

import numpy as np
import pytest
from walks import BEFORE, refusal, roll, write

from dla_jax.rl import envs

OBS, STATE = "self.look(state, params)", "State(state.way, state.time + 1)"
AT_BODY = f".py, line {BEFORE + 5})"
STEPPED = {  # what is returned instead: what the line must say
    "reset_env": {
        f"return {OBS}": ["reset_env", "gave an array, expected 2: obs, state"],
        f"return {OBS}, state, {{}}": ["gave 3 results, expected 2: obs, state"],
        "return {'way': state.way}, state": ["observations of", "are a dict; give one array"],
        "return state.way, object()": ["state of", "holds an object", "flax.struct.dataclass"],
        "return state.way, {'a': 'b'}": ["state of", "holds a str"],
        "return jnp.zeros((0,)), state": ["float32[0]", "one array of numbers"],
        "return jax.random.key(0), state": ["key<fry>[]", "one array of numbers"],
        "return jnp.zeros(2), state": ["float32[2] after reset_env", "float32[1] after step_env"],
        "return jnp.int32([0]), state": ["whole numbers, int32[1]", "bounds from 0", "/ 255"],
        f"return {OBS}, state.replace(way=0)": [
            "state.way of",
            "int32[] after reset_env, and float32[] after step_env",
        ],
        "if state.way > 0: pass": ["TracerBoolConversionError", AT_BODY, "use jnp.where"],
        "np.asarray(state.way)": ["TracerArrayConversionError", "use jax.numpy, not NumPy"],
        "self.last = state": ["reset_env", "sets self.last, which", "keep what changes in the"],
    },
    "step_env": {
        f"return {OBS}, {STATE}, -1.0, False": [
            "step_env",
            "gave 4 results, expected 5: obs, state, reward, terminated, info",
        ],
        f"return {OBS}, {STATE}, -1.0, False, False, {{}}": [
            "gave 6 results",
            "truncated is what is_truncated says",
        ],
        f"return {OBS}, -1.0, False, False, {{}}": ["a State after reset_env, and float32[] with"],
        f"return {OBS}, (state, 0), -1.0, False, {{}}": ["a State after reset_env, and a tuple"],
        f"return {OBS}, state, -1.0, False, {{}}": ["leaves state.time as it was", "add 1 to it"],
        f"return [state.way], {STATE}, -1.0, False, {{}}": ["and a list after step_env"],
        f"return {OBS} > 0, {STATE}, -1.0, False, {{}}": ["bool[1] after step_env"],
        f"return {OBS}, {STATE}, {OBS}, False, {{}}": ["float32[1] as reward", "one number"],
        f"return {OBS}, {STATE}, None, False, {{}}": ["a NoneType as reward"],
        f"return {OBS}, {STATE}, False, -1.0, {{}}": ["float32[] as terminated", "one boolean"],
        f"return {OBS}, {STATE}, -1.0, {OBS} > 0, {{}}": ["bool[1] as terminated"],
        "self.ways = [state.way, 1]": ["step_env", "sets self.ways", "episodes side by side"],
        "return self.seen": ["AttributeError: 'Env' object has no attribute 'seen'", AT_BODY],
    },
    "is_truncated": {
        "return state.time": ["is_truncated", "gave int32[] as its result", "one boolean"],
        "return state.clock": ["is_truncated", "AttributeError", "'clock'"],
        "return state.time >= 30": ["does not look at params.max_steps_in_episode; compare"],
        "return jnp.bool_(False)": ["does not look at params.max_steps_in_episode; compare"],
    },
    "action_space": {
        "raise NotImplementedError": ["action_space of", "raised NotImplementedError (own_walk"],
        "return gymnasium.spaces.Discrete(2)": ["is gymnasium's Discrete", "gymnax.environments"],
        "return spaces.Dict({'a': spaces.Discrete(2)})": ["is a Dict; give Discrete or Box"],
        "return spaces.Discrete(1)": ["is Discrete(1); give a whole number of actions, 2 or more"],
        "return spaces.Discrete(2.5)": ["is Discrete(2.5); give"],
        "raise SystemExit(3)": ["action_space of", "raised SystemExit: 3 (own_walk"],
        "return spaces.Box(-jnp.inf, jnp.inf, (1,))": ["finite bounds"],
        "return spaces.Box(1.0, -1.0, (1,))": ["low below high"],
        "return spaces.Box(jnp.zeros(2), jnp.ones(2), (3,))": ["shape (3,) with bounds of (2,)"],
        "return spaces.Box(0.0, 1.0, (0,))": ["shape (0,)"],
    },
    "observation_space": {"return None": ["observation_space of", "is a NoneType"]},
}
ARGUMENTS = {
    "reset_env": "key, params",
    "step_env": "key, state, action, params",
    "is_truncated": "state, params",
    "action_space": "params",
    "observation_space": "params",
}


def changed(function, body, base="Walk"):
    """Return the source of a walk whose function does something else."""
    begin = "state = super().reset_env(key, params)[1]" if function == "reset_env" else "pass"
    return f"""
    class Env({base}):
        def {function}(self, {ARGUMENTS[function]}):
            {begin}
            {body}
            return super().{function}({ARGUMENTS[function]})
    """


@pytest.mark.parametrize(
    ("function", "body"), [(name, body) for name, bodies in STEPPED.items() for body in bodies]
)
def test_what_functions_return_is_traced(function, body):
    message = refusal(f"{write(changed(function, body))}:Env")
    assert all(word in message for word in STEPPED[function][body]), message


def test_whole_numbers_need_bounds_that_make_them_short_vectors():
    source = """
    class Env(Walk):
        look = lambda self, state, params: jnp.int32([4, 2])
        observation_space = lambda self, params: spaces.Box({}, {}, (2,), jnp.int32)
    """
    assert envs.make(f"{write(source.format(0, 4))}:Env", flatten=True).obs_shape == (10,)
    for low, high in ((-1, 4), (0, "jnp.inf"), (0, 2**16)):
        assert "one-hot" in refusal(f"{write(source.format(low, high))}:Env")


def test_a_time_limit_may_be_written_in_python_alone():
    for body in ("return state.time >= int(params.max_steps_in_episode)", "pass"):
        envs.check_env(f"{write(changed('is_truncated', body))}:Env")


def test_actions_have_the_shape_of_their_space():
    source = """
    class Env(Walk):
        action_space = lambda self, params: spaces.Box(-jnp.ones({0}), 3.0, {0})
        def step_env(self, key, state, action, params):
            assert action.shape == {0}
            state = state.replace(time=state.time + 1)
            return self.look(state, params), state, action.sum(), False, {{}}
    """
    for shape, size in (((), 1), ((2, 3), 6)):
        env = envs.make(f"{write(source.format(shape))}:Env", flatten=True)
        assert env.action_size == size and env.continuous
        steps = roll(env, np.full((1, 2, size), 0.5, np.float32))
        np.testing.assert_allclose(steps.reward, 2.0 * size)


def test_a_state_may_hold_keys_and_plain_dataclasses_be_parameters():
    source = """
    @dataclasses.dataclass(frozen=True)
    class Plain:
        max_steps_in_episode: int = 6
    class Env(Walk):
        default_params = Plain()
        def reset_env(self, key, params):
            return jnp.zeros(1), (jax.random.clone(key), 0)
        def step_env(self, key, state, action, params):
            key, draw = jax.random.split(state[0])
            return jax.random.normal(draw, (1,)), (key, state[1] + 1), 0, jnp.bool_(False), {}
        is_truncated = lambda self, state, params: state[1] >= params.max_steps_in_episode
    """
    env = envs.make(f"{write(source)}:Env", flatten=True, sticky=0.3, max_steps=4)
    steps = roll(env, np.ones((8, 5), np.int32))
    assert len(np.unique(steps.next_obs)) == 40 and (steps.done.sum(0) == 2).all()
