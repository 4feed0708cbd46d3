"""The help of launch.py: all studies in a line each; of one config its presets and all its keys.

The list of studies is read from source text, nothing of them is imported. Imports nothing that is
slow.
"""

import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dla_jax.config.arguments import Preset, flatten
from dla_jax.config.command_line import (
    config_flags_of,
    config_names,
    find_config_file,
    join_values,
    load_config,
    name_of,
)
from dla_jax.config.comments import arguments_of, comments_of, docstring
from dla_jax.config.flags import FLAGS
from dla_jax.config.overrides import shown
from dla_jax.config.project import ROOT, as_typed, version_line

USAGE = """Run one study, or one command on finished studies.

    python launch.py --config=configs/rescnn.py:digits [--config.KEY=VALUE ...]
    python launch.py --config=configs/rescnn.py --help    # its presets, every key
    python launch.py --workdir=FOLDER                     # draws its report again

The same --workdir again goes on where it stopped.

"""
ASKING = {"--help", "-h", "-help", "--helpfull", "--helpshort"}
ASKING_VERSION = {"--version", "-version"}
# They train nothing themselves: they read finished studies.
COMMANDS = ("predict", "generate", "gpt2", "export", "cam", "ood", "adversarial", "compare")
# Groups whose keys are the names of what is compared; claims are no keys to be changed.
MEMBERS = ("networks", "arms")
NAMED = (*MEMBERS, "reported", "reported_accuracy")
WIDEST = 120  # columns; longer lines are hard to read


def asked(arguments: list[str]) -> bool:
    """Return whether a command line asks for help or the version.

    It does by a flag, or by a preset called `help`.
    """
    flags = ASKING | ASKING_VERSION
    return bool(flags & set(arguments)) or "help" in words_of(config_given(arguments)[1])


def page(arguments: list[str]) -> str:
    """Return the help, or the version, that a command line asks for.

    Raises:
      ConfigError: there is no such config, or no such preset.
    """
    if ASKING_VERSION & set(arguments):
        return version_line()
    width = max(40, min(shutil.get_terminal_size().columns, WIDEST))
    path, argument = config_given(arguments)
    given = [word for word in words_of(argument) if word != "help"]
    return as_typed(config_page(Path(path), ",".join(given), width) if path else usage(width))


def config_given(arguments: list[str]) -> tuple[str, str]:
    """Return the path and the argument of `--config=PATH:ARGUMENT`; empty where there is none."""
    given = config_flags_of(find_config_file(join_values(arguments)))
    files = [match[2] for match in given if match[1] is None and match[2]]
    path, _, argument = files[0].partition(":") if files else ("", "", "")
    return path, argument


def words_of(argument: str) -> list[str]:
    """Return the words of a config's argument, `digits` also for `preset=digits`."""
    return [word.strip().removeprefix("preset=") for word in argument.split(",")]


def usage(width: int) -> str:
    """Return the flags, the studies and the commands, in lines of at most `width` columns."""
    names = [name for name in config_names() if name not in COMMANDS]
    lines = [*wrapped(USAGE, width), *two_columns(list(FLAGS.values()), width)]
    for title, members in (("Studies", names), ("Commands, on finished studies", COMMANDS)):
        rows = [(name, docstring(config_file(name)).partition("\n")[0]) for name in members]
        lines += ["", f"{title}: --config=configs/NAME.py", *two_columns(rows, width)]
    return "\n".join(lines)


def config_file(name: str) -> Path:
    """Return the file of a config of this project."""
    return ROOT / "configs" / f"{name}.py"


