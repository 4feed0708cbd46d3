"""The smoke preset of each config, some with -m slow, from the command line to the report."""

import importlib
import json
import math
import re
from pathlib import Path

import pytest

from dla_jax.config.command_line import config_names
from dla_jax.config.workdir import Launch
from dla_jax.studies import find

# These make no report: tests/commands/test_generate.py, tests/studies/test_text_studies.py
CONFIGS = sorted(set(config_names()) - {"generate", "gpt2", "predict", "export"})
# Their kinds of study are run by agents, own and rescnn too.
ALIKE = {"dqn", "mlp", "ppo", "reinforce", "resnet34"}
EVERY = {"seed", "lr", "num_params", "diverged", "train_seconds"}
KINDS = {
    "language": "language",
    "finetune": "texts",
    "features": "texts",
    "agents": "agents",
    "cam": "maps",
    "ood": "detectors",
    "adversarial": "attacks",
    "choices": "choices",
}
KEYS = {
    "language": {
        "group",
        "nats_per_char",
        "bits_per_char",
        "val_nats_per_char",
        "ngram_nats_per_char",
        "scored_on",
    },
    "agents": {
        "env",
        "algorithm",
        "eval_return",
        "env_steps",
        "solved_at",
        "last_return",
        "random_return",
    },
    "texts": {"arm", "val_accuracy", "test_accuracy", "test_loss", "macro_f1"},
    "maps": {
        "arm",
        "insertion_auc",
        "deletion_auc",
        "likeness_forgotten",
        "canvas_accuracy",
        "val_accuracy",
        "test_accuracy",
    },
    "detectors": {
        "arm",
        "near_auroc",
        "far_fpr95",
        "noise_auroc",
        "aurc",
        "setting",
        "val_accuracy",
        "test_accuracy",
    },
    "attacks": {
        "arm",
        "clean_accuracy",
        "pgd_accuracy",
        "worst_accuracy",
        "clamp_cost",
        "target_share",
        "val_accuracy",
        "test_accuracy",
    },
    "choices": {"arm", "val_accuracy", "test_accuracy", "test_accuracy_ties", "above_guessing"},
    "images": {"arm", "depth", "val_accuracy", "test_accuracy", "test_loss"},
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in CONFIGS
    ],
)
def finished(request, smoke):
    return smoke(request.param)


def experiment_of(workdir):
    return json.loads((workdir / "config.json").read_text())["config"]["experiment"]


def record_of(workdir):
    """Return {run: its rows} of a record, the runs named by their files."""
    folder = workdir / "record"
    return {
        path.relative_to(folder).with_suffix("").as_posix(): [
            json.loads(line) for line in path.read_text().splitlines()
        ]
        for path in folder.rglob("*.jsonl")
    }


def test_the_screen_says_devices_table_and_paths(finished):
    workdir, answer = finished
    lines = answer.err.splitlines()
    assert lines[0].startswith("devices: 1 x cpu") and answer.out == ""
    assert str(workdir / "report.html") in answer.err and "it/s" not in answer.err


def test_the_workdir_holds_what_it_should(finished):
    workdir, _ = finished
    expected = {"config.json", "record", "figures", "summary.json", "report.html"}
    reads = experiment_of(workdir) in ("compare", "cam", "ood", "adversarial")
    expected |= set() if reads else {"tb", "checkpoints"}
    assert expected <= {path.name for path in workdir.iterdir()}
    assert list((workdir / "figures").glob("*.png"))
    assert reads or list((workdir / "tb").rglob("events*"))
    assert not list(workdir.rglob("*.tmp"))
    assert not list((workdir / "checkpoints").rglob("training"))


def test_every_run_has_a_file_of_its_own_in_the_record(finished):
    workdir, _ = finished
    if experiment_of(workdir) == "compare":
        pytest.skip("it trains nothing itself")
    files = record_of(workdir)
    for name, rows in files.items():
        assert {row["run"] for row in rows} == {name}
        assert [bool(row.get("done")) for row in rows] == [False] * (len(rows) - 1) + [True]
    models = {path.parent.name for path in (workdir / "checkpoints").rglob("model")}
    assert models <= {name.rpartition("/")[2] for name in files}


