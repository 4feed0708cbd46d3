"""The study of gradients: what stands in its record is what jax.grad and numpy say."""

import functools
import json

import jax
import numpy as np
import pytest

from configs import gradients as configured
from dla_jax.analysis.layer_gradients import statistics, step_statistics
from dla_jax.analysis.units import layers_of
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Run
from dla_jax.data import images
from dla_jax.evidence.rows import read_rows
from dla_jax.studies.gradients import figures as gradients_figures
from dla_jax.studies.gradients import study as gradients
from dla_jax.tasks import image_classifier as classify
from dla_jax.tasks import image_runs
from dla_jax.training import loop as train
from dla_jax.training import steps
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import own_config


@pytest.fixture(scope="module")
def finished(smoke):
    """The workdir of the smoke preset and the rows of its runs."""
    workdir, _ = smoke("gradients")
    return workdir, read_rows(workdir / "metrics.jsonl")


@functools.cache
def setting(network):
    config, mesh = configured.get_config("smoke"), data_mesh()
    image_set = images.digits()
    return image_runs.prepare(
        own_config(config, network),
        image_set,
        image_runs.put_data(image_set, mesh),
        mesh,
        step_statistics,
        trace_first_steps=20,
        probe_every_steps=10,
    )


def start_of(network, seed=0):
    """The functions of a run, its state before the first step, and the key of its steps."""
    story = gradients.make_story(setting(network), seed)
    return story, *steps.init_state(
        story.init_fn, setting(network).tx, seed=seed, lr=0.01, mesh=setting(network).mesh
    )


def rows_of(rows, run):
    return [row for row in rows if row["run"] == run and not row.get("done")]


@pytest.mark.parametrize(
    "network", ["plain", "residual", "residual_clipped", "residual_frozen_norm"]
)
def test_the_record_holds_what_jax_grad_says_of_the_same_batch(finished, network):
    """The step's own gradient at step 1, and the probe's before it."""
    story, state, key = start_of(network, seed=1)
    own = rows_of(finished[1], f"final/{network}/seed1")
    index = story.batch_at(0)["index"]
    batch = {name: rows[index] for name, rows in setting(network).data.items()}
    loss = lambda params, model_state, key: story.loss_fn(params, model_state, batch, key)[0]
    grads = jax.grad(loss)(state.params, state.model_state, jax.random.fold_in(key, 0))
    found = statistics(grads, state.params)
    assert [row["step"] for row in own[:3]] == [0, 1, 2]
    for name in (
        "layer_mean_abs",
        "layer_rms",
        "layer_var",
        "layer_relative",
        "stage_mean_abs",
        "stage_var",
        "stage_rms",
    ):
        np.testing.assert_allclose(own[1][name], found[name], rtol=2e-3, atol=1e-9, err_msg=name)
    norm = np.sqrt(
        sum(np.sum(np.square(leaf, dtype=np.float64)) for leaf in jax.tree.leaves(grads))
    )
    assert own[1]["grad_norm"] == pytest.approx(norm, rel=1e-3)

    index = image_runs.split(setting(network).config, setting(network).source, 1)["train"][:64]
    model = gradients.architectures.make_model(setting(network))
    x, labels = (
        setting(network).source.images[index] / np.float32(255),
        setting(network).source.labels[index],
    )

    def probe_loss(params):
        variables = {"params": params, **state.model_state}
        (logits, _), _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return -jax.nn.log_softmax(logits)[np.arange(64), labels].mean()

    found = statistics(jax.grad(probe_loss)(state.params), state.params)
    for name in ("layer_rms", "layer_relative", "stage_mean_abs"):
        np.testing.assert_allclose(own[0][f"probe_{name}"], found[name], rtol=2e-3, err_msg=name)
    layers = layers_of(state.params)
    assert own[0]["layers"] == [layer.name for layer in layers] and own[0]["stages"] == [
        layer.stage for layer in layers
    ]


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
    assert {row["run"].split("/")[1] for row in clipped} == {
        "residual_clipped",
        "residual_no_norm",
    } and len(clipped) > 80
    assert all(row["clipped_norm"] <= 1 + 1e-5 for row in clipped)
    single = [row for row in clipped if 0 < row["step"] <= 20]
    for row in single:  # of one step each
        assert row["clipped_norm"] == pytest.approx(min(1.0, row["grad_norm"]), rel=1e-4)
    assert any(row["grad_norm"] > 1.5 for row in single) and any(
        row["grad_norm"] < 0.9 for row in single
    )


