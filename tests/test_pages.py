"""README and docs are short, their links lead somewhere, and their commands name what exists."""

import re
import shlex

import pytest
from launching import ROOT

from bench.statements import anchor, presets
from dla_jax.config.command_line import (
    check_config_flags,
    config_names,
    find_config_file,
    join_values,
)
from dla_jax.config.flags import FLAGS

README = ROOT / "README.md"
STUDIES = sorted((ROOT / "docs" / "studies").glob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *STUDIES]
WRITTEN_BY_PROGRAMS = {"benchmarks.md", "statements.md", "verdicts.md"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:python launch\.py|dla-jax)(?= --)([^`\n]*)")


def name_of(page):
    return str(page.relative_to(ROOT))


def without_code(text):
    return re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)


def anchors(page):
    """Return the addresses of the headings of a page."""
    return {anchor(words) for words in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)}


def links(page):
    """Return the links and figures of a page that do not lead out of the repository."""
    found = LINK.findall(without_code(page.read_text()))
    return [target for target in found if not target.startswith("http")]


def commands(page):
    """Return the command lines `python launch.py ...` of a page, as lists of arguments."""
    found = COMMAND.findall(re.sub(r" *\\\n *", " ", page.read_text()))
    lines = [re.sub(r"(^| )(#|>|\||&&).*", "", words) for words in found]
    return [shlex.split(line) for line in lines if not line.endswith("configs/")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_and_figure_is_there(page):
    for target in links(page):
        path, _, heading = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.is_file(), target
        assert not heading or heading in anchors(goal), target


def test_every_figure_is_shown_and_every_page_is_reached_from_the_readme():
    shown = {(page.parent / target).resolve() for page in PAGES for target in links(page)}
    assert set((ROOT / "docs" / "figures").iterdir()) <= shown
    reached, new = set(), {README}
    while new:
        reached |= new
        targets = {
            (page.parent / target.partition("#")[0]).resolve()
            for page in new
            for target in links(page)
        }
        new = {goal for goal in targets if goal.suffix == ".md"} - reached
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", STUDIES, ids=name_of)
def test_every_figure_of_a_study_stands_below_its_command(page):
    for part in re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE):
        if found := re.search(r"^!\[", part, re.MULTILINE):
            assert "\n    python launch.py --config=configs/" in part[: found.start()], part[:80]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_names_a_config_a_preset_and_keys_that_exist(page):
    for arguments in commands(page):
        check_config_flags(join_values(find_config_file(arguments)))
        flags = [re.match(r"--(\w+)", argument) for argument in arguments]
        for argument, flag in zip(arguments, flags, strict=True):
            assert flag and flag[1] in FLAGS.keys() | {"help", "version"}, argument


def test_commands_were_found():
    assert len(commands(README)) >= 6
    assert ["--config=configs/mlp.py:digits"] in commands(ROOT / "docs" / "studies" / "depth.md")
    assert sum(len(commands(page)) for page in PAGES) > 120


@pytest.mark.parametrize("name", config_names())
def test_every_preset_has_a_command_on_a_page_of_studies(name):
    shown = set()
    for page in STUDIES:
        for path in re.findall(r"configs/(\w+\.py(?::\w+)?)", page.read_text()):
            shown.add(path)
    first, *others = presets(name)
    assert f"{name}.py" in shown or f"{name}.py:{first}" in shown
    assert {f"{name}.py:{preset}" for preset in others} <= shown


def test_the_readme_is_read_in_one_sitting():
    assert len(README.read_text().splitlines()) <= 150


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name not in WRITTEN_BY_PROGRAMS], ids=name_of
)
def test_prose_has_at_most_100_columns(page):
    for line in page.read_text().splitlines():
        if not line.startswith(("|", "![")):
            assert len(line) <= 100 or "](http" in line, line


def test_the_studies_of_the_readme_have_four_short_cells_and_a_page():
    section = README.read_text().split("\n## Studies\n")[1].split("\n## ")[0]
    head, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    assert head == "| study | question | time | result |" and len(rows) > 15
    for row in rows:
        cells = row.strip("| ").split(" | ")
        assert len(cells) == 4, row
        assert LINK.search(cells[0])[1].startswith("docs/studies/"), row
        for cell in cells:
            assert len(rendered(cell)) <= 60, cell
    pages = {LINK.search(row)[1].partition("#")[0] for row in rows}
    assert pages == {name_of(page) for page in STUDIES}


def rendered(cell):
    """Return the text of a cell as a reader sees it."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell).replace("`", "").replace("*", "")


def test_what_a_reader_sees_of_a_cell_is_its_text_without_marks():
    assert rendered("[`mlp.py`](docs/studies/mnist.md) and *more*") == "mlp.py and more"
