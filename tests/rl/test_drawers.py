"""Pictures of single observations: what lies where, and in which colour."""

import math

import gymnax
import jax
import numpy as np
import pytest
from coloured import middle, pixels

from dla_jax.rl import board, drawers

CONTROL = ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0"]
IMAGES = [
    *(
        f"{game}-MinAtar"
        for game in ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")
    ),
    "Catch-bsuite",
    "DeepSea-bsuite",
    "Pong-misc",
]


def cart_pole(x=0.0, theta=0.0):
    return drawers.frame("CartPole-v1", np.array([x, 9, theta, 9]))


def acrobot(first, second):
    return drawers.frame(
        "Acrobot-v1",
        np.array([math.cos(first), math.sin(first), math.cos(second), math.sin(second), 9, 9]),
    )


def test_a_pole_leans_to_the_side_of_its_angle():
    upright = middle(cart_pole(), board.VERMILION)[0]
    assert middle(cart_pole(theta=0.2), board.VERMILION)[0] > upright + 5
    assert middle(cart_pole(theta=-0.2), board.VERMILION)[0] < upright - 5
    above, cart = (middle(cart_pole(), colour)[1] for colour in (board.VERMILION, board.BLUE))
    assert above < cart
    columns, rows = pixels(cart_pole(theta=0.2), board.VERMILION)
    upper, lower = columns[rows == rows.min()].mean(), columns[rows > rows.max() - 5].mean()
    assert upper > lower + 10
    assert math.atan2(upper - lower, rows.max() - 2 - rows.min()) == pytest.approx(0.2, abs=0.03)


def test_a_cart_at_positive_x_is_on_the_right():
    columns = [middle(cart_pole(x), board.BLUE)[0] for x in (-2.4, 0.0, 1.0, 2.4)]
    assert columns == sorted(columns) and columns[1] == pytest.approx(150, abs=1)
    assert columns[3] - columns[1] == pytest.approx(2.4 * (columns[2] - columns[1]), abs=2)
    assert columns[3] < drawers.WIDE[0]  # still on the picture where the episode ends


@pytest.mark.parametrize("theta", [0, math.pi / 2, math.pi, -math.pi / 2, 0.7])
def test_a_pendulum_stands_as_gymnasium_draws_it(theta):
    picture = drawers.frame("Pendulum-v1", np.array([math.cos(theta), math.sin(theta), 9]))
    column, row = middle(picture, board.VERMILION)
    # its render(): a rod along +x, turned by theta + pi/2 counter-clockwise
    turned = theta + math.pi / 2
    length = 42  # half a rod: where its middle is
    want = (length * math.cos(turned), length * math.sin(turned))
    assert (column - 120, 120 - row) == pytest.approx(want, abs=3)
    if theta == 0:
        assert row < 120
    elif theta == math.pi / 2:
        assert column < 120


@pytest.mark.parametrize(
    ("first", "second", "elbow", "tip"),
    [
        (0, 0, (0, -1), (0, -2)),
        (math.pi, 0, (0, 1), (0, 2)),
        (math.pi / 2, 0, (1, 0), (2, 0)),
        (math.pi / 2, math.pi / 2, (1, 0), (1, 1)),
        (-math.pi / 2, math.pi / 2, (-1, 0), (-1, -1)),
    ],
)
def test_the_links_of_an_acrobot_hang_down_at_zero_and_turn_counter_clockwise(
    first, second, elbow, tip
):
    picture, unit = acrobot(first, second), 52
    upper, lower = middle(picture, board.BLUE), middle(picture, board.VERMILION)
    assert ((upper[0] - 120) / unit, (120 - upper[1]) / unit) == pytest.approx(
        (elbow[0] / 2, elbow[1] / 2), abs=0.1
    )
    between = ((elbow[0] + tip[0]) / 2, (elbow[1] + tip[1]) / 2)
    assert ((lower[0] - 120) / unit, (120 - lower[1]) / unit) == pytest.approx(between, abs=0.1)


