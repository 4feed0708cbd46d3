"""The study of gradients: what stands in its record is what jax.grad and numpy say."""

import functools
import json

import jax
import numpy as np
import pytest
from gradient_tasks import config_of, loaded, module_of, start_of, task_of

from configs import gradients
from dla_jax.analysis.layer_gradients import statistics
from dla_jax.analysis.units import layers_of
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.evidence.rows import read_record
from dla_jax.studies.gradients.figures import clipped_once, twins_of
from dla_jax.studies.gradients.study import LIMITS, STUDY, histogram_steps
from dla_jax.studies.study import read_finished
from dla_jax.tasks.image_classifier import count_params
from dla_jax.tasks.image_data import split
from dla_jax.trials.arms import own_config


@pytest.fixture(scope="module")
def finished(smoke):
    """Return the workdir of the smoke preset and the rows of its runs."""
    workdir, _ = smoke("gradients")
    return workdir, read_record(workdir)


@functools.partial(jax.jit, static_argnames="loss_fn")
def gradient_of_a_step(params, model_state, batch, key, *, loss_fn):
    """Return (the gradient of a step's loss, what `statistics` says of it)."""
    loss = lambda params: loss_fn(params, model_state, batch, key)[0]
    grads = jax.grad(loss)(params)
    return grads, statistics(grads, params)


@functools.partial(jax.jit, static_argnames="model")
def gradient_of_the_probe(params, model_state, x, labels, *, model):
    """Return what `statistics` says of the gradient of the cross entropy, written out."""

    def probe_loss(params):
        variables = {"params": params, **model_state}
        (logits, _), _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return -jax.nn.log_softmax(logits)[np.arange(len(labels)), labels].mean()

    return statistics(jax.grad(probe_loss)(params), params)


def rows_of(rows, run):
    return [row for row in rows if row["run"] == run and not row.get("done")]


@pytest.mark.parametrize(
    "network", ["plain", "residual", "residual_clipped", "residual_frozen_norm"]
)
def test_the_record_holds_what_jax_grad_says_of_the_same_batch(finished, network):
    task, state, key = start_of(network, seed=1)
    own = rows_of(finished[1], f"final/{network}/seed1")
    index = task.batch_at(0)["index"]
    image_set = loaded().image_set
    batch = {"image": image_set.images[index], "label": image_set.labels[index]}
    given = jax.device_get((state.params, state.model_state))
    step_key = jax.random.fold_in(key, 0)
    told = gradient_of_a_step(*given, batch, step_key, loss_fn=task.loss_fn)
    grads, found = jax.device_get(told)
    assert [row["step"] for row in own[:3]] == [0, 1, 2]
    of_layers = ("layer_mean_abs", "layer_rms", "layer_var", "layer_relative")
    for name in (*of_layers, "stage_mean_abs", "stage_var", "stage_rms"):
        np.testing.assert_allclose(own[1][name], found[name], rtol=2e-3, atol=1e-9, err_msg=name)
    squares = [np.sum(np.square(leaf, dtype=np.float64)) for leaf in jax.tree.leaves(grads)]
    assert own[1]["grad_norm"] == pytest.approx(np.sqrt(sum(squares)), rel=1e-3)


@pytest.mark.parametrize(
    "network", ["plain", "residual", "residual_clipped", "residual_frozen_norm"]
)
def test_the_record_holds_what_jax_grad_says_of_the_probe_before_the_first_step(finished, network):
    _, state, _ = start_of(network, seed=1)
    first = rows_of(finished[1], f"final/{network}/seed1")[0]
    image_set = loaded().image_set
    index = split(config_of(network), image_set, 1)["train"][:64]
    model = module_of(network)
    x, labels = image_set.images[index] / np.float32(255), image_set.labels[index]
    params, model_state = jax.device_get((state.params, state.model_state))
    found = gradient_of_the_probe(params, model_state, x, labels, model=model)
    for name in ("layer_rms", "layer_relative", "stage_mean_abs"):
        np.testing.assert_allclose(first[f"probe_{name}"], found[name], rtol=2e-3, err_msg=name)
    layers = layers_of(state.params)
    assert first["layers"] == [layer.name for layer in layers]
    assert first["stages"] == [layer.stage for layer in layers]


def test_every_one_of_the_first_steps_has_a_row_and_every_tenth_step_a_probe(finished):
    own = rows_of(finished[1], "final/plain/seed0")
    steps_of = [row["step"] for row in own]
    assert steps_of[:21] == list(range(21)) and len(set(steps_of)) == len(steps_of)
    last = steps_of[-1]
    assert [row["step"] for row in own if "probe_layer_rms" in row] == list(range(0, last + 1, 10))
    assert all("layer_update_ratio" in row for row in own if row["step"])


def test_choosing_a_learning_rate_writes_no_traces(finished):
    selected = [
        row for row in finished[1] if row["run"].startswith("select/") and not row.get("done")
    ]
    assert selected and all(row["step"] == 1 or "val_accuracy" in row for row in selected)


