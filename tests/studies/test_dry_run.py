"""A dry run says how many runs of what there would be, and for how long, and leaves nothing."""

import functools
import importlib
import json
import os
from pathlib import Path

import pytest

from dla_jax.commands import find_experiment
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch, check_writable
from dla_jax.evidence.rows import record_file
from dla_jax.front.request import prepare
from dla_jax.studies import dry_run, duration

DIGITS = "configs/rescnn.py:digits"


def lines(workdir, flag, data_dir=Path("nowhere"), download=True, **changes):
    """Return the lines of `--config=configs/FLAG --dry_run`."""
    name, _, argument = flag.partition(".py:")
    config = importlib.import_module(f"configs.{name}").get_config(argument)
    for key, value in changes.items():
        config[key] = value
    prepare(config, changes)
    launch = Launch(workdir, None, data_dir, download, quiet=True)
    found = dry_run.lines(find_experiment(config.experiment), config, launch, f"configs/{flag}")
    return [" ".join(line.split()) for line in found]


@pytest.fixture
def workdir(tmp_path):
    """Return a folder that a dry run must not make."""
    yield tmp_path / "run"
    assert not (tmp_path / "run").exists()


def test_runs_are_counted_by_arm(workdir):
    found = lines(workdir, "rescnn.py:smoke")
    assert "30 runs: 14 choose learning rates, 16 are compared" in found
    assert "plain-2 2 rates x 1 seed 2 seeds 2 epochs" in found
    assert "plain+shared_lr-4 at the rate of plain-2 2 seeds 2 epochs" in found
    assert found[-2:] == [f"workdir: {workdir}", "seconds on 2 CPU cores, as measured"]


def test_what_halving_saves_is_said_and_counted(workdir):
    found = lines(workdir, "rescnn.py:digits")
    # Of 19 arms of 4 rates and 3 seeds: three epochs of all runs, and the next four of half.
    said = "228 runs begin, 114 go on from the first cut, none to its end; about 44 % of their"
    assert any(said in line for line in found)
    full = lines(workdir, "rescnn.py:digits", selection="full")
    # 4.6 minutes times 366 / (228 * (3 + 4 / 2) / 9 + 138)
    assert full[-1].startswith("about 6.4 min on 2 CPU cores, where a step costs")
    assert not any("by halving" in line for line in full)
    steps = lines(workdir, "dante.py:tiny", selection="halving")
    assert any("18 runs begin, 12 go on" in line and "33 %" in line for line in steps)


def test_what_is_shortened_takes_its_share_of_the_time(workdir):
    twice = lines(workdir, "rescnn.py:digits", num_epochs=18)
    assert (
        twice[-1] == "about 9.2 min on 2 CPU cores, where a step costs what it costs in " + DIGITS
    )
    one = lines(workdir, "rescnn.py:digits", seeds=(0,), select_seeds=(100,))
    # 19 arms at four rates, halved to 5 / 9, and 20 of one seed: 4.6 minutes times 62 / 265
    assert one[-1].startswith("about 1.1 min on 2 CPU cores, where")


@pytest.mark.parametrize(
    ("flag", "changes", "row", "time"),
    [
        ("ppo.py:cartpole", {}, "ppo 3 rates x 4 seeds 16 seeds 500,000 environment steps", "1.5"),
        ("ppo.py:cartpole", {"total_steps": 250_000}, "250,000 environment steps", "0.75 min"),
        ("ppo.py:one", {}, "ppo at 0.001 8 seeds", "nobody has timed configs/ppo.py:one"),
        (
            "ppo.py:breakout_gpu",
            {},
            "10,000,000",
            "nobody has timed configs/ppo.py:breakout_gpu, which is for a GPU",
        ),
        ("dante.py:tiny", {"num_steps": 500}, "gpt 3 rates x 2 seeds 6 seeds 500 steps", "1.2 min"),
        ("yahoo.py:quick", {}, "tfidf 6 seeds solved at once", "about 1 min"),
    ],
)
def test_each_kind_of_run_has_its_own_measure(workdir, flag, changes, row, time):
    found = lines(workdir, flag, **changes)
    assert any(row in line for line in found), found
    assert time in found[-1]


def test_what_no_seeds_can_decide_is_said(workdir):
    assert any(
        "cannot be decided" in line for line in lines(workdir, "rescnn.py:digits", seeds=(0,))
    )


def test_arms_and_depths_of_those_timed_take_their_share(workdir):
    some = lines(workdir, "rescnn.py:digits", depths=(5, 25), side_arms=())
    # plain and residual at two depths: 48 runs, halved to 5 / 9, and 32; 4.6 minutes times 59 / 265
    assert some[-1].startswith("about 1 min on 2 CPU cores, where a step costs")


