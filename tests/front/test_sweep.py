"""What --sweep makes of a config, what it refuses, and a sweep that is run."""

import json

import pytest
from launching import assert_refused, launch

from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.front import request
from dla_jax.front.sweep import swept
from dla_jax.front.sweep_values import word
from dla_jax.studies import find
from dla_jax.trials.arms import resolve, select_trials


def config_of(name, **changes):
    asked = request.read(f"configs/{name}", changes)
    request.prepare(asked, changes)
    return asked


def test_the_arms_are_all_combinations_of_the_values_of_the_keys_type():
    made = swept(config_of("own.py:smoke"), "networks.cnn.model.width=2,4; optim.lr=1e-3,.25")
    arms = resolve(made)
    assert {
        name: (arm.config.model.width, arm.config.optim.lr, arm.rates, arm.seeds)
        for name, arm in arms.items()
    } == {
        "width=2 lr=1e-3": (2, 0.001, (0.001,), (0, 1)),
        "width=2 lr=25e-2": (2, 0.25, (0.25,), (0, 1)),
        "width=4 lr=1e-3": (4, 0.001, (0.001,), (0, 1)),
        "width=4 lr=25e-2": (4, 0.25, (0.25,), (0, 1)),
    }
    assert all(
        arm.config.model.name == "cnn" and arm.config.model.depth == 3 for arm in arms.values()
    )
    assert not select_trials(arms, made.select_seeds)  # a rate that is given is not chosen
    assert made.question == "What do model.width and optim.lr change?"
    assert not made.claims and made.pair == () and set(made.reported) == set(arms)


def test_without_a_rate_each_arm_chooses_its_own():
    made = swept(config_of("own.py:quick"), "batch_size=32,64")
    arms = resolve(made)
    names = ["cnn batch_size=32", "cnn batch_size=64", "own batch_size=32", "own batch_size=64"]
    assert list(arms) == names and all(len(arm.rates) == 3 for arm in arms.values())
    assert made.question == "What does batch_size change?"
    assert made.compared == (tuple(names[1::-1]), tuple(names[:1:-1]))  # of one network each


def test_pairs_differ_in_one_value_those_of_the_first_key_first():
    made = swept(config_of("own.py:smoke"), "networks.own.optim.lr=1,2;num_epochs=1,2,3")
    told = {tuple(sorted(pair)) for pair in made.compared}
    arms = {f"lr={lr} num_epochs={n}": (lr, n) for lr in (1, 2) for n in (1, 2, 3)}
    brute = {
        tuple(sorted((a, b)))
        for a, first in arms.items()
        for b, second in arms.items()
        if (first[0] == second[0]) != (first[1] == second[1])
    }
    assert told == brute and len(made.compared) == len(brute) == 9
    assert made.compared[0] == ("lr=2 num_epochs=1", "lr=1 num_epochs=1")


def test_a_depth_study_becomes_a_comparison_of_its_nets():
    given = config_of("rescnn.py:smoke", depths=(2, 4))
    depth = {arm.name: arm for arm in find("depth").arms(given, {}).values()}
    made = swept(given, "model.width=4,8")
    arms = resolve(made)
    assert len(arms) == 8 and "depths" in given  # the given one is as it was
    for name, arm in arms.items():
        net, width = name.split(" width=")
        own = arm.config.model.to_dict()
        assert own == depth[net].config.model.to_dict() | {"width": int(width)}
    find(made.experiment).check(made, Launch(None, None, None, download=False, quiet=True))


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        ("dqn.py:smoke", "gamma=.9,.99;arms.soft.optim.lr=1e-3,1e-2", "gamma=9e-1 lr=1e-3"),
        ("agents.py:smoke", "arms.ppo.model.hidden=(16),(8,8)", "hidden=(16)"),
        ("dante.py:smoke", "optim.warmup_fraction=0,.1", None),
        ("yahoo.py:smoke", "networks.corrected.optim.weight_decay=0,.1", "weight_decay=1e-1"),
    ],
)
def test_agents_and_texts_are_swept_too(name, text, first, tmp_path):
    changes = {"runs_at_once": 4} if "arms" in text else {}  # a test has four devices
    made = swept(config_of(name, **changes), text)
    find(made.experiment).check(made, Launch(tmp_path, None, tmp_path, False, quiet=True))
    assert first is None or first in resolve(made)


def test_who_runs_at_the_rate_of_another_does_so_at_that_of_the_same_values():
    config = config_of("own.py:smoke")
    config.networks.own.lr_of = "cnn"
    made = swept(config, "num_epochs=1,2")
    assert made.networks["own num_epochs=2"].lr_of == "cnn num_epochs=2"
    with pytest.raises(ConfigError, match=r"networks.own: it runs at the rate of another \(lr_of"):
        swept(config, "optim.lr=1,2")