def test_the_clipped_norm_is_at_most_the_threshold_in_every_step(finished):
    clipped = [
        row for row in finished[1] if row["run"].startswith("final/") and "clipped_norm" in row
    ]
    networks = {row["run"].split("/")[1] for row in clipped}
    assert networks == {"residual_clipped", "residual_no_norm"} and len(clipped) > 80
    assert all(row["clipped_norm"] <= 1 + 1e-5 for row in clipped)
    single = [row for row in clipped if 0 < row["step"] <= 20]
    for row in single:  # of one step each
        assert row["clipped_norm"] == pytest.approx(min(1.0, row["grad_norm"]), rel=1e-4)
    norms = [row["grad_norm"] for row in single]
    assert max(norms) > 1.5 and min(norms) < 0.9


def test_a_clipped_run_and_its_twin_see_the_same_first_gradient(finished):
    pair = ("residual", "residual_clipped")
    usual, clipped = (rows_of(finished[1], f"final/{network}/seed0")[1] for network in pair)
    assert usual["layer_rms"] == clipped["layer_rms"] and "clipped_norm" not in usual


def test_histograms_are_bounded_in_number():
    spread = histogram_steps(1000, 25, 20)
    assert spread <= set(range(0, 1001, 25)) and len(spread) <= 20
    assert len(histogram_steps(10**6, 1, 20)) <= 20 and histogram_steps(10, 25, 20) == {0}


def histograms_in(path):
    """Return {tag: histograms} of a file of TensorBoard."""
    from tensorboardX.proto.event_pb2 import Event

    data, seen, at = path.read_bytes(), {}, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        event = Event.FromString(data[at + 12 : at + 12 + length])
        for value in event.summary.value:
            if value.HasField("histo"):
                seen.setdefault(value.tag, []).append(value.histo)
        at += 16 + length
    return seen


def test_histograms_reach_tensorboard(finished):
    own = rows_of(finished[1], "final/residual/seed0")
    kept = [row for row in own if "layer_histogram" in row or "probe_layer_histogram" in row]
    last = [len(kept[-1][f"probe_{of}_histogram"]) for of in ("layer", "stage")]
    assert 1 <= len(kept) <= 3 and last == [6, 4]
    path = next((finished[0] / "tb" / "final" / "residual" / "seed0").glob("events*"))
    stem = histograms_in(path)["probe_layer_histogram/000"]
    assert len(stem) == len(kept) and stem[0].num == 9 * 4  # a 3x3 kernel from 1 to 4 channels
    assert sum(stem[0].bucket) == 36 and list(stem[0].bucket_limit) == LIMITS


def test_the_mistakes_are_shown_on_networks_that_differ_in_the_slip_alone(finished):
    found = read_finished(STUDY, finished[0])
    assert twins_of(found, "optim.clip_norm", 0.0) == [("residual_clipped", "residual")]
    shown = clipped_once(found, "residual_clipped", "residual")
    for name, network, key in (
        ("before", "residual", "grad_norm"),
        ("after", "residual_clipped", "clipped_norm"),
    ):
        rows = rows_of(finished[1], f"final/{network}/seed0")
        assert shown[name].tolist() == [row[key] for row in rows if 0 < row["step"] <= 20]


@pytest.mark.parametrize(("preset", "depth"), [("cifar10", 48), ("lab_c", 34), ("digits", 25)])
def test_presets_trace_twins_of_one_depth(preset, depth):
    config = gradients.get_config(preset)
    assert config.model.depth == depth and tuple(config.pair) == ("plain", "residual")
    assert len(config.claims) >= 10
    plain, residual = (own_config(config, network) for network in config.pair)
    assert (plain.model.skip, residual.model.skip) == (False, True)
    plain.model.skip = True
    assert plain.to_dict() == residual.to_dict()
    assert config.trace_first_steps == 150
    assert own_config(config, "residual_clipped").optim.clip_norm == 1.0


def test_a_net_without_blocks_is_refused(tmp_path):
    config = gradients.get_config("smoke")
    config.model.depth = 1
    given = Launch(tmp_path, from_dir=None, data_dir=tmp_path, download=False, quiet=True)
    with pytest.raises(ConfigError, match=r"networks\.plain: model\.depth: 1 has no blocks"):
        STUDY.check(config, given)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("trace_first_steps", 5, "at least 20"),
        ("probe_every_steps", 0, "at least 1"),
        ("pair", ("plain", "residuel"), "did you mean 'residual'"),
    ],
)
def test_wrong_keys_are_named(key, value, words, tmp_path):
    config = gradients.get_config("smoke")
    config[key] = value
    given = Launch(tmp_path, from_dir=None, data_dir=tmp_path, download=False, quiet=True)
    with pytest.raises(ConfigError, match=f"{key}.*{words}"):
        STUDY.check(config, given)


def test_the_summary_says_what_each_claim_compares(finished):
    summary = json.loads((finished[0] / "summary.json").read_text())
    compared = {(claim["value"], claim["threshold"]) for claim in summary["claims"]}
    vanishing, exploding = ("first_layer", -1.0), ("first_layer", 1.0)
    assert {vanishing, exploding, ("last_dense_change", -1.0), ("largest_norm", 2.0)} <= compared
    assert {("first_layer", 0.0), ("test_accuracy", 0.0)} <= compared
    assert all({value for value, _ in compared} <= run.keys() for run in summary["runs"])
    plain = next(run for run in summary["runs"] if run["group"] == "plain")
    assert count_params(module_of("plain"), (8, 8, 1)) == plain["num_params"]
    assert task_of("plain").facts == {"num_params": plain["num_params"]}
