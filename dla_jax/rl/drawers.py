"""One picture of one scene: classic control, LunarLander, all whose observations are images.

A scene is the observation, except of LunarLander, whose observations do not show the ground.

Angles and places are those of gymnasium's own renderings; sizes are chosen to be seen.
"""

import functools
import math

import numpy as np
from PIL import Image

from dla_jax.rl import lander_picture
from dla_jax.rl.board import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    GROUND,
    INK,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Board,
    rgb,
)

WIDE, SQUARE = (300, 200), (240, 240)  # pixels, of a picture of a control environment
SIDE = 240  # pixels that the longer side of a grid may have
# Of a grid, in order. The last four are Okabe and Ito's yellow and three of Paul Tol's colours:
# Seaquest has 10 channels.
CHANNELS = (VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK)
CHANNELS += ("#F0E442", "#882255", "#999933", "#332288")


def _cart_pole(obs: np.ndarray) -> Image.Image:
    """Draw [x, x_dot, theta, theta_dot]; theta > 0 leans to the right.

    The marks on the track are where an episode ends.
    """
    x, theta = float(obs[0]), float(obs[2])
    board = Board(WIDE, 52, (150, 148))
    board.line([(-3, 0), (3, 0)], GREY, 1.5)
    for end in (-2.4, 2.4):
        board.line([(end, -0.12), (end, 0.12)], GREY, 1.5)
    board.polygon([(x - 0.45, -0.21), (x + 0.45, -0.21), (x + 0.45, 0.21), (x - 0.45, 0.21)], BLUE)
    pivot = (x, 0.12)
    board.rod(pivot, (x + 1.7 * math.sin(theta), 0.12 + 1.7 * math.cos(theta)), 0.16, VERMILION)
    board.disc(*pivot, 0.05, INK)
    return board.finish()


def _pendulum(obs: np.ndarray) -> Image.Image:
    """Draw [cos theta, sin theta, theta_dot]; 0 is upright, and angles grow counter-clockwise."""
    cos, sin = float(obs[0]), float(obs[1])
    board = Board(SQUARE, 84, (120, 120))
    board.disc(0, 0, 1.02, LINE)
    board.disc(0, 0, 1.0, GROUND)
    board.line([(0, 1.07), (0, 1.2)], GREEN, 2)  # where it should stand
    board.rod((0, 0), (-sin, cos), 0.17, VERMILION)
    board.disc(0, 0, 0.045, INK)
    return board.finish()


def _acrobot(obs: np.ndarray) -> Image.Image:
    """Draw [cos, sin of the first angle, cos, sin of the second, ...].

    A first angle of 0 hangs down; the second is relative to the first.
    """
    first = math.atan2(float(obs[1]), float(obs[0]))
    second = first + math.atan2(float(obs[3]), float(obs[2]))
    elbow = (math.sin(first), -math.cos(first))
    tip = (elbow[0] + math.sin(second), elbow[1] - math.cos(second))
    board = Board(SQUARE, 52, (120, 120))
    board.line([(-3, 1), (3, 1)], GREEN, 1.5)  # the tip must rise above it
    board.rod((0, 0), elbow, 0.17, BLUE)
    board.rod(elbow, tip, 0.17, VERMILION)
    for joint in ((0, 0), elbow):
        board.disc(*joint, 0.06, INK)
    return board.finish()


def _height(x):
    """Return the height of the hill at `x`."""
    return 0.45 * np.sin(3 * x) + 0.55


@functools.lru_cache
def _hill(goal: float) -> Image.Image:
    """Return the hill with a flag at `goal`, before it is shrunk."""
    board = Board(WIDE, 150, (195, 184))
    x = np.linspace(-1.4, 0.8, 200)
    slope = list(zip(x, _height(x), strict=True))
    board.polygon([(-1.4, -1), *slope, (0.8, -1)], LINE)
    board.line(slope, GREY, 1.5)
    foot, top = float(_height(goal)), float(_height(goal)) + 0.19
    board.line([(goal, foot), (goal, top)], INK, 1.5)
    board.polygon([(goal, top), (goal + 0.1, top - 0.04), (goal, top - 0.08)], GREEN)
    return board.large


