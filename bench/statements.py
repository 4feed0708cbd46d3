"""Every statement of the labs with its verdict, or why there is none: docs/statements.md.

It is put together from the claims of all configs, the verdicts of docs/studies, the table WHY
below and that of `bench.unasked`, in seconds:

    python -m bench.statements --write
"""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.page import ROOT, markdown
from bench.unasked import UNASKED
from dla_jax.config.arguments import flatten
from dla_jax.config.checks import ConfigError
from dla_jax.config.command_line import config_names
from dla_jax.evidence import verdicts

PAGE, RESULTS = ROOT / "docs" / "statements.md", ROOT / "docs" / "studies"
LABS = {letter: f"Lab {letter}" for letter in "ABCDE"} | {"course": "The course"}
SHORTENED = ("quick", "smoke")  # presets that say nothing that others do not
IMPLEMENTED = ",as_implemented=true"
COMMAND = r" {4}python launch\.py --config=configs/(\w+\.py)(?::(\S+))?"

ON_CIFAR = "needs CIFAR-10 and a GPU: not run at that size"
WHY = {  # why a preset, or a kind of data, has no verdict in docs/studies
    "cifar10": ON_CIFAR,
    "mlp.py:mnist,as_implemented=true": (
        "the labs' own recipes on MNIST, of up to 150 epochs: not run"
    ),
    "dante.py:gpt": "10.8 million parameters on Dante's Inferno, for a GPU: not run",
    "dante.py:llama": "15.6 million parameters on Dante's Inferno, for a GPU: not run",
    "dante.py:small": "needs Dante's Inferno, or another text: not asked of the run there is",
    "dante.py:gpt2": "needs GPT-2's tokenizer: not run",
    "yahoo.py:distilroberta": "needs DistilRoBERTa's weights, Yahoo Answers and a GPU: not run",
    "race.py:race": "needs RoBERTa's weights, the whole of RACE and a GPU: not run",
    "race.py:own": "asked of your own questions",
    "ag_news.py:gpt2": "needs GPT-2's weights and AG News: not run",
    "ood.py:cifar10": "needs CIFAR-10, CIFAR-100 and a GPU: not run at that size",
    "adversarial.py:cifar10": "needs CIFAR-10 and a GPU: not run at that size",
    "adversarial.py:read": "asked of the networks of another study, given with `--from`",
    "ood.py:read": "asked of the networks of another study, given with `--from`",
    "cam.py:cam": "asked of the networks of another study, given with `--from`",
}
HEAD = ["statement", "reported", "asked in", "verdict, or why there is none"]


class Asked(NamedTuple):
    """A claim of one config and argument."""

    lab: str  # a key of LABS
    address: str  # where that lab is public, or ""
    statement: str
    reported: str
    config: str  # `rescnn.py`
    argument: str  # what is behind the colon: a preset, perhaps with options
    data: str  # the name of its data, "" where it has none


class Found(NamedTuple):
    """A row of a table of claims of a page of docs/studies."""

    verdict: str
    statement: str
    page: str  # `depth.md`
    heading: str
    config: str
    argument: str


def presets(name: str) -> list[str]:
    """Return the presets of a config, its default first."""
    return list(importlib.import_module(f"configs.{name}").PRESETS)


def labs_of(source: str) -> list[tuple[str, str]]:
    """Return the labs that a claim's source names, [(key of LABS, address)].

    It is [] for a paper, or a hypothesis.
    """
    if source.startswith("the course"):
        return [("course", "")]
    return re.findall(r"(?:^|; )lab ([A-E])\b(?:, (https://[^\s;]+))?", source)


def asked() -> Iterator[Asked]:
    """Yield the claims of labs of all configs and presets, except the shortened presets."""
    for name in config_names():
        arguments = [preset + option for preset in presets(name) for option in ("", IMPLEMENTED)]
        for argument in (argument for argument in arguments if not argument.startswith(SHORTENED)):
            try:
                config = importlib.import_module(f"configs.{name}").get_config(argument).to_dict()
            except ConfigError:
                continue  # a preset that has no version as implemented
            if "claims" not in config:  # of a command
                continue
            place = f"{name}.py", argument, data_name(config)
            for claim in config["claims"].values():
                for lab in labs_of(claim["source"]):
                    yield Asked(*lab, claim["statement"], claim["reported"], *place)


