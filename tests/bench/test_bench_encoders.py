"""The benchmark of encoders compares the same functions on the same batches."""

import importlib.util

import drawn
import jax
import numpy as np
import pytest

from bench import encoders, processes
from dla_jax.models.bert import Encoder
from dla_jax.tasks import text_encoder
from dla_jax.training import mesh
from dla_jax.training.loop import stack_batches
from dla_jax.training.steps import init_state, run_steps

has_torch = importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")
needs_torch = pytest.mark.skipif(not has_torch, reason="needs requirements-bench.txt")
ONE_TEXT = np.zeros((1, 2), np.int32), np.full(1, 2)


def small(name, dropout=0.0):
    """Return a net of the benchmark with one thin layer and few words."""
    net, sizes = encoders.NETS[name], {"vocab_size": 300, "n_layer": 1, "n_head": 2}
    sizes |= {"n_embd": 16, "intermediate": 32}
    return net._replace(sizes=net.sizes._replace(dropout=dropout, **sizes), embedded=32)


def shaken(params):
    """Return parameters of which none is 0 or 1, so that a copy to the wrong place shows."""
    rng = np.random.default_rng(0)
    noise = lambda leaf: rng.normal(0, 0.05, leaf.shape).astype(np.float32)
    return jax.tree.map(lambda leaf: np.asarray(leaf) + noise(leaf), params)


@needs_torch
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", encoders.NETS)
def test_both_sides_embed_the_same_with_the_same_parameters(name, attention):
    from bench import torch_encoders

    net = small(name)
    params = shaken(text_encoder.init_encoder(jax.random.key(0), model=Encoder(net.sizes)))
    theirs = torch_encoders.Embedder(net.sizes, attention)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert sum(p.numel() for p in theirs.parameters()) == size
    torch_encoders.copy(theirs, net.sizes, params)
    found = torch_encoders.embedder(theirs, encoders.embedded_batches(net), "cpu", compiled=False)()
    assert found.shape == (encoders.FEW * 32, 16) and found.std(0).min() > 0.01
    np.testing.assert_allclose(
        encoders.our_vectors(net, params)(), found.numpy(), atol=1e-5, rtol=0
    )


@needs_torch
def test_both_sides_take_the_same_steps_from_the_same_parameters(monkeypatch):
    from bench import torch_encoders

    monkeypatch.setattr(encoders, "WIDTHS", (128,))  # of each width a step is compiled
    net = small("minilm")
    task = encoders.our_task(net)
    init_fn = lambda key: (shaken(task.init_fn(key)[0]), {})
    state, key = init_state(init_fn, task.tx, seed=0, lr=encoders.RATE, mesh=task.mesh)
    theirs = torch_encoders.Classifier(net.sizes, encoders.CLASSES, "sdpa")
    torch_encoders.copy_classifier(theirs, net.sizes, jax.device_get(state.params))
    batches, optim = encoders.trained_batches(net), encoders.our_config(net).optim
    step = torch_encoders.trainer(theirs, batches, "cpu", encoders.RATE, optim, compiled=False)
    found, losses = [step().item() for _ in range(6)], []
    how = {"tx": task.tx, "trace": task.trace, "mesh": task.mesh}
    for i in range(6):
        batch = stack_batches(task.batch_at, i, i + 1, 1)
        state, series, _ = run_steps(state, {}, batch, 1, key, loss_fn=task.loss_fn, **how)
        losses.append(series["train_loss"].item())
    np.testing.assert_allclose(losses, found, rtol=1e-4)
    assert len({round(loss, 3) for loss in losses}) > 3


@needs_torch
@pytest.mark.parametrize("name", encoders.NETS)
def test_both_sides_drop_the_same_share(name):
    import torch

    from bench import torch_encoders

    net = small(name, dropout=0.1)
    theirs = torch_encoders.Classifier(net.sizes, encoders.CLASSES, "sdpa")
    assert [m.p for m in theirs.modules() if isinstance(m, torch.nn.Dropout)] == [0.1] * 5
    assert encoders.our_config(net).model.dropout == 0.1


@pytest.fixture
def one_device(monkeypatch):
    """Let our side have one device, as the benchmark has it on a laptop."""
    one = mesh.data_mesh(jax.devices()[:1])
    monkeypatch.setattr(mesh, "data_mesh", lambda: one)


@pytest.mark.parametrize("task", ["embed", pytest.param("finetune", marks=pytest.mark.slow)])
@pytest.mark.parametrize("side", ["ours", pytest.param("torch", marks=needs_torch)])
def test_a_short_measurement(task, side, monkeypatch, one_device):
    monkeypatch.setattr(encoders, "WIDTHS", (128,))
    monkeypatch.setitem(encoders.NETS, "minilm", small("minilm"))
    # The first parameters are not what is measured, and to draw them takes as long to compile.
    begun = lambda key, *, model: drawn.params_of(model, *ONE_TEXT, size=0.1)
    monkeypatch.setattr(text_encoder, "init_encoder", begun)
    job = encoders.Job(task, "minilm", processes.cores())
    setting = encoders.settings_of(side, job)[0]
    found = processes.measure(side, job, setting, 0.1, encoders.work_of, encoders.units_of)
    assert found.keys() == {"wall", "cpu", "first", "gib"} and min(found.values()) > 0


def test_batches_are_few_from_short_to_long_and_alike_for_both_tasks():
    net = encoders.NETS["minilm"]
    for batches, size in (
        (encoders.embedded_batches(net), 64),
        (encoders.trained_batches(net), 16),
    ):
        shapes = [batch["token"].shape for batch in batches]
        assert shapes == [(size, width) for width in (32, 64, 64, 128)]
        for batch in batches:
            behind = np.arange(batch["token"].shape[1]) >= batch["length"][:, None]
            np.testing.assert_array_equal(batch["token"] == net.sizes.pad_id, behind)
    assert 50 < encoders.synthetic(net.sizes)[0].length.mean() < 55


def test_the_step_is_the_study_s_with_dropout_and_clipping_and_a_constant_rate():
    net = small("base", dropout=0.1)
    task, config = encoders.our_task(net), encoders.our_config(net)
    optim = config.optim
    assert task.plan.steps_per_call == 1 and config.model.dropout == 0.1
    assert config.encoder.pooling == "mean"
    assert (optim.name, optim.clip_norm) == ("adamw", 1.0)
    assert (optim.decayed, optim.weight_decay) == ("kernels", 0.01)
    assert optim.schedule == "constant" and optim.warmup_fraction == 0.0
    widths = [task.batch_at(step)["token"].shape[1] for step in range(5)]
    assert widths == [32, 64, 64, 128, 32]


def test_pytorch_s_best_is_sought_among_kinds_of_attention_and_compilers(monkeypatch):
    monkeypatch.setattr(encoders.shutil, "which", lambda name: None)
    job = encoders.Job("embed", "base", 1)
    settings = encoders.settings_of("torch", job)
    found = {(each["attention"], each["compiled"], each["threads"]) for each in settings}
    assert found == {("sdpa", False, 1), ("eager", False, 1)}
    monkeypatch.setattr(encoders.shutil, "which", lambda name: name)
    assert {s["compiled"] for s in encoders.settings_of("torch", job)} == {False, True}
    assert all(s.keys() == {"heap"} for s in encoders.settings_of("ours", job))
