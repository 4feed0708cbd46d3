"""What docs/results.md says of every claim is what the rule says of the figures beside it."""

import importlib
import re

import pytest
from launching import ROOT

from dla_jax import verdicts
from dla_jax.experiments import depth_grid

PRESETS = {
    "rescnn": ("digits",), "mlp": ("mnist", "digits"), "gradients": ("digits",), "resnet34": ("digits",), "cam": ("cam",),
    "dante": ("tiny",), "yahoo": ("docstrings", "minilm", "ag_news"), "ag_news": ("minilm",), "agents": ("cartpole", "budgets"),
    "ppo": ("cartpole",), "dqn": ("targets", "gamma", "extras"), "reinforce": ("temperature", "baselines", "gamma"),
}  # fmt: skip
NUMBER = r"([+−-]?[\d.]+)"
CONTRAST = re.compile(rf"{NUMBER} [\w/ ]+? \[{NUMBER}, {NUMBER}\], p = ([\de.-]+), (\d+) of (\d+) seeds?")


def claims_of_configs():
    """{statement: claims that make it, with the contrasts of their study}."""
    found = {}
    for name, presets in PRESETS.items():
        for preset in presets:
            config = importlib.import_module(f"configs.{name}").get_config(preset)
            for claim in config.claims.to_dict().values():
                contrasts = depth_grid.resolve(config, claim["contrasts"]) if "depths" in config else claim["contrasts"]
                found.setdefault(claim["statement"], []).append(claim | {"contrasts": contrasts})
    return found


def rows_of_page():
    """(verdict, statement, measured) of every row of the tables of claims."""
    rows = [line.strip().strip("|").split(" | ") for line in (ROOT / "docs" / "results.md").read_text().splitlines()]
    known = (verdicts.HOLDS, verdicts.FAILS, verdicts.OPEN, verdicts.NOT_RUN)
    return [tuple(part.strip() for part in row) for row in rows if len(row) == 3 and row[0].strip() in known]


def number(text):
    return float(text.replace("−", "-"))


def verdict_of(claim, words):
    """What the rule says of a contrast as it is printed: `+46.8 points [+35.1, +58.6], p = 0.0078, 8 of 8 seeds`."""
    mean, low, high, p, _, n = (number(text) for text in CONTRAST.search(words).groups())
    assert low <= mean <= high, words
    margin, sign = claim["margin"] * (100 if claim["unit"] == "points" else 1), 1 if claim["direction"] == ">" else -1
    lowest, highest = sorted((sign * low, sign * high))
    inside = -margin < low and high < margin and n >= 6 and low < high
    if highest < 0 and p < 0.05:
        return verdicts.FAILS
    if lowest > 0 and p < 0.05 and not inside:
        return verdicts.HOLDS
    return verdicts.FAILS if inside and "cut off" not in words else verdicts.OPEN


@pytest.mark.parametrize(("verdict", "statement", "measured"), rows_of_page())
def test_the_verdicts_of_the_page_follow_from_its_figures(verdict, statement, measured):
    claims = claims_of_configs()
    assert statement in claims, "no config makes this claim"
    if verdict == verdicts.NOT_RUN:
        return
    parts = measured.split("<br>")
    fitting = [claim for claim in claims[statement] if len(claim["contrasts"]) == len(parts)]
    assert fitting, f"{len(parts)} contrasts"
    assert verdicts.judge_all([verdict_of(fitting[0], part) for part in parts]) == verdict


def test_every_table_of_claims_was_read():
    page = (ROOT / "docs" / "results.md").read_text()
    assert len(rows_of_page()) == sum(line.startswith(("| holds |", "| does not hold |", "| not decided |", "| not run |"))
                                      for line in page.splitlines()) > 60  # fmt: skip
