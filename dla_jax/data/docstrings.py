"""The embedded set of labelled texts: docstrings, and which package each comes from.

Names and aliases of the packages are masked. numpy, scipy, scikit-learn and jax are installed
wherever this project runs. Their sources are parsed, not imported.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path

from dla_jax.config.files import cache_folder, write_atomically

# module: distribution
PACKAGES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "jax": "jax"}
NAMES = re.compile(
    r"\w*(?:numpy|scipy|sklearn|scikit[-_ ]?learn|jax|num_?focus|openxla)\w*"
    r"|\b(?:np|sp|jnp|lax|xla)\b",
    re.IGNORECASE,
)
NOT_OWN = {"tests", "_vendor", "externals", "vendored-meson"}  # folders whose files are left out
MOST = 1500  # texts a class
SHORTEST, LONGEST = 60, 600  # characters; longer ones are cut at a blank
VERSION = 3  # of what is collected: another one makes old caches invisible


def collect() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (texts, package of each), at most MOST a package.

    They are the same for the same versions of the packages. Parsing takes some seconds, so the
    result is kept in `~/.cache/dla_jax/data` (`$XDG_CACHE_HOME`) where that may be written.
    """
    path = cache_path()
    try:
        texts, packages = json.loads(path.read_text(encoding="utf-8")) if path else (None, None)
    except (OSError, ValueError):
        texts, packages = None, None
    if texts is None:
        texts, packages = gather({name: docstrings_in(folder_of(name)) for name in PACKAGES})
        try:
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps([texts, packages]))
        except OSError:  # read-only: collected again next time
            pass
    return tuple(texts), tuple(packages)


def cache_path() -> Path | None:
    """Return the file that keeps the docstrings of the installed versions; None without a home."""
    installed = {name: importlib.metadata.version(dist) for name, dist in PACKAGES.items()}
    versions = ",".join(f"{name}{version}" for name, version in installed.items())
    key = hashlib.sha256(f"{VERSION} {versions}".encode()).hexdigest()[:16]
    cache = cache_folder()
    return cache and cache / "data" / f"docstrings-{key}.json"


def folder_of(package: str) -> Path:
    """Return the folder of an installed package."""
    return Path(importlib.util.find_spec(package).origin).parent


def docstrings_in(folder: Path) -> list[str]:
    """Return the docstrings of all modules, classes and functions of a package, in order.

    Those of its tests are left out.
    """
    found = []
    for path in sorted(folder.rglob("*.py")):
        if NOT_OWN & set(path.relative_to(folder).parts):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found.append(ast.get_docstring(node) or "")
    return found


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


def clean(docstring: str) -> str:
    """Return a docstring as one line of at most LONGEST characters, names of packages as `_`."""
    text = " ".join(NAMES.sub("_", docstring).split())
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0]


def fingerprint(text: str) -> str:
    """Return what is equal for texts that begin alike, numbers, marks and case aside."""
    return re.sub(r"[^a-z]+", " ", text.lower())[:120]
