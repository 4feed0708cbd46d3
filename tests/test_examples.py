"""The examples of docs/examples run, and do what they say.

One run of the example study serves all tests that look at it.
"""

import html
import importlib
import json
import runpy
import shlex
import subprocess
import sys

import pytest
from launching import ROOT, environment
from ml_collections import ConfigDict
from records import rows_of

import dla_jax
from dla_jax.commands import predict
from dla_jax.config.checks import ConfigError
from dla_jax.config.stop import stop_requested
from dla_jax.config.workdir import Launch, check_workdir
from dla_jax.studies import find, with_like
from dla_jax.training.record import Record
from dla_jax.trials.finished import IMAGES

EXAMPLES = ROOT / "docs" / "examples"
CONFIG = "docs/examples/width.py:smoke"
CHANGES = {"batch_size": 64, "optim.clip_norm": 2, "data.flip": False, "seeds": range(2)}


def test_a_network_of_ones_own_learns_data_of_ones_own(capsys):
    found = runpy.run_path(str(EXAMPLES / "own_data.py"))
    assert found["accuracy"] > 0.93  # a line between the moons: 86 %
    assert f"test accuracy {found['accuracy']:.1%}" in capsys.readouterr().out
    losses = [row["val_loss"] for row in found["rows"] if "val_loss" in row]
    assert found["evaluate"](found["state"])["val_loss"] == min(losses)


def code_lines(name):
    """Return how many lines a file has after its docstring that are not empty."""
    lines = (EXAMPLES / name).read_text().split('"""', 2)[2].splitlines()
    return len([line for line in lines if line.strip()])


def test_they_are_short():
    assert code_lines("own_data.py") < 25
    assert code_lines("width.py") + code_lines("width_study.py") <= 50
    assert code_lines("walk.py") <= 30  # tests/studies/test_own_environment_study.py trains on it
    assert code_lines("shapes.py") <= 35  # tests/studies/test_own_network_study.py


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("width") / "run"
    return dla_jax.run(CONFIG, workdir, quiet=True, **CHANGES)


def test_the_study_measures_and_shows_what_it_adds(study):
    runs = study.summary["runs"]
    assert len(runs) == 4 and runs[0]["errors_in_100"] > 20
    assert [run["errors_in_100"] for run in runs] == pytest.approx(
        [100 - 100 * run["test_accuracy"] for run in runs]
    )
    page = study.report.read_text()
    assert "Widths on digits" in page and "errors in 100" in page and "Training" in page


def test_its_claim_is_weighed(study):
    (fewer,) = study.claims
    accuracies = {(run["arm"], run["seed"]): run["test_accuracy"] for run in study.summary["runs"]}
    gain = sum(accuracies["wide", seed] - accuracies["narrow", seed] for seed in (0, 1)) / 2
    assert fewer["results"][0]["mean"] == pytest.approx(100 * gain) and gain > 0.2
    assert fewer["value"] == "errors_in_100" and fewer["results"][0]["n"] == 2


def test_it_draws_again(study):
    before = (study.workdir / "summary.json").read_text()
    study.report.unlink()
    find("docs.examples.width_study:STUDY").draw(study.workdir)
    assert (study.workdir / "summary.json").read_text() == before and study.report.exists()


def test_it_goes_on_where_it_was_stopped(study, tmp_path, monkeypatch):
    append = Record.append

    def stop_in_the_third_run(record, row):
        append(record, row)
        if len(record.done) == 2 and not row.get("done"):
            stop_requested.set()

    monkeypatch.setattr(Record, "append", stop_in_the_third_run)
    with pytest.raises(KeyboardInterrupt, match=r"the same call with workdir='.*/run' goes on"):
        dla_jax.run(CONFIG, tmp_path / "run", quiet=True, **CHANGES)
    monkeypatch.undo()
    assert not stop_requested.is_set()
    assert len(list(tmp_path.glob("run/checkpoints/final/*/*/training/1"))) == 1
    with pytest.raises(ConfigError, match=r"is not finished; go on with: python .*launch.py"):
        dla_jax.load(tmp_path / "run")
    resumed = dla_jax.run(CONFIG, tmp_path / "run", quiet=True, **CHANGES)
    assert rows_of(resumed.workdir) == rows_of(study.workdir)
    assert len(json.loads((tmp_path / "run" / "config.json").read_text())["launches"]) == 2