def _mountain_car(goal: float, obs: np.ndarray) -> Image.Image:
    """Draw [position, velocity] on the hill whose flag is at `goal`."""
    x, slope = float(obs[0]), math.atan(1.35 * math.cos(3 * float(obs[0])))
    cos, sin, y = math.cos(slope), math.sin(slope), float(_height(x))
    place = lambda along, above: (x + along * cos - above * sin, y + along * sin + above * cos)
    board = Board(WIDE, 150, (195, 184), _hill(goal))
    along = (-0.1, 0.1, 0.1, 0.055, 0.035, -0.05, -0.075, -0.1)
    above = (0.03, 0.03, 0.075, 0.085, 0.12, 0.12, 0.085, 0.08)
    board.polygon(list(map(place, along, above)), VERMILION)
    for along in (-0.06, 0.06):
        board.disc(*place(along, 0.028), 0.028, INK)
    return board.finish()


def _grid(obs: np.ndarray) -> Image.Image:
    """Draw [H, W] or [H, W, C], 0: empty, 1: set.

    Row 0 is on top. Every channel has a colour, and later ones cover earlier ones.
    """
    obs = np.clip(np.asarray(obs, np.float32).reshape(*obs.shape[:2], -1), 0, 1)
    cells = np.broadcast_to(rgb(GROUND), (*obs.shape[:2], 3))
    for channel in range(obs.shape[2]):
        filled = obs[:, :, channel, None]
        cells = cells * (1 - filled) + rgb(CHANNELS[channel % len(CHANNELS)]) * filled
    size = cell_size(obs.shape)
    picture = cells.round().astype(np.uint8).repeat(size, 0).repeat(size, 1)
    if size >= 10:  # in finer grids lines would be all that one sees
        picture = np.pad(picture, ((0, 1), (0, 1), (0, 0)))
        picture[::size] = picture[:, ::size] = rgb(LINE)
    return Image.fromarray(picture)


def cell_size(obs_shape: tuple) -> int:
    """Return the pixels from one cell of a grid to the next, with the line above or left of it."""
    return max(2, SIDE // max(obs_shape[:2]))


CONTROL = {  # numbers in a scene, drawer
    "CartPole-v1": (4, _cart_pole),
    "Pendulum-v1": (3, _pendulum),
    "Acrobot-v1": (6, _acrobot),
    "MountainCar-v0": (2, functools.partial(_mountain_car, 0.5)),
    "MountainCarContinuous-v0": (2, functools.partial(_mountain_car, 0.45)),
    "LunarLanderJax-v0": (lander_picture.NUMBERS, lander_picture.draw),
    "LunarLanderContinuousJax-v0": (lander_picture.NUMBERS, lander_picture.draw),
}
# Of environments whose episodes end in several ways: (last scene, whether it terminated, last
# reward) -> the words for how.
ENDINGS = {
    "LunarLanderJax-v0": lander_picture.ending,
    "LunarLanderContinuousJax-v0": lander_picture.ending,
}


def can_draw(name: str, scene_shape: tuple) -> bool:
    """Return whether `frame` draws the environment `name`.

    It draws those of CONTROL, and all whose observations are images of no more channels than there
    are colours.
    """
    if name in CONTROL:
        return tuple(scene_shape) == (CONTROL[name][0],)
    image = len(scene_shape) in (2, 3) and min(scene_shape[:2]) > 1
    return image and math.prod(scene_shape[2:]) <= len(CHANNELS)


def frame(name: str, scene: np.ndarray) -> Image.Image:
    """Return one scene as an RGB picture; an observation is as gymnax gives it, not normalised.

    Raises:
      ValueError: where `can_draw` says no.
    """
    check_drawable(name, np.shape(scene))
    return CONTROL[name][1](scene) if name in CONTROL else _grid(np.asarray(scene))


def check_drawable(name: str, scene_shape: tuple) -> None:
    """Raise ValueError where `can_draw` says no."""
    if not can_draw(name, scene_shape):
        raise ValueError(
            f"{name} with scenes {tuple(scene_shape)} has no drawer; "
            f"drawn are {', '.join(CONTROL)} and images of up to {len(CHANNELS)} channels"
        )