def test_a_clipped_run_and_its_twin_see_the_same_first_gradient(finished):
    pairs = [
        rows_of(finished[1], f"final/{network}/seed0")[1]
        for network in ("residual", "residual_clipped")
    ]
    assert pairs[0]["layer_rms"] == pairs[1]["layer_rms"] and "clipped_norm" not in pairs[0]


def take_steps(network, num_steps, first=0, state=None):
    story, fresh, key = start_of(network)
    batch = train.stack_batches(story.batch_at, first, first + num_steps, num_steps)
    return steps.run_steps(
        state or fresh,
        setting(network).data,
        batch,
        num_steps,
        key,
        loss_fn=story.loss_fn,
        tx=setting(network).tx,
        trace=train.no_trace,
        mesh=setting(network).mesh,
    )[0]


def statistics_of_norm(state):
    return np.concatenate(
        [np.ravel(leaf) for leaf in jax.tree.leaves(state.model_state["batch_stats"])]
    )


def test_frozen_norm_moves_in_the_first_epoch_only_and_the_usual_one_always():
    epoch = image_runs.freeze_norm_at(setting("residual_frozen_norm"))
    assert epoch == -(-1077 // 64) and image_runs.freeze_norm_at(setting("residual")) == 0
    for network, moves in (("residual", True), ("residual_frozen_norm", False)):
        before = statistics_of_norm(start_of(network)[1])
        state = take_steps(network, epoch)
        during = statistics_of_norm(state)
        assert not np.allclose(before, during)
        params = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)])
        state = take_steps(network, 3, epoch, state)
        assert np.array_equal(during, statistics_of_norm(state)) != moves
        assert not np.array_equal(
            params, np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)])
        )


def test_frozen_norm_uses_the_running_statistics():
    """The loss after freezing is that of the net in evaluation mode; before, that of the batch's own statistics."""
    story, state, key = start_of("residual_frozen_norm")
    batch = {name: rows[:32] for name, rows in setting("residual_frozen_norm").data.items()}
    model = gradients.architectures.make_model(setting("residual_frozen_norm"))
    for taken, mode in ((0.0, True), (17.0, False)):
        model_state = state.model_state | {"steps": {"taken": np.float32(taken)}}
        variables = {"params": state.params, **model_state}
        (logits, _), _ = model.apply(
            variables, batch["image"] / np.float32(255), train=mode, mutable=["batch_stats"]
        )
        expected = -jax.nn.log_softmax(logits)[np.arange(32), batch["label"]].mean()
        loss, (after, _) = story.loss_fn(state.params, model_state, batch, key)
        assert float(loss) == pytest.approx(float(expected), rel=1e-5)
        assert float(after["steps"]["taken"]) == taken + 1


def test_a_probe_sees_the_images_as_they_are():
    """Also where training crops and flips them."""
    config, mesh = configured.get_config("smoke"), data_mesh()
    config.data.update({"pad": 2, "flip": True})
    shaken = image_runs.prepare(
        own_config(config, "residual"),
        setting("residual").source,
        setting("residual").data,
        mesh,
        step_statistics,
        trace_first_steps=20,
        probe_every_steps=10,
    )
    story, state, key = start_of("residual")
    found, expected = gradients.make_story(shaken, 0).probe(state), story.probe(state)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    batch = {name: rows[:64] for name, rows in shaken.data.items()}
    losses = [
        one.loss_fn(state.params, state.model_state, batch, key)[0]
        for one in (gradients.make_story(shaken, 0), story)
    ]
    assert float(losses[0]) != pytest.approx(
        float(losses[1]), rel=1e-3
    )  # while the step's own does change


def test_plain_and_residual_share_the_compiled_step_and_the_initial_weights():
    (plain, a, _), (residual, b, _) = start_of("plain"), start_of("residual")
    assert plain.loss_fn is residual.loss_fn and setting("plain").tx is setting("residual").tx
    jax.tree.map(np.testing.assert_array_equal, a.params, b.params)
    assert setting("plain").tx is not setting("residual_clipped").tx


