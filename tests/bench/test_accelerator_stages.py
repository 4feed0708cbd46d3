"""The stages of the command for an accelerator: what they count, ask for and answer."""

import json
import math
import subprocess
import sys

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import LOOPS, ROOT, environment

from bench import accelerator_rates, accelerator_stages, accelerator_studies, processes, vision
from bench.accelerator_rows import Asked
from bench.accelerator_stages import STAGES
from dla_jax import commands
from dla_jax.config.workdir import Launch
from dla_jax.front import request
from dla_jax.rl import loop
from dla_jax.tasks import image_classifier
from dla_jax.training.mesh import data_mesh

STUDIES = ("resnet20", "resnet18", "depths", "resnet34", "dante", "shakespeare", "breakout")


def products_of(function, *arguments):
    return accelerator_rates.products(jax.make_jaxpr(function)(*arguments).jaxpr)


def test_products_are_counted_as_in_closed_form():
    x, w = jnp.ones((3, 5, 7)), jnp.ones((3, 7, 11))
    assert products_of(jnp.matmul, x, w) == 2 * 3 * 5 * 7 * 11
    image, kernel = jnp.ones((2, 8, 8, 6)), jnp.ones((3, 3, 2, 12))
    names = ("NHWC", "HWIO", "NHWC")
    apply = lambda stride, groups: (
        lambda image: jax.lax.conv_general_dilated(
            image,
            kernel,
            (stride, stride),
            "SAME",
            dimension_numbers=names,
            feature_group_count=groups,
        )
    )
    for stride, places in ((1, 64), (2, 16)):
        forward = 2 * 2 * places * 12 * (3 * 3 * 2)
        assert products_of(apply(stride, 3), image) == forward
    one = lambda image: jax.lax.conv_general_dilated(
        image, jnp.ones((3, 3, 6, 12)), (2, 2), "SAME", dimension_numbers=names
    )
    back = products_of(jax.grad(lambda image: one(image).sum()), image)
    forward = 2 * 2 * 16 * 12 * (3 * 3 * 6)
    assert forward <= back <= 2 * forward  # the kernel's gradient is not asked for


def test_a_scan_counts_as_often_as_it_runs_and_of_branches_the_dearest():
    w = jnp.ones((4, 4))
    once = 2 * 4 * 4 * 4
    scanned = lambda w: jax.lax.scan(lambda carry, _: (carry @ w, None), w, length=5)[0]
    assert products_of(scanned, w) == products_of(jax.jit(scanned), w) == 5 * once
    branch = lambda w: jax.lax.cond(w[0, 0] > 0, lambda: w @ w @ w, lambda: w @ w)
    assert products_of(branch, w) == 2 * once


def test_a_step_of_the_mlp_has_the_products_of_its_layers():
    net = vision.NETS["mlp"]
    forward = [784 * 128, 128 * 64, 64 * 10]
    expected = 2 * net.batch_size * (3 * sum(forward) - forward[0])  # pixels have no gradient
    assert accelerator_rates.step_flops(vision.our_task(net)) == expected


def test_a_step_of_resnet_20_has_about_three_forward_passes(monkeypatch):
    start = lambda key, model, shape: drawn.variables_of(model, (1, *shape))
    monkeypatch.setattr(image_classifier, "init_variables", start)  # it would be compiled
    net = vision.NETS["resnet20"]
    found = accelerator_rates.step_flops(vision.our_task(net)) / net.batch_size
    # He et al. 2015: 40.8 million multiplications an image
    assert found == pytest.approx(3 * 2 * 40.8e6, rel=0.06)