def changed(flag, **changes):
    """Return what the last line says of a config with some keys changed, dotted as `a__b`."""
    name, _, argument = flag.partition(".py:")
    config = importlib.import_module(f"configs.{name}").get_config(argument)
    for key, value in changes.items():
        *groups, last = key.split("__")
        functools.reduce(lambda group, name: group[name], groups, config)[last] = value
    return lines(Path("nowhere"), flag, **dict(config.items()))[-1]


@pytest.mark.parametrize(
    ("flag", "changes", "minutes"),
    [
        ("rescnn.py:digits", {"model__width": 64}, "4.6 min"),
        ("rescnn.py:digits", {"depths": (1, 5, 10, 25, 50)}, "4.6 min"),
        ("rescnn.py:digits", {"data__val_fraction": 0.3, "num_epochs": 2}, "4.6 min"),
        ("rescnn.py:smoke", {"side_arms": ("plain+dirac",)}, "seconds"),
        ("ppo.py:cartpole", {"env__name": "Acrobot-v1"}, "1.5 min"),
        ("cam.py:quick", {"num_scored": 2}, "1 min"),
        ("cam.py:quick", {"made__model__width": 8}, "1 min"),
    ],
)
def test_what_nobody_has_timed_is_not_told_as_measured(flag, changes, minutes):
    assert changed(flag, **changes) == (
        f"nobody has timed this; configs/{flag} as it is written takes {minutes} on 2 CPU cores"
    )


def test_a_study_made_first_that_is_shortened_takes_its_share():
    half = changed("cam.py:quick", made__num_epochs=6)
    assert half == (
        "about 0.5 min on 2 CPU cores, where a step costs what it costs in configs/cam.py:quick"
    )


def test_runs_on_data_that_are_not_here_are_counted_and_nothing_is_fetched(workdir, tmp_path):
    found = lines(workdir, "rescnn.py:cifar10", data_dir=tmp_path)
    assert "plain-25 5 rates x 2 seeds 6 seeds 20 epochs" in found
    assert found[-3] == (
        f"data.name: cifar10 is not in {tmp_path}/cifar10/<version>; "
        "leave out --dry_run to fetch it"
    )
    assert found[-1].endswith("configs/rescnn.py:cifar10, which is for a GPU")
    texts = lines(workdir, "yahoo.py:ag_news", data_dir=tmp_path)
    assert any(" runs: " in line for line in texts) and "ag_news_subset is not in" in texts[-3]
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_beside_data_that_are_not_here_is_refused(workdir, tmp_path):
    with pytest.raises(ConfigError, match="num_epochs: 0"):
        lines(workdir, "rescnn.py:cifar10", data_dir=tmp_path, num_epochs=0)
    with pytest.raises(ConfigError, match="lrs is empty"):
        lines(workdir, "ag_news.py:minilm", data_dir=tmp_path, lrs=())
    with pytest.raises(ConfigError, match=r"cifar10 is not in .* fetch it with --download$"):
        lines(workdir, "rescnn.py:cifar10", data_dir=tmp_path, download=False)


def test_a_preset_timed_on_data_that_are_not_here_is_no_measure(workdir, tmp_path):
    config = importlib.import_module("configs.mlp").get_config("mnist")
    config.data.name, config.data.test_fraction = "digits", 0.2
    found = lines(workdir, "mlp.py:mnist", data_dir=tmp_path, data=config.data)
    assert found[-1] == (
        "nobody has timed this; configs/mlp.py:mnist as it is written takes 2 min on 2 CPU cores"
    )


def test_what_a_run_would_refuse_is_refused(workdir):
    with pytest.raises(ConfigError, match="num_epochs: 0"):
        lines(workdir, "rescnn.py:smoke", num_epochs=0)
    with pytest.raises(ConfigError, match="--from is missing"):
        lines(workdir, "predict.py:predict")


