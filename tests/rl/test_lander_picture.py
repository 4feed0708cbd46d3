"""Pictures of LunarLander: what lies where, which way is up, on which side there is a flame."""

import math

import jax
import numpy as np
import pytest
from coloured import middle, pixels

from dla_jax.rl import board, drawers, envs, lander_picture
from dla_jax.rl.lander_picture import PIXELS, SIZE, draw, ending

HULL = ((-14, 17), (-17, 0), (-17, -10), (17, -10), (17, 0), (14, 17))  # gymnasium's, 1/30 m
NAMES = ("LunarLanderJax-v0", "LunarLanderContinuousJax-v0")
FLAT = (3.0,) * 11
HILLS = (5.0, 1.0, 4.0, 2.5, 3.3, 3.3, 3.3, 0.4, 6.0, 5.5, 2.0)
FLAMES = (board.VERMILION, board.ORANGE)


def scene(x=10.0, y=8.0, angle=0.0, main=0.0, side=0.0, heights=FLAT):
    """Return a scene whose legs are as far in as their joints let them be."""
    legs = []
    for i in (-1, 1):  # gymnasium's: the leg's own point (20 i, 18) is the origin of the lander
        turned = angle - 0.4 * i
        away, down = 20 * i / 30, 18 / 30
        left = math.cos(turned) * away - math.sin(turned) * down
        up = math.sin(turned) * away + math.cos(turned) * down
        legs += [x - left, y - up, turned]
    return np.float32([x, y, angle, *legs, main, side, *heights])


def at(picture, colour):
    """Return the middle of a colour in metres."""
    column, row = middle(picture, colour)
    return np.array([(column + 0.5) / PIXELS, (SIZE[1] - row - 0.5) / PIXELS])


