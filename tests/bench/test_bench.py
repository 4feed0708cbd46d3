"""The benchmarks beside PyTorch compare equal functions in turns, and say what they found."""

import importlib.util
import itertools
import subprocess
import sys
import types

import jax
import numpy as np
import pytest
from launching import ROOT, environment

from bench import encoders, language, processes, vision

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs requirements-bench.txt"
)


def bench(module, *words):
    command = (sys.executable, "-m", f"bench.{module}", *words)
    how = {"cwd": ROOT, "env": environment(), "timeout": 300}
    return subprocess.run(command, capture_output=True, text=True, check=False, **how)


@needs_torch
@pytest.mark.parametrize("name", vision.NETS)
def test_both_sides_compute_the_same_function_with_the_same_parameters(name):
    import torch

    from bench import torch_nets

    net = vision.NETS[name]
    task = vision.our_task(net)
    params, model_state = task.init_fn(jax.random.key(0))
    rng = np.random.default_rng(0)

    def shake(leaf):
        factor = rng.uniform(0.8, 1.2, leaf.shape).astype(np.float32)
        return np.asarray(leaf) * factor + np.float32(0.01)

    params = jax.tree.map(shake, params)
    statistics = jax.tree.map(shake, model_state.get("batch_stats", {}))
    model = torch_nets.make(name)
    assert sum(p.numel() for p in model.parameters()) == task.facts["num_params"]
    torch_nets.copy(model, params, statistics)
    images = vision.synthetic(net)[0][:5]
    model.eval()
    with torch.no_grad():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        theirs = model((x - vision.MEAN) / vision.STD).numpy()
    variables = {"params": params, **model_state}
    if statistics:
        variables["batch_stats"] = statistics
    module = vision.our_module(net)
    ours = np.asarray(module.apply(variables, images / np.float32(255), train=False)[0])
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4 * np.abs(theirs).max())


@needs_torch
@pytest.mark.parametrize("name", ["digits_cnn", "resnet20"])
def test_maps_are_those_of_pytorch_grad_cam(name):
    import torch

    pytest.importorskip("pytorch_grad_cam")
    from bench import maps, torch_nets

    net = vision.NETS[name]
    params, model_state = vision.our_task(net).init_fn(jax.random.key(0))
    model = torch_nets.make(name).eval()
    torch_nets.copy(model, params, model_state.get("batch_stats", {}))
    x = maps.images_of(net)[:6]
    ours = maps.our_maps(vision.our_module(net), {"params": params, **model_state})(x)
    for choice in maps.settings_of("torch")[:: 5 if name == "resnet20" else 1]:
        theirs = maps.torch_maps(model, choice, vision.MEAN, vision.STD)(x)
        assert ours.shape == theirs.shape == (6, 10, *net.shape[:2])
        # They resize by OpenCV after scaling to [0, 1], and scale again; near the edge of an image
        # the two differ by rounding.
        np.testing.assert_allclose(ours, theirs, atol=5e-3)
    assert torch.is_tensor(model.head.weight)


@needs_torch
@pytest.mark.parametrize("name", ["digits_cnn", "resnet20"])
def test_detectors_give_the_same_scores_on_both_sides(name, monkeypatch):
    from bench import detectors, torch_nets

    monkeypatch.setattr(detectors, "TRAINED_ON", {16: 300, 64: 300})
    net, setting = vision.NETS[name], {"threads": 1, "layout": "channels last"}
    params, model_state = vision.our_task(net).init_fn(jax.random.key(0))
    # So that the network is not sure, and images differ in every score.
    params["head"]["kernel"] = np.asarray(params["head"]["kernel"]) / 5
    model = torch_nets.make(name).eval()
    torch_nets.copy(model, params, model_state.get("batch_stats", {}))
    images = detectors.images_of(net)[:12]
    our_scores = detectors.our_scores(vision.our_module(net), {"params": params, **model_state})
    ours = detectors.in_batches(our_scores, images, 6)
    their_scores = detectors.torch_scores(model, setting, vision.MEAN, vision.STD)
    theirs = detectors.in_batches(their_scores, images, 12)
    assert ours.shape == theirs.shape == (9, 12)
    # Where a pixel hardly matters, the sign of its gradient is that of rounding; the relative
    # distance is a difference of large ones.
    rounding = {"odin": 1e-3, "relative_mahalanobis": 2e-3}
    for detector, found, expected in zip(detectors.DETECTORS, ours, theirs, strict=True):
        close = rounding.get(detector, 1e-4)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=close, err_msg=detector)
        assert np.ptp(found) > 10 * close + 1e-3 * np.abs(found).max(), detector


@needs_torch
@pytest.mark.parametrize("name", ["digits_cnn", "resnet20"])
def test_attacks_lead_to_the_same_images_on_both_sides(name):
    pytest.importorskip("foolbox")
    from bench import attacks, torch_nets

    net, how = vision.NETS[name], {"threads": 1, "layout": "channels last"}
    params, model_state = vision.our_task(net).init_fn(jax.random.key(0))
    # So that the network is not sure, and its loss has a gradient.
    params["head"]["kernel"] = np.asarray(params["head"]["kernel"]) / 5
    variables = {"params": params, **model_state}
    x, labels = (given[:6] for given in attacks.images_of(net))
    ours = attacks.our_attack(vision.our_module(net), variables, random_start=False)
    ours = attacks.in_batches(ours, x, labels, 3)
    for by in ("loop", "foolbox"):
        model = torch_nets.make(name).eval()
        torch_nets.copy(model, params, model_state.get("batch_stats", {}))
        given = model, how | {"by": by}, vision.MEAN, vision.STD
        theirs = attacks.torch_attack(*given, random_start=False)
        theirs = attacks.in_batches(theirs, x, labels, 6)
        # Where a pixel hardly matters, the sign of its gradient is that of rounding.
        apart = np.abs(ours - theirs) > 1e-5
        assert ours.shape == theirs.shape and apart.mean() < 0.02, by
        assert np.abs(ours - x).max() > 0.99 * attacks.EPSILON