def finish(workdir, run, seconds, **row):
    """Write a finished run into the record of a workdir."""
    path = record_file(workdir, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    stage, group, last = run.split("/")
    seed = int(last.rpartition("seed")[2])
    identity = {"run": run, "stage": stage, "group": group, "seed": seed, "lr": 0.01}
    path.write_text(json.dumps(identity | {"done": True, "train_seconds": seconds} | row) + "\n")


def test_an_unfinished_study_is_timed_by_its_own_runs(tmp_path):
    workdir = tmp_path / "run"
    total = next(
        int(line.split()[0]) for line in lines(workdir, "rescnn.py:smoke") if " runs: " in line
    )
    finish(workdir, "select/plain-2/lr0.003-seed100", seconds=60.0)
    finish(workdir, "select/plain-4/lr0.003-seed100", seconds=180.0)
    finish(workdir, "final/another-9/seed0", seconds=1.0)  # of no arm of this study
    found = lines(workdir, "rescnn.py:smoke")
    assert any(line.endswith("; 2 of them are done") for line in found)
    # one at a time on the four devices of the tests: plain-2 has 3 runs left, plain-4 has 3, and
    # the others cost what a step costs on average, 120 seconds a run
    minutes = 3 * 1 + 3 * 3 + (total - 8) * 2
    assert found[-1] == f"about {minutes} min on this machine, as its 2 finished runs took"


def test_a_finished_study_would_be_drawn_again(tmp_path):
    workdir = tmp_path / "run"
    for seed in (0, 1):
        finish(workdir, f"final/ppo/seed{seed}", seconds=None)
    found = lines(workdir, "ppo.py:one", seeds=(0, 1))
    assert found[0].endswith("; all of them are done")
    assert found[-1] == "seconds: nothing is left to be trained"


def write_config(workdir, flag, data):
    """Write the `config.json` of a workdir that was begun on some data."""
    name, _, argument = flag.partition(".py:")
    config = importlib.import_module(f"configs.{name}").get_config(argument).to_dict()
    workdir.mkdir(parents=True)
    text = json.dumps({"config": config, "data": data, "launches": []})
    (workdir / "config.json").write_text(text)


def test_a_workdir_that_was_begun_on_other_data_is_refused(tmp_path):
    write_config(tmp_path / "run", "ppo.py:one", {"name": "Acrobot-v1"})
    with pytest.raises(ConfigError, match=r"begun on other data .name was Acrobot-v1, is CartPole"):
        lines(tmp_path / "run", "ppo.py:one")
    write_config(tmp_path / "same", "ppo.py:one", {"name": "CartPole-v1"})
    assert lines(tmp_path / "same", "ppo.py:one")[-1] == "nobody has timed configs/ppo.py:one"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("predict.py:smoke", "would show again what {} holds"),
        ("gpt2.py:smoke", "would show again what {} holds"),
        ("compare.py:smoke", "would draw the report of {} again"),
    ],
)
def test_what_a_workdir_alone_would_do_is_told(tmp_path, flag, words):
    workdir = tmp_path / "run"
    write_config(workdir, flag, {})
    command = find_experiment(flag.partition(".")[0])
    assert dry_run.drawn(command, workdir) == words.format(workdir)


def test_a_command_says_what_it_makes_first_and_what_then(workdir):
    found = lines(workdir, "cam.py:quick")
    assert found[0] == (
        f"first the study in {workdir}/study, 6 runs: 0 choose learning rates, 6 are compared"
    )
    assert any(line.startswith("then draw and judge maps of test images") for line in found)
    assert found[-1] == "about 1 min on 2 CPU cores, as measured"
    compared = lines(workdir, "compare.py:smoke")
    firsts = [line for line in compared if line.startswith("first the study in")]
    assert len(firsts) == 2 and f"{workdir}/studies/he" in firsts[0]
    (told, place, _) = lines(workdir, "gpt2.py:smoke")
    assert told.startswith("cut a sentence") and place == f"workdir: {workdir}"


def test_a_command_that_makes_no_study_tells_the_time_of_its_preset(workdir):
    assert lines(workdir, "gpt2.py:smoke")[-1] == "seconds on 2 CPU cores, as measured"
    assert lines(workdir, "gpt2.py:smoke", num_tokens=9)[-1] == (
        "configs/gpt2.py:smoke as it is written takes seconds on 2 CPU cores"
    )


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "run")
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(ConfigError, match="cannot be written"):
        check_writable(tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("flag", "time"), [("rescnn.py:digits", "4.6"), ("mlp.py:digits", "")])
def test_a_preset_as_it_is_written_was_measured(workdir, flag, time):
    found = lines(workdir, flag)[-1]
    assert found.startswith(f"about {time}") and found.endswith(" min on 2 CPU cores, as measured")


def test_a_preset_is_found_in_any_argument():
    names = [
        duration.preset_of(f"configs/{flag}")[0]
        for flag in ("rescnn.py", "rescnn.py:digits", "rescnn.py:depth=50,preset=digits")
    ]
    assert names == ["configs/rescnn.py:cifar10", DIGITS, DIGITS]