def covered(corners):
    """Return which pixels have their middle in a convex polygon of metres, counter-clockwise."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    x, y = columns / PIXELS, (SIZE[1] - rows) / PIXELS
    inside = np.ones(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
    return inside


def is_coloured(picture, *colours):
    picture = np.asarray(picture)
    return np.any([(picture == board.rgb(colour)).all(-1) for colour in colours], 0)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("angle", [0.0, 0.5, -0.5, 2.0, math.pi])
@pytest.mark.parametrize("place", [(10.0, 8.0), (3.0, 11.0)])
def test_the_hull_covers_its_polygon_turned_counter_clockwise(place, angle):
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [
        (place[0] + (cos * x - sin * y) / 30, place[1] + (sin * x + cos * y) / 30) for x, y in HULL
    ]
    picture = draw(scene(*place, angle))
    seen = is_coloured(picture, board.BLUE, board.PAGE)
    # pixels of its edge are of a mixed colour
    assert overlap(seen, covered(corners)) > 0.7 and not (seen & ~covered(corners)).any()
    window = at(picture, board.PAGE) - place
    assert window == pytest.approx([-sin * 6 / 30, cos * 6 / 30], abs=0.05)


def test_a_lander_that_rolls_to_the_left_lifts_its_right_leg():
    left, right = draw(scene(angle=0.5)), draw(scene(angle=-0.5))
    for picture, sign in ((left, 1), (right, -1)):
        seen = is_coloured(picture, board.INK)[:120]  # above the poles of the flags
        rows, columns = np.nonzero(seen)
        assert sign * (rows[columns < 150].mean() - rows[columns > 150].mean()) > 5
        assert sign * (at(picture, board.PAGE)[0] - 10) < -0.05
    seen = [is_coloured(picture, board.BLUE, board.PAGE) for picture in (left, right)]
    assert overlap(seen[0], seen[1][:, ::-1]) > 0.8


def test_legs_are_where_they_are_said_to_be():
    given = scene()
    given[3:9] = [14.0, 9.0, 0.0, 5.0, 6.0, math.pi / 2]
    seen = is_coloured(draw(given), board.INK)
    # the first upright, the second lying
    for x, y, across, along in ((14.0, 9.0, 2, 8), (5.0, 6.0, 8, 2)):
        across, along = across / 30, along / 30
        box = [(x - across, y - along), (x + across, y - along)]
        box = covered([*box, (x + across, y + along), (x - across, y + along)])
        assert box.sum() >= 8 and seen[box].mean() > 0.5
    upright = seen[:, 200:220]  # without the strut that holds it
    assert np.ptp(np.nonzero(upright)[0]) > 1.5 * np.ptp(np.nonzero(upright)[1])


def test_the_ground_begins_at_its_heights():
    picture = draw(scene(y=12.0, heights=HILLS))
    ground = is_coloured(picture, board.LINE)
    for column in range(2, SIZE[0], 7):
        height = np.interp((column + 0.5) / PIXELS, np.arange(0, 21, 2), HILLS)
        top = SIZE[1] - height * PIXELS
        assert not ground[: int(top), column].any()
        assert ground[math.ceil(top + 3) :, column].all()  # below the line on it
    np.testing.assert_array_equal(is_coloured(draw(scene()), board.LINE)[-42:], True)


def test_flags_stand_at_both_ends_of_a_green_helipad():
    green = is_coloured(draw(scene(y=12.0, heights=HILLS)), board.GREEN)
    rows, columns = np.nonzero(green)
    foot = SIZE[1] - 3.3 * PIXELS
    pad = columns[abs(rows - foot) <= 1]
    assert pad.min() == pytest.approx(8 * PIXELS, abs=1)
    assert pad.max() == pytest.approx(12 * PIXELS, abs=1)
    flags = rows < foot - 5
    assert rows[flags].min() == pytest.approx(foot - 50 / 30 * PIXELS, abs=1.5)
    for x in (8, 12):  # they fly to the right
        own = columns[flags & (abs(columns - x * PIXELS) < 20)]
        assert 0 <= own.min() - x * PIXELS <= 2 and 6 < own.max() - x * PIXELS <= 13


def flame_of(**given):
    """Return which pixels are other ones for an engine that is on."""
    off = draw(scene(**given | {"main": 0.0, "side": 0.0}))
    return (np.asarray(draw(scene(**given))) != np.asarray(off)).any(-1)


def centre(mask):
    """Return the middle of pixels in metres, from that of the lander."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean() + 0.5, SIZE[1] - rows.mean() - 0.5]) / PIXELS - (10.0, 8.0)


def test_there_is_a_flame_where_an_engine_is_on():
    assert not is_coloured(draw(scene()), *FLAMES).any()
    for engine in ("main", "side"):
        sizes = [flame_of(**{engine: power}).sum() for power in (0.5, 0.75, 1.0)]
        assert 10 < sizes[0] < sizes[1] < sizes[2] and sizes[2] > 1.5 * sizes[0]
        assert is_coloured(draw(scene(**{engine: 1.0})), *FLAMES).sum() > 5
    assert (flame_of(main=0.7, side=-0.7) == flame_of(main=0.7) | flame_of(side=-0.7)).all()


@pytest.mark.parametrize("angle", [0.0, 0.4, -0.4, math.pi / 2, math.pi])
def test_flames_leave_where_gymnasium_lets_exhaust_out(angle):
    """Its `step` without dispersion; there tip and side are those of the y axis downwards."""
    tip, side = (math.sin(angle), math.cos(angle)), (-math.cos(angle), math.sin(angle))
    leaves = np.array([tip[0] * 4 / 30, -tip[1] * 4 / 30])
    flame = centre(flame_of(angle=angle, main=1.0))
    assert flame @ leaves > 0.99 * np.linalg.norm(flame) * np.linalg.norm(leaves)
    for direction in (-1, 1):  # actions 1 and 3
        out = np.array([side[0], -side[1]]) * direction  # where a particle flies to
        leaves = out * 12 / 30 + (-tip[0] * 14 / 30, tip[1] * 14 / 30)
        away = centre(flame_of(angle=angle, side=float(direction))) - leaves
        assert 0.1 < away @ out < 0.6 and np.linalg.norm(away - away @ out * out) < 0.08


