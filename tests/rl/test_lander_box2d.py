"""Pictures of LunarLander beside those of gymnasium, which Box2D simulates."""

import numpy as np
import pytest

from dla_jax.rl import board
from dla_jax.rl.lander_picture import PIXELS, SIZE, draw, ending

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("Box2D")
pytest.importorskip("pygame")

LANDER, FLAG, WHITE = (128, 102, 230), (204, 204, 0), (255, 255, 255)  # white: its ground
NAMES = ("flown", "at_random")
EXTRA = SIZE[1] - 200  # rows of ours above the 200 that show gymnasium's world


def scene_of(env, action):
    """Return what `draw` takes of gymnasium's environment after a discrete action."""
    bodies = [(body.position.x, body.position.y, body.angle) for body in (env.lander, *env.legs)]
    powers = (float(action == 2), {1: -1.0, 3: 1.0}.get(action, 0.0))
    heights = [left[1] for left, *_ in env.sky_polys] + [env.sky_polys[-1][1][1]]
    return np.float32([*np.ravel(bodies), *powers, *heights])


def flown(env, observation, random):
    from gymnasium.envs.box2d import lunar_lander

    return lunar_lander.heuristic(env, observation)


def at_random(env, observation, random):
    return int(random.integers(4))


def played(choose, seed):
    """Return an episode of gymnasium: a dict for each step, and the last reward.

    "exhaust" is where the particle of this step began, from the middle of the lander, in its own
    axes.
    """
    env = gymnasium.make("LunarLander-v3", render_mode="rgb_array").unwrapped
    (observation, _), create, began = env.reset(seed=seed), env._create_particle, []

    def noted(mass, x, y, ttl):
        began.append(env.lander.GetLocalPoint((x, y)))
        return create(mass, x, y, ttl)

    env._create_particle = noted
    steps, random, terminated = [], np.random.default_rng(seed), False
    while not terminated:
        action = choose(env, observation, random)
        began.clear()
        observation, reward, terminated, _, _ = env.step(action)
        steps.append(
            {
                "picture": env.render(),
                "scene": scene_of(env, action),
                "touches": [leg.ground_contact for leg in env.legs],
                "action": action,
                "exhaust": tuple(began[0]) if began else None,
            }
        )
    env.close()
    return steps, reward


@pytest.fixture(scope="module")
def episodes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_VIDEODRIVER", "dummy")
        patch.setenv("SDL_AUDIODRIVER", "dummy")
        return {choose.__name__: played(choose, seed=3) for choose in (flown, at_random)}


def share_of(step, colour):
    """Return how much of each of our pixels has a colour in gymnasium's picture, twice as large."""
    found = (step["picture"] == colour).all(-1)
    return found.reshape(200, 2, 300, 2).mean((1, 3))


def ours(scene, *colours):
    picture = np.asarray(draw(scene))[EXTRA:]
    return np.any([(picture == board.rgb(colour)).all(-1) for colour in colours], 0)


def centre_of_flame(scene):
    """Return the middle of what engines add to a picture, in metres from that of the lander."""
    quiet = scene.copy()
    quiet[9:11] = 0
    rows, columns = np.nonzero((np.asarray(draw(scene)) != np.asarray(draw(quiet))).any(-1))
    return np.array([columns.mean() + 0.5, SIZE[1] - rows.mean() - 0.5]) / PIXELS - scene[:2]


@pytest.mark.parametrize("name", NAMES)
def test_the_lander_and_its_legs_are_where_gymnasium_draws_them(episodes, name):
    for step in episodes[name][0][::9]:
        quiet = step["scene"].copy()
        quiet[9:11] = 0  # a flame lies above its lander, or is one of many particles
        seen = ours(quiet, board.BLUE, board.PAGE, board.INK)
        if any(step["touches"]):
            seen |= ours(quiet, board.GREEN) & (share_of(step, LANDER) > 0)
        share = share_of(step, LANDER)
        # edges are of a mixed colour; poles of flags are of the colour of legs
        assert (seen & (share > 0.5)).sum() > 0.85 * (share > 0.5).sum()
        assert (seen & (share > 0)).sum() > seen.sum() - 40 and seen.sum() < 280


@pytest.mark.parametrize("name", NAMES)
def test_ground_and_flags_are_where_gymnasium_draws_them(episodes, name):
    step = episodes[name][0][20]
    seen, share = ours(step["scene"], board.LINE), share_of(step, WHITE)
    assert (share[seen] == 1).all() and seen.sum() > 0.98 * (share > 0.5).sum()
    for left in (100, 160):  # columns of one of the flags, without the helipad below
        green = ours(step["scene"], board.GREEN)[:140, left : left + 60]
        theirs = share_of(step, FLAG)[:140, left : left + 60] > 0
        for found in zip(np.nonzero(green), np.nonzero(theirs), strict=True):
            assert abs(found[0].min() - found[1].min()) <= 2
            assert abs(found[0].max() - found[1].max()) <= 4


def test_flames_are_on_the_side_of_its_exhaust(episodes):
    actions = set()
    for step in episodes["flown"][0][30:110:5] + episodes["at_random"][0][20:80:5]:
        if step["action"] == 0:
            continue
        actions.add(step["action"])
        (right, up), angle = step["exhaust"], step["scene"][2]
        flame = centre_of_flame(step["scene"])
        across = flame @ (np.cos(angle), np.sin(angle))
        along = flame @ (-np.sin(angle), np.cos(angle))
        if step["action"] == 2:
            assert along < up < 0 and abs(right) < 0.1 and abs(across) < 0.1
        else:
            assert across / right > 1 and abs(along - up) < 0.2
    assert actions == {1, 2, 3}


def test_legs_are_green_when_they_touch_the_ground(episodes):
    right = []
    for step in [step for name in NAMES for step in episodes[name][0][::3]]:
        seen = ours(step["scene"], board.GREEN) & (share_of(step, LANDER) > 0.9)
        right.append(seen.any() == any(step["touches"]))
    assert np.mean(right) > 0.95 and len(right) > 90


def test_ends_have_the_words_of_what_happened(episodes):
    for name, words in zip(NAMES, ("landed", "crashed"), strict=True):
        steps, reward = episodes[name]
        assert ending(steps[-1]["scene"], True, reward) == words
