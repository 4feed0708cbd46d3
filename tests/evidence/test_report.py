"""The report says of a contrast what was measured, and its page is whole."""

import re
from pathlib import Path

import jinja2
import pytest
from PIL import Image

from dla_jax.evidence import formatting, report, stats, verdicts


def result_of(differences, **options):
    judged = verdicts.judge(differences, ">", 0.005, **options)._asdict()
    terms = [[1.0, "a-2"], [-2.0, "b-1"]]
    return judged | {"terms": terms, "in_favour": 3, "without_diverged": None}


def test_numbers_in_words():
    assert formatting.points(0.0123) == "+1.2"
    assert formatting.points(-0.5) == "−50.0"
    assert formatting.points(0.004, sign=False) == "0.4"
    assert formatting.amount(-1.234, "decades") == "−1.23"
    assert formatting.amount(0.5, "points") == "+50.0"
    assert formatting.p_value(2 / 256) == "0.0078" and formatting.p_value(1.0) == "1.00"
    assert report.terms_words([[1.0, "a-2"], [-2.0, "b-1"]]) == "a-2 − 2 b-1"
    assert report.contrast_name([[1.0, "a"]], 0.0, "points") == "a"
    assert report.contrast_name([[1.0, "a"]], 0.05, "points") == "a (from 5.0 points)"
    assert report.contrast_name([[1.0, "a"]], -1.0, "decades") == "a (from −1.00 decades)"


def test_zero_has_no_sign_and_minus_is_a_minus():
    assert formatting.points(-0.0001) == formatting.points(0.0001) == "0.0"
    assert formatting.points(-0.0, sign=False) == "0.0"
    assert formatting.number(-0.004, 2, sign=True) == "0.00"
    assert formatting.number(-1.5, 1) == "−1.5"
    assert formatting.interval(-0.0001, 0.5) == " [0.0, +50.0]"


def test_what_has_no_interval_shows_none():
    assert formatting.interval(float("-inf"), float("inf")) == ""
    words = report.contrast_words(result_of([0.1, 0.2]), "points")
    assert words == "+15.0 points, p = 0.50, 3 of 2 seeds (too few seeds)"


def test_whether_a_claim_could_be_decided():
    def power(differences, **options):
        return report.power_words(result_of(differences, **options), 0.005, "points")

    assert power([0.1, 0.2, 0.3, 0.1]) == "no: 4 seeds cannot give p < 0.05, 6 are needed"
    same = [0.001, 0.0011, 0.0009, 0.001, 0.001, 0.001]
    assert power(same).startswith("yes (interval ±0.0, margin 0.5)")
    assert power(same, at_least=True).endswith("absence: no, runs were cut off at the budget")
    assert power([0.001] * 6).endswith("absence: no, the runs do not vary")
    wide = power([0.1, -0.1, 0.2, -0.2, 0.1, -0.1])
    assert wide.startswith("a difference: yes; its absence: no (interval")


def test_seeds_needed_are_those_of_the_test():
    assert stats.smallest_p(6) < 0.05 <= stats.smallest_p(5)


def figure(tmp_path, alt, **changes):
    Image.new("RGB", (40, 10)).save(tmp_path / "figure.png")
    return {"path": tmp_path / "figure.png", "alt": alt, "caption": "c"} | changes


def context(tmp_path, **changes):
    claim = {
        "statement": "<b>bold</b>",
        "source": "s",
        "reported": "r",
        "margin": 0.005,
        "threshold": 0.0,
        "unit": "points",
        "verdict": "not decided",
        "missing": [],
        "results": [result_of([0.1, 0.2])],
    }
    section = {
        "title": "One",
        "figures": [figure(tmp_path, "first"), figure(tmp_path, "second")],
        "table": {"head": ["x"], "rows": [["1"]]},
    }
    return {
        "title": "T",
        "answer": "A",
        "question": "Q",
        "command": "python",
        "claims": [claim],
        "sections": [section],
        "facts": {"a": "b"},
    } | changes


def page_of(tmp_path, **changes):
    report.render(tmp_path / "report.html", **context(tmp_path, **changes))
    return (tmp_path / "report.html").read_text()


def test_a_page_is_self_contained_and_escapes_its_text(tmp_path):
    page = page_of(tmp_path)
    assert page.startswith("<!DOCTYPE html>")
    assert "&lt;b&gt;bold" in page and "<b>bold" not in page
    assert 'src="data:image/png;base64,' in page and "<script" not in page
    assert "<link" not in page and "url(" not in page and "@import" not in page


@pytest.mark.parametrize("missing", ["title", "answer", "question", "facts", "command"])
def test_a_missing_value_is_an_error_not_a_gap(missing, tmp_path):
    values = context(tmp_path)
    del values[missing]
    with pytest.raises(jinja2.UndefinedError):
        report.render(tmp_path / "report.html", **values)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("place", [0, 1])