def test_a_finished_one_is_read_and_not_drawn(study, monkeypatch):
    run, load = dla_jax.run, dla_jax.load
    monkeypatch.setattr(importlib, "import_module", None)  # what would run it is not imported
    before = study.report.stat().st_mtime_ns
    again = run(CONFIG, study.workdir, **CHANGES)
    assert again == study == load(study.workdir)
    assert study.report.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="another config: batch_size"):
        run(CONFIG, study.workdir, **CHANGES | {"batch_size": 32})


def test_the_command_that_it_keeps_is_that_of_the_same_study(study):
    """In a shell it would go on in the same workdir: its config is the one that stands there."""
    written = json.loads((study.workdir / "config.json").read_text())
    words = shlex.split(written["launches"][0]["command"])
    assert words[0] == "python" and f"--workdir={study.workdir}" in words
    code = (
        "import json, sys; sys.argv = sys.argv[1:]; import launch; launch.parse_flags(sys.argv);"
        "print(json.dumps(launch.FLAGS.config.to_dict()))"
    )
    answer = subprocess.run(
        (sys.executable, "-c", code, *words[1:]),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    check_workdir(study.workdir, json.loads(answer.stdout))
    assert written["config"]["optim"]["clip_norm"] == 2 and written["config"]["batch_size"] == 64


def test_its_networks_can_be_read_by_what_reads_networks(study, tmp_path, capsys):
    assert with_like(IMAGES, study.workdir) == (*IMAGES, "docs.examples.width_study:STUDY")
    assert with_like(("finetune",), study.workdir) == ("finetune",)
    image = ROOT / "docs" / "pictures" / "blackboard.jpg"
    given = {"text": "", "file": "", "image": str(image), "network": "wide", "made": {}}
    given |= {"unfamiliar": True, "detector": "knn"}
    config, into = ConfigDict({"experiment": "predict"} | given), tmp_path / "predicted"
    into.mkdir()
    asked = Launch(into, study.workdir, tmp_path, download=False, quiet=True)
    predict.check_config(config, asked)
    predict.run(config, asked)
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["probabilities"]) == 10 and answer["unfamiliar"] in (True, False)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_folders_among_the_figures_are_none(study):
    folder = study.workdir / "figures" / "mine"
    folder.mkdir()
    found = study.figures
    folder.rmdir()
    assert found == study.figures and len(found) > 1


@pytest.mark.parametrize("text", ["[]", "{}", '{"study": "x"}', "", "{", b"\xff\xfe"])
def test_a_damaged_summary_is_named(study, text, tmp_path):
    (tmp_path / "config.json").write_bytes((study.workdir / "config.json").read_bytes())
    (tmp_path / "report.html").write_text("")
    (tmp_path / "summary.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"summary.json is damaged \(.+\); draw it again: python"):
        dla_jax.load(tmp_path)


def test_a_notebook_shows_the_answer_the_verdicts_and_figures(study):
    page = study._repr_html_()
    assert page.count("<img") == 2 and 'src="data:image/png;base64,' in page
    assert study.summary["answer"].split(":")[0] in page
    assert page.count('class="verdict not-decided"') == 1
    assert list(study.figures) == ["networks", "pair", "curves"]
    for _, words in study.pictures()[:2]:
        assert f'alt="{html.escape(words)}"' in page and len(words.split()) > 3
    assert "runs: 4, claims: 1 not decided" in repr(study)
