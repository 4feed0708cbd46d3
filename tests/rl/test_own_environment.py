"""An environment of one's own is found and made, and played as gymnax's are."""

import sys

import numpy as np
import pytest
from walks import BEFORE, path_of, refusal, roll, write

from dla_jax.rl import envs, own_environment


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("docs.examples.wolk:Walk", ["no module docs.examples.wolk", "current folder"]),
        ("docs.examples.walk:Wolk", ["has no Wolk", "did you mean 'Walk'"]),
        ("docs/examples/walk.py:Walk", ["is a file", "docs.examples.walk:Walk"]),
        ("/some/where/walk.py:Walk", ["is a file", "as in walk:Walk"]),
        ("docs/examples/walk:Walk", ["not of the form package.module:NAME"]),
        ("docs.examples.walk:", ["not of the form package.module:NAME"]),
        (":Walk", ["not of the form package.module:NAME"]),
        ("docs.examples.walk.Walk", ["unknown", "known: CartPole-v1", "package.module:factory"]),
    ],
)
def test_a_name_that_leads_nowhere_is_answered_by_how_to_write_it(name, words):
    message = refusal(name)
    assert all(word in message for word in ["env.name", *words]), message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_library", ["ModuleNotFoundError", "no_such_library", ".py, line 1)"]),
        ("x = 1 +\n", ["SyntaxError", "line 1)"]),
        ("raise SystemExit('usage: x')", ["SystemExit: usage: x", "line 1)"]),
        ("\n1 / 0", ["ZeroDivisionError: division by zero", ".py, line 2)"]),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_line(source, words):
    module = write(source, head="")
    message = refusal(f"{module}:Env")
    assert all(word in message for word in [f"importing {module} raised", *words]), message


MADE = {  # what `Env` is: what the line must say
    "Env = 3": ["is an int, which cannot be called"],
    "Env = Walk()": ["is a Walk, which cannot be called", "its class"],
    "def Env(size): pass": ["raised TypeError", "'size'"],
    "def Env():\n    raise ValueError('the size must be odd')": [
        "raised ValueError: the size must be odd (own_walk_",
        f".py, line {BEFORE + 2})",
    ],
    "def Env(): Walk()": ["returned a NoneType without reset_env, step_env, is_truncated"],
    "def Env(): return Walk": ["returned the class Walk; return an instance"],
    "def Env(): return Walk(), Params(), 3": ["returned a tuple of 3", "(environment, parameters)"],
    "def Env(): return gymnasium.make('CartPole-v1')": [
        "returned gymnasium's TimeLimit",
        "no JAX functions",
        "reset_env, step_env",
    ],
    "class Env(gymnasium.Env): pass": ["returned gymnasium's Env", "no JAX functions"],
    "def Env():\n    return purerl.FlattenObservationWrapper(Walk())": [
        "returned gymnax's FlattenObservationWrapper",
        "wraps reset and step",
    ],
    "class Env(environment.Environment):\n    default_params = Params()": [
        "returned an Env without reset_env, step_env, action_space, observation_space; ",
    ],
    "class Env:\n"
    "    reset_env = step_env = action_space = observation_space = lambda *given: given": [
        "returned an Env without is_truncated",
        "before gymnax 1.0 a time limit was part of step_env's fourth result",
    ],
    "class Env:\n"
    "    reset_env = step_env = action_space = observation_space = lambda *given: given\n"
    "    is_truncated = reset_env": ["returned an Env without default_params; add them, or"],
    "class Env(Walk):\n    is_terminal = lambda self, state, params: state.time > 3": [
        "is_terminal",
        "true at the time limit too",
        "is_terminated",
    ],
    "class Env(Walk):\n    def step(self, *given): pass": [
        "a step of its own",
        "move what it does into step_env",
    ],
    "class Env(environment.Environment):\n"
    "    reset_env = step_env = action_space = observation_space = lambda *given: given": [
        "returned an Env without default_params"
    ],
    "class Env(Walk):\n    default_params = property(lambda self: 1 / 0)": [
        "default_params of",
        "ZeroDivisionError",
    ],
    "def Env(): raise SystemExit(3)": ["raised SystemExit: 3 (own_walk"],
    "def Env(): return Walk(), None": ["are a NoneType without max_steps_in_episode"],
    "def Env(): return Walk(), {'max_steps_in_episode': 3}": ["are a dict without max_steps_in"],
    "@struct.dataclass\nclass Few:\n    distance: float = 8.0\ndef Env(): return Walk(), Few()": [
        "are a Few without max_steps_in_episode",
        "flax.struct.dataclass",
    ],
    "def Env(): return Walk(), Params(max_steps_in_episode=0)": ["max_steps_in_episode 0"],
    "def Env(): return Walk(), Params(max_steps_in_episode=jnp.inf)": ["max_steps_in_episode inf"],
    "def Env(): return Walk(), Params(max_steps_in_episode=(3,))": ["max_steps_in_episode (3,)"],
    "Env = type('Env', (Walk,), {'__module__': 'nowhere'})": [
        "is defined in nowhere, which is no file",
    ],
}