@needs_torch
def test_a_short_run_prints_the_ratio():
    answer = bench("vision", "--nets=mlp", "--rounds=1", "--seconds=0.2")
    assert answer.returncode == 0, answer.stderr
    assert "| mlp | 128 |" in answer.stdout and "torch: " in answer.stdout


def test_what_is_measured_is_warm_and_counted_in_units(monkeypatch):
    asked, now = [], [0.0]

    def work_of(side, job, setting):
        def take(n):
            asked.append(n)
            now[0] += 0.002 * n
            return 2 * n  # more than it was asked for

        return take

    monkeypatch.setattr(processes, "keep_freed_memory", lambda: asked.append("kept"))
    monkeypatch.setattr(processes, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(processes, "spent", lambda: np.array((now[0], now[0] / 2)))
    job, setting = vision.Job("mlp"), {"heap": "keep"}
    found = processes.measure("ours", job, setting, 0.1, work_of, lambda job: 100)
    assert asked == ["kept", 1, 1, 3, 9, 100]
    assert found.pop("gib") > 0
    assert found == pytest.approx({"wall": 100_000, "cpu": 200_000, "first": 0.002})


@pytest.mark.parametrize(
    "rows, whole, taken, calls", [(4, False, 6, [4, 2]), (4, True, 8, [4, 4]), (4, False, 4, [4])]
)
def test_our_steps_go_in_calls_of_one_shape(rows, whole, taken, calls, monkeypatch):
    from dla_jax.training import steps

    task, found = vision.our_task(vision.NETS["mlp"]), []

    def run_steps(state, data, batches, count, key, **rest):
        found.append((len(batches["index"]), count))
        return state, {}, {}

    monkeypatch.setattr(steps, "run_steps", run_steps)
    assert processes.training(task, rows, whole)(taken - whole) == taken
    assert found == [(rows, count) for count in calls]


def test_each_side_s_best_setting_is_found_and_the_sides_take_turns(monkeypatch, capsys):
    rates = {"ours": {"default": 3.0, "keep": 2.0}, "torch": {"default": 1.0, "keep": 4.0}}
    runs = []

    def run_once(name, side, job, setting, seconds):
        runs.append((side, setting["heap"], seconds))
        return {"wall": rates[side][setting["heap"]]}

    monkeypatch.setattr(processes, "run_once", run_once)
    settings_of = lambda side, job: [{"heap": "default"}, {"heap": "keep"}]
    job = language.Job("train", "gpt", 2)
    found = processes.compare("language", job, settings_of, 3, 6.0)
    tried = itertools.product(("ours", "torch"), ("default", "keep"), (2.0,))
    assert runs[:4] == list(tried)
    ours, theirs = ("ours", "default", 6.0), ("torch", "keep", 6.0)
    assert runs[4:] == [ours, theirs, theirs, ours, ours, theirs]
    assert found["job"] == job
    assert found["best"] == {"ours": {"heap": "default"}, "torch": {"heap": "keep"}}
    assert found["pairs"] == 3 * [{"ours": {"wall": 3.0}, "torch": {"wall": 4.0}}]
    said = capsys.readouterr().err.splitlines()
    assert said == [f"train gpt, 2 cores: round {i}: 0.75" for i in (1, 2, 3)]


def test_settings_are_all_combinations_without_repeats(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert processes.settings() == [{"heap": "default"}, {"heap": "keep"}]
    found = processes.settings(threads=(2, 2), compiled=(False, True))
    pairs = itertools.product(("default", "keep"), (False, True))
    assert found == [{"heap": heap, "threads": 2, "compiled": c} for heap, c in pairs]


def test_a_measurement_that_fails_ends_the_benchmark_with_its_last_line():
    told = r"bench.vision: ours mpl {'heap': 'default'} failed: KeyError: 'mpl'"
    with pytest.raises(SystemExit, match=told):
        processes.run_once("vision", "ours", vision.Job("mpl"), {"heap": "default"}, 0.1)


WRONG = [
    ("vision", "mlp", ("--nets=mpl",)),
    ("vision", "mlp", ("--rounds=0",)),
    ("vision", "mlp", ("--nets=mlp", "--seconds=-1")),
    ("language", "gpt, tiny_llama, small_llama", ("--nets=gtp",)),
    ("encoders", "minilm, base", ("--nets=mini",)),
    ("tracing", "digits, resnet20", ("--rounds=0",)),
    ("landscape", "digits, resnet20", ("--nets=digit",)),
]


@pytest.mark.parametrize("module, nets, words", WRONG)
def test_wrong_input_exits_with_2_and_one_line(module, nets, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"bench.{module}", *words])
    with pytest.raises(SystemExit) as exit:
        importlib.import_module(f"bench.{module}").main()
    said = capsys.readouterr().err
    assert exit.value.code == 2 and len(said.splitlines()) == 1 and nets in said


def test_a_benchmark_is_a_program_that_ends_where_its_input_is_wrong():
    answer = bench("vision", "--nets=mpl")
    assert answer.returncode == 2 and "mlp" in answer.stderr and not answer.stdout


@pytest.mark.parametrize("module", [vision, language, encoders])
def test_without_pytorch_it_says_what_to_install(module, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", [module.__name__])
    with pytest.raises(SystemExit) as exit:
        module.main()
    assert exit.value.code == 2
    assert "pip install -r requirements-bench.txt" in capsys.readouterr().err
