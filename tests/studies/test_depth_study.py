import importlib.util
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.data import images
from dla_jax.evidence import stats, weighing
from dla_jax.studies.depth import arms as depth_grid
from dla_jax.studies.depth import study as depth_study
from dla_jax.studies.depth.arms import Cell
from dla_jax.tasks import image_classifier as classify
from dla_jax.tasks import image_runs
from dla_jax.training import loop as train
from dla_jax.training import steps
from dla_jax.training.mesh import data_mesh


def load(argument, name="rescnn"):
    spec = importlib.util.spec_from_file_location(name, f"configs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(argument)


def prepare(config):
    image_set, mesh = images.load(config.data, None, False), data_mesh()
    return image_runs.prepare(config, image_set, image_runs.put_data(image_set, mesh), mesh)


@pytest.fixture(scope="module")
def study():
    return prepare(load("smoke"))


def start(study, arm, seed=0, depth=4, lr=1e-3):
    story = depth_study.make_story(study, Cell("final", arm, depth, seed, lr))
    state, _ = steps.init_state(story.init_fn, study.tx, seed=seed, lr=lr, mesh=study.mesh)
    return story, state


@pytest.mark.parametrize("config", ["rescnn", "mlp"])
def test_the_skip_is_the_only_difference_of_the_main_contrast(config):
    study = prepare(load("smoke", config))
    (plain, plain_state), (residual, residual_state) = (
        start(study, arm) for arm in ("plain", "residual")
    )
    chex.assert_trees_all_equal(plain_state.params, residual_state.params)
    wiring = (
        plain_state.model_state["wiring"]["blocks"],
        residual_state.model_state["wiring"]["blocks"],
    )
    np.testing.assert_array_equal(wiring[0]["skip"], [0, 0, 0])
    np.testing.assert_array_equal(wiring[1]["skip"], [1, 1, 1])
    np.testing.assert_array_equal(wiring[0]["branch"], wiring[1]["branch"])
    assert plain.loss_fn is residual.loss_fn and plain.facts == residual.facts
    for step in (0, 7, 100):
        np.testing.assert_array_equal(
            plain.batch_at(step)["index"], residual.batch_at(step)["index"]
        )


def test_other_seeds_have_other_weights_splits_and_orders(study):
    (first, first_state), (second, second_state) = (start(study, "plain", seed) for seed in (0, 1))
    assert not np.allclose(
        first_state.params["stem"]["kernel"], second_state.params["stem"]["kernel"]
    )
    assert not np.array_equal(first.batch_at(0)["index"], second.batch_at(0)["index"])


def test_a_seed_trains_on_its_training_part_only(study):
    story, _ = start(study, "plain", 3)
    parts = image_runs.split(study.config, study.source, 3)
    seen = {int(i) for step in range(40) for i in story.batch_at(step)["index"]}
    assert seen == set(parts["train"].tolist()) and seen.isdisjoint(
        {*parts["val"].tolist(), *parts["test"].tolist()}
    )


def test_scaled_arms_scale_the_branch(study):
    _, state = start(study, "residual+scaled")
    np.testing.assert_allclose(state.model_state["wiring"]["blocks"]["branch"], 1 / np.sqrt(3))


def test_one_program_serves_all_arms_seeds_and_learning_rates(study):
    before = steps.run_steps._cache_size()
    for arm, seed, lr in [
        ("plain", 0, 1e-3),
        ("residual", 1, 1e-2),
        ("residual+scaled", 2, 1e-3),
        ("plain+dirac", 0, 3e-3),
        ("plain+torch_default", 0, 1e-3),
    ]:
        story = depth_study.make_story(study, Cell("final", arm, 4, seed, lr))
        state, key = steps.init_state(story.init_fn, study.tx, seed=seed, lr=lr, mesh=study.mesh)
        batch = train.stack_batches(story.batch_at, 0, 2, study.plan.steps_per_call)
        steps.run_steps(
            state,
            study.data,
            batch,
            2,
            key,
            loss_fn=story.loss_fn,
            tx=study.tx,
            trace=image_runs.trace_norms,
            mesh=study.mesh,
        )
    assert steps.run_steps._cache_size() == before + 1


def test_evaluation_counts_every_example_once(study):
    story, state = start(study, "residual", seed=2)
    positions = image_runs.split(study.config, study.source, 2)["val"]
    model = depth_study.make_model(study, 4, depth_grid.arm_of(study.config, "residual"))
    x = study.source.images[positions] / np.float32(255)
    logits = np.asarray(
        model.apply({"params": state.params, **state.model_state}, x, train=False)[0]
    )
    labels = study.source.labels[positions]
    found = story.evaluate(state)
    assert found["val_accuracy"] == pytest.approx(
        (np.argmax(logits, -1) == labels).mean(), abs=1e-6
    )
    losses = -np.asarray(jax.nn.log_softmax(logits))[np.arange(len(labels)), labels]
    assert found["val_loss"] == pytest.approx(losses.mean(), rel=1e-4)


def test_a_net_overfits_eight_examples():
    config = load("smoke")
    config.model.width, config.batch_size = 16, 8
    study = prepare(config)
    story, _ = start(study, "residual", depth=4)
    eight = story.batch_at(0)["index"]
    plan = train.Plan(150, (150,), 0, 0, 50, 0)
    _, rows = train.fit(
        story.init_fn,
        story.loss_fn,
        study.tx,
        lambda step: {"index": eight},
        story.evaluate,
        seed=0,
        lr=1e-2,
        plan=plan,
        data=study.data,
        mesh=study.mesh,
        better=image_runs.better,
        checkpoints=train.Checkpoints(Path("/nonexistent")),
    )
    one = train.fit(
        story.init_fn,
        story.loss_fn,
        study.tx,
        lambda step: {"index": eight},
        story.evaluate,
        seed=0,
        lr=1e-2,
        plan=plan._replace(num_steps=151, log_every_steps=150, eval_steps=(151,)),
        data=study.data,
        mesh=study.mesh,
        better=image_runs.better,
        checkpoints=train.Checkpoints(Path("/nonexistent")),
    )[1]
    assert one[-1]["train_loss"] < 0.05 * rows[0]["train_loss"] and one[-1]["train_accuracy"] == 1


def test_augmentation_is_part_of_the_loss(study):
    _story, state = start(study, "plain")
    model = depth_study.make_model(study, 4, depth_grid.arm_of(study.config, "plain")).clone(
        init_scheme="he"
    )
    batch = {"image": study.data["image"][:16], "label": study.data["label"][:16]}

    def loss(key, pad, flip):
        return float(
            classify.make_loss(model, pad, flip, 0.0)(
                state.params, state.model_state, batch, jax.random.key(key)
            )[0]
        )

    assert loss(0, 0, False) == loss(1, 0, False) != loss(0, 2, True) != loss(1, 2, True)


def test_the_grid_is_the_one_the_config_describes():
    config = load("digits")
    groups = depth_grid.groups_of(config)
    assert ("both", 1, config.seeds) in groups and not any(
        depth == 1 for arm, depth, _ in groups if arm != "both"
    )
    assert {depth for arm, depth, _ in groups if arm == "plain"} == {5, 10, 20, 25}
    assert {depth for arm, depth, _ in groups if arm == "plain+shared_lr"} == {25}
    assert len(config.seeds) >= 8 and stats.smallest_p(len(depth_grid.side_seeds_of(config))) < 0.05
    cells = depth_grid.select_cells(config)
    assert len({cell.name for cell in cells}) == len(cells)
    assert not any("shared_lr" in cell.arm for cell in cells)
    assert {cell.seed for cell in cells}.isdisjoint(config.seeds)


def make_done(config, accuracy, loss=lambda cell: 1.0):
    cells = depth_grid.select_cells(config)
    return {
        cell.name: {"val_accuracy": accuracy(cell), "val_loss": loss(cell), "diverged": False}
        for cell in cells
    }


def test_each_arm_gets_the_rate_that_was_best_on_validation():
    config = load("digits")
    best = {"plain-25": 1e-3, "residual-25": 3e-2}
    done = make_done(
        config,
        lambda cell: 0.9 + 0.05 * (cell.lr == best.get(cell.group, 1e-2)) + 0.001 * (cell.seed % 2),
    )
    rates = depth_grid.choose_rates(config, done)
    assert rates["plain-25"] == 1e-3 and rates["residual-25"] == 3e-2 and rates["plain-5"] == 1e-2
    assert rates["plain+shared_lr-25"] == rates["plain-5"]
    assert rates.keys() == {cell.group for cell in depth_grid.final_cells(config)}


def test_of_equally_accurate_rates_the_one_of_lower_loss_is_chosen():
    config = load("digits")
    done = make_done(config, lambda cell: 0.9, lambda cell: 0.5 if cell.lr == 3e-3 else 1.0)
    assert set(depth_grid.choose_rates(config, done).values()) == {3e-3}


def test_diverged_selection_runs_lose(tmp_path):
    config = load("digits")
    done = make_done(
        config,
        lambda cell: 0.1 if cell.lr == 1e-2 else 0.2,
        lambda cell: None if cell.lr == 1e-2 else 1.0,
    )
    assert depth_grid.choose_rates(config, done)["plain-25"] != 1e-2


def test_contrasts_name_the_depths_of_the_study():
    config = load("digits,depth=50")
    assert max(config.depths) == 50
    terms = ((1.0, "residual-deepest"), (-1.0, "plain+batch-reference"), (1.0, "plain-20"))
    assert depth_grid.resolve(config, [terms]) == [
        ((1.0, "residual-50"), (-1.0, "plain+batch-5"), (1.0, "plain-20"))
    ]
    second = ((1.0, "plain-second"), (-1.0, "plain-reference"))
    assert depth_grid.resolve(config, [second]) == [((1.0, "plain-10"), (-1.0, "plain-5"))]
    config.depths = (
        50,
        1,
        5,
        20,
    )  # as a flag may change them: every step is asked about, from the net of depth 1 on
    pairs = [
        ("both-1", "residual-5"),
        ("residual-5", "residual-20"),
        ("residual-20", "residual-50"),
    ]
    steps = [((1.0, b), (-1.0, a)) for a, b in pairs]
    assert depth_grid.resolve(config, config.claims.b_residual_gains_always.contrasts) == steps


def test_the_steps_in_depth_that_lab_e_took_are_asked_about_where_all_of_them_are_run():
    config = load("digits")
    pairs = [
        ("both-1", "residual-5"),
        ("residual-5", "residual-10"),
        ("residual-10", "residual-20"),
    ]
    steps = [((1.0, b), (-1.0, a)) for a, b in pairs]
    assert depth_grid.resolve(config, config.claims.b_residual_gains_lab_e.contrasts) == steps
    assert (
        len(depth_grid.resolve(config, config.claims.b_residual_gains_always.contrasts)) == 4
    )  # 20 to 25, too
    assert (
        "b_residual_gains_lab_e" not in load("digits", "mlp").claims
    )  # of MLPs lab E says nothing
    assert "b_residual_gains_lab_e" not in load("quick").claims


def test_depth_one_stands_for_all_arms_where_they_are_one_net_and_for_each_where_not():
    terms = [((1.0, "residual-5"), (-1.0, "residual-1"), (1.0, "plain+batch-1"))]
    assert depth_grid.resolve(load("digits"), terms)[0][1:] == (
        (-1.0, "both-1"),
        (1.0, "plain+batch-1"),
    )
    assert depth_grid.resolve(load("lab_a,as_implemented=true"), terms)[0][1] == (
        -1.0,
        "residual-1",
    )


@pytest.mark.parametrize("config", ["rescnn", "mlp"])
def test_every_claim_of_the_digits_study_is_in_its_grid(config):
    config = load("digits", config)
    groups = {f"{arm}-{depth}" for arm, depth, _ in depth_grid.groups_of(config)}
    for claim in config.claims.values():
        for terms in depth_grid.resolve(config, claim.contrasts):
            assert {group for _, group in terms} <= groups


def test_arms_are_named_by_what_they_change():
    config = load("digits")
    arm = lambda name: depth_grid.arm_of(config, name)
    assert arm("plain") == (False, False, "none", "he", False)
    assert arm("residual+scaled+batch") == (True, True, "batch", "he", False)
    assert arm("plain+dirac+shared_lr") == (False, False, "none", "dirac", True)
    config.model.norm, config.model.init = "batch", "torch_default"
    assert arm("plain") == (False, False, "batch", "torch_default", False)
    assert arm("plain+no_norm+he") == (False, False, "none", "he", False)
    for wrong in (
        "skip",
        "plain+",
        "plain+batch+batch",
        "plain+dirac+torch_default",
        "plain+batch+no_norm",
    ):
        with pytest.raises(ConfigError):
            arm(wrong)


def test_label_smoothing_is_the_cross_entropy_with_softened_labels(study):
    story, state = start(study, "plain")
    model = depth_study.make_model(study, 4, depth_grid.arm_of(study.config, "plain"))
    batch = {"image": study.data["image"][:16], "label": study.data["label"][:16]}
    loss = classify.make_loss(model, 0, False, 0.2)(
        state.params, state.model_state, batch, jax.random.key(0)
    )[0]
    logits = model.apply(
        {"params": state.params, **state.model_state}, batch["image"] / 255.0, train=False
    )[0]
    soft = 0.8 * np.eye(10)[np.asarray(batch["label"])] + 0.02
    np.testing.assert_allclose(loss, -(soft * jax.nn.log_softmax(logits)).sum(1).mean(), rtol=1e-5)
    assert float(loss) != pytest.approx(
        float(story.loss_fn(state.params, state.model_state, batch, jax.random.key(0))[0])
    )


def groups_of(config):
    return {(arm, depth): tuple(seeds) for arm, depth, seeds in depth_grid.groups_of(config)}


def test_side_arms_follow_the_depths_and_seeds_that_a_study_is_shortened_to():
    config = load("digits")
    config.depths, config.seeds = (5, 10), (0, 1)
    groups = groups_of(config)
    assert {depth for _, depth in groups} == {5, 10} and set(groups.values()) == {(0, 1)}
    assert (
        ("plain+dirac", 10) in groups
        and ("plain+shared_lr", 10) in groups
        and ("plain+shared_lr", 5) not in groups
    )
    run = {f"{arm}-{depth}" for arm, depth in groups}
    del (
        config.claims.b_residual_gains_lab_e
    )  # about depths that lab E took, and not about those of the study
    for name, claim in config.claims.items():
        contrasts = [
            weighing.combined(terms) for terms in depth_grid.resolve(config, claim.contrasts)
        ]
        assert all(group in run for terms in contrasts for _, group in terms), name
    config.depths, config.seeds = (5, 10, 50), tuple(range(10, 30))
    assert groups_of(config)["plain+dirac", 50] == tuple(range(10, 16))


def test_the_reference_depth_follows_too():
    config = load("digits")
    for depths, reference in (((1, 5, 10), 5), ((10, 20), 10), ((1,), 1)):
        config.depths = depths
        assert depth_grid.reference_of(config) == reference
    config.depths, config.reference_depth = (5, 10, 20), 10
    assert depth_grid.reference_of(config) == 10
    config = load("he")
    assert depth_grid.reference_of(config) == 20


def test_a_side_depth_that_is_not_run_is_named():
    config = load("digits", "mlp")
    assert depth_grid.left_out_depths(config) == []
    config.depths = (5, 10)
    assert depth_grid.side_depths_of(config) == (5, 10)
    assert depth_grid.left_out_depths(config) == [
        "side_depths: 20 is not among depths; side arms run at 5, 10"
    ]
    config.side_arms = ()
    assert depth_grid.left_out_depths(config) == []


def test_workdirs_of_before_name_their_side_seeds():
    config = load("smoke")
    config.unlock()
    config.side_seeds, config.side_depths, config.reference_depth = (1,), (2, 4), 2
    assert groups_of(config)["plain+batch", 4] == (1,) and groups_of(config)["plain", 4] == (0, 1)
    config.depths = (1, 2)  # side arms were run at 4 all the same
    assert groups_of(config)["plain+batch", 4] == (1,) and ("plain", 4) not in groups_of(config)


@pytest.mark.parametrize(
    ("depths", "arms"), [((5,), ("plain", "residual")), ((5,), ("plain",)), ((1, 5), ("residual",))]
)
def test_what_has_no_contrast_was_not_run(depths, arms):
    """A single depth, or a single arm: no claim may hold, or fail, on a net against itself."""
    config = load("digits")
    config.depths, config.arms, config.side_arms = depths, arms, ()
    runs = [
        {
            "group": f"{arm}-{depth}",
            "seed": seed,
            "test_accuracy": 0.9 + seed / 100,
            "test_loss": 0.3,
            "diverged": False,
        }
        for arm, depth in groups_of(config)
        for seed in range(8)
    ]
    for name, claim in config.claims.to_dict().items():
        found = weighing.weigh(
            claim | {"contrasts": depth_grid.resolve(config, claim["contrasts"])}, runs
        )
        asked = (
            {"b_residual_gains_always"} if 1 in depths else set()
        )  # from depth 1, where all arms are one net
        if len(arms) == 2:
            asked |= {
                "d_skip_helps_deep",
                "e_skip_hurts_shallow",
                "q_deepest_residual_below_shallow_plain",
                "r_skip_loss_reference",
                "t_skip_loss_deepest",
            }
        assert (found["verdict"] == "not run") == (name not in asked), (name, found["verdict"])
        assert found["missing"] or name in asked
