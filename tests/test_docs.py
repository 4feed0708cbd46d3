"""The verdicts of docs/studies are what the rule says of the figures beside them."""

import functools
import importlib
import re

import pytest
from launching import ROOT

from dla_jax.evidence import report, verdicts
from dla_jax.studies.depth.arms import claims_of

PRESETS = {
    "rescnn": ("digits",),
    "mlp": ("mnist", "lab_b", "digits"),
    "gradients": ("digits",),
    "why": ("digits",),
    "ood": ("digits",),
    "adversarial": ("digits", "cifar10_small"),
    "resnet34": ("digits",),
    "cam": ("cam",),
    "dante": ("tiny",),
    "yahoo": ("docstrings", "minilm", "ag_news"),
    "ag_news": ("minilm", "docstrings"),
    "race": ("docstrings", "minilm", "dream"),
    "agents": ("cartpole", "budgets", "lunar"),
    "ppo": ("cartpole", "lunar"),
    "dqn": ("targets", "gamma", "extras", "lunar_targets", "lunar_gamma"),
    "reinforce": (
        "temperature",
        "baselines",
        "gamma",
        "lunar",
        "lunar_baseline",
        "lunar_temperature",
        "lunar_gamma",
    ),
}
PAGES = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "studies").glob("*.md")))
NUMBER = r"([+−-]?[\d.]+)"
CONTRAST = re.compile(
    rf"{NUMBER} [\w/ ]+? \[{NUMBER}, {NUMBER}\], p = ([\de.-]+), (\d+) of (\d+) seeds?"
)


@functools.cache
def claims_of_configs():
    """Return {statement: claims that make it, with the contrasts of their study}."""
    found = {}
    for name, presets in PRESETS.items():
        for preset in presets:
            config = importlib.import_module(f"configs.{name}").get_config(preset)
            claims = claims_of(config) if "depths" in config else config.claims.to_dict()
            for claim in claims.values():
                found.setdefault(claim["statement"], []).append(claim)
    return found


def rows_of_pages():
    """Return (verdict, statement, measured) of every row of the tables of claims."""
    known = (verdicts.HOLDS, verdicts.FAILS, verdicts.OPEN, verdicts.NOT_RUN)
    rows = []
    for line in PAGES.splitlines():
        cells = tuple(part.strip() for part in line.strip().strip("|").split(" | "))
        if len(cells) == 3 and cells[0] in known:
            rows.append(cells)
    return rows


def number(text):
    return float(text.replace("−", "-"))


def verdict_of(claim, terms, words):
    """Return what the rule says of a contrast as it is printed.

    As in `+46.8 points [+35.1, +58.6], p = 0.0078, 8 of 8 seeds`.
    """
    centre, low, high, p, _, n = (number(text) for text in CONTRAST.search(words).groups())
    assert low <= centre <= high, words
    assert (": median " in words) == (len(terms) == 1), (
        "a claim about one arm is about its median run, others are not"
    )
    verdict = ruled(claim, low, high, p, n, "cut off" in words or "seeds differ" in words)
    open_without_reason = verdict == verdicts.OPEN and "(" not in words.replace("(80 %", "")
    assert ("80 % power at" in words) == open_without_reason, words
    return verdict


def plain(text):
    return text.replace("_", "").replace(" ", "")


def shown(claim):
    """Return the contrasts of a claim as tables name them."""
    return [plain(report.terms_words(terms)) for terms in claim["contrasts"]]


def ruled(claim, low, high, p, n, no_evidence):
    """Apply the rule, once more, to what a table shows."""
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


@pytest.mark.parametrize(("verdict", "statement", "measured"), rows_of_pages())
def test_the_verdicts_of_the_pages_follow_from_their_figures(verdict, statement, measured):
    claims = claims_of_configs()
    assert statement in claims, "no config makes this claim"
    if verdict == verdicts.NOT_RUN:
        return
    parts = measured.split("<br>")
    names = [plain(part.partition(":")[0]) for part in parts]
    fitting = [claim for claim in claims[statement] if shown(claim) == names]
    assert fitting, f"no config has these contrasts: {measured}"
    pairs = zip(fitting[0]["contrasts"], parts, strict=True)
    found = [verdict_of(fitting[0], terms, part) for terms, part in pairs]
    assert verdicts.judge_all(found) == verdict


def test_every_table_of_claims_was_read():
    starts = ("| holds |", "| does not hold |", "| not decided |", "| not run |")
    lines = [line for line in PAGES.splitlines() if line.startswith(starts)]
    assert len(rows_of_pages()) == len(lines) > 60


def test_every_file_that_a_page_names_is_there():
    texts = [path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"))]
    named = re.findall(r"\b((?:tests|dla_jax|bench|configs)/[\w/]+\.py)\b", "\n".join(texts))
    # docs/add_a_study.md calls a new one `name`.
    wanted = {path for path in named if not re.search(r"/name\b", path)}
    assert len(wanted) > 20 and not [path for path in wanted if not (ROOT / path).is_file()]
