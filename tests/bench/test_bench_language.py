"""The benchmark of decoders compares the same functions."""

import importlib.util

import jax
import numpy as np
import pytest
from launching import environment

from bench import language, processes
from dla_jax.tasks import sampling

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs requirements-bench.txt"
)


def shaken(params):
    """Return parameters of which none is 0 or 1, so that a copy to the wrong place shows.

    They are so large that a greedy text is not one token again and again.
    """
    rng = np.random.default_rng(0)

    def shake(leaf):
        embedding = len(leaf) == len(language.ALPHABET)
        noise = rng.normal(0, 0.02 if embedding else 1.6 / np.sqrt(len(leaf)), leaf.shape)
        return (np.asarray(leaf) * rng.uniform(0.8, 1.2, leaf.shape) + noise).astype(np.float32)

    return jax.tree.map(shake, params)


@needs_torch
@pytest.mark.parametrize("name", language.NETS)
def test_both_sides_compute_and_write_the_same_with_the_same_parameters(name):
    import torch

    from bench import torch_decoders
    from dla_jax.tasks.language_model import init_params

    net = language.NETS[name]
    net = net._replace(model=net.model | {"n_layer": 2})  # each layer has the same parts
    model = language.our_module(net, net.model["block_size"])
    params = shaken(init_params(jax.random.key(0), model=model))
    theirs = torch_decoders.make(model.config)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert sum(p.numel() for p in theirs.parameters()) == size
    torch_decoders.copy(theirs, params)
    tokens = language.synthetic()[: 2 * net.model["block_size"]].reshape(2, -1)
    with torch.no_grad():
        found = theirs(torch.from_numpy(tokens).long()).numpy()
    expected = jax.jit(lambda params: model.apply({"params": params}, tokens)[0])(params)
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=0)

    count, greedy = 40, sampling.Sampler(0.0)
    key = jax.random.key(0)
    written = sampling.sample(model, params, language.PROMPT, count, 1, key, greedy)
    again = torch_decoders.write(theirs, torch.from_numpy(language.PROMPT).long(), count, 0.0)
    np.testing.assert_array_equal(written[0], again.numpy())
    assert len(set(written[0].tolist())) > 3


@needs_torch
@pytest.mark.parametrize("task", ["train", "write"])
@pytest.mark.parametrize("side", ["ours", "torch"])
def test_a_short_measurement(task, side, monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    job = language.Job(task, "small_llama", 1)
    setting = language.settings_of(side, job)[0]
    found = processes.run_once("language", side, job, setting, 0.1)
    assert found.keys() == {"wall", "cpu", "first", "gib"} and min(found.values()) > 0


def test_the_step_is_the_study_s_with_clipping_and_a_constant_rate():
    net = language.NETS["tiny_llama"]
    task, config = language.our_task(net), language.our_config(net)
    assert config.optim.clip_norm == 1.0 and config.model.dropout == 0.0
    assert task.plan.steps_per_call == 50
    assert task.facts["vocab_size"] == 65 and task.batch_at(3)["index"].shape == (8, 65)