def test_a_figure_without_words_for_it_is_an_error(place, tmp_path):
    values = context(tmp_path)
    del values["sections"][0]["figures"][place]["alt"]
    with pytest.raises(jinja2.UndefinedError, match="alt"):
        report.render(tmp_path / "report.html", **values)


def test_the_answer_comes_first_then_the_main_figure_verdicts_contents_and_claims(tmp_path):
    page = page_of(tmp_path)
    parts = ["<h1>T", ">A</p>", 'alt="first"', "chips", "<nav", 'id="claims"', 'alt="second"']
    places = [page.index(part, page.index("<body>")) for part in parts]
    assert places == sorted(places)
    assert page.count('alt="first"') == 1  # not below once more
    row = page[page.index('id="claim-1"') :]
    assert row.index("not decided") < row.index("bold")  # the verdict is in the first column


def test_a_study_may_mark_its_main_figure(tmp_path):
    figures = [figure(tmp_path, "first"), figure(tmp_path, "marked", main=True)]
    page = page_of(tmp_path, sections=[{"title": "One", "figures": figures}])
    assert page.index('alt="marked"') < page.index("<nav") < page.index('alt="first"')


def test_what_was_not_run_is_folded_away(tmp_path):
    claim = context(tmp_path)["claims"][0]
    never = claim | {
        "verdict": "not run",
        "results": [],
        "missing": ["a net"],
        "statement": "never",
    }
    page = page_of(tmp_path, claims=[claim, never])
    folded = page[page.index('<details id="not-run">') :]
    assert "1 claim not run" in folded and "this grid lacks a net" in folded
    assert "never" not in page[: page.index('<details id="not-run">')]
    assert 'href="#not-run"' in page and 'href="#claim-2"' not in page
    assert "not-run" not in page_of(tmp_path, claims=[claim]).split("<body>")[1]


def test_what_is_empty_is_left_out(tmp_path):
    empty = [
        {"title": "Nothing"},
        {"title": "No figure", "figures": []},
        {"title": "No row", "table": {"head": ["x"], "rows": []}},
        {"title": "Main alone", "figures": [figure(tmp_path, "main")]},
        {"title": "Words", "text": "alone"},
    ]
    page = page_of(tmp_path, claims=[], sections=empty)
    left_out = ("Nothing", "No figure", "No row", "Main alone", "Claims and verdicts", 'chips"')
    assert not [words for words in left_out if words in page]
    assert 'alt="main"' in page and page.count("Words</") == 2  # the contents and the section
    assert page_of(tmp_path, claims=[], sections=[]).count("<img") == 0


def test_addresses_are_links_and_nothing_else_is(tmp_path):
    source = 'lab A, https://a.org/x?y=1&z="2"; see arXiv:1512.03385. <a href="javascript:x">'
    page = page_of(tmp_path, answer=f"({source})")
    assert '<a href="https://a.org/x?y=1&amp;z=">https://a.org/x?y=1&amp;z=</a>&#34;2' in page
    assert '<a href="https://arxiv.org/abs/1512.03385">arXiv:1512.03385</a>.' in page
    assert '<a href="javascript' not in page
    pieces = [("(", ""), ("http://b.org/c", "http://b.org/c"), (").", "")]
    assert report.links("(http://b.org/c).") == pieces


def test_wide_tables_and_figures_scroll_in_boxes_that_a_keyboard_reaches(tmp_path):
    body = page_of(tmp_path).split("<body>")[1]
    boxes = body.count('class="scroll')
    assert boxes == 3 and body.count('tabindex="0" role="region" aria-label="') == boxes
    for box in body.split('class="scroll')[1:]:
        assert "<img" in box or "number-table" in box


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_verdicts_have_enough_contrast(scheme):
    colours = {}
    for name, selector in (("report.css", ":root"), ("chips.css", r"\.verdict")):
        style = (Path(report.__file__).parent / name).read_text()
        blocks = re.findall(selector + r" \{(.*?)\}", style, re.DOTALL)
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[scheme]))
    pairs = [(name, f"{name}-plate") for name in ("holds", "fails", "open")]
    pairs += [(name, ground) for name in ("text", "muted", "link") for ground in ("page", "band")]
    for front, back in pairs:
        dark, bright = sorted((luminance(colours[front]), luminance(colours[back])))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (front, back)


def test_a_ceiling_is_said_to_show_no_absence():
    result = verdicts.judge([0.0] * 8 + [0.001], ">", 0.5)._asdict()
    words = report.power_words(result, 0.5, "points")
    assert words == "a difference: yes; its absence: no, too few seeds differ"
