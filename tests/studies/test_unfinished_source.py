"""`predict` and `cam` read the finished runs of a study that goes on; other studies do not."""

import json
import shutil

import numpy as np
import pytest
from launching import assert_refused, launch
from PIL import Image
from records import last_rows_of

from configs.cam import get_config
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.evidence.rows import record_file
from dla_jax.studies import image_networks
from dla_jax.studies.begun import words_of_unfinished
from dla_jax.studies.cam.study import describe, networks_of


def by_accuracy(study):
    """Return the last rows of the compared runs, the best on validation first."""
    rows = [row for row in last_rows_of(study).values() if row["stage"] == "final"]
    return sorted(rows, key=lambda row: (-row["val_accuracy"], row["group"], row["seed"]))


@pytest.fixture
def unfinished(smoke, tmp_path):
    """Return a study whose best run has all its rows but the last, and the others' last rows."""
    study = tmp_path / "study"
    shutil.copytree(smoke("cam")[0] / "study", study)
    (study / "summary.json").unlink()
    best, *others = by_accuracy(study)
    path = record_file(study, best["run"])
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    return study, others


def test_predict_takes_the_best_of_the_runs_that_are_done_and_says_so(unfinished, tmp_path):
    study, others = unfinished
    image = tmp_path / "image.png"
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(image)
    flags = ("--config=configs/predict.py", f"--from={study}", f"--config.image={image}")
    answer = launch(*flags, f"--workdir={tmp_path / 'out'}", "--quiet")
    assert answer.code == 0 and len(answer.out.splitlines()) == 1, answer.err
    said = f"{study} is not finished: {len(others)} of the {len(others) + 1} runs that it compares"
    assert answer.err.count(said) == 1
    accuracy = f"{100 * others[0]['test_accuracy']:.1f} % on its test part"
    assert f"{others[0]['run']} of {study}: {accuracy}" in answer.err
    written = read_config(tmp_path / "out")["data"]
    assert written["run"] == others[0]["run"]


def test_without_a_finished_run_it_is_refused(unfinished, tmp_path):
    study, others = unfinished
    flags = ("--config=configs/predict.py", f"--from={study}", "--config.image=none.png")
    words = [f"network: {study} is not finished, and has no finished run of plain-1", "give one of"]
    assert_refused(launch(*flags, "--config.network=plain-1"), [*words, others[0]["group"]])
    shutil.rmtree(study / "record" / "final")
    assert_refused(launch(*flags), ["none of the runs that it compares is done", "go on with: "])


def test_other_studies_wait_for_the_end(unfinished):
    with pytest.raises(ConfigError, match="is not finished; go on with"):
        image_networks.networks_of(unfinished[0], "")
    with pytest.raises(ConfigError, match="is not finished; go on with"):
        image_networks.rows_by_network(unfinished[0], ())


def test_cam_goes_on_with_the_networks_that_it_began_with(unfinished, smoke, tmp_path):
    study, others = unfinished
    launched = Launch(tmp_path / "maps", study, tmp_path, download=False, quiet=True)
    config = get_config()
    rows = networks_of(config, launched)
    first = [row for row in others if row["group"] == others[0]["group"]]
    assert [row["run"] for row in rows] == [row["run"] for row in first]
    found = describe(config, launched)
    assert found.remarks[0] == words_of_unfinished(study)[0] and len(found.remarks) >= 2
    launched.workdir.mkdir()
    written = {"config": config.to_dict(), "launches": [], "data": found.identity}
    (launched.workdir / "config.json").write_text(json.dumps(written))
    whole = smoke("cam")[0] / "study"
    shutil.copytree(whole / "record", study / "record", dirs_exist_ok=True)
    assert networks_of(config, launched) == rows
    assert describe(config, launched).identity == found.identity
    fresh = networks_of(config, launched._replace(workdir=tmp_path / "other"))
    assert fresh == image_networks.networks_of(whole, "") != rows


def test_a_finished_study_says_nothing_of_it(smoke):
    assert words_of_unfinished(smoke("cam")[0] / "study") == []