def test_histograms_are_bounded_in_number_and_reach_tensorboard(finished):
    from tensorboardX.proto.event_pb2 import Event

    assert (
        gradients.histogram_steps(1000, 25, 20) <= set(range(0, 1001, 25))
        and len(gradients.histogram_steps(1000, 25, 20)) <= 20
    )
    assert len(gradients.histogram_steps(10**6, 1, 20)) <= 20 and gradients.histogram_steps(
        10, 25, 20
    ) == {0}
    own = rows_of(finished[1], "final/residual/seed0")
    kept = [row for row in own if "layer_histogram" in row or "probe_layer_histogram" in row]
    assert 1 <= len(kept) <= 3 and [
        len(kept[-1]["probe_layer_histogram"]),
        len(kept[-1]["probe_stage_histogram"]),
    ] == [6, 4]
    path = next((finished[0] / "tb" / "final" / "residual" / "seed0").glob("events*"))
    data = path.read_bytes()
    seen, at = {}, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        event = Event.FromString(data[at + 12 : at + 12 + length])
        for value in event.summary.value:
            if value.HasField("histo"):
                seen.setdefault(value.tag, []).append(value.histo)
        at += 16 + length
    stem = seen["probe_layer_histogram/000"]
    assert len(stem) == len(kept) and stem[0].num == 9 * 4  # a 3x3 kernel from 1 to 4 channels
    assert sum(stem[0].bucket) == 36 and list(stem[0].bucket_limit) == gradients.LIMITS


def test_the_mistakes_are_shown_on_networks_that_differ_in_the_slip_alone(finished):
    config = configured.get_config("smoke")
    pairs = {
        (name, twin)
        for name in config.networks
        for twin in config.networks
        if gradients_figures.twins(config, twin, name, "optim.clip_norm", 0.0)
    }
    assert pairs == {("residual_clipped", "residual")}
    first = {
        name: rows_of(finished[1], f"final/{name}/seed0")
        for name in ("residual", "residual_clipped")
    }
    found = gradients_figures.clipped_once(config, first, "residual_clipped", "residual")
    assert found["before"].tolist() == [
        row["grad_norm"] for row in first["residual"] if 0 < row["step"] <= 20
    ]
    assert found["after"].tolist() == [
        row["clipped_norm"] for row in first["residual_clipped"] if 0 < row["step"] <= 20
    ]


@pytest.mark.parametrize(("preset", "depth"), [("cifar10", 48), ("lab_c", 34), ("digits", 25)])
def test_presets_trace_twins_of_one_depth(preset, depth):
    config = configured.get_config(preset)
    assert (
        config.model.depth == depth
        and tuple(config.pair) == ("plain", "residual")
        and len(config.claims) >= 10
    )
    plain, residual = (own_config(config, network) for network in config.pair)
    assert (plain.model.skip, residual.model.skip) == (False, True)
    plain.model.skip = True
    assert plain.to_dict() == residual.to_dict()
    assert (
        config.trace_first_steps == 150
        and own_config(config, "residual_clipped").optim.clip_norm == 1.0
    )


def test_a_net_without_blocks_is_refused(tmp_path):
    config = configured.get_config("smoke")
    config.model.depth = 1
    with pytest.raises(ConfigError, match=r"networks\.plain: model\.depth: 1 has no blocks"):
        gradients.check_config(config, Run(tmp_path, None, tmp_path, False, True))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("trace_first_steps", 5, "at least 20"),
        ("probe_every_steps", 0, "at least 1"),
        ("pair", ("plain", "residuel"), "did you mean 'residual'"),
    ],
)
def test_wrong_keys_are_named(key, value, words, tmp_path):
    config = configured.get_config("smoke")
    config[key] = value
    with pytest.raises(ConfigError, match=f"{key}.*{words}"):
        gradients.check_config(config, Run(tmp_path, None, tmp_path, False, True))


def test_the_summary_says_what_each_claim_compares(finished):
    summary = json.loads((finished[0] / "summary.json").read_text())
    keys = {claim["value"] for claim in summary["claims"]}
    assert {
        "first_layer",
        "above_vanishing",
        "below_exploding",
        "last_dense",
        "bounded",
        "test_accuracy",
    } <= keys
    assert all(keys <= run.keys() for run in summary["runs"])
    assert classify.count_params(
        gradients.architectures.make_model(setting("plain")), (8, 8, 1)
    ) == next(run["num_params"] for run in summary["runs"] if run["group"] == "plain")