def test_the_report_is_self_contained_and_complete(finished):
    page = (finished[0] / "report.html").read_text()
    images = re.findall(r"<img[^>]*src=\"([^\"]*)\"", page)
    assert len(images) == len(list((finished[0] / "figures").iterdir()))
    assert all(
        image.startswith(("data:image/png;base64,iVBOR", "data:image/gif;base64,R0lGOD"))
        for image in images
    )
    assert not re.search(r"src=\"(?!data:)", page) and "<link" not in page
    assert all(link.startswith(("#", "https://")) for link in re.findall(r"href=\"([^\"]*)", page))
    text = re.sub(r"<pre>.*?</pre>", " ", page, flags=re.DOTALL)  # texts of the data
    text = re.sub(r"<[^>]*>|data:image[^\"]*", " ", text)
    for missing in ("nan", "None", "undefined", "null", "Undefined", "inf"):
        assert not re.search(rf"(?<![\w]){missing}(?![\w])", text), missing


def test_the_summary_keeps_its_contract(finished):
    summary = json.loads((finished[0] / "summary.json").read_text())
    assert {"study", "runs", "claims"} <= set(summary)
    kind = KINDS.get(experiment_of(finished[0]), "images")
    for run in summary["runs"]:
        assert EVERY | KEYS[kind] <= set(run)
        if kind == "agents":
            assert run["solved_at"] is None or 0 <= run["solved_at"] <= run["env_steps"]
        elif kind != "language":
            assert 0 <= run["test_accuracy"] <= 1 and 0 <= run["val_accuracy"] <= 1
        else:
            assert run["bits_per_char"] == pytest.approx(run["nats_per_char"] / math.log(2))
            assert list(run["ngram_nats_per_char"]) == ["1", "2", "3"]
    for claim in summary["claims"]:
        assert {"statement", "source", "reported", "verdict", "results"} <= set(claim)
        assert claim["verdict"] in ("holds", "does not hold", "not decided", "not run")
        assert all(math.isfinite(result["mean"]) for result in claim["results"])


def test_twins_have_equal_parameters_and_depth_one_is_run_once(finished):
    if experiment_of(finished[0]) != "depth":
        pytest.skip("a question of the depth studies")
    runs = json.loads((finished[0] / "summary.json").read_text())["runs"]
    params = {(run["arm"], run["depth"]): run["num_params"] for run in runs}
    assert {depth for _, depth in params} == {1, 2, 4}
    for depth in (2, 4):
        plain = params["plain", depth]
        assert plain == params["residual", depth] == params.get(("plain+shared_lr", depth), plain)
    assert {arm for arm, depth in params if depth == 1} == {"both"}


def test_the_record_pairs_seeds(finished):
    """Learning rates are chosen with other seeds than those that are compared."""
    if experiment_of(finished[0]) == "compare":
        pytest.skip("it trains nothing itself")
    rows = [row for rows in record_of(finished[0]).values() for row in rows]
    done = [row for row in rows if row.get("done")]
    assert len({row["run"] for row in done}) == len(done)
    seeds = {
        stage: {row["seed"] for row in done if row["stage"] == stage}
        for stage in ("select", "final")
    }
    assert seeds["final"] and seeds["select"].isdisjoint(seeds["final"])


@pytest.mark.parametrize("name", CONFIGS)
def test_every_study_has_a_quick_preset_that_can_run_and_can_decide(name):
    config = importlib.import_module(f"configs.{name}").get_config("quick")
    if name == "compare":
        assert set(config.made) == {"he", "torch_default"}
        assert all(len(study.seeds) >= 6 for study in config.made.values())
        return
    nowhere = Path("nowhere")
    launch = Launch(nowhere, from_dir=None, data_dir=nowhere, download=False, quiet=True)
    find(config.experiment).check(config, launch)
    claims, seeds = (
        config.claims,
        (config.made if name in ("cam", "ood", "adversarial") else config).seeds,
    )
    assert len(seeds) >= 6 and all(len(claim.contrasts) for claim in claims.values())
    assert len(claims) > 0
