"""Pictures of LunarLander: the ground, the helipad between its flags, the lander, its flames.

Shapes and places are gymnasium's (envs/box2d/lunar_lander.py); flames stand where its exhaust
leaves.
"""

import math

import numpy as np
from PIL import Image

from dla_jax.rl.board import BLUE, GREEN, GREY, INK, LINE, ORANGE, PAGE, VERMILION, Board
from dla_jax.rl.lunar_body import HULL, LEG, SCALE
from dla_jax.rl.lunar_terrain import POINTS, SPACING, WIDTH

SIZE, PIXELS = (300, 220), 15.0  # of the picture, and of a metre in it
TOP = SIZE[1] / PIXELS  # metres; above the world's, where a lander begins
BOX = LEG * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])  # corners of a leg
STRUT = np.array([(13, -4)]) / SCALE  # where a leg is fixed to the hull, on the right
WINDOW, RADIUS = np.array([(0, 6)]) / SCALE, 5 / SCALE
MAIN = np.array([(-7, -9), (0, -44), (7, -9)]) / SCALE  # the flame of full power
SIDE = np.array([(13, 9), (38, 14), (13, 19)]) / SCALE  # on the right; it pushes to the left
CORE = 0.55  # of a flame's length and width, that its bright core has
FLAG = np.array([(0, 50), (25, 43), (0, 36)]) / SCALE  # from the foot of its pole
FLAGS = (POINTS // 2 - 1, POINTS // 2 + 1)  # the points of the ground that they stand on
NUMBERS = 11 + POINTS  # of a scene
CLOSE = 0.05  # metres above the ground below which a leg counts as standing: one pixel
CRASHED, LANDED, GONE, TIME_UP = "crashed", "landed", "flew away", "time is up"


def draw(scene: np.ndarray) -> Image.Image:
    """Return a scene of LunarLander as an RGB picture.

    A leg that stands on the ground is green. A triangle shows where a lander is that flies above
    the picture.

    Args:
      scene: float [22]: x, y and angle of the lander, of its right leg, of its left leg (metres, y
        upwards; radians, counter-clockwise); the power of the main engine in [0, 1], and of the
        side engines in [-1, 1], negative for the one that pushes to the left; 11 heights of the
        ground in metres, 2 m apart.

    Raises:
      ValueError: for another shape.
    """
    if np.shape(scene) != (NUMBERS,):
        raise ValueError(f"a scene of LunarLander is {NUMBERS} numbers, not {np.shape(scene)}")
    scene = [float(number) for number in scene]
    lander, legs, (main, side) = scene[:3], (scene[3:6], scene[6:9]), scene[9:11]
    heights = scene[11:]
    board = Board(SIZE, PIXELS, (0, SIZE[1]))
    _flags(board, heights)
    if main:
        _flame(board, lander, MAIN, main)
    if side:
        _flame(board, lander, SIDE * (1 if side < 0 else -1, 1), abs(side))
    _ground(board, heights)  # which hides the ends of flames
    for leg, right in zip(legs, (1, -1), strict=True):
        board.line([*_placed(lander, STRUT * (right, 1)), leg[:2]], INK, 1)
        corners = _placed(leg, BOX)
        board.polygon(corners, GREEN if _stands(corners, heights) else INK)
    board.polygon(_placed(lander, HULL), BLUE)
    board.disc(*_placed(lander, WINDOW)[0], RADIUS, PAGE)
    if lander[1] > TOP + 1:
        x = min(max(lander[0], 0.5), WIDTH - 0.5)
        board.polygon([(x - 0.3, TOP - 0.6), (x + 0.3, TOP - 0.6), (x, TOP - 0.1)], BLUE)
    return board.finish()


def ending(scene: np.ndarray, terminated: bool, reward: float) -> str:
    """Return how an episode ended: crashed, landed, flew away or time is up.

    Args:
      scene: what its last step led to.
      terminated: whether that ended it; if not, its time limit did.
      reward: of that step.
    """
    if not terminated:
        return TIME_UP
    if reward > 0:  # +100, where the lander rests, and else -100
        return LANDED
    return CRASHED if 0 < scene[0] < WIDTH else GONE


def _ground(board: Board, heights: list[float]) -> None:
    """Draw the ground and the helipad."""
    surface = [(SPACING * i, height) for i, height in enumerate(heights)]
    board.polygon([(0, -1), *surface, (WIDTH, -1)], LINE)
    board.line(surface, GREY, 1.5)
    board.line(surface[FLAGS[0] : FLAGS[1] + 1], GREEN, 2)


def _flags(board: Board, heights: list[float]) -> None:
    """Draw the flags at both ends of the helipad."""
    for i in FLAGS:
        foot = np.array([SPACING * i, heights[i]])
        board.line([foot, foot + FLAG[0]], INK, 1.5)
        board.polygon(foot + FLAG, GREEN)


def _placed(body, points) -> list[tuple[float, float]]:
    """Return points of a body (x, y, angle), given from its origin along its own axes."""
    x, y, angle = body
    cos, sin = math.cos(angle), math.sin(angle)
    return [(x + cos * right - sin * up, y + sin * right + cos * up) for right, up in points]


def _flame(board: Board, lander, shape, power: float) -> None:
    """Draw a flame, a triangle (root, tip, root), as long as its power, and its bright core."""
    start, tip, end = shape
    middle = (start + end) / 2
    tip = middle + power * (tip - middle)
    for part, colour in ((1.0, VERMILION), (CORE, ORANGE)):
        corners = [middle + part * (corner - middle) for corner in (start, tip, end)]
        board.polygon(_placed(lander, corners), colour)


def _stands(feet: list[tuple[float, float]], heights: list[float]) -> bool:
    """Return whether a corner of a leg is CLOSE to the ground, or in it."""
    places = SPACING * np.arange(POINTS)
    return any(y < np.interp(x, places, heights) + CLOSE for x, y in feet)
