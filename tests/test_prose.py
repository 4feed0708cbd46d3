"""The intervals that README and the configs' docstrings quote are those of docs/studies."""

import ast
import re

import pytest
from launching import ROOT

INTERVAL = re.compile(r"\[([+−-]?\d[\d.]*),\s+([+−-]?\d[\d.]*)\]")


def intervals(text):
    """Return every interval of a text as (low, high), whatever side a difference is taken from.

    Of an interval and its mirror image the larger one is returned.
    """
    found = [tuple(float(end.replace("−", "-")) for end in pair) for pair in INTERVAL.findall(text)]
    return [max((low, high), (-high, -low)) for low, high in found]


RESULTS = {
    found
    for page in (ROOT / "docs" / "studies").glob("*.md")
    for found in intervals(page.read_text())
}
QUOTED = {"README.md": (ROOT / "README.md").read_text()} | {
    f"configs/{path.name}": ast.get_docstring(ast.parse(path.read_text())) or ""
    for path in (ROOT / "configs").glob("*.py")
}


@pytest.mark.parametrize("place", [place for place, text in QUOTED.items() if intervals(text)])
def test_every_quoted_interval_stands_in_the_results(place):
    assert not [interval for interval in intervals(QUOTED[place]) if interval not in RESULTS]


def test_intervals_are_found_and_mirrored():
    found = intervals("a [33.4, 56.6] b [−56.6, −33.4] c [+1, 2] [−2.5,\n+1.8]")
    assert found == [(33.4, 56.6), (33.4, 56.6), (1, 2), (-1.8, 2.5)]
    assert sum(len(intervals(text)) for text in QUOTED.values()) > 20
