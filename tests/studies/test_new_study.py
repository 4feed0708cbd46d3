"""A study of one's own that changes an existing one, as docs/add_a_study.md describes it."""

import json
import math

import pytest

from configs import resnet34
from dla_jax.config.workdir import Launch
from dla_jax.evidence.claims import claim, difference
from dla_jax.studies import find
from dla_jax.studies.architectures.report import network_run, network_sections

COMPARISON = find("architectures")


def run_of(found, row):
    return network_run(found, row) | {"log2_params": math.log2(row["num_params"])}


def size_table(found):
    rows = [[name, f"{found.runs_of(name)[0]['log2_params']:.1f}"] for name in found.arms]
    return {"head": ["network", "log2 of parameters"], "rows": rows}


def sections(found):
    return [{"title": "Size", "table": size_table(found)}, *network_sections(found)]


STUDY = COMPARISON._replace(
    run_of=run_of, sections=sections, title=lambda found: f"Sizes on {found.config.data.name}"
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    config = resnet34.get_config("smoke")
    kept = {name: config.networks[name].to_dict() for name in ("convnet", "mlp")}
    with config.unlocked():
        config.networks, config.pair, config.seeds, config.num_epochs = kept, (), (0, 1), 1
        size = claim(
            "The MLP is smaller",
            "hypothesis",
            "not reported",
            difference("mlp", "convnet"),
            direction="<",
            value="log2_params",
            unit="doublings",
            margin=0.1,
            example={"mlp": 1.0, "convnet": 2.0},
        )
        config.claims = {"a_size": size}
    folder = tmp_path_factory.mktemp("new") / "run"
    folder.mkdir()
    launch = Launch(folder, None, folder, download=False, quiet=True)
    STUDY.check(config, launch)
    STUDY.run(config, launch)
    return folder


def test_it_measures_and_shows_what_it_adds(workdir):
    summary = json.loads((workdir / "summary.json").read_text())
    runs = {run["arm"]: run for run in summary["runs"]}
    assert runs["mlp"]["log2_params"] == pytest.approx(math.log2(runs["mlp"]["num_params"]))
    page = (workdir / "report.html").read_text()
    assert "Sizes on digits" in page and "log2 of parameters" in page and "Training" in page


def test_its_claim_is_weighed(workdir):
    (found,) = json.loads((workdir / "summary.json").read_text())["claims"]
    assert found["value"] == "log2_params" and found["results"][0]["n"] == 2


def test_it_draws_again(workdir):
    before = (workdir / "summary.json").read_text()
    (workdir / "report.html").unlink()
    STUDY.draw(workdir)
    assert (workdir / "summary.json").read_text() == before and (workdir / "report.html").exists()
