"""The report says of a contrast what was measured, and its page is whole."""

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


def context(tmp_path, **changes):
    Image.new("RGB", (40, 10)).save(tmp_path / "figure.png")
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
        "figures": [{"path": tmp_path / "figure.png", "caption": "c"}],
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


def test_a_page_is_self_contained_and_escapes_its_text(tmp_path):
    report.render(tmp_path / "report.html", **context(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;bold" in page
    assert 'src="data:image/png;base64,' in page and "width: 20px" in page


@pytest.mark.parametrize(
    "missing", ["title", "answer", "question", "claims", "sections", "facts", "command"]
)
def test_a_missing_value_is_an_error_not_a_gap(missing, tmp_path):
    values = context(tmp_path)
    del values[missing]
    with pytest.raises(jinja2.UndefinedError):
        report.render(tmp_path / "report.html", **values)
    assert not (tmp_path / "report.html").exists()


def test_the_width_of_an_image_is_read_from_its_header(tmp_path):
    for name, expected in (("a.png", 321), ("a.gif", 642)):
        Image.new("P", (642, 33)).save(tmp_path / name)
        assert report.width((tmp_path / name).read_bytes()) == expected


def test_a_ceiling_is_said_to_show_no_absence():
    result = verdicts.judge([0.0] * 8 + [0.001], ">", 0.5)._asdict()
    words = report.power_words(result, 0.5, "points")
    assert words == "a difference: yes; its absence: no, too few seeds differ"
