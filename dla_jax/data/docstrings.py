"""The embedded set of labelled texts: docstrings, and which package each comes from.

Names and aliases of the packages are masked. numpy, scipy, scikit-learn and jax are installed
wherever this project runs. Their sources are parsed, not imported.
"""

import ast
import collections
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.files import cache_folder, write_atomically

# module: distribution
PACKAGES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "jax": "jax"}
NAMES = re.compile(  # a word is looked through from its beginning alone, or it takes twice as long
    r"\b\w*(?:numpy|scipy|sklearn|scikit[-_ ]?learn|jax|num_?focus|openxla)\w*"
    r"|\b(?:np|sp|jnp|lax|xla)\b",
    re.IGNORECASE,
)
NOT_OWN = {"tests", "_vendor", "externals", "vendored-meson"}  # folders whose files are left out
MOST = 1500  # texts a class
SHORTEST, LONGEST = 60, 600  # characters; longer ones are cut at a blank
VERSION = 3  # of what is collected: another one makes old caches invisible


def collect() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (texts, package of each), at most MOST a package.

    They are the same for the same versions of the packages.
    """

    def made() -> tuple[list[str], list[str]]:
        return gather({name: docstrings_in(folder_of(name)) for name in PACKAGES})

    texts, packages = kept(f"docstrings {VERSION}", made)
    return tuple(texts), tuple(packages)


def kept(what: str, make: Callable[[], Sequence]) -> Sequence:
    """Return what `make` makes of the installed packages, as JSON has it.

    Parsing takes some ten seconds, so the result is kept in `~/.cache/dla_jax/data`
    (`$XDG_CACHE_HOME`) where that may be written.

    Args:
      what: a name and a version; another one makes what was kept invisible.
    """
    path = cache_path(what)
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        found = None
    if found is None:
        found = make()
        try:
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps(found))
        except OSError:  # read-only: made again next time
            pass
    return found


def cache_path(what: str) -> Path | None:
    """Return the file that keeps `what` of the installed versions; None without a home."""
    name, version = what.split()
    installed = [package + importlib.metadata.version(PACKAGES[package]) for package in PACKAGES]
    key = hashlib.sha256(f"{version} {','.join(installed)}".encode()).hexdigest()[:16]
    cache = cache_folder()
    return cache and cache / "data" / f"{name}-{key}.json"


def folder_of(package: str) -> Path:
    """Return the folder of an installed package."""
    return Path(importlib.util.find_spec(package).origin).parent


class Documented(NamedTuple):
    """A module, class or function, and its docstring; "" where it has none."""

    path: Path
    name: str
    docstring: str


def documented_in(folder: Path) -> Iterator[Documented]:
    """Yield the modules, classes and functions of a package, module by module.

    Those of its tests are left out.
    """
    for path in sorted(folder.rglob("*.py")):
        if NOT_OWN & set(path.relative_to(folder).parts):
            continue
        module = path.parent.name if path.stem == "__init__" else path.stem
        for node in statements_of(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                name = getattr(node, "name", module)
                yield Documented(path, name, ast.get_docstring(node) or "")


def statements_of(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield a module and its statements in the order of `ast.walk`.

    Expressions are left out: they are most of a module, and define no function or class.
    """
    waiting = collections.deque([tree])
    while waiting:
        node = waiting.popleft()
        waiting.extend(
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)
        )
        yield node


def docstrings_in(folder: Path) -> list[str]:
    """Return the docstrings of all modules, classes and functions of a package, in order."""
    return [found.docstring for found in documented_in(folder)]


def gather(found: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Clean the docstrings of each package, and draw at most MOST of them.

    What is short is dropped, and what stands twice: in a package one is kept, in two packages none.

    Returns:
      texts; package of each.
    """
    cleaned = {
        package: {fingerprint(text): text for text in map(clean, docs) if len(text) >= SHORTEST}
        for package, docs in found.items()
    }
    texts, packages = [], []
    for package, own in cleaned.items():
        others = set().union(*(other.keys() for name, other in cleaned.items() if name != package))
        kept = [text for print_, text in own.items() if print_ not in others]
        # In the order of their hashes, which has no meaning.
        chosen = sorted(kept, key=lambda text: hashlib.sha256(text.encode()).digest())[:MOST]
        texts += chosen
        packages += [package] * len(chosen)
    return texts, packages


def clean(docstring: str, longest: int = LONGEST) -> str:
    """Return a docstring as one line of at most `longest` characters, names of packages as `_`."""
    text = " ".join(NAMES.sub("_", docstring).split())
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0]


def fingerprint(text: str) -> str:
    """Return what is equal for texts that begin alike, numbers, marks and case aside."""
    return re.sub(r"[^a-z]+", " ", text.lower())[:120]
