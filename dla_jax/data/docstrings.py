"""The embedded set of labelled texts: which package does a docstring come from, its name and aliases masked?

numpy, scipy, scikit-learn and jax are installed wherever this project runs. Their sources are parsed, not imported.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path

from dla_jax.config.files import cache_folder, write_atomically

PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "jax": "jax",
}  # module: distribution
NAMES = re.compile(
    r"\w*(?:numpy|scipy|sklearn|scikit[-_ ]?learn|jax|num_?focus|openxla)\w*|\b(?:np|sp|jnp|lax|xla)\b",
    re.IGNORECASE,
)
MOST = 1500  # texts a class
SHORTEST, LONGEST = 60, 600  # characters; longer ones are cut at a blank
VERSION = 3  # of what is collected: another one makes old caches invisible


def collect() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(texts, package of each), at most MOST a package, the same for the same versions of the packages.

    Parsing takes some seconds, so the result is kept in `~/.cache/dla_jax/data` (`$XDG_CACHE_HOME`) where that may be written.
    """
    versions = ",".join(
        f"{name}{importlib.metadata.version(dist)}" for name, dist in PACKAGES.items()
    )
    key = hashlib.sha256(f"{VERSION} {versions}".encode()).hexdigest()[:16]
    cache = cache_folder()
    path = cache and cache / "data" / f"docstrings-{key}.json"
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


def folder_of(package: str) -> Path:
    """Where an installed package lies."""
    return Path(importlib.util.find_spec(package).origin).parent


def docstrings_in(folder: Path) -> list[str]:
    """The docstrings of all modules, classes and functions of a package, but of its tests, in order."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        if {"tests", "_vendor", "externals", "vendored-meson"} & set(
            path.relative_to(folder).parts
        ):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found.append(ast.get_docstring(node) or "")
    return found


def gather(found: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Masks names, cuts, drops what is short or stands twice (in two packages: both), and draws MOST a package."""
    cleaned = {
        package: {fingerprint(text): text for text in map(clean, docs) if len(text) >= SHORTEST}
        for package, docs in found.items()
    }
    texts, packages = [], []
    for package, own in cleaned.items():
        others = set().union(*(other.keys() for name, other in cleaned.items() if name != package))
        kept = [text for print_, text in own.items() if print_ not in others]
        chosen = sorted(kept, key=lambda text: hashlib.sha256(text.encode()).digest())[
            :MOST
        ]  # any order that has no meaning
        texts += chosen
        packages += [package] * len(chosen)
    return texts, packages


def clean(docstring: str) -> str:
    """One line, at most LONGEST characters, names of packages as `_`."""
    text = " ".join(NAMES.sub("_", docstring).split())
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0]


def fingerprint(text: str) -> str:
    """What two texts share that differ in little more than numbers and case at their beginning."""
    return re.sub(r"[^a-z]+", " ", text.lower())[:120]
