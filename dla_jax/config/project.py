"""Where this project's files are, as a checkout or installed, and what starts it.

Imports nothing that is slow.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

VERSION = "0.1.0"
COMMAND = "dla-jax"
PACKAGE = Path(__file__).resolve().parent.parent
SHIPPED = PACKAGE / "shipped"  # only in an installed package: setup.py puts it there
INSTALLED = SHIPPED.is_dir()
# What holds `configs`, `launch.py` and `docs/examples`. An installed package keeps them in a folder
# of its own: other projects have a `configs` too.
ROOT = SHIPPED if INSTALLED else PACKAGE.parent
AT_HOME = "in this project's folder"  # which who installed it has fetched


def version_line() -> str:
    """Return what --version prints: `dla_jax 0.1.0, jax 0.11.0`."""
    import importlib.metadata  # slow for those who ask for help

    try:
        jax = importlib.metadata.version("jax")
    except importlib.metadata.PackageNotFoundError:
        jax = "is not installed"
    return f"dla_jax {VERSION}, jax {jax}"


def launcher() -> list[str]:
    """Return the words before the flags, as they were typed: `python launch.py`, or `dla-jax`.

    Where neither was, as in a notebook, those that a shell takes in the current folder.
    """
    typed = Path(sys.argv[0])
    if typed.name == COMMAND:
        return [command_at(typed)]
    if typed.name == "launch.py" and typed.resolve() == ROOT / "launch.py":
        return ["python", sys.argv[0]]
    if INSTALLED:
        return [command_at(Path(sys.executable).with_name(COMMAND))]
    return ["python", "launch.py" if Path.cwd() == ROOT else str(ROOT / "launch.py")]


def command_at(path: Path) -> str:
    """Return `dla-jax`, or its path where a shell finds none of that name, or another one."""
    found = shutil.which(COMMAND)
    is_found = found is not None and path.exists() and os.path.samefile(found, path)
    return COMMAND if is_found or not path.exists() else str(path)


def as_typed(text: str) -> str:
    """Return a text with what was typed for each `python launch.py`.

    Where it names pages that are not installed, a last line says where they are.
    """
    away = INSTALLED and re.search(r"\bdocs/\S+\.md", text) is not None
    told = text.replace("python launch.py", shlex.join(launcher()))
    return f"{told}\n\nPages under docs/ are {AT_HOME}, and not installed." if away else told


def page_words(page: str) -> str:
    """Return a page, `docs/data.md`, with where it is if that is not here."""
    return f"{page} {AT_HOME}" if INSTALLED else page


def install_words(extra: str = "") -> str:
    """Return the command that installs what an extra needs, `tfds`; "": what all needs."""
    if INSTALLED:
        return f"pip install '.{f'[{extra}]' if extra else ''}' {AT_HOME}"
    file = Path(f"requirements{f'-{extra}' if extra else ''}.txt")
    return f"pip install -r {file if Path.cwd() == ROOT else shlex.quote(str(ROOT / file))}"
