"""A page shows a picture so large that its smallest text can be read."""

import numpy as np
import pytest
from PIL import Image

from dla_jax.evidence import pictures
from dla_jax.plots.style import COLUMN, PAGE, STYLE, plt, save, smallest_text
from dla_jax.rl import render


def drawn(tmp_path, dpi=STYLE["savefig.dpi"], width=PAGE, **text):
    with plt.rc_context(STYLE | {"savefig.dpi": dpi}):
        figure, axis = plt.subplots(figsize=(width, 1.0))
        axis.set_axis_off()
        axis.text(0.5, 0.5, **text)
        save(figure, tmp_path / "a.png")
    return pictures.read(tmp_path / "a.png")


def test_a_figure_is_as_wide_as_its_smallest_text_needs(tmp_path):
    shown = drawn(tmp_path, s="word", fontsize=7)
    assert (shown.kind, shown.width, shown.height) == ("png", 1540, 220)
    # 7 points of a page of 7 inches, 504 points: 9 pixels where it is 648 wide
    assert shown.least_width == pytest.approx(648, abs=2)
    text = shown.smallest_text * shown.least_width / shown.width
    assert pictures.READABLE <= text < pictures.READABLE + 0.05
    assert drawn(tmp_path, s="word", fontsize=3).most_width > 1500


def test_text_of_one_size_is_shown_in_one_size(tmp_path):
    wide, narrow = (drawn(tmp_path, s="word", fontsize=7, width=w) for w in (PAGE, COLUMN))
    texts = [each.smallest_text * each.most_width / each.width for each in (wide, narrow)]
    assert texts[0] == pytest.approx(texts[1], rel=0.01)
    # The widest fill the page: 70rem, less the margins of page and plate, and the plate's line.
    room = 70 * 16 - 2 * 16 - 2 * 0.3 * 16 - 2
    assert room <= wide.most_width <= room + 8


def test_a_figure_is_as_wide_whatever_its_resolution_and_without_text(tmp_path):
    widths = [drawn(tmp_path, dpi, s="word", fontsize=7).most_width for dpi in (220, 330)]
    assert widths[0] == pytest.approx(widths[1], abs=1)
    assert drawn(tmp_path, s="").most_width == widths[0]
    few = drawn(tmp_path, 80, s="word", fontsize=20)
    assert few.most_width == few.width == 560, "no more than there are"


def test_exponents_are_smaller_than_their_text(tmp_path):
    plain, script = (drawn(tmp_path, s=word, fontsize=7) for word in ("10^3", "$10^{3}$"))
    assert script.least_width == pytest.approx(plain.least_width / 0.7, abs=2)
    never = drawn(tmp_path, s="$10^{3}$", fontsize=7, parse_math=False)
    assert never.least_width == plain.least_width


def test_hidden_text_does_not_count(tmp_path):
    assert drawn(tmp_path, s="word", fontsize=4, visible=False).least_width == 0
    figure, axis = plt.subplots()
    axis.text(0, 0, "word", fontsize=5)
    figure.canvas.draw()
    assert smallest_text(figure) == 5.0  # smaller than the labels of ticks, which count too
    plt.close(figure)


def test_an_animation_says_how_large_its_letters_are(tmp_path):
    t = np.arange(3)
    obs = np.stack([np.linspace(-2, 2, 3), 0 * t, 0.2 * np.sin(t / 9), 0 * t], 1)
    panel = {"title": "start", "name": "CartPole-v1", "scenes": obs.astype(np.float32)}
    render.gif(tmp_path / "a.gif", [panel | {"note": "return 31"}])
    found = pictures.read(tmp_path / "a.gif")
    assert found.kind == "gif" and found.smallest_text == render.CAPTION
    assert found.most_width == found.width, "it is drawn for a screen"
    render.gif(tmp_path / "b.gif", [panel | {"note": "return 31" * 4}])
    long = pictures.read(tmp_path / "b.gif")
    assert long.smallest_text < render.CAPTION
    assert long.most_width == long.least_width > long.width


def test_a_photo_holds_no_text(tmp_path):
    Image.new("RGB", (40, 10)).save(tmp_path / "a.jpg", dpi=(300, 300))
    found = pictures.read(tmp_path / "a.jpg")
    assert (found.kind, found.smallest_text, found.least_width) == ("jpeg", None, 0)
    assert found.most_width == 40
