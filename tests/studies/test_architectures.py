"""The study of networks: their rates, their paired runs, its report, and its errors."""

import json
import shutil

import numpy as np
import pytest
from launching import Answer, copy_as_killed, launch, start
from ml_collections import ConfigDict

from configs import mlp
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.evidence.rows import read_record
from dla_jax.studies.architectures.study import STUDY
from dla_jax.trials.arms import choose_rates, own_config, resolve, select_trials

STUDY_OF_TWO = (
    "--config=configs/own.py:smoke",
    "--config.lrs=1e-3,1e-2,1",
    "--config.select_seeds=100,101",
    "--config.reported.cnn=32.6 % (test)",
    "--config.pair=",
    "--config.num_epochs=2",
    "--quiet",
)
NETWORKS = {"own", "cnn"}
VERDICTS = {"holds", "does not hold", "not decided"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a study of two networks on the embedded images, and its answer.

    Beside its workdir lies `killed`, a copy that was made while it ran.
    """
    workdir = tmp_path_factory.mktemp("architectures") / "run"
    process = start(*STUDY_OF_TWO, f"--workdir={workdir}", warm=True)
    is_time = lambda: sum("done" in row for row in read_record(workdir)) >= 5
    copy_as_killed(process, workdir, workdir.parent / "killed", is_time)
    out, err = process.communicate()
    answer = Answer(process.returncode, out, err)
    assert answer.code == 0, answer.err
    return workdir, answer


def summary_of(workdir):
    return json.loads((workdir / "summary.json").read_text())


def of_group(rows, group):
    return [row for row in rows if row["group"] == group]


def test_every_network_is_run_with_every_seed_at_the_rate_chosen_on_validation(finished):
    summary = summary_of(finished[0])
    groups = {run["group"] for run in summary["runs"]}
    assert groups == NETWORKS and len(summary["runs"]) == 4
    for group in groups:
        own = of_group(summary["selection"], group)
        tried = {
            lr: np.mean([row["val_accuracy"] for row in own if row["lr"] == lr])
            for lr in {row["lr"] for row in own}
        }
        assert {row["seed"] for row in own} == {100, 101}
        used = {run["lr"] for run in of_group(summary["runs"], group)}
        assert len(tried) == 3 and len(used) == 1 and tried[used.pop()] == max(tried.values())
    assert len({run["lr"] for run in summary["runs"]}) == 2  # each network has its own
    for group, least in {"own": 0.7, "cnn": 0.2}.items():  # chance is a tenth
        assert all(run["test_accuracy"] > least for run in of_group(summary["runs"], group))
    params = {run["group"]: run["num_params"] for run in summary["runs"]}
    # a dense layer; convolutions of 1 to 8 to 8 to 8 channels, three norms, a dense layer
    assert params["own"] == 64 * 10 + 10
    assert params["cnn"] == (9 + 1) * 8 + 2 * (9 * 8 + 1) * 8 + 3 * (8 + 8) + (8 + 1) * 10


def test_claims_have_verdicts_and_the_report_shows_what_was_reported(finished):
    workdir, answer = finished
    claims = summary_of(workdir)["claims"]
    assert {claim["verdict"] for claim in claims} <= VERDICTS and len(claims) == 1
    page = (workdir / "report.html").read_text()
    assert "32.6 % (test)" in page and page.count("data:image/png;base64") == 2
    assert "cnn" in answer.err and "reported: 32.6 % (test)" in answer.err
    assert summary_of(workdir)["answer"].startswith("own, best on validation, has a test accuracy")


def test_a_finished_study_is_drawn_again_from_its_record_alone(finished):
    workdir, _ = finished
    before = (workdir / "summary.json").read_text()
    (workdir / "summary.json").unlink()
    assert launch(f"--workdir={workdir}").code == 0
    assert (workdir / "summary.json").read_text() == before


def test_what_was_killed_goes_on_to_the_same_numbers(finished, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0].parent / "killed", workdir)
    assert not (workdir / "summary.json").exists()
    assert launch(*STUDY_OF_TWO, f"--workdir={workdir}", warm=True).code == 0
    compared = ("group", "seed", "lr", "val_accuracy", "test_accuracy", "test_loss")

    def numbers(folder):
        return [{key: run[key] for key in compared} for run in summary_of(folder)["runs"]]

    assert numbers(workdir) == numbers(finished[0])


def test_a_network_overrides_what_it_names_and_nothing_else():
    config = mlp.get_config("mnist,as_implemented=true")
    own, deep = own_config(config, "mlp_784"), own_config(config, "depth_20")
    base = config.to_dict()
    assert own.batch_size == 16384 and own.optim.name == "lion"
    assert tuple(own.model.widths) == (784,)
    assert own.optim.momentum == base["optim"]["momentum"] and own.data.to_dict() == base["data"]
    assert "model" not in base and "lr" not in base["optim"]  # of no effect here
    assert "num_epochs" in base  # which reaches all of them when it is given
    assert (own.num_epochs, deep.model.dropout_at) == (150, "last")
    assert "networks" not in own and deep.batch_size == base["batch_size"]
    assert config.to_dict() == base


def test_networks_that_bring_a_rate_are_not_searched():
    config = mlp.get_config("mnist,as_implemented=true")
    arms = resolve(config)
    assert select_trials(arms, tuple(config.select_seeds)) == []
    rates = choose_rates(arms, [], {}, STUDY.tuning.score)
    assert rates["mlp_784"] == 1e-2 and rates["depth_20"] == 1e-4


@pytest.mark.parametrize("preset", ["mnist", "mnist,as_implemented=true"])
def test_every_claim_is_about_networks_that_are_there(preset):
    config = mlp.get_config(preset)
    assert len(config.claims) >= 2 and set(config.reported) == set(config.networks)
    for claim in config.claims.values():
        assert {group for terms in claim.contrasts for _, group in terms} <= set(config.networks)


def test_errors_name_the_network(tmp_path):
    config = mlp.get_config("mnist")
    config.data.update({"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2})
    config.networks.mlp_784.model.name = "perceptrn"
    given = Launch(tmp_path, from_dir=None, data_dir=tmp_path, download=False, quiet=True)
    with pytest.raises(ConfigError, match=r"networks\.mlp_784: model\.name"):
        STUDY.check(config, given)
    config.networks = ConfigDict({})
    with pytest.raises(ConfigError, match="networks is empty"):
        STUDY.check(config, given)
