"""While a study runs, another process draws what there is; what trains does not wait for it."""

import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine

from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.evidence.rows import record_file, record_files
from dla_jax.plots import style
from dla_jax.studies import find, redrawing, study
from dla_jax.studies.so_far import Frame


class Over:
    """An event that is set after so many drawings, and remembers how long was waited for each."""

    def __init__(self, drawings):
        self.drawings, self.waits = drawings, []

    def wait(self, seconds):
        self.waits.append(seconds)
        return len(self.waits) > self.drawings


@pytest.fixture
def frame(tmp_path):
    trials = [["final", "a", 0, 0.0]]
    return Frame(str(tmp_path), "A study", "Which?", "go on", "val_accuracy", trials, [], {})


def test_it_is_drawn_once_a_minute_and_takes_a_small_share_of_the_time(monkeypatch, frame):
    took = iter([0.5, 6.0, 0.5])
    monkeypatch.setattr(redrawing, "draw_apart", lambda given, over: next(took))
    over = Over(3)
    redrawing.keep_drawing(lambda: frame, lambda: True, over)
    assert over.waits == [60.0, 60.0, pytest.approx(200.0), 60.0]


def test_one_process_draws_and_none_before_the_study_has_begun(monkeypatch, frame):
    drawn = []
    monkeypatch.setattr(redrawing, "draw_apart", lambda given, over: drawn.append(given) or 0.0)
    ours = iter([False, True, True])
    frames = iter([None, frame])
    redrawing.keep_drawing(lambda: next(frames), lambda: next(ours), Over(3))
    assert drawn == [frame]


def test_what_goes_wrong_is_said_once_and_tried_again(monkeypatch, frame, capsys):
    tried = []

    def fail(given, over):
        tried.append(given)
        raise ConfigError("no row at line 3")

    monkeypatch.setattr(redrawing, "draw_apart", fail)
    redrawing.keep_drawing(lambda: frame, lambda: True, Over(3))
    (line,) = capsys.readouterr().err.splitlines()
    assert len(tried) == 3 and "is not drawn (no row at line 3)" in line


def test_why_it_cannot_be_drawn_is_the_last_line_of_the_other_process(frame, tmp_path):
    path = record_file(tmp_path, "final/a/seed0")
    path.parent.mkdir(parents=True)
    path.write_text("no row\n")
    with pytest.raises(ConfigError, match=r"seed0\.jsonl is damaged at line 1"):
        redrawing.draw_apart(frame, threading.Event())


def test_a_drawing_under_way_is_ended_with_the_study(frame, tmp_path, monkeypatch):
    places = tmp_path / "temporary"
    places.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(places))
    over = threading.Event()
    over.set()
    assert redrawing.draw_apart(frame, over) == 0.0
    assert not list(places.iterdir()) and not (tmp_path / "report.html").exists()


def test_a_study_is_drawn_while_it_runs_and_ends_with_the_same_report(smoke, tmp_path, monkeypatch):
    finished, workdir = smoke("rescnn")[0], tmp_path / "run"
    shutil.copytree(finished, workdir)
    for name in ("report.html", "summary.json"):
        (workdir / name).unlink()
    *_, last = record_files(workdir).values()
    whole, page = last.read_text(), workdir / "report.html"
    last.unlink()

    def train(*given):
        deadline = time.time() + 120
        while not page.exists():
            assert time.time() < deadline, "no page"
            time.sleep(0.05)
        assert "Not finished: " in page.read_text() and not (workdir / "summary.json").exists()
        last.write_text(whole)

    # as launch_server.py draws `finished`
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
    for look in (style.STYLE, style.FRAMED):
        monkeypatch.setitem(look, "savefig.dpi", 80)
    monkeypatch.setattr(redrawing, "EVERY", 0.05)
    monkeypatch.setattr(study, "train_study", train)
    launch = Launch(workdir, None, Path(), download=False, quiet=True)
    study.run_study(find("depth"), None, launch)
    for name in ("report.html", "summary.json"):
        assert (workdir / name).read_bytes() == (finished / name).read_bytes()