WRONG = {
    # what is typed, of configs/own.py:smoke: words that the one line must hold
    "": ["--sweep is empty", "optim.lr=1e-3,1e-2"],
    "optim.lr": ["'optim.lr' is not KEY=VALUE,VALUE"],
    "optim.lr=1e-3": ["one value", "--config.optim.lr=1e-3"],
    "optim.lr=1e-3,": ["optim.lr: a value is empty"],
    "optim.lr=1,2;optim.lr=3,4": ["optim.lr is given twice"],
    "optim.lr=1e-3,0.001": ["optim.lr: 0.001 is given twice"],
    "optim.lr=1e-3,nan": ["optim.lr: 'nan' is no float"],
    "optim.lrr=1,2": ["optim.lrr: unknown key (did you mean 'optim.lr'"],
    "optim=1,2": ["optim is a group of keys; give one of them, as in --sweep=optim.b1=VALUE"],
    "num_epochs=1,2.5": ["num_epochs: '2.5' is no int", "as 1"],
    "optim.nesterov=true,maybe": ["optim.nesterov: 'maybe' is no bool", "as false"],
    "optim.milestones=(1,x),2": ["optim.milestones: '(1,x)' is no tuple"],
    "model.width=2,4": ["networks.own: model.width: unknown key"],
    "networks.cn.model.width=2,4": ["unknown 'cn' (did you mean 'cnn'?)"],
    "networks.cnn=2,4": ["networks.cnn is a group of keys"],
    "networks.cnn.model.width=2,4;networks.own.optim.lr=1,2": ["keys of cnn and own"],
    "seeds=1,2": ["seeds is one for the whole study", "compare.py"],
    "data.name=digits,mnist": ["data.name is one for the whole study"],
    "lrs=1,2": ["lrs", "give optim.lr"],
    "networks.cnn.model.name=cnn,mlp": ["model.name", "each family has keys of its own"],
    "cells_at_a_time=1,2": ["cells_at_a_time changes no result"],
    "claims.x.margin=1,2": ["claims.x.margin changes no result"],
    "num_epochs=" + ",".join(map(str, range(1, 34))): ["66 arms", "64 at most"],
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_sweep_is_refused_in_one_line(text):
    with pytest.raises(ConfigError) as caught:
        swept(config_of("own.py:smoke"), text)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("--sweep")
    for words in WRONG[text]:
        assert words in str(caught.value)


@pytest.mark.parametrize("name", ["gradients.py:smoke", "race.py:smoke", "why.py:smoke"])
def test_studies_whose_reports_are_about_other_things_are_refused(name):
    with pytest.raises(ConfigError, match=r"--sweep: \w+ makes no arms of values; give a study"):
        swept(config_of(name), "optim.lr=1,2")


def test_a_fitted_classifier_has_no_rate():
    with pytest.raises(ConfigError, match=r"is fitted at once, without optim\.lr"):
        swept(config_of("ag_news.py:smoke"), "optim.lr=1e-3,1e-2")


def test_a_name_has_no_dot_and_says_the_number():
    for number in (0.001, 0.25, 1e-12, 123.456, -0.5, 3.0, 1e22):
        assert "." not in word(number) and float(word(number)) == number
    assert word((64, 32)) == "(64,32)" and word(True) == "true"
    assert word("package.module:Net") == "package_module:Net"


def test_wrong_command_lines_are_refused(tmp_path):
    assert_refused(launch("--sweep=optim.lr=1,2", f"--workdir={tmp_path}"), ["--sweep", "--config"])
    config = "--config=configs/own.py:smoke"
    assert_refused(launch(config, "--sweep=optim.lrr=1,2"), ["--sweep", "did you mean 'optim.lr'"])
    assert_refused(launch(config, "--sweep=optim.lr=-1,1"), ["lr=-1", "optim.lr"])


def test_a_sweep_is_run_and_its_pairs_are_compared(smoke, tmp_path):
    """At the rate that the smoke has, an arm is that network of it, to the bit."""
    folder = tmp_path / "sweep"
    flags = ("--config=configs/own.py:smoke", "--sweep=networks.own.optim.lr=1e-3,1e-2")
    plan = launch(*flags, f"--workdir={folder}", "--dry_run")
    assert plan.code == 0 and "4 runs: 0 choose learning rates, 4 are compared" in plan.out
    assert "2 seeds can tell none of 1 pair apart" in plan.out and "6 seeds are needed" in plan.out
    answer = launch(*flags, f"--workdir={folder}", "--quiet")
    assert answer.code == 0, answer.err
    summary = json.loads((folder / "summary.json").read_text())
    runs = {run["seed"]: run for run in summary["runs"] if run["group"] == "lr=1e-2"}
    whole = json.loads((smoke("own")[0] / "summary.json").read_text())["runs"]
    for run in (run for run in whole if run["group"] == "own"):
        for key in ("test_accuracy", "test_loss", "val_accuracy"):
            assert runs[run["seed"]][key] == run[key], key
    [pair] = summary["compared"]
    other = {run["seed"]: run for run in summary["runs"] if run["group"] == "lr=1e-3"}
    differences = [runs[seed]["test_accuracy"] - other[seed]["test_accuracy"] for seed in (0, 1)]
    assert (pair["first"], pair["second"]) == ("lr=1e-2", "lr=1e-3")
    assert pair["contrast"]["n"] == 2
    assert pair["contrast"]["mean"] == pytest.approx(sum(differences) / 2, abs=1e-12)
    assert pair["verdict"] == "not decided (too few seeds)" and summary["claims"] == []
    assert summary["answer"].startswith("Of 2 arms lr=1e-2 is the best on validation (test acc")
    page = (folder / "report.html").read_text()
    assert "Nobody claimed anything of them" in page and "lr=1e-2 − lr=1e-3" in page
    again = launch(*flags, f"--workdir={folder}", "--quiet")
    assert again.code == 0 and "the study is finished" in again.err
    other = launch(flags[0], "--sweep=networks.own.optim.lr=1e-3,1", f"--workdir={folder}")
    assert_refused(other, ["another config"])