@pytest.mark.parametrize("source", MADE)
def test_what_a_factory_makes_is_looked_at_before_it_is_played(source):
    message = refusal(f"{write(source)}:Env")
    assert all(word in message for word in MADE[source]), message


@pytest.mark.parametrize("limit", [0, 5])
def test_a_walk_ends_at_its_goal_or_its_limit(limit):
    env = envs.make("docs.examples.walk:Walk", flatten=True, max_steps=limit)
    assert env.name == "docs.examples.walk:Walk" and env.max_steps == (limit or 40)
    assert env.num_actions == 2 and env.obs_shape == env.native_shape == (1,)
    assert envs.return_bounds(env) == (-np.inf, np.inf)
    steps = roll(env, np.ones((8, 64), np.int32))  # always to the right
    right = steps.next_obs[0, :, 0] == 7 / 8
    assert set(right) == {True, False}
    for step in range(8):
        np.testing.assert_array_equal(steps.terminated[step], right & (step == 7) & (not limit))
        assert set(steps.truncated[step]) == {step + 1 == limit}
    assert (steps.episode_return[limit - 1] == -(limit or 8)).all()


def test_parameters_come_with_the_environment_or_from_it():
    two = write("def make(): return Walk(), Params(distance=2.0, max_steps_in_episode=7)")
    env = envs.make(f"{two}:make", flatten=True)
    assert env.max_steps == 7
    assert roll(env, np.ones((2, 16), np.int32)).terminated[1].any()
    one = write("def make(): return gymnax.make('Pendulum-v1')[0]")
    ours, theirs = (
        roll(envs.make(name, flatten=True), np.linspace(-1, 1, 12, dtype=np.float32)[:, None, None])
        for name in (f"{one}:make", "Pendulum-v1")
    )
    for own, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, their)


def test_it_is_made_once_until_its_module_is_reloaded():
    module = write("class Env(Walk): pass")
    first = own_environment.load(f"{module}:Env")
    path_of(module).write_text(path_of(module).read_text() + "# as it was\n")
    assert own_environment.load(f"{module}:Env") is first, "what is loaded has not changed"
    del sys.modules[module]
    again = own_environment.load(f"{module}:Env")
    assert again.game is not first.game and again.codes != first.codes


def test_the_code_is_that_of_the_factory_and_of_the_classes_it_makes():
    kinds = write("class Env(Walk): pass")
    factory = write(f"from {kinds} import Env\ndef make(): return Env()", head="")

    def code():
        for module in (kinds, factory):
            sys.modules.pop(module, None)
        return tuple(sorted(own_environment.load(f"{factory}:make").codes.items()))

    found = [code(), code()]
    files = ["", f" in {kinds}.py", " in docs/examples/walk.py"]
    assert found[0] == found[1]
    assert {name for name, _ in found[0]} == {f"code of {factory}:make{file}" for file in files}
    assert all(len(code) == 16 for _, code in found[0])
    for module in (kinds, factory):
        path_of(module).write_text(path_of(module).read_text() + "\nlater = 1\n")
        found.append(code())
    assert len(set(found)) == 3
