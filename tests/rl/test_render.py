import itertools
import math
import os
import time

import gymnax
import jax
import numpy as np
import pytest
from PIL import Image

from dla_jax.rl import render

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


def pixels(picture, colour):
    """Columns and rows of the pixels of exactly that colour."""
    rows, columns = np.nonzero((np.asarray(picture) == render._rgb(colour)).all(-1))
    assert len(rows), f"nothing is {colour}"
    return columns, rows


def middle(picture, colour):
    columns, rows = pixels(picture, colour)
    return columns.mean(), rows.mean()


def cart_pole(x=0.0, theta=0.0):
    return render.frame("CartPole-v1", np.array([x, 9, theta, 9]))


def acrobot(first, second):
    return render.frame(
        "Acrobot-v1",
        np.array([math.cos(first), math.sin(first), math.cos(second), math.sin(second), 9, 9]),
    )


def panel(obs, name="CartPole-v1", note="return 31"):
    return {"title": "start", "name": name, "obs": np.asarray(obs, np.float32), "note": note}


def swinging(steps):
    """CartPole: no two steps alike."""
    t = np.arange(steps)
    return np.stack([np.linspace(-2, 2, steps), 0 * t, 0.2 * np.sin(t / 9), 0 * t], 1)


def breakout(steps):
    obs, t = np.zeros((steps, 10, 10, 4)), np.arange(steps)
    obs[:, 1:4, :, 3] = obs[t, 9, t // 2 % 10, 0] = obs[t, t % 9, t % 10, 1] = 1
    return obs


def pages(path):
    """Every picture of a GIF in full: uint8 [N, H, W, 3], and how long it is shown, in ms."""
    with Image.open(path) as file:
        shown = []
        for index in range(file.n_frames):
            file.seek(index)
            shown.append((np.asarray(file.convert("RGB")), file.info["duration"]))
    return np.stack([page for page, _ in shown]), [duration for _, duration in shown]


def shown_frame(page, size, left=render.MARGIN):
    """What lies below the title of the panel that begins at column `left`."""
    top = render.MARGIN // 2 + render.HEAD
    return page[top : top + size[1], left : left + size[0]]


def test_a_pole_leans_to_the_side_of_its_angle():
    upright = middle(cart_pole(), render.VERMILION)[0]
    assert middle(cart_pole(theta=0.2), render.VERMILION)[0] > upright + 5
    assert middle(cart_pole(theta=-0.2), render.VERMILION)[0] < upright - 5
    assert (
        middle(cart_pole(), render.VERMILION)[1] < middle(cart_pole(), render.BLUE)[1]
    )  # above the cart
    columns, rows = pixels(cart_pole(theta=0.2), render.VERMILION)
    upper, lower = columns[rows == rows.min()].mean(), columns[rows > rows.max() - 5].mean()
    assert upper > lower + 10
    assert math.atan2(upper - lower, rows.max() - 2 - rows.min()) == pytest.approx(0.2, abs=0.03)


def test_a_cart_at_positive_x_is_on_the_right():
    columns = [middle(cart_pole(x), render.BLUE)[0] for x in (-2.4, 0.0, 1.0, 2.4)]
    assert columns == sorted(columns) and columns[1] == pytest.approx(150, abs=1)
    assert columns[3] - columns[1] == pytest.approx(2.4 * (columns[2] - columns[1]), abs=2)
    assert columns[3] < render.WIDE[0]  # still on the picture where the episode ends


@pytest.mark.parametrize("theta", [0, math.pi / 2, math.pi, -math.pi / 2, 0.7])
def test_a_pendulum_stands_as_gymnasium_draws_it(theta):
    column, row = middle(
        render.frame("Pendulum-v1", np.array([math.cos(theta), math.sin(theta), 9])),
        render.VERMILION,
    )
    turned = (
        theta + math.pi / 2
    )  # its render(): a rod along +x, turned by theta + pi/2 counter-clockwise
    length = 42  # half a rod: where its middle is
    assert (column - 120, 120 - row) == pytest.approx(
        (length * math.cos(turned), length * math.sin(turned)), abs=3
    )
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
    upper, lower = middle(picture, render.BLUE), middle(picture, render.VERMILION)
    assert ((upper[0] - 120) / unit, (120 - upper[1]) / unit) == pytest.approx(
        (elbow[0] / 2, elbow[1] / 2), abs=0.1
    )
    between = ((elbow[0] + tip[0]) / 2, (elbow[1] + tip[1]) / 2)
    assert ((lower[0] - 120) / unit, (120 - lower[1]) / unit) == pytest.approx(between, abs=0.1)


def test_an_upright_acrobot_is_above_the_line_and_a_folded_one_below():
    line = middle(acrobot(0, 0), render.GREEN)[1]
    assert pixels(acrobot(math.pi, 0), render.VERMILION)[1].min() < line - 40
    assert pixels(acrobot(math.pi / 2, 0), render.VERMILION)[1].min() > line + 40
    assert 120 - line == pytest.approx(52, abs=1)  # one link above the axle


@pytest.mark.parametrize("name", ["MountainCar-v0", "MountainCarContinuous-v0"])
def test_a_car_drives_to_the_right_and_up_to_the_flag(name):
    at = lambda x: render.frame(name, np.array([x, 9]))
    places = [middle(at(x), render.VERMILION) for x in (-1.2, -0.5, 0.0, 0.45)]
    assert [column for column, _ in places] == sorted(column for column, _ in places)
    assert (
        places[1][1] > max(places[0][1], places[2][1]) and places[2][1] > places[3][1]
    )  # -0.5 is in the valley
    flag = pixels(at(-0.5), render.GREEN)[0].min()
    assert flag > places[2][0] + 40
    goal = 0.5 if name == "MountainCar-v0" else 0.45
    assert middle(at(goal), render.VERMILION)[0] == pytest.approx(flag, abs=6)


def test_a_set_cell_colours_itself_and_nothing_else():
    obs = np.zeros((10, 10, 4), np.float32)
    empty = np.asarray(render.frame("Breakout-MinAtar", obs))
    obs[0, 7, 1] = 1
    picture = np.asarray(render.frame("Breakout-MinAtar", obs))
    size = render.cell_size(obs.shape)
    cell = (slice(1, size), slice(7 * size + 1, 8 * size))  # row 0 on top, without the lines
    assert (picture[cell] == render._rgb(render.BLUE)).all()
    rest = np.ones(picture.shape[:2], bool)
    rest[cell] = False
    np.testing.assert_array_equal(picture[rest], empty[rest])


def test_later_channels_cover_earlier_ones_and_all_differ():
    obs = np.zeros((10, 10, 10), np.float32)
    obs[2, 3] = np.eye(10)[1] + np.eye(10)[8]
    obs[range(10), 9, range(10)] = 1
    picture, size = np.asarray(render.frame("Seaquest-MinAtar", obs)), render.cell_size(obs.shape)
    inside = lambda row, column: tuple(picture[row * size + size // 2, column * size + size // 2])
    assert inside(2, 3) == inside(8, 9)
    assert len({inside(row, 9) for row in range(10)} | {inside(0, 0)}) == 11


def test_images_without_channels_and_fine_grids():
    obs = np.zeros((30, 40), np.float32)
    obs[29, 0] = 1
    picture, size = np.asarray(render.frame("Catch-bsuite", obs)), render.cell_size(obs.shape)
    assert picture.shape == (30 * size, 40 * size, 3)
    columns, rows = pixels(picture, render.VERMILION)
    assert len(rows) == size**2 and rows.min() == 29 * size and columns.max() == size - 1


@pytest.mark.parametrize("name", CONTROL + IMAGES)
def test_observations_of_gymnax_are_drawn(name):
    env, params = gymnax.make(name)
    obs, _ = jax.eval_shape(lambda key: env.reset(key, params), jax.random.key(0))
    assert render.can_draw(name, obs.shape)
    picture = render.frame(name, np.zeros(obs.shape, np.float32))
    assert picture.mode == "RGB" and 200 <= max(picture.size) <= 300


def test_what_has_no_drawer_is_refused(tmp_path):
    assert not render.can_draw("PointRobot-misc", (6,))
    assert not render.can_draw("CartPole-v1", (2,))  # velocities hidden
    with pytest.raises(ValueError, match="PointRobot-misc"):
        render.frame("PointRobot-misc", np.zeros(6))
    with pytest.raises(ValueError, match="PointRobot-misc"):
        render.gif(
            tmp_path / "new" / "a.gif",
            [panel(swinging(4)), panel(np.zeros((4, 6)), "PointRobot-misc")],
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "make"), [("CartPole-v1", swinging), ("Breakout-MinAtar", breakout)]
)
def test_a_gif_reads_back_as_drawn_and_is_quick(tmp_path, name, make):
    obs, path = make(200), tmp_path / "new" / "a.gif"
    start = time.process_time()
    render.gif(path, [panel(obs, name)], fps=30)
    assert time.process_time() - start < 3
    with Image.open(path) as file:
        assert file.info["loop"] == 0
    shown, durations = pages(path)
    assert len(shown) == 200 and durations == [30] * 199 + [1000]
    assert (shown[:, 0, 0] == 255).all()  # white stays white
    for index in (0, 57, 199):
        expected = np.asarray(render.frame(name, obs[index])).astype(int)
        error = np.abs(shown_frame(shown[index], expected.shape[1::-1]) - expected)
        assert error.max() <= (
            0 if name == "Breakout-MinAtar" else 24
        )  # shades of edges may be rounded
    assert os.listdir(path.parent) == ["a.gif"]


def test_long_episodes_keep_their_ends_and_an_even_stride(tmp_path):
    assert render.shown_steps(200, 200) == list(range(200)) and render.shown_steps(1, 200) == [0]
    for steps in (201, 500, 1000, 1001):
        shown = render.shown_steps(steps, 200)
        assert len(shown) <= 200 and shown[0] == 0 and shown[-1] == steps - 1
        strides = np.diff(shown)
        assert len(set(strides[:-1])) == 1 and 0 < strides[-1] <= strides[0] <= -(-steps // 199)
    obs = swinging(90)
    render.gif(tmp_path / "a.gif", [panel(obs)], most=20, fps=100)
    shown, durations = pages(tmp_path / "a.gif")
    assert len(shown) == 19 and durations == [20] * 18 + [1000]
    for page, step in ((shown[0], 0), (shown[1], 5), (shown[-1], 89)):
        cart = middle(shown_frame(page, render.WIDE), render.BLUE)
        assert cart == pytest.approx(
            middle(render.frame("CartPole-v1", obs[step]), render.BLUE), abs=0.5
        )


def test_a_panel_that_ends_early_waits_greyed_with_its_note(tmp_path):
    path = tmp_path / "a.gif"
    render.gif(path, [panel(breakout(3), "Breakout-MinAtar"), panel(swinging(8))])
    shown, _ = pages(path)
    grid, wide = render.frame("Breakout-MinAtar", breakout(3)[2]), render.WIDE
    assert len(shown) == 8 and shown.shape[2] == grid.width + wide[0] + 3 * render.MARGIN
    early, late = (
        shown[:, :, : render.MARGIN + grid.width],
        shown[:, :, grid.width + 2 * render.MARGIN :],
    )
    np.testing.assert_array_equal(
        shown_frame(early[2], grid.size), grid
    )  # its last step is shown as it is
    contrast = [np.ptp(shown_frame(page, grid.size).astype(int)) for page in early]
    assert contrast[3] < 0.7 * contrast[2]
    for page in early[4:]:
        np.testing.assert_array_equal(page, early[3])
    assert all((a != b).any() for a, b in itertools.pairwise(late))
    foot = slice(render.MARGIN // 2 + render.HEAD + grid.height, None)
    right = early[:, foot, render.MARGIN + grid.width // 2 + 4 :]
    assert [bool((part < 128).any()) for part in right] == [False, False] + [True] * 6  # the note


def test_no_part_of_a_file_is_left(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    render.gif(path, [panel(swinging(2))])
    before = path.read_bytes()

    def full(self, file, *args, **kwargs):
        file.write_bytes(b"GIF89a")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    for target in (path, tmp_path / "b.gif"):
        with pytest.raises(OSError, match="no space"):
            render.gif(target, [panel(swinging(3))])
    assert os.listdir(tmp_path) == ["a.gif"] and path.read_bytes() == before
