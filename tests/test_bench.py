"""The benchmark compares the same functions, and says what is missing."""

import importlib.util
import subprocess
import sys

import jax
import numpy as np
import pytest
from launching import ROOT, environment

from bench import vision

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs requirements-bench.txt")


def bench(*words):
    command = (sys.executable, "-m", "bench.vision", *words)
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=300)


@needs_torch
@pytest.mark.parametrize("name", vision.NETS)
def test_both_sides_compute_the_same_function_with_the_same_parameters(name):
    import torch

    from bench import torch_nets

    net = vision.NETS[name]
    setting, story = vision.our_setting(net)
    params, model_state = story.init_fn(jax.random.key(0))
    rng = np.random.default_rng(0)
    shake = lambda leaf: np.asarray(leaf) * rng.uniform(0.8, 1.2, leaf.shape).astype(np.float32) + np.float32(0.01)  # noqa: E731
    params, statistics = jax.tree.map(shake, params), jax.tree.map(shake, model_state.get("batch_stats", {}))
    model = torch_nets.make(name)
    assert sum(p.numel() for p in model.parameters()) == story.facts["num_params"]
    torch_nets.copy(model, params, statistics)
    images = vision.synthetic(net)[0][:5]
    model.eval()
    with torch.no_grad():
        theirs = model((torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - vision.MEAN) / vision.STD).numpy()
    module = vision.our_module(net, setting)
    state = {**model_state, **({"batch_stats": statistics} if statistics else {})}
    ours = np.asarray(module.apply({"params": params, **state}, images / np.float32(255), train=False)[0])
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4 * np.abs(theirs).max())


@needs_torch
def test_a_short_run_prints_the_ratio():
    answer = bench("--nets=mlp", "--rounds=1", "--seconds=0.2")
    assert answer.returncode == 0, answer.stderr
    assert "| mlp | 128 |" in answer.stdout and "torch: " in answer.stdout


@pytest.mark.parametrize("words", [("--nets=mpl",), ("--rounds=0",), ("--nets=mlp", "--seconds=-1")])
def test_wrong_input_exits_with_2(words):
    answer = bench(*words)
    assert answer.returncode == 2 and "Traceback" not in answer.stderr and "mlp" in answer.stderr


def test_without_pytorch_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["bench.vision"])
    with pytest.raises(SystemExit) as exit:
        vision.main()
    assert exit.value.code == 2 and "pip install -r requirements-bench.txt" in capsys.readouterr().err


def test_the_table_of_tracing_gives_ratios_of_rounds():
    from bench import tracing

    found = {"untraced": np.array([[10.0, 20.0], [10.0, 20.0]]), "traced": np.array([[11.0, 24.0], [11.0, 24.0]]),
             "traced, row written": np.array([[12.0, 30.0], [12.0, 30.0]]), "probe": np.array([[25.0, 50.0], [25.0, 50.0]])}  # fmt: skip
    row = tracing.table({"digits": found}).splitlines()[-1]
    assert row == ("| digits | 10.0 / 20.0 | 1.10 (1.10 to 1.10) / 1.20 (1.20 to 1.20) | 1.20 (1.20 to 1.20) / 1.50 (1.50 to 1.50) "
                   "| 1.10 (1.10 to 1.10) / 1.10 (1.10 to 1.10) |")  # fmt: skip