def test_an_upright_acrobot_is_above_the_line_and_a_folded_one_below():
    line = middle(acrobot(0, 0), board.GREEN)[1]
    assert pixels(acrobot(math.pi, 0), board.VERMILION)[1].min() < line - 40
    assert pixels(acrobot(math.pi / 2, 0), board.VERMILION)[1].min() > line + 40
    assert 120 - line == pytest.approx(52, abs=1)  # one link above the axle


@pytest.mark.parametrize("name", ["MountainCar-v0", "MountainCarContinuous-v0"])
def test_a_car_drives_to_the_right_and_up_to_the_flag(name):
    at = lambda x: drawers.frame(name, np.array([x, 9]))
    places = [middle(at(x), board.VERMILION) for x in (-1.2, -0.5, 0.0, 0.45)]
    assert [column for column, _ in places] == sorted(column for column, _ in places)
    rows = [row for _, row in places]
    assert rows[1] > max(rows[0], rows[2]) and rows[2] > rows[3]  # -0.5 is in the valley
    flag = pixels(at(-0.5), board.GREEN)[0].min()
    assert flag > places[2][0] + 40
    goal = 0.5 if name == "MountainCar-v0" else 0.45
    assert middle(at(goal), board.VERMILION)[0] == pytest.approx(flag, abs=6)


def test_a_set_cell_colours_itself_and_nothing_else():
    obs = np.zeros((10, 10, 4), np.float32)
    empty = np.asarray(drawers.frame("Breakout-MinAtar", obs))
    obs[0, 7, 1] = 1
    picture = np.asarray(drawers.frame("Breakout-MinAtar", obs))
    size = drawers.cell_size(obs.shape)
    cell = (slice(1, size), slice(7 * size + 1, 8 * size))  # row 0 on top, without the lines
    assert (picture[cell] == board.rgb(board.BLUE)).all()
    rest = np.ones(picture.shape[:2], bool)
    rest[cell] = False
    np.testing.assert_array_equal(picture[rest], empty[rest])


def test_later_channels_cover_earlier_ones_and_all_differ():
    obs = np.zeros((10, 10, 10), np.float32)
    obs[2, 3] = np.eye(10)[1] + np.eye(10)[8]
    obs[range(10), 9, range(10)] = 1
    picture, size = np.asarray(drawers.frame("Seaquest-MinAtar", obs)), drawers.cell_size(obs.shape)
    inside = lambda row, column: tuple(picture[row * size + size // 2, column * size + size // 2])
    assert inside(2, 3) == inside(8, 9)
    assert len({inside(row, 9) for row in range(10)} | {inside(0, 0)}) == 11


def test_images_without_channels_and_fine_grids():
    obs = np.zeros((30, 40), np.float32)
    obs[29, 0] = 1
    picture, size = np.asarray(drawers.frame("Catch-bsuite", obs)), drawers.cell_size(obs.shape)
    assert picture.shape == (30 * size, 40 * size, 3)
    columns, rows = pixels(picture, board.VERMILION)
    assert len(rows) == size**2 and rows.min() == 29 * size and columns.max() == size - 1


@pytest.mark.parametrize("name", CONTROL + IMAGES)
def test_observations_of_gymnax_are_drawn(name):
    env, params = gymnax.make(name)
    obs, _ = jax.eval_shape(lambda key: env.reset(key, params), jax.random.key(0))
    assert drawers.can_draw(name, obs.shape)
    picture = drawers.frame(name, np.zeros(obs.shape, np.float32))
    assert picture.mode == "RGB" and 200 <= max(picture.size) <= 300


def test_what_has_no_drawer_is_refused():
    assert not drawers.can_draw("PointRobot-misc", (6,))
    assert not drawers.can_draw("CartPole-v1", (2,))  # velocities hidden
    images = [(6, 4), (6, 4, 11), (6, 4, 12), (6, 1, 3), (2, 3, 4, 5)]
    drawn = [drawers.can_draw("own.module:Env", shape) for shape in images]
    assert drawn == [True, True, False, False, False]
    with pytest.raises(ValueError, match="PointRobot-misc"):
        drawers.frame("PointRobot-misc", np.zeros(6))