def test_calls_are_timed_until_they_last_long_enough(monkeypatch):
    now, calls = [0.0], []

    class Out:
        def block_until_ready(self):
            now[0] += 0.25 * len(calls)
            calls.clear()

    monkeypatch.setattr(accelerator_rates.time, "perf_counter", lambda: now[0])
    call = lambda: calls.append(1) or Out()
    assert accelerator_rates.seconds_a_call(call, 10.0) == pytest.approx(0.25)
    assert now[0] >= 10


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return what a stage is asked for; studies that it asks for are checked, and not run."""
    monkeypatch.setattr(loop, "data_mesh", lambda: data_mesh(jax.devices()[:1]))
    for name in ("dante", "shakespeare"):
        (tmp_path / f"{name}.txt").write_text("Nel mezzo del cammin di nostra vita. " * 4000)
    return Asked(tmp_path, tmp_path / "work")


@pytest.fixture
def not_run(monkeypatch):
    """Check the studies that stages ask for, and answer what runs could have reached."""
    found = {}

    def runs_of(asked, name, config, **changes):
        config = request.read(config, changes)
        request.prepare(config, changes)
        launch = Launch(asked.work, None, asked.data_dir, False, True)
        if config.experiment in ("language", "agents"):
            commands.find_experiment(config.experiment).check(config, launch)
        found[name] = config
        return list(rows(config))

    def rows(config):
        groups = [name for key in ("networks", "arms") if key in config for name in config[key]]
        if "depths" in config:
            groups = [f"{arm}-{depth}" for arm in config.arms for depth in config.depths]
        for place, group in enumerate(groups):
            for seed in config.seeds:
                value = 0.9 + 0.01 * place + 0.001 * seed
                rest = dict.fromkeys(RATES, 100.0) | {"best_ngram_order": 4}
                above = {"above_ngram": -0.04 - 0.02 * seed, "eval_return": 28.0}
                nats = {"nats_per_char": 1.4 + 0.1 * seed}
                yield {"group": group, "test_accuracy": value} | rest | above | nats

    monkeypatch.setattr(accelerator_studies, "runs_of", runs_of)
    return found


RATES = (
    "train_seconds",
    "examples_per_s",
    "seconds_per_epoch",
    "tokens_per_s",
    "env_steps_per_s",
)


def answers(name, asked):
    return {found["what"]: found for found in STAGES[name].work(asked)}


@pytest.mark.parametrize("tiny", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_studies_are_ones_that_can_be_run(name, tiny, asked, not_run):
    found = answers(name, asked._replace(tiny=tiny))
    assert found and all(math.isfinite(entry["value"]) for entry in found.values())
    for config in not_run.values():
        on = config.data.name if "data" in config and "name" in config.data else ""
        assert on in (("digits", "") if tiny else ("cifar10", ""))


def test_aims_are_those_that_are_known(asked, not_run):
    aims = {}
    for name in STUDIES:
        for what, entry in answers(name, asked).items():
            if entry["aim"]:
                aims[what] = entry["aim"], entry["met"]
    assert aims == {
        "ResNet-20, 30 epochs, test accuracy": ("at least 90.5", False),
        "ResNet-18, 12 epochs, test accuracy": ("at least 94", False),
        "ResNet-18, 24 epochs, test accuracy": ("at least 94", False),
        "GPT on Dante, below the best n-gram": ("at least 0.05", False),  # one of two seeds
        "GPT on Shakespeare": ("at most 1.48", True),
        "Breakout, return after training": ("at least 28", True),
    }
    assert not_run["he-20-30-epochs"].num_epochs == 30
    assert not_run["breakout"].total_steps == 10_000_000
    assert not_run["depths"].depths == (9, 17, 48) and not_run["depths"].seeds == (0, 1, 2)
    assert set(not_run["resnet34"].networks) == {"convnet", "resnet"}
    assert not_run["dante"].data.path == str(asked.data_dir / "dante.txt")


def test_the_table_of_depths_has_means_over_seeds_and_what_skips_bring(asked, not_run):
    found = answers("depths", asked)
    assert len(found) == 9
    assert found["plain, depth 17, test accuracy"]["value"] == pytest.approx(91.1)
    assert found["residual, depth 9, test accuracy"]["value"] == pytest.approx(93.1)
    assert found["skips at depth 9"]["value"] == pytest.approx(3.0)
    pairs = answers("resnet34", asked)
    assert abs(pairs["skips, in pairs"]["value"]) == pytest.approx(1.0)


def test_rates_are_rehearsed(asked):
    found = answers("rates", asked._replace(tiny=True))
    known = ["matrix product, bfloat16", "matrix product, float32"]
    assert all(found[name]["value"] > 0 for name in [*known, "copy, read and written"])
    assert "jax" in found["devices"]["note"]


@pytest.mark.slow
def test_lander_and_vision_are_rehearsed(asked, monkeypatch):
    (played,) = STAGES["lander"].work(asked._replace(tiny=True))
    assert played["value"] > 0 and played["what"] == "LunarLander, copies: 64"
    monkeypatch.setattr(processes, "measure", lambda *_: {"wall": 1000.0, "first": 1.0})
    monkeypatch.setattr(accelerator_stages, "without_torch", lambda *_: "not here")
    found = answers("vision", asked._replace(tiny=True, rates={"float32": 0.01}))
    done = 1000 * (6 * (784 * 128 + 128 * 64 + 64 * 10) - 2 * 784 * 128) / 1e12
    assert found["mlp, of its products"]["value"] == pytest.approx(done)
    assert found["mlp, of the rate of matrix products"]["value"] == pytest.approx(1e4 * done)
    assert "beside PyTorch: not here" in found


def test_pytorch_comes_after_ours_and_what_fails_there_is_said(asked, monkeypatch):
    asked_of = []

    def run_once(name, side, job, setting, seconds):
        asked_of.append((name, side, job.net, setting["layout"]))
        if job.net == "cnn17":
            sys.exit("out of memory")
        return {"wall": 500.0}

    monkeypatch.setattr(processes, "measure", lambda *_: {"wall": 1000.0, "first": 1.0})
    monkeypatch.setattr(processes, "run_once", run_once)
    monkeypatch.setattr(accelerator_stages, "without_torch", lambda *_: "")
    monkeypatch.setattr(accelerator_stages, "step_flops", lambda task: 0)
    monkeypatch.setattr(vision, "our_task", lambda net: None)
    found = answers("vision", asked)
    assert [net for *_, net, _ in asked_of] == ["mlp", "resnet20", "cnn17"]
    assert found["resnet20, ours / PyTorch"]["value"] == 2 and found["mlp, ours / PyTorch"]["met"]
    assert found["cnn17, PyTorch"]["note"] == "out of memory"


@pytest.mark.slow
def test_every_stage_is_rehearsed(tmp_path):
    command = (sys.executable, "-m", "bench.accelerator", "--tiny", "--budget=1h")
    how = {"cwd": ROOT, "env": environment(**LOOPS), "capture_output": True, "text": True}
    answer = subprocess.run((*command, f"--out={tmp_path / 'out'}"), check=False, **how)
    assert answer.returncode == 0, answer.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())["stages"]
    assert list(found) == list(STAGES)
    assert all(entry["state"] == "done" and entry["rows"] for entry in found.values())
    assert np.sum([path.stat().st_size for path in (tmp_path / "out").iterdir()]) < 100_000
