"""Moving pictures of a policy, from recorded scenes alone.

They are made by NumPy and Pillow, with neither a screen nor a simulator.
"""

import functools
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dla_jax.evidence import pictures
from dla_jax.rl.board import INK, LINE, PAGE
from dla_jax.rl.drawers import check_drawable, frame

HEAD, FOOT, MARGIN = 24, 22, 12  # pixels of a panel's title, of its caption, and around panels
TITLE, CAPTION = 15, 12  # pixels of their letters, where there is room
LAST = 1000  # milliseconds that the last picture stays


@functools.lru_cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return Pillow's own font in a size."""
    return ImageFont.load_default(size)


def _fitting(text: str, width: int, size: int) -> int:
    """Return in which size of letters, `size` or smaller, a text fits a width in pixels."""
    while size > 7 and _font(size).getlength(text) > width:
        size -= 1
    return size


def _write(
    draw: ImageDraw.ImageDraw, text: str, box: tuple[int, int, int], size: int, anchor: str = "l"
) -> None:
    """Write into box (left, right, middle row) in pixels, at its left 'l' or right 'r' end.

    The text is smaller where it has to be.
    """
    left, right, row = box
    size = _fitting(text, right - left, size)
    draw.text((left if anchor == "l" else right, row), text, INK, _font(size), anchor=anchor + "m")


def _captioned(panel: dict, step: int, waits: bool) -> Image.Image:
    """Return the picture of one step, with the title above and a caption below.

    waits: its episode is over while another goes on.
    """
    picture, steps = frame(panel["name"], panel["scenes"][step]), len(panel["scenes"])
    if waits:
        picture = Image.blend(picture, Image.new("RGB", picture.size, LINE), 0.5)
    width, height = picture.size
    page = Image.new("RGB", (width, HEAD + height + FOOT), PAGE)
    page.paste(picture, (0, HEAD))
    draw, row = ImageDraw.Draw(page), HEAD + height + FOOT // 2 + 1
    _write(draw, panel["title"], (0, width, HEAD // 2 - 1), TITLE)
    _write(draw, f"step {step + 1} of {steps}", (0, width // 2 - 4, row), CAPTION)
    if step == steps - 1:
        _write(draw, panel["note"], (width // 2 + 4, width, row), CAPTION, anchor="r")
    return page


def _smallest_text(panel: dict) -> int:
    """Return the size of a panel's smallest letters, as `_captioned` writes them, in pixels."""
    steps, width = len(panel["scenes"]), frame(panel["name"], panel["scenes"][0]).width
    return min(
        _fitting(panel["title"], width, TITLE),
        _fitting(f"step {steps} of {steps}", width // 2 - 4, CAPTION),
        _fitting(panel["note"], width - width // 2 - 4, CAPTION),
    )


def _pictures(panel: dict, times: list[int]) -> Iterator[Image.Image]:
    """Yield a panel at each of `times`; after the episode's end its last picture is held."""
    last, held = len(panel["scenes"]) - 1, None
    for time in times:
        if time > last:
            held = held or _captioned(panel, last, waits=True)
        yield held or _captioned(panel, time, waits=False)


def _beside(pictures: tuple[Image.Image, ...]) -> Image.Image:
    """Return pictures side by side, a margin around each."""
    width = MARGIN + sum(picture.width + MARGIN for picture in pictures)
    height = max(picture.height for picture in pictures) + 2 * (MARGIN // 2)
    page = Image.new("RGB", (width, height), PAGE)
    left = MARGIN
    for picture in pictures:
        page.paste(picture, (left, MARGIN // 2))
        left += picture.width + MARGIN
    return page


def shown_steps(steps: int, most: int) -> list[int]:
    """Return which of `steps` steps are shown by at most `most` pictures.

    They are evenly spaced from the first on, and the last is among them.
    """
    stride = max(1, math.ceil((steps - 1) / (most - 1)))
    return [*range(0, steps - 1, stride), steps - 1]


def _indexed(pages: list[Image.Image]) -> list[Image.Image]:
    """Return the pages in the 255 commonest colours of them all.

    What is drawn in full has fewer, so only shades of edges are replaced. Pillow's own search for
    the nearest colour rounds, and turns white into something else.
    """
    counts = Counter()
    for page in pages:
        counts.update({colour: count for count, colour in page.getcolors(page.width * page.height)})
    # blues fill up: the 256th colour, which GIF files use for "as before", has a place then
    blues = [(0, 0, value) for value in range(256)]
    common = [colour for colour, _ in counts.most_common(255)]
    kept = np.array(list(dict.fromkeys([*common, *blues]))[:255])
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
    """Write episodes side by side as one GIF that repeats.

    They begin together, and those that end early wait, greyed. Nothing is left where `path` could
    not be written as a whole.

    Args:
      panels: {"title": str, "name": environment, "scenes": [T, ...] as `frame` takes them,
        "note": str shown at the end} each.
      fps: pictures a second; a GIF's times are multiples of 10 ms.
      most: 2 or more; longer episodes are shown at an even stride.

    Raises:
      ValueError: where there is no drawer.
    """
    # Pillow's own font has no true minus sign
    panels = [panel | {"note": panel["note"].replace("−", "-")} for panel in panels]
    for panel in panels:
        check_drawable(panel["name"], np.shape(panel["scenes"])[1:])
    times = shown_steps(max(len(panel["scenes"]) for panel in panels), most)
    columns = [_pictures(panel, times) for panel in panels]
    first, *others = _indexed([_beside(pictures) for pictures in zip(*columns, strict=True)])
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
            comment=pictures.note(min(map(_smallest_text, panels))),
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
