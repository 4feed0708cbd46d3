"""What docs/results.md says of every claim is what the rule says of the figures beside it."""

import importlib
import re

import pytest
from launching import ROOT

from dla_jax.evidence import report, verdicts
from dla_jax.studies.depth import arms as depth_grid

PRESETS = {
    "rescnn": ("digits",),
    "mlp": ("mnist", "lab_b", "digits"),
    "gradients": ("digits",),
    "resnet34": ("digits",),
    "cam": ("cam",),
    "dante": ("tiny",),
    "yahoo": ("docstrings", "minilm", "ag_news"),
    "ag_news": ("minilm", "docstrings"),
    "agents": ("cartpole", "budgets"),
    "ppo": ("cartpole",),
    "dqn": ("targets", "gamma", "extras"),
    "reinforce": ("temperature", "baselines", "gamma"),
}
NUMBER = r"([+−-]?[\d.]+)"
CONTRAST = re.compile(
    rf"{NUMBER} [\w/ ]+? \[{NUMBER}, {NUMBER}\], p = ([\de.-]+), (\d+) of (\d+) seeds?"
)


def claims_of_configs():
    """{statement: claims that make it, with the contrasts of their study}."""
    found = {}
    for name, presets in PRESETS.items():
        for preset in presets:
            config = importlib.import_module(f"configs.{name}").get_config(preset)
            for claim in config.claims.to_dict().values():
                contrasts = (
                    depth_grid.resolve(config, claim["contrasts"])
                    if "depths" in config
                    else claim["contrasts"]
                )
                found.setdefault(claim["statement"], []).append(claim | {"contrasts": contrasts})
    return found


def rows_of_page():
    """(verdict, statement, measured) of every row of the tables of claims."""
    rows = [
        line.strip().strip("|").split(" | ")
        for line in (ROOT / "docs" / "results.md").read_text().splitlines()
    ]
    known = (verdicts.HOLDS, verdicts.FAILS, verdicts.OPEN, verdicts.NOT_RUN)
    return [
        tuple(part.strip() for part in row)
        for row in rows
        if len(row) == 3 and row[0].strip() in known
    ]


def number(text):
    return float(text.replace("−", "-"))


def verdict_of(claim, terms, words):
    """What the rule says of a contrast as it is printed: `+46.8 points [+35.1, +58.6], p = 0.0078, 8 of 8 seeds`."""
    centre, low, high, p, _, n = (number(text) for text in CONTRAST.search(words).groups())
    assert low <= centre <= high, words
    assert (": median " in words) == (len(terms) == 1), (
        "a claim about one arm is about its median run, others are not"
    )
    verdict = ruled(claim, low, high, p, n, "cut off" in words or "seeds differ" in words)
    assert ("80 % power at" in words) == (
        verdict == verdicts.OPEN and "(" not in words.replace("(80 %", "")
    ), words
    return verdict


def plain(text):
    return text.replace("_", "").replace(" ", "")


def shown(claim):
    """The contrasts of a claim as tables name them."""
    return [plain(report.terms_words(terms)) for terms in claim["contrasts"]]


def ruled(claim, low, high, p, n, no_evidence):
    """The rule, once more, on what a table shows."""
    margin = claim["margin"] * (100 if claim["unit"] == "points" else 1)
    shown = p < 0.05 and n >= 6
    inside = -margin < low < high < margin and n >= 6 and not no_evidence
    if claim["direction"] == "=":
        apart = shown and (low > margin or high < -margin)
        return verdicts.FAILS if apart else verdicts.HOLDS if inside and p < 0.05 else verdicts.OPEN
    claimed, opposite = (low > 0, high < 0) if claim["direction"] == ">" else (high < 0, low > 0)
    if (opposite and shown) or inside:
        return verdicts.FAILS
    return verdicts.HOLDS if claimed and shown else verdicts.OPEN


@pytest.mark.parametrize(("verdict", "statement", "measured"), rows_of_page())
def test_the_verdicts_of_the_page_follow_from_its_figures(verdict, statement, measured):
    claims = claims_of_configs()
    assert statement in claims, "no config makes this claim"
    if verdict == verdicts.NOT_RUN:
        return
    parts = measured.split("<br>")
    fitting = [
        claim
        for claim in claims[statement]
        if shown(claim) == [plain(part.partition(":")[0]) for part in parts]
    ]
    assert fitting, f"no config has these contrasts: {measured}"
    claim = fitting[0]
    found = [
        verdict_of(claim, terms, part)
        for terms, part in zip(claim["contrasts"], parts, strict=True)
    ]
    assert verdicts.judge_all(found) == verdict


def test_every_table_of_claims_was_read():
    page = (ROOT / "docs" / "results.md").read_text()
    assert (
        len(rows_of_page())
        == sum(
            line.startswith(("| holds |", "| does not hold |", "| not decided |", "| not run |"))
            for line in page.splitlines()
        )
        > 60
    )
