"""Every statement of the labs stands in docs/statements.md once, with a verdict or a reason."""

import importlib
import re

import pytest
from launching import ROOT

from bench import statements, unasked
from dla_jax.config.checks import ConfigError
from dla_jax.config.command_line import config_names

PAGE = (ROOT / "docs" / "statements.md").read_text(encoding="utf-8")
STUDIES = {
    page.name: page.read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs" / "studies").glob("*.md"))
}
LINKED = re.compile(
    r"(holds|does not hold|not decided|not run) "
    r"\(\[([^\]]+)\]\(studies/(\w+\.md)#([\w-]+)\)\)"
)


def rows():
    """Return {lab: [statement, reported, asked in, verdict] of every row of its table}."""
    found = {}
    for part in PAGE.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("| ")]
        found[title] = [line.strip("| ").split(" | ") for line in lines[2:]]
    return found


def claims():
    """Yield (name, claim) of all configs, every preset, as implemented too."""
    for name in config_names():
        module = importlib.import_module(f"configs.{name}")
        for preset in statements.presets(name):
            for argument in (preset, f"{preset},as_implemented=true"):
                try:
                    found = module.get_config(argument).to_dict().get("claims", {})
                except ConfigError:
                    continue
                yield from ((f"{name}.py", claim) for claim in found.values())


def test_the_page_is_up_to_date():
    assert statements.page() == PAGE, "python -m bench.statements --write"


def test_every_claim_of_a_lab_stands_there_once():
    table, seen = rows(), 0
    for name, claim in claims():
        if claim["source"].startswith("hypothesis"):
            continue
        for letter in re.findall(r"\blab ([A-Z])\b", claim["source"]):
            found = [row for row in table[f"Lab {letter}"] if row[0] == claim["statement"]]
            assert len(found) == 1, (letter, claim["statement"])
            assert claim["reported"] in found[0][1] and f"`{name}`" in found[0][2]
            seen += 1
    assert seen > 200


def test_every_verdict_is_the_one_of_its_page_of_results():
    judged, flags = 0, re.MULTILINE | re.DOTALL
    for row in (row for table in rows().values() for row in table):
        for verdict, heading, page, address in LINKED.findall(row[3]):
            under = rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)"
            (section,) = re.findall(under, STUDIES[page], flags)
            assert f"\n| {verdict} | {row[0]} | " in section, (verdict, row[0])
            assert address == re.sub(r"[,:.']", "", heading).lower().replace(" ", "-")
            judged += 1
    assert judged > 25


def test_every_verdict_there_is_is_shown():
    """A lab's statement without a verdict has no row in any study that asks it.

    Each study stands under its own command.
    """
    command = re.compile(r"^    python launch\.py --config=configs/(\w+\.py):?(\S*)", re.MULTILINE)
    pages = "\n".join(STUDIES.values())
    parts = re.split(r"^#+ ", pages, flags=re.MULTILINE)
    sections = [(found.groups(), part) for part in parts if (found := command.search(part))]
    assert len(sections) > 20
    for row in (row for table in rows().values() for row in table if not LINKED.search(row[3])):
        asked = re.findall(r"`(\w+\.py)`: ([^<]*)", row[2])
        where = {(name, preset) for name, presets in asked for preset in presets.split(", ")}
        for (name, preset), section in sections:
            if f" | {row[0]} | " in section:
                preset = preset or statements.presets(name[:-3])[0]
                assert (name, preset) not in where, (row[0], section[:40])


def test_a_row_without_a_verdict_says_why():
    for title, table in rows().items():
        assert all(len(row) == 4 and len(row[3]) > 10 for row in table), title
        assert len({row[0] for row in table}) == len(table), title
    assert {f"Lab {letter}" for letter in "ABCDE"} < set(rows())


def test_what_no_config_asks_is_asked_by_none():
    asked = {(claim.lab, claim.statement) for claim in statements.asked()}
    absent = {(lab, one.statement) for lab, found in unasked.UNASKED.items() for one in found}
    assert len(absent) > 12 and not asked & absent
    assert set(statements.LABS) >= set(unasked.UNASKED)


@pytest.mark.parametrize(
    ("source", "labs"),
    [
        ("lab A, https://github.com/someone/DLA-Labs", ["A"]),
        ("lab A, https://x.y; lab C, https://x.z", ["A", "C"]),
        ("lab E (only its README is public)", ["E"]),
        ("the course's baseline (Lab 1, exercise 1.1)", ["course"]),
        ("hypothesis", []),
        ("hypothesis, after lab B", []),
        ("He et al. 2015, arXiv:1512.03385", []),
    ],
)
def test_whose_statement_it_is(source, labs):
    assert [lab for lab, _ in statements.labs_of(source)] == labs


def test_where_a_lab_is_public():
    source = "lab A, https://x.y/one; lab C, https://x.z/two"
    assert statements.labs_of(source) == [("A", "https://x.y/one"), ("C", "https://x.z/two")]


def test_a_row_of_results_belongs_to_the_command_above_it(tmp_path, monkeypatch):
    page = tmp_path / "depth.md"
    page.write_text(
        "# Results\n| holds | of no study | +1 |\n## CNNs: more\n"
        "    python launch.py --config=configs/rescnn.py:digits,depth=50 --config.lrs=1\n\n"
        "| verdict | claim | measured |\n|---|---|---|\n| holds | first | +1 |\n| a | b |\n"
        "### MLPs\n    python launch.py --config=configs/mlp.py\n"
        "| not decided | second | +1<br>−1 |\n"
    )
    monkeypatch.setattr(statements, "RESULTS", tmp_path)
    found = statements.results()
    nowhere, first, second = found
    assert nowhere == ("holds", "of no study", "depth.md", "Results", "", "")
    assert first == ("holds", "first", "depth.md", "CNNs: more", "rescnn.py", "digits,depth=50")
    assert second == ("not decided", "second", "depth.md", "MLPs", "mlp.py", "mnist")
    claim = statements.Asked("A", "", "second", "", "mlp.py", "mnist", "mnist")
    words = statements.verdict_words([claim], found)
    assert words == "not decided ([MLPs](studies/depth.md#mlps))"
    for other in ({"argument": "digits"}, {"config": "rescnn.py"}, {"statement": "first"}):
        words = statements.verdict_words([claim._replace(**other)], found)
        assert "no row on a page" in words
