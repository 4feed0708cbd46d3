import json

import numpy as np
import pytest
from launching import launch, start
from ml_collections import ConfigDict

from configs import mlp
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Run
from dla_jax.evidence import tables as classifier_report
from dla_jax.studies.architectures import study as architectures
from dla_jax.trials import arms as networks

ON_DIGITS = (
    "--config=configs/mlp.py:mnist",
    "--config.data.name=digits",
    "--config.data.val_fraction=0.2",
    "--config.data.test_fraction=0.2",
    "--config.seeds=0,1",
    "--config.num_epochs=3",
    "--quiet",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The study of configs/mlp.py:mnist on the embedded images."""
    workdir = tmp_path_factory.mktemp("architectures") / "run"
    answer = launch(*ON_DIGITS, f"--workdir={workdir}")
    assert answer.code == 0, answer.err
    return workdir, answer


def test_every_network_is_run_with_every_seed_at_the_rate_chosen_on_validation(finished):
    workdir, _ = finished
    summary = json.loads((workdir / "summary.json").read_text())
    groups = {run["group"] for run in summary["runs"]}
    assert (
        groups == {"mlp_16_16", "mlp_128_64", "mlp_256_256", "mlp_784"}
        and len(summary["runs"]) == 8
    )
    for group in groups:
        own = [row for row in summary["selection"] if row["group"] == group]
        tried = {
            lr: np.mean([row["val_accuracy"] for row in own if row["lr"] == lr])
            for lr in {row["lr"] for row in own}
        }
        assert {row["seed"] for row in own} == {100, 101}
        used = {run["lr"] for run in summary["runs"] if run["group"] == group}
        assert len(tried) == 3 and len(used) == 1 and tried[used.pop()] == max(tried.values())
    accuracy = {
        g: np.mean([run["test_accuracy"] for run in summary["runs"] if run["group"] == g])
        for g in groups
    }
    assert accuracy["mlp_784"] > 0.9 and accuracy["mlp_784"] > accuracy["mlp_16_16"]
    params = {run["group"]: run["num_params"] for run in summary["runs"]}
    assert params["mlp_16_16"] == 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    assert params["mlp_784"] == 64 * 784 + 784 + 784 * 10 + 10


def test_claims_have_verdicts_and_the_report_shows_what_was_reported(finished):
    workdir, answer = finished
    claims = json.loads((workdir / "summary.json").read_text())["claims"]
    assert {claim["verdict"] for claim in claims} <= {
        "holds",
        "does not hold",
        "not decided",
    } and len(claims) == 4
    page = (workdir / "report.html").read_text()
    assert "32.6 % (test)" in page and page.count("data:image/png;base64") == 2
    assert "mlp_784" in answer.err and "reported: 32.6 % (test)" in answer.err


def test_a_finished_study_is_drawn_again_from_its_record_alone(finished):
    workdir, _ = finished
    before = (workdir / "summary.json").read_text()
    (workdir / "summary.json").unlink()
    assert launch(f"--workdir={workdir}").code == 0
    assert (workdir / "summary.json").read_text() == before


def test_what_was_killed_goes_on_to_the_same_numbers(finished, tmp_path):
    process = start(*ON_DIGITS, f"--workdir={tmp_path / 'run'}")
    record = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None and not (
        record.exists() and record.read_text().count('"done"') >= 5
    ):
        pass
    process.kill()
    process.communicate()
    assert launch(*ON_DIGITS, f"--workdir={tmp_path / 'run'}").code == 0

    def numbers(workdir):
        runs = json.loads((workdir / "summary.json").read_text())["runs"]
        return [
            {
                key: run[key]
                for key in ("group", "seed", "lr", "val_accuracy", "test_accuracy", "test_loss")
            }
            for run in runs
        ]

    assert numbers(tmp_path / "run") == numbers(finished[0])


def test_a_network_overrides_what_it_names_and_nothing_else():
    config = mlp.mnist(as_implemented=True)
    own, base = networks.own_config(config, "mlp_784"), config.to_dict()
    assert (
        own.batch_size == 16384 and own.optim.name == "lion" and tuple(own.model.widths) == (784,)
    )
    assert own.optim.momentum == base["optim"]["momentum"] and own.data.to_dict() == base["data"]
    assert "model" not in base and "lr" not in base["optim"]  # of no effect here
    assert "num_epochs" in base  # which reaches all of them when it is given
    assert (own.num_epochs, networks.own_config(config, "depth_20").model.dropout_at) == (
        150,
        "last",
    )
    assert (
        "networks" not in own
        and networks.own_config(config, "depth_20").batch_size == base["batch_size"]
    )
    assert config.to_dict() == base


def test_networks_that_bring_a_rate_are_not_searched():
    assert networks.select_cells(mlp.mnist(as_implemented=True)) == []
    rates = networks.choose_rates(mlp.mnist(as_implemented=True), {}, classifier_report.rate_score)
    assert rates["mlp_784"] == 1e-2 and rates["depth_20"] == 1e-4


@pytest.mark.parametrize("as_implemented", [False, True])
def test_every_claim_is_about_networks_that_are_there(as_implemented):
    config = mlp.mnist(as_implemented)
    assert len(config.claims) >= 2 and set(config.reported) == set(config.networks)
    for claim in config.claims.values():
        assert {group for terms in claim.contrasts for _, group in terms} <= set(config.networks)


def test_errors_name_the_network(tmp_path):
    config = mlp.mnist(False)
    config.data.update({"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2})
    config.networks.mlp_784.model.name = "perceptrn"
    with pytest.raises(ConfigError, match=r"networks\.mlp_784: model\.name"):
        architectures.check_config(config, Run(tmp_path, None, tmp_path, False, True))
    config.networks = ConfigDict({})
    with pytest.raises(ConfigError, match="networks is empty"):
        architectures.check_config(config, Run(tmp_path, None, tmp_path, False, True))
