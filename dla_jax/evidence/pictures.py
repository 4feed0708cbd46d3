"""Pictures as a page shows them: large enough, on any screen, for their smallest text to be read.

What draws a picture writes into the file how large its smallest text is, in pixels: a PNG has it
as a text, a GIF as its comment. A file that says nothing holds no text.
"""

import base64
import math
from pathlib import Path
from typing import NamedTuple

from PIL import Image

SMALLEST_TEXT = "smallest text"  # the name of that note
READABLE = 9.0  # pixels of a page that the smallest text has at least
# Pixels of a page for an inch of a figure: the widest, of 7 inches, fill the page, and the text of
# a narrow one is as large as theirs.
PER_INCH = 154


class Picture(NamedTuple):
    """A picture file."""

    kind: str  # "png", "gif" or "jpeg"
    width: int  # pixels, as are the others
    height: int
    smallest_text: float | None  # None without any
    per_inch: float | None = None  # pixels of its own; None where the file does not say

    @property
    def least_width(self) -> int:
        """How many pixels of a page it is wide at least, so that its smallest text is READABLE."""
        if self.smallest_text is None:
            return 0
        return math.ceil(self.width * READABLE / self.smallest_text)

    @property
    def most_width(self) -> int:
        """How many it is wide at most: its own pixels, of a figure PER_INCH, or what text needs."""
        most = self.width
        if self.kind == "png" and self.per_inch:
            most = min(most, round(self.width / self.per_inch * PER_INCH))
        return max(most, self.least_width)


def note(smallest_text: float) -> str:
    """Return what a file says of its smallest text, in pixels: `smallest text 19.1`."""
    return f"{SMALLEST_TEXT} {smallest_text:.1f}"


def read(path: Path) -> Picture:
    """Return what a file says of its picture."""
    with Image.open(path) as image:
        said = image.info.get(SMALLEST_TEXT) or image.info.get("comment", b"")
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        text = float(said.split()[-1]) if said.startswith(SMALLEST_TEXT) else None
        per_inch = image.info.get("dpi", (None,))[0]
        return Picture(image.format.lower(), *image.size, text, per_inch)


def inline(path: Path) -> str:
    """Return a file's bytes as a page has them, in base 64."""
    return base64.b64encode(Path(path).read_bytes()).decode()
