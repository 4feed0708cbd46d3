"""GIFs of episodes: every picture read back, strides, panels that wait, files that are whole."""

import itertools
import os
import time

import numpy as np
import pytest
from coloured import middle
from PIL import Image

from dla_jax.rl import board, drawers, render


def panel(obs, name="CartPole-v1", note="return 31"):
    return {"title": "start", "name": name, "scenes": np.asarray(obs, np.float32), "note": note}


def swinging(steps):
    """Return observations of CartPole, no two alike."""
    t = np.arange(steps)
    return np.stack([np.linspace(-2, 2, steps), 0 * t, 0.2 * np.sin(t / 9), 0 * t], 1)


def breakout(steps):
    obs, t = np.zeros((steps, 10, 10, 4)), np.arange(steps)
    obs[:, 1:4, :, 3] = obs[t, 9, t // 2 % 10, 0] = obs[t, t % 9, t % 10, 1] = 1
    return obs


def pages(path):
    """Return every picture of a GIF in full, uint8 [N, H, W, 3], and the ms that it is shown."""
    with Image.open(path) as file:
        shown = []
        for index in range(file.n_frames):
            file.seek(index)
            shown.append((np.asarray(file.convert("RGB")), file.info["duration"]))
    return np.stack([page for page, _ in shown]), [duration for _, duration in shown]


def shown_frame(page, size, left=render.MARGIN):
    """Return what lies below the title of the panel that begins at column `left`."""
    top = render.MARGIN // 2 + render.HEAD
    return page[top : top + size[1], left : left + size[0]]


def test_what_has_no_drawer_leaves_no_file(tmp_path):
    panels = [panel(swinging(4)), panel(np.zeros((4, 6)), "PointRobot-misc")]
    with pytest.raises(ValueError, match="PointRobot-misc"):
        render.gif(tmp_path / "new" / "a.gif", panels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "make"), [("CartPole-v1", swinging), ("Breakout-MinAtar", breakout)]
)
def test_a_gif_reads_back_as_drawn_and_is_quick(tmp_path, name, make):
    obs, path = make(200), tmp_path / "new" / "a.gif"
    start = time.process_time()
    render.gif(path, [panel(obs, name)], fps=30)
    assert time.process_time() - start < 3
    with Image.open(path) as file:
        assert file.info["loop"] == 0
    shown, durations = pages(path)
    assert len(shown) == 200 and durations == [30] * 199 + [1000]
    assert (shown[:, 0, 0] == 255).all()  # white stays white
    for index in (0, 57, 199):
        expected = np.asarray(drawers.frame(name, obs[index])).astype(int)
        error = np.abs(shown_frame(shown[index], expected.shape[1::-1]) - expected)
        # shades of edges may be rounded
        assert error.max() <= (0 if name == "Breakout-MinAtar" else 24)
    assert os.listdir(path.parent) == ["a.gif"]


def test_long_episodes_keep_their_ends_and_an_even_stride(tmp_path):
    assert render.shown_steps(200, 200) == list(range(200)) and render.shown_steps(1, 200) == [0]
    for steps in (201, 500, 1000, 1001):
        shown = render.shown_steps(steps, 200)
        assert len(shown) <= 200 and shown[0] == 0 and shown[-1] == steps - 1
        strides = np.diff(shown)
        assert len(set(strides[:-1])) == 1 and 0 < strides[-1] <= strides[0] <= -(-steps // 199)
    obs = swinging(90)
    render.gif(tmp_path / "a.gif", [panel(obs)], most=20, fps=100)
    shown, durations = pages(tmp_path / "a.gif")
    assert len(shown) == 19 and durations == [20] * 18 + [1000]
    for page, step in ((shown[0], 0), (shown[1], 5), (shown[-1], 89)):
        cart = middle(shown_frame(page, drawers.WIDE), board.BLUE)
        want = middle(drawers.frame("CartPole-v1", obs[step]), board.BLUE)
        assert cart == pytest.approx(want, abs=0.5)


def test_a_panel_that_ends_early_waits_greyed_with_its_note(tmp_path):
    path = tmp_path / "a.gif"
    render.gif(path, [panel(breakout(3), "Breakout-MinAtar"), panel(swinging(8))])
    shown, _ = pages(path)
    grid, wide = drawers.frame("Breakout-MinAtar", breakout(3)[2]), drawers.WIDE
    assert len(shown) == 8 and shown.shape[2] == grid.width + wide[0] + 3 * render.MARGIN
    early = shown[:, :, : render.MARGIN + grid.width]
    late = shown[:, :, grid.width + 2 * render.MARGIN :]
    # its last step is shown as it is
    np.testing.assert_array_equal(shown_frame(early[2], grid.size), grid)
    contrast = [np.ptp(shown_frame(page, grid.size).astype(int)) for page in early]
    assert contrast[3] < 0.7 * contrast[2]
    for page in early[4:]:
        np.testing.assert_array_equal(page, early[3])
    assert all((a != b).any() for a, b in itertools.pairwise(late))
    foot = slice(render.MARGIN // 2 + render.HEAD + grid.height, None)
    right = early[:, foot, render.MARGIN + grid.width // 2 + 4 :]
    assert [bool((part < 128).any()) for part in right] == [False, False] + [True] * 6  # the note


def test_a_minus_sign_is_one_that_the_font_has(tmp_path):
    for name, note in (("a", "return −31"), ("b", "return -31"), ("c", "return \ue000" + "31")):
        render.gif(tmp_path / name, [panel(swinging(2), note=note)])
    true, plain, missing = ((tmp_path / name).read_bytes() for name in "abc")
    assert true == plain != missing


def test_no_part_of_a_file_is_left(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    render.gif(path, [panel(swinging(2))])
    before = path.read_bytes()

    def full(self, file, *args, **kwargs):
        file.write_bytes(b"GIF89a")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    for target in (path, tmp_path / "b.gif"):
        with pytest.raises(OSError, match="no space"):
            render.gif(target, [panel(swinging(3))])
    assert os.listdir(tmp_path) == ["a.gif"] and path.read_bytes() == before