def config_page(path: Path, argument: str, width: int) -> str:
    """Return what a config asks, its presets, and every key with its value and comment.

    Raises:
      ConfigError: there is no such config, or no such preset.
    """
    module, config = load_config(str(path), argument)
    name = name_of(path)
    lines = [*wrapped(docstring(path), width), *preset_lines(module, name, width)]
    further = arguments_of(path)
    if further:
        example = ",".join(f"{key}={default}" for key, (default, _) in further.items())
        rows = [(f"{key}={default}", what) for key, (default, what) in further.items()]
        title = f"Further arguments: --config={name}:PRESET,{example}"
        lines += ["", *wrapped(title, width), *two_columns(rows, width)]
    of = f" of {argument}" if argument else ""
    lines += ["", f"Keys{of}: --config.KEY=VALUE"]
    comments = comments_of(path)
    for group, rows in key_rows(config.to_dict(), comments):
        lines += group_head(group, comments, width)
        lines += two_columns(rows, width, column=min(32, width * 2 // 5))
    return "\n".join(lines)


def preset_lines(module: ModuleType, name: str, width: int) -> list[str]:
    """Return the presets of a config: name, time on 2 CPU cores, and what each is."""
    presets = getattr(module, "PRESETS", {})
    if not presets:
        return []
    longest = max(map(len, presets))
    rows = [
        (f"{preset:<{longest}}  {time_words(found):<9}", found.what)
        for preset, found in presets.items()
    ]
    title = f"Presets: --config={name}:PRESET; the first is the default. Times on 2 CPU cores."
    return ["", *wrapped(title, width), *two_columns(rows, width)]


def time_words(preset: Preset) -> str:
    """Return how long a preset takes, in words."""
    if preset.gpu:
        return "for a GPU"
    return "not timed" if preset.minutes is None else minutes_words(preset.minutes)


def minutes_words(minutes: float) -> str:
    """Return a time as it is read: `seconds`, `2.4 min`, `35 min`, `1.5 h`."""
    if minutes < 0.5:
        return "seconds"
    if minutes < 90:
        return f"{minutes:.2g} min"
    return f"{minutes / 60:.1f} h" if minutes < 600 else f"{minutes / 60:,.0f} h"


def group_head(group: str, comments: dict[str, str], width: int) -> list[str]:
    """Return what stands above the keys of a group; nothing above those of no group."""
    if not group:
        return []
    name = group.rpartition(".")[2]
    if name not in NAMED:
        return ["", *cut(f"{group}: --config.{group}.KEY=VALUE", width)]
    kind = f"--config.{group}.NAME.KEY=VALUE" if name in MEMBERS else f"--config.{group}.NAME=VALUE"
    return ["", *cut(f"{group}: {kind}", width), *cut(comments.get(name, ""), width)]


def key_rows(config: dict, comments: dict[str, str]) -> Iterator[tuple[str, list]]:
    """Yield (group, [(key and value, comment)]) of a config, group by group.

    Args:
      comments: {dotted key: comment}; those of a study that is made first are those of its config.
    """
    for group, keys in groups_of(config):
        prefix = f"{group}." if group else ""
        if group.rpartition(".")[2] in NAMED:
            yield group, [(name, described(own)) for name, own in keys.items()]
            continue
        yield (
            group,
            [
                (f"{key} = {typed(value)}", comments.get(plain_key(config, prefix + key), ""))
                for key, value in keys.items()
            ],
        )


def groups_of(config: dict, group: str = "") -> Iterator[tuple[str, dict]]:
    """Yield (dotted group, its keys with values that are no groups); claims are left out."""
    single = {key: value for key, value in config.items() if not isinstance(value, dict)}
    if single:
        yield group, single
    for key, value in config.items():
        inner = f"{group}.{key}" if group else key
        if not isinstance(value, dict) or key == "claims":
            continue
        if key not in NAMED:
            yield from groups_of(value, inner)
        elif value:
            yield inner, value


def plain_key(config: dict, key: str) -> str:
    """Return a key without the study that is made first: `made.he.optim.lr` is `optim.lr`."""
    if not key.startswith("made."):
        return key
    alone = "experiment" in config["made"]
    return key.split(".", 1 if alone else 2)[-1]


def described(own: Any) -> str:
    """Return what a network differs in, or what was reported of it."""
    if not isinstance(own, dict):
        return str(own)
    flat = flatten(own)
    return ", ".join(f"{key}={typed(value)}" for key, value in flat.items()) or "the config itself"


def typed(value: Any) -> str:
    """Return a value much as it is typed behind `--config.KEY=`."""
    if value is None:
        return "(none)"
    return shown(value) or ("()" if isinstance(value, tuple | list) else '""')


def two_columns(rows: list[tuple[str, str]], width: int, column: int = 0) -> list[str]:
    """Return rows in two columns, the second one wrapped; what is too long has a line of its own.

    Args:
      column: the width of the first column; 0: as its rows need, at most two fifths.
    """
    fitting = [len(left) for left, _ in rows if len(left) <= width * 2 // 5]
    column, lines = column or max(fitting, default=width // 3), []
    for left, right in rows:
        if len(left) > column:
            lines += cut(left, width, first="  ", later="      ")
            left = ""
        rest = cut(right, width - column - 4) if right else []
        pairs = itertools.zip_longest([left] if left else [], rest, fillvalue="")
        lines += [f"  {first:<{column}}  {second}".rstrip() for first, second in pairs]
    return lines


def cut(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """Return the lines of a text, cut at its spaces, and behind commas without one.

    Args:
      first: what stands before the first line.
      later: what stands before the others.
    """
    lines, line = [], first
    for piece in re.split(r"(?<=[ ,])(?=[^ ])", text):
        if len((line + piece).rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = later
        line += piece
    return [*lines, line.rstrip()]


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text, its paragraphs wrapped, its indented lines as they are."""
    lines = []
    for indented, group in itertools.groupby(text.splitlines(), key=lambda line: line[:1] == " "):
        for blank, part in itertools.groupby(group, key=lambda line: not line):
            own = list(part)
            kept = indented or blank
            lines += own if kept else cut(" ".join(own), width)
    return lines