def data_name(config: dict) -> str:
    """Return the name of a config's data; "" for agents and for texts, which have none."""
    keys = flatten(config)
    if "data.name" not in keys:
        return ""
    return keys["data.name"]


def results() -> list[Found]:
    """Return the rows of the tables of claims of all studies, page by page."""
    return [row for page in sorted(RESULTS.glob("*.md")) for row in rows_of_page(page)]


def rows_of_page(page: Path) -> Iterator[Found]:
    """Yield the rows of the tables of claims of a page, with the study above them."""
    known = (verdicts.HOLDS, verdicts.FAILS, verdicts.OPEN, verdicts.NOT_RUN)
    first = {f"{name}.py": presets(name)[0] for name in config_names()}
    heading, config, argument = "", "", ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"#+ (.*)", line):
            heading, config, argument = found[1], "", ""
        elif found := re.match(COMMAND, line):
            config, argument = found[1], found[2] or first[found[1]]
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and len(cells) == 3 and cells[0] in known:
            yield Found(cells[0], cells[1], page.name, heading, config, argument)


def anchor(heading: str) -> str:
    """Return the address of a heading within its page, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def places(claims: list[Asked]) -> str:
    """Return where a statement is asked: `rescnn.py`: cifar10, digits."""
    found: dict[str, list[str]] = {}
    for claim in claims:
        found.setdefault(claim.config, []).append(claim.argument)
    return "<br>".join(f"`{config}`: {', '.join(asked)}" for config, asked in found.items())


def why(claim: Asked) -> str:
    """Return why a claim has no verdict."""
    place = f"{claim.config}:{claim.argument}"
    return WHY.get(place) or WHY.get(claim.data) or f"`{place}`: no row on a page of results"


def verdict_words(claims: list[Asked], rows: list[Found]) -> str:
    """Return the verdicts of a lab's statement, with where they stand; without one, why."""
    where = {(claim.config, claim.argument) for claim in claims}
    same = [row for row in rows if row.statement == claims[0].statement]
    found = [row for row in same if (row.config, row.argument) in where]
    words = [
        f"{row.verdict} ([{row.heading}](studies/{row.page}#{anchor(row.heading)}))"
        for row in found
    ]
    return "<br>".join(words or dict.fromkeys(map(why, claims)))


def introduction(said: dict[tuple[str, str], str]) -> str:
    """Return what stands above the tables, with {(lab, statement): what is said of it} counted."""
    judged = sum("](studies/" in words for words in said.values())
    unasked = sum(map(len, UNASKED.values()))
    return (
        f"Every statement of the labs: {len(said)} that a config asks, {judged} of them with a "
        f"verdict on [a page of results](results.md), and {unasked} that none asks. A verdict "
        "is that of the study under whose heading it stands, on data of that size: of a lab's own "
        "nets at full size it says nothing. A statement that two labs make stands under both. The "
        "contrasts behind the words are in the configs."
    )


def rows_of(
    lab: str, groups: dict[tuple[str, str], list[Asked]], said: dict[tuple[str, str], str]
) -> list[list[str]]:
    """Return the table of one lab: what configs ask, and then what none asks."""
    rows = []
    for key, claims in groups.items():
        if key[0] == lab:
            reported = "<br>".join(dict.fromkeys(claim.reported for claim in claims))
            rows.append([key[1], reported, places(claims), said[key]])
    for found in UNASKED.get(lab, ()):
        rows.append([found.statement, found.reported, "–", found.why])
    return rows


def page() -> str:
    """Return docs/statements.md."""
    groups: dict[tuple[str, str], list[Asked]] = {}
    for claim in asked():
        groups.setdefault((claim.lab, claim.statement), []).append(claim)
    rows = results()
    said = {key: verdict_words(claims, rows) for key, claims in groups.items()}
    command = "    python -m bench.statements --write"
    parts = ["# What the labs state, and what came of it", command, introduction(said)]
    for lab, title in LABS.items():
        claims = [claim for key, found in groups.items() if key[0] == lab for claim in found]
        parts.append(f"## {title}")
        if addresses := sorted({claim.address for claim in claims} - {""}):
            parts.append("  \n".join(addresses))
        parts.append(markdown(HEAD, rows_of(lab, groups, said)))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the page, or write it."""
    program, first_line = "python -m bench.statements", __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(prog=program, description=first_line)
    parser.add_argument("--write", action="store_true", help="put it into docs/statements.md")
    text = page()
    if parser.parse_args().write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
