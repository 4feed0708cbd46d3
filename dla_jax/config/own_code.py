"""Fingerprints of code of one's own: the file of a thing, and those that it is made with.

These are the files of its bases, and of all modules that they import and that lie beside them: in
the same package, or in the folder that it is imported from. Libraries are left out, and so is this
project: their versions stand in config.json.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from dla_jax.config.checks import check

LIBRARIES = ("gymnax", "flax", "chex", "jax", "numpy", *sys.stdlib_module_names)
INSTALLED = {"site-packages", "dist-packages"}  # folders of libraries
PROJECT = "dla_jax"


def codes_of(key: str, name: str, module: ModuleType, *things: object) -> dict[str, str]:
    """Return {"code of NAME": 16 hex digits of its file, "code of NAME in FILE": of another}.

    Args:
      key: of the config.
      name: of the thing, in `module`.
      things: classes, functions, whose bases count too.

    Raises:
      ConfigError: there is no file.
    """
    owners = [base for thing in things for base in getattr(thing, "__mro__", (thing,))]
    bases = {getattr(owner, "__module__", module.__name__) for owner in owners}
    names = [module.__name__, *sorted(bases - {module.__name__})]
    files: dict[str, Path] = {}
    for own in names:
        if own != module.__name__ and top(own) in LIBRARIES:
            continue
        file = file_of(own)
        check(
            file is not None,
            f"{key}: {name} is defined in {own}, which is no file; write it into one, so that a "
            "run that goes on can tell whether it changed",
        )
        files[own] = file
    first = module.__name__
    files |= files_beside(first, files)
    keys = {own: "" if own == first else f" in {label(own, file)}" for own, file in files.items()}
    ordered = sorted(files, key=lambda own: (own != first, own))
    return {f"code of {name}{keys[own]}": digest(own, files[own]) for own in ordered}


def changed(name: str, old: dict, new: dict) -> list[str]:
    """Return the files of a thing that differ, as a message names them; in no order: none.

    Args:
      old: what `codes_of` gave, with other keys or without.
      new: what it gives.
    """
    first = f"code of {name}"
    before = {key: code for key, code in old.items() if key == first or is_file_of(name, key)}
    keys = [key for key in (before | new) if before.get(key) != new.get(key)]
    return [key.partition(" in ")[2] or "its own file" for key in keys]


def is_file_of(name: str, key: str) -> bool:
    """Return whether a key of `codes_of` is that of another file of a thing."""
    return key.startswith(f"code of {name} in ")


def top(name: str) -> str:
    """Return the first word of a module's name."""
    return name.partition(".")[0]


def label(name: str, file: Path) -> str:
    """Return the path of a module's file in the folder that it is imported from."""
    return "/".join([*name.split("."), *(["__init__"] if is_package(file) else [])]) + file.suffix


def is_package(file: Path) -> bool:
    """Return whether a file is that of a package."""
    return file.stem == "__init__"


def digest(name: str, file: Path) -> str:
    """Return 16 hex digits over the name of a module and the bytes of its file."""
    return hashlib.sha256(name.encode() + b"\0" + file.read_bytes() + b"\0").hexdigest()[:16]


def files_beside(name: str, files: dict[str, Path]) -> dict[str, Path]:
    """Return {module: file} of those that files import, and so on, and that lie beside the first.

    Args:
      name: of the first.
      files: {module: file} to begin with.
    """
    root = files[name].parents[name.count(".") + is_package(files[name])]
    found, left = {}, [each for each in files if top(each) != PROJECT]
    while left:
        own = left.pop()
        for imported in imports_of(own, files.get(own) or found[own]):
            if imported in files or imported in found or not may_lie_beside(imported, name, root):
                continue
            if (file := file_of(imported)) is not None:
                found[imported] = file
                left.append(imported)
    return found


def may_lie_beside(imported: str, name: str, root: Path) -> bool:
    """Return whether a module is of one's own, by what is first in its name; nothing is imported.

    Args:
      imported: by a module of one's own.
      name: of the first of these, in the folder `root`.
    """
    first = top(imported)
    if first == PROJECT or first in sys.stdlib_module_names:
        return False
    if first == top(name):
        return True
    places = places_of(first)
    return root.name not in INSTALLED and any(
        place.is_relative_to(root) and not INSTALLED & set(place.relative_to(root).parts)
        for place in places
    )


def places_of(first: str) -> list[Path]:
    """Return the file of a module without dots in its name, or the folders of a package."""
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    places = list(spec.submodule_search_locations or ()) or [spec.origin] * spec.has_location
    return [Path(place).absolute() for place in places]


def file_of(name: str) -> Path | None:
    """Return the file of a module; None where it has none, or is no module. Nothing is imported."""
    if (module := sys.modules.get(name)) is not None:
        file = getattr(module, "__file__", None)
        return None if file is None else Path(file).absolute()
    first, *words = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
        for word in words:
            if spec is None or spec.submodule_search_locations is None:
                return None
            places = list(spec.submodule_search_locations)
            spec = PathFinder.find_spec(f"{spec.name}.{word}", places)
    except (ImportError, ValueError, KeyError):  # the last: folders that are no package, in others
        return None
    known = spec is not None and spec.has_location and spec.origin is not None
    return Path(spec.origin).absolute() if known else None


def imports_of(name: str, file: Path) -> Iterator[str]:
    """Yield the modules that a file imports, and what it takes of them, which may be modules too.

    With each come the packages that it lies in, which Python imports first.

    Args:
      name: of the file's module.
    """
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # no Python: nobody can have imported it yet
        return
    package = name.split(".") if is_package(file) else name.split(".")[:-1]
    yield from with_packages(package)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from with_packages(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) + 1 - node.level] if node.level else []
            source = parents + (node.module.split(".") if node.module else [])
            yield from with_packages(source)
            yield from (".".join([*source, alias.name]) for alias in node.names)


def with_packages(words: list[str]) -> Iterator[str]:
    """Yield the packages that a module lies in, and the module."""
    yield from (".".join(words[:end]) for end in range(1, len(words) + 1))
