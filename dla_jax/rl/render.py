"""Moving pictures of a policy, from recorded observations alone: NumPy and Pillow, neither a screen nor a simulator.

Angles and places are those of gymnasium's own renderings; sizes are chosen to be seen.
"""

import functools
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's palette in the order of plots/style.py, then their yellow and three of Paul Tol's: Seaquest has 10 channels.
VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#D55E00",
    "#0072B2",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
CHANNELS = (
    VERMILION,
    BLUE,
    GREEN,
    PURPLE,
    ORANGE,
    SKY,
    BLACK,
    "#F0E442",
    "#882255",
    "#999933",
    "#332288",
)
PAGE, GROUND, LINE, GREY, INK = "#FFFFFF", "#F4F5F7", "#DCDFE4", "#9AA0A8", "#26292E"
WIDE, SQUARE = (300, 200), (240, 240)  # pixels, of a picture of a control environment
SIDE = 240  # pixels that the longer side of a grid may have
FINE = 3  # pictures are drawn so many times larger: shrinking them smooths their edges
HEAD, FOOT, MARGIN = 24, 22, 12  # pixels of a panel's title, of its caption, and around panels
LAST = 1000  # milliseconds that the last picture stays


class Board:
    """A picture under way, in an environment's own units: x to the right, y upwards."""

    def __init__(
        self,
        size: tuple[int, int],
        scale: float,
        origin: tuple[float, float],
        below: Image.Image | None = None,
    ):
        """scale: pixels per unit; origin: the pixel of (0, 0); below: another board's large picture to draw on."""
        self.large = (
            below.copy() if below else Image.new("RGB", (size[0] * FINE, size[1] * FINE), GROUND)
        )
        self.scale, self.origin = scale * FINE, (origin[0] * FINE, origin[1] * FINE)
        self.draw = ImageDraw.Draw(self.large)

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        return self.origin[0] + x * self.scale, self.origin[1] - y * self.scale

    def polygon(self, points, colour: str) -> None:
        self.draw.polygon([self.pixel(x, y) for x, y in points], fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        (column, row), radius = self.pixel(x, y), radius * self.scale
        self.draw.ellipse(
            (column - radius, row - radius, column + radius, row + radius), fill=colour
        )

    def line(self, points, colour: str, width: float = 1) -> None:
        """width: pixels of the finished picture."""
        self.draw.line(
            [self.pixel(x, y) for x, y in points],
            fill=colour,
            width=round(width * FINE),
            joint="curve",
        )

    def rod(
        self, start: tuple[float, float], end: tuple[float, float], width: float, colour: str
    ) -> None:
        """A bar with round ends; width in units."""
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        across = (-math.sin(angle) * width / 2, math.cos(angle) * width / 2)
        corners = [
            (point[0] + side * across[0], point[1] + side * across[1])
            for point, side in ((start, 1), (end, 1), (end, -1), (start, -1))
        ]
        self.polygon(corners, colour)
        for point in (start, end):
            self.disc(*point, width / 2, colour)

    def finish(self) -> Image.Image:
        return self.large.reduce(FINE)


def _cart_pole(obs: np.ndarray) -> Image.Image:
    """obs: [x, x_dot, theta, theta_dot]; theta > 0 leans to the right. The marks on the track are where an episode ends."""
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
    """obs: [cos theta, sin theta, theta_dot]; 0 is upright, and angles grow counter-clockwise."""
    cos, sin = float(obs[0]), float(obs[1])
    board = Board(SQUARE, 84, (120, 120))
    board.disc(0, 0, 1.02, LINE)
    board.disc(0, 0, 1.0, GROUND)
    board.line([(0, 1.07), (0, 1.2)], GREEN, 2)  # where it should stand
    board.rod((0, 0), (-sin, cos), 0.17, VERMILION)
    board.disc(0, 0, 0.045, INK)
    return board.finish()


def _acrobot(obs: np.ndarray) -> Image.Image:
    """obs: [cos, sin of the first angle, cos, sin of the second, ...]; 0 hangs down, the second is relative to the first."""
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
    """Of the hill at `x`."""
    return 0.45 * np.sin(3 * x) + 0.55


@functools.lru_cache
def _hill(goal: float) -> Image.Image:
    """The hill with a flag at `goal`, before it is shrunk."""
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
    """obs: [position, velocity]."""
    x, slope = float(obs[0]), math.atan(1.35 * math.cos(3 * float(obs[0])))
    cos, sin, y = math.cos(slope), math.sin(slope), float(_height(x))
    place = lambda along, above: (x + along * cos - above * sin, y + along * sin + above * cos)
    board = Board(WIDE, 150, (195, 184), _hill(goal))
    body = (
        (-0.1, 0.03),
        (0.1, 0.03),
        (0.1, 0.075),
        (0.055, 0.085),
        (0.035, 0.12),
        (-0.05, 0.12),
        (-0.075, 0.085),
        (-0.1, 0.08),
    )
    board.polygon([place(*corner) for corner in body], VERMILION)
    for along in (-0.06, 0.06):
        board.disc(*place(along, 0.028), 0.028, INK)
    return board.finish()


def _grid(obs: np.ndarray) -> Image.Image:
    """obs: [H, W] or [H, W, C], 0: empty, 1: set. Row 0 is on top, every channel has a colour, later ones cover earlier ones."""
    obs = np.clip(np.asarray(obs, np.float32).reshape(*obs.shape[:2], -1), 0, 1)
    cells = np.broadcast_to(_rgb(GROUND), (*obs.shape[:2], 3))
    for channel in range(obs.shape[2]):
        filled = obs[:, :, channel, None]
        cells = cells * (1 - filled) + _rgb(CHANNELS[channel % len(CHANNELS)]) * filled
    size = cell_size(obs.shape)
    picture = cells.round().astype(np.uint8).repeat(size, 0).repeat(size, 1)
    if size >= 10:  # in finer grids lines would be all that one sees
        picture = np.pad(picture, ((0, 1), (0, 1), (0, 0)))
        picture[::size] = picture[:, ::size] = _rgb(LINE)
    return Image.fromarray(picture)


def cell_size(obs_shape: tuple) -> int:
    """Pixels from one cell of a grid to the next, the line between them (above, on the left) included."""
    return max(2, SIDE // max(obs_shape[:2]))


@functools.lru_cache
def _rgb(colour: str) -> np.ndarray:
    """'#RRGGBB' as float32 [3]."""
    return np.array(tuple(bytes.fromhex(colour[1:])), np.float32)


CONTROL = {  # numbers in an observation, drawer
    "CartPole-v1": (4, _cart_pole),
    "Pendulum-v1": (3, _pendulum),
    "Acrobot-v1": (6, _acrobot),
    "MountainCar-v0": (2, functools.partial(_mountain_car, 0.5)),
    "MountainCarContinuous-v0": (2, functools.partial(_mountain_car, 0.45)),
}


def can_draw(name: str, obs_shape: tuple) -> bool:
    """Whether `frame` draws gymnax's environment `name`: five of classic control, and all whose observations are images."""
    if name in CONTROL:
        return tuple(obs_shape) == (CONTROL[name][0],)
    return len(obs_shape) in (2, 3) and min(obs_shape[:2]) > 1


def frame(name: str, obs: np.ndarray) -> Image.Image:
    """One observation as gymnax gives it, not normalised, as an RGB picture. Raises ValueError where `can_draw` says no."""
    _check(name, np.shape(obs))
    return CONTROL[name][1](obs) if name in CONTROL else _grid(np.asarray(obs))


def _check(name: str, obs_shape: tuple) -> None:
    if not can_draw(name, obs_shape):
        raise ValueError(
            f"{name} with observations {tuple(obs_shape)} has no drawer; drawn are {', '.join(CONTROL)} and images"
        )


@functools.lru_cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _write(
    draw: ImageDraw.ImageDraw, text: str, box: tuple[int, int, int], size: int, anchor: str = "l"
) -> None:
    """Writes into box (left, right, middle row) in pixels, at its left 'l' or right 'r' end, smaller where it has to."""
    left, right, row = box
    while size > 7 and draw.textlength(text, _font(size)) > right - left:
        size -= 1
    draw.text((left if anchor == "l" else right, row), text, INK, _font(size), anchor=anchor + "m")


def _captioned(panel: dict, step: int, waits: bool) -> Image.Image:
    """The picture of one step, title above and caption below; waits: its episode is over while another goes on."""
    picture, steps = frame(panel["name"], panel["obs"][step]), len(panel["obs"])
    if waits:
        picture = Image.blend(picture, Image.new("RGB", picture.size, LINE), 0.5)
    width, height = picture.size
    page = Image.new("RGB", (width, HEAD + height + FOOT), PAGE)
    page.paste(picture, (0, HEAD))
    draw, row = ImageDraw.Draw(page), HEAD + height + FOOT // 2 + 1
    _write(draw, panel["title"], (0, width, HEAD // 2 - 1), 15)
    _write(draw, f"step {step + 1} of {steps}", (0, width // 2 - 4, row), 12)
    if step == steps - 1:
        _write(draw, panel["note"], (width // 2 + 4, width, row), 12, "r")
    return page


def _pictures(panel: dict, times: list[int]) -> Iterator[Image.Image]:
    """A panel at each of `times`; after the episode's end its last picture is held."""
    last, held = len(panel["obs"]) - 1, None
    for time in times:
        if time > last:
            held = held or _captioned(panel, last, True)
        yield held or _captioned(panel, time, False)


def _beside(pictures: tuple[Image.Image, ...]) -> Image.Image:
    """Pictures side by side, a margin around each."""
    height = max(picture.height for picture in pictures)
    page = Image.new(
        "RGB",
        (MARGIN + sum(picture.width + MARGIN for picture in pictures), height + 2 * (MARGIN // 2)),
        PAGE,
    )
    left = MARGIN
    for picture in pictures:
        page.paste(picture, (left, MARGIN // 2))
        left += picture.width + MARGIN
    return page


def shown_steps(steps: int, most: int) -> list[int]:
    """Which of `steps` steps are shown by at most `most` pictures: evenly spaced from the first on, and the last."""
    stride = max(1, math.ceil((steps - 1) / (most - 1)))
    return [*range(0, steps - 1, stride), steps - 1]


def _indexed(pages: list[Image.Image]) -> list[Image.Image]:
    """Pages in the 255 commonest colours of them all; what is drawn in full has fewer, so only shades of edges are replaced.

    Pillow's own search for the nearest colour rounds, and turns white into something else.
    """
    counts = Counter()
    for page in pages:
        counts.update({colour: count for count, colour in page.getcolors(page.width * page.height)})
    blues = (
        (0, 0, value) for value in range(256)
    )  # fill up: the 256th, which GIF files use for "as before", has a place then
    kept = np.array(
        list(dict.fromkeys([*(colour for colour, _ in counts.most_common(255)), *blues]))[:255]
    )
    colours = np.array(list(counts))
    index = np.zeros(1 << 24, np.uint8)
    index[colours @ (1, 256, 65536)] = ((kept**2).sum(1) - 2 * colours @ kept.T).argmin(1)
    indexed = []
    for page in pages:
        numbers = np.asarray(page.convert("RGBA")).view("<u4")[:, :, 0] & 0xFFFFFF
        indexed.append(Image.fromarray(index[numbers]))
        indexed[-1].putpalette(kept.astype(np.uint8).tobytes())
    return indexed


def gif(path: Path, panels: list[dict], *, fps: int = 30, most: int = 200) -> None:
    """Writes episodes side by side as one GIF that repeats; they begin together, and those that end early wait, greyed.

    panels: {"title": str, "name": environment, "obs": [T, ...] as `frame` takes them, "note": str shown at the end} each.
    Episodes of more than `most` (2 or more) steps are shown at an even stride. A GIF's times are multiples of 10 ms.
    Raises ValueError where there is no drawer. Nothing is left where `path` could not be written as a whole.
    """
    for panel in panels:
        _check(panel["name"], np.shape(panel["obs"])[1:])
    times = shown_steps(max(len(panel["obs"]) for panel in panels), most)
    pages = [
        _beside(pictures)
        for pictures in zip(*(_pictures(panel, times) for panel in panels), strict=True)
    ]
    first, *others = _indexed(pages)
    # less than 20 ms is taken for a mistake by viewers, which then show the pictures slowly
    durations = [max(20, round(100 / fps) * 10)] * len(others) + [LAST]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        first.save(
            temporary,
            "GIF",
            save_all=True,
            append_images=others,
            duration=durations,
            loop=0,
            optimize=True,
            palette=bytes(first.getpalette()),
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
