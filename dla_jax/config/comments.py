"""The comments of keys, read from the source of a config; nothing of it is imported.

A comment stands behind the line that sets a key, or above it. A key is `config.group.key`, an entry
of a dict under `config.group`, or, in a function that says "Return the group `group`", an entry of
a dict or an attribute of what it returns. Of several comments the first one counts, and shared
parts come before the config that imports them; but of a group that a config makes by a function of
its own, that one's.

Imports nothing that is slow.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.project import ROOT

GROUP = re.compile(r"Return the group `(\w+)`")


class Source(NamedTuple):
    """A file of configs, as it is written."""

    tree: ast.Module
    behind: dict[int, str]  # {line: the comment behind its code}
    alone: dict[int, str]  # {line: the comment that has the line to itself}

    def comment(self, first: int, last: int) -> str:
        """Return the comment above what stands in the lines first..last, and the one behind it."""
        above, line = [], first - 1
        while line in self.alone:
            above.insert(0, self.alone[line])
            line -= 1
        behind = [self.behind[line] for line in sorted({first, last}) if line in self.behind]
        return " ".join([*above, *behind])


def read_source(path: Path) -> Source:
    """Return a file with its comments."""
    text = path.read_text(encoding="utf-8")
    behind, alone = {}, {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lines = alone if token.line.lstrip().startswith("#") else behind
            lines[token.start[0]] = token.string.lstrip("# ")
    return Source(ast.parse(text), behind, alone)


def docstring(path: Path) -> str:
    """Return the docstring of a file; empty where it has none."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def comments_of(path: Path) -> dict[str, str]:
    """Return {dotted key: its comment} of a config and of the shared parts that it imports."""
    found, own = {}, {}
    for source in map(read_source, sources_of(path)):
        groups, own = groups_of(source), {}
        for key, comment in commented_keys(source):
            if comment:
                found.setdefault(key, comment)
                if group_in(key, groups):
                    own.setdefault(key, comment)
    return found | own


def groups_of(source: Source) -> set[str]:
    """Return the groups that a file makes by functions of its own."""
    functions = [node for node in source.tree.body if isinstance(node, ast.FunctionDef)]
    matches = [GROUP.match(ast.get_docstring(node) or "") for node in functions]
    return {match[1] for match in matches if match}


def group_in(key: str, groups: set[str]) -> bool:
    """Return whether a key is of one of the groups."""
    return key.partition(".")[0] in groups


def sources_of(path: Path) -> list[Path]:
    """Return the files of configs that a config is made of, each after what it imports."""
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "configs":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            files = [ROOT / f"{name.replace('.', '/')}.py" for name in names]
            own = [file for file in files if file.is_file() and file.parent.name == "configs"]
            found += [source for file in own for source in sources_of(file)]
    return list(dict.fromkeys([*found, path]))


def commented_keys(source: Source) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, comment) of all that a file sets; the comment may be empty."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign):  # a constant that holds groups of keys
            yield from entries(source, node.value, "")
        if not isinstance(node, ast.FunctionDef):
            continue
        match = GROUP.match(ast.get_docstring(node) or "")
        group = match[1] if match else ""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and group and inner.value:
                yield from entries(source, inner.value, f"{group}.")
            if isinstance(inner, ast.Assign):
                yield from assigned(source, inner, group)


def assigned(source: Source, node: ast.Assign, group: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, comment) of what one statement sets. `group`: that of its function."""
    first, _, rest = ast.unparse(node.targets[0]).partition(".")
    key = rest if first == "config" else f"{first}.{rest}" if first == group else ""
    if rest and key:
        yield key, source.comment(node.lineno, node.end_lineno)
        yield from entries(source, node.value, f"{key}.")
    elif group and not rest:
        yield from entries(source, node.value, f"{group}.")


def entries(source: Source, node: ast.expr, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, comment) of the dicts of an expression, such as `ConfigDict({...})`."""
    if isinstance(node, ast.Call):
        for argument in node.args:
            yield from entries(source, argument, prefix)
    if isinstance(node, ast.BinOp):
        yield from entries(source, node.left, prefix)
        yield from entries(source, node.right, prefix)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield prefix + key.value, source.comment(key.lineno, value.end_lineno)
                yield from entries(source, value, f"{prefix}{key.value}.")


def arguments_of(path: Path) -> dict[str, tuple[str, str]]:
    """Return {further argument of a config: (default as it is typed, comment)}, `depth` and so on.

    They are what its call of `parse_argument` names.
    """
    source = read_source(path)
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    keywords = [
        keyword
        for call in calls
        if ast.unparse(call.func) == "parse_argument"
        for keyword in call.keywords
    ]
    return {
        keyword.arg: (
            str(ast.literal_eval(keyword.value)).lower(),
            source.comment(keyword.lineno, keyword.end_lineno),
        )
        for keyword in keywords
    }