def test_the_left_engine_of_action_1_blows_to_the_right():
    """So it pushes the lander to the left, as gymnasium's does."""
    assert centre(flame_of(side=-1.0))[0] > 0.5 and centre(flame_of(side=1.0))[0] < -0.5


def test_no_flame_is_seen_through_the_ground():
    low = draw(scene(y=3.9, main=1.0))
    assert is_coloured(low, board.VERMILION).any()
    assert not is_coloured(low, *FLAMES)[math.ceil(SIZE[1] - 3.0 * PIXELS) :].any()


def test_a_leg_on_the_ground_is_green():
    def legs(y, angle=0.0):
        picture = draw(scene(y=y, angle=angle, x=3.0))  # far from the helipad
        return is_coloured(picture, board.GREEN)[:, :80]

    standing, flying = legs(3.58), legs(3.8)
    assert standing[:, :45].any() and standing[:, 45:].any() and not flying.any()
    rolled = legs(3.7, angle=0.2)
    assert rolled[:, :45].any() and not rolled[:, 45:].any()


def test_a_lander_above_the_picture_is_pointed_at():
    for x in (3.0, 16.0):
        picture = draw(scene(x, y=17.0))
        columns, rows = pixels(picture, board.BLUE)
        assert columns.mean() == pytest.approx(x * PIXELS, abs=1) and rows.max() < 15
        assert np.ptp(columns[rows == rows.min()]) < np.ptp(columns[rows == rows.max()])  # up
    for x in (-1.0, 21.0):  # at the edge where it left
        columns, _ = pixels(draw(scene(x, y=17.0)), board.BLUE)
        assert abs(columns.mean() - x * PIXELS) < 30
    assert not is_coloured(draw(scene(-3.0, y=8.0)), board.BLUE).any()


@pytest.mark.parametrize("name", NAMES)
def test_only_whole_scenes_are_drawn(name):
    assert drawers.can_draw(name, (22,)) and not drawers.can_draw(name, (8,))
    picture = drawers.frame(name, scene())
    assert picture.mode == "RGB" and picture.size == SIZE
    np.testing.assert_array_equal(picture, draw(scene()))
    for wrong in (np.zeros(8), np.zeros((1, 22)), np.zeros((2, 11))):
        with pytest.raises(ValueError, match="LunarLander"):
            draw(wrong)
        with pytest.raises(ValueError, match=name):
            drawers.frame(name, wrong)


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_begins_with_a_whole_lander_that_flies(name):
    env = envs.make(name, flatten=True)
    assert drawers.can_draw(name, env.scene_shape)
    start = np.asarray(jax.jit(lambda key: env.scene(env.reset(key)[1]))(jax.random.key(0)))
    picture = drawers.frame(name, start)
    assert at(picture, board.PAGE) == pytest.approx([10, 13.5], abs=0.3)
    assert is_coloured(picture, board.BLUE).sum() > 100
    assert not is_coloured(picture, *FLAMES).any()
    rows, columns = np.nonzero(is_coloured(picture, board.INK)[:60])
    assert rows.max() < 50 and columns.min() < 140 and columns.max() > 160


def test_how_an_episode_ended():
    assert ending(scene(), terminated=True, reward=-100.0) == "crashed"
    assert ending(scene(), terminated=True, reward=100.0) == "landed"
    for x in (0.0, -0.1, 20.0, 20.3):
        assert ending(scene(x), terminated=True, reward=-100.0) == "flew away"
    for reward in (-100.0, 100.0):  # a limit says nothing of the ground
        assert ending(scene(), terminated=False, reward=reward) == "time is up"
    assert set(drawers.ENDINGS) == set(NAMES)
    assert all(found is lander_picture.ending for found in drawers.ENDINGS.values())
