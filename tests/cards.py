"""Runs the example that a model card, or a page, gives."""

import contextlib
import io
import re
from pathlib import Path


def example_of(card: str) -> str:
    """Return the Python of a card."""
    return re.search(r"```python\n(.*?)```", card, re.DOTALL).group(1)


def run_example(code: str, folder: Path) -> str:
    """Run an example in a folder; return what it prints."""
    return run(code, folder)[0]


def run(code: str, folder: Path) -> tuple[str, dict]:
    """Run an example in a folder; return what it prints, and its variables."""
    out, names = io.StringIO(), {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        exec(compile(code, "example", "exec"), names)
    return out.getvalue(), names
