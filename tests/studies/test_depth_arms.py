"""The arms of a depth study: their names, depths and seeds, their rates, and the contrasts."""

import pytest

from configs import mlp, rescnn
from dla_jax.config.checks import ConfigError
from dla_jax.evidence import stats, weighing
from dla_jax.studies.depth.arms import (
    arms_of,
    claims_of,
    groups_of,
    kind_of,
    left_out_depths,
    reference_of,
    resolve_contrasts,
    side_depths_of,
    side_seeds_of,
)
from dla_jax.tasks.classifier import rate_score
from dla_jax.trials.arms import choose_rates, final_trials, select_trials


def test_the_grid_is_the_one_the_config_describes():
    config = rescnn.get_config("digits")
    groups = groups_of(config)
    assert ("both", 1, config.seeds) in groups
    assert not any(depth == 1 for kind, depth, _ in groups if kind != "both")
    assert {depth for kind, depth, _ in groups if kind == "plain"} == {5, 10, 20, 25}
    assert {depth for kind, depth, _ in groups if kind == "plain+shared_lr"} == {25}
    assert len(config.seeds) >= 8 and stats.smallest_p(len(side_seeds_of(config))) < 0.05
    trials = select_trials(arms_of(config), config.select_seeds)
    assert len({trial.name for trial in trials}) == len(trials)
    assert not any("shared_lr" in trial.arm for trial in trials)
    assert {trial.seed for trial in trials}.isdisjoint(config.seeds)


def test_the_arms_are_the_groups_each_with_a_config_of_its_own():
    config = rescnn.get_config("digits")
    arms = arms_of(config)
    groups = {f"{kind}-{depth}": tuple(seeds) for kind, depth, seeds in groups_of(config)}
    assert {arm.name: arm.seeds for arm in arms.values()} == groups
    model = arms["plain+batch-25"].config.model
    fields = model.depth, model.skip, model.scaled, model.norm, model.init
    assert fields == (25, False, False, "batch", config.model.init)
    assert arms["plain+shared_lr-25"].lender == "plain-5"
    assert arms["plain+shared_lr-25"].config.model.depth == 25
    assert {arm.lender for arm in arms.values() if "shared_lr" not in arm.name} == {None}


def chosen(config, accuracy, loss=lambda trial: 1.0):
    """Return the learning rates, chosen where the selection runs reach such values."""
    arms = arms_of(config)
    selected = select_trials(arms, config.select_seeds)
    done = {
        trial.name: {"val_accuracy": accuracy(trial), "val_loss": loss(trial), "diverged": False}
        for trial in selected
    }
    return choose_rates(arms, selected, done, rate_score)


def test_each_arm_gets_the_rate_that_was_best_on_validation():
    config, best = rescnn.get_config("digits"), {"plain-25": 1e-3, "residual-25": 3e-2}

    def accuracy(trial):
        return 0.9 + 0.05 * (trial.lr == best.get(trial.arm, 1e-2)) + 0.001 * (trial.seed % 2)

    rates = chosen(config, accuracy)
    assert rates["plain-25"] == 1e-3 and rates["residual-25"] == 3e-2 and rates["plain-5"] == 1e-2
    assert rates["plain+shared_lr-25"] == rates["plain-5"]
    assert rates.keys() == {trial.arm for trial in final_trials(arms_of(config))}


def test_of_equally_accurate_rates_the_one_of_lower_loss_is_chosen():
    config = rescnn.get_config("digits")
    rates = chosen(config, lambda trial: 0.9, lambda trial: 0.5 if trial.lr == 3e-3 else 1.0)
    assert set(rates.values()) == {3e-3}


def test_diverged_selection_runs_lose():
    rates = chosen(
        rescnn.get_config("digits"),
        lambda trial: 0.1 if trial.lr == 1e-2 else 0.2,
        lambda trial: None if trial.lr == 1e-2 else 1.0,
    )
    assert rates["plain-25"] != 1e-2


def test_contrasts_name_the_depths_of_the_study():
    config = rescnn.get_config("digits,depth=50")
    assert max(config.depths) == 50
    terms = ((1.0, "residual-deepest"), (-1.0, "plain+batch-reference"), (1.0, "plain-20"))
    resolved = ((1.0, "residual-50"), (-1.0, "plain+batch-5"), (1.0, "plain-20"))
    assert resolve_contrasts(config, [terms]) == [resolved]
    second = ((1.0, "plain-second"), (-1.0, "plain-reference"))
    assert resolve_contrasts(config, [second]) == [((1.0, "plain-10"), (-1.0, "plain-5"))]
    # As a flag may change them: every step is asked about, from the net of depth 1 on.
    config.depths = (50, 1, 5, 20)
    pairs = [
        ("both-1", "residual-5"),
        ("residual-5", "residual-20"),
        ("residual-20", "residual-50"),
    ]
    steps = [((1.0, b), (-1.0, a)) for a, b in pairs]
    assert resolve_contrasts(config, config.claims.b_residual_gains_always.contrasts) == steps


def test_the_steps_in_depth_that_lab_e_took_are_asked_about_where_all_of_them_are_run():
    config = rescnn.get_config("digits")
    pairs = [
        ("both-1", "residual-5"),
        ("residual-5", "residual-10"),
        ("residual-10", "residual-20"),
    ]
    steps, claims = [((1.0, b), (-1.0, a)) for a, b in pairs], config.claims
    assert resolve_contrasts(config, claims.b_residual_gains_lab_e.contrasts) == steps
    # 20 to 25, too.
    assert len(resolve_contrasts(config, claims.b_residual_gains_always.contrasts)) == 4
    # Of MLPs lab E says nothing.
    assert "b_residual_gains_lab_e" not in mlp.get_config("digits").claims
    assert "b_residual_gains_lab_e" not in rescnn.get_config("quick").claims


def test_depth_one_stands_for_all_arms_where_they_are_one_net_and_for_each_where_not():
    terms = [((1.0, "residual-5"), (-1.0, "residual-1"), (1.0, "plain+batch-1"))]
    (merged,) = resolve_contrasts(rescnn.get_config("digits"), terms)
    assert merged[1:] == ((-1.0, "both-1"), (1.0, "plain+batch-1"))
    (apart,) = resolve_contrasts(rescnn.get_config("lab_a,as_implemented=true"), terms)
    assert apart[1] == (-1.0, "residual-1")


@pytest.mark.parametrize("module", [rescnn, mlp])
def test_every_claim_of_the_digits_study_is_in_its_grid(module):
    config = module.get_config("digits")
    arms = set(arms_of(config))
    for claim in claims_of(config).values():
        for terms in claim["contrasts"]:
            assert {name for _, name in terms} <= arms


def test_arms_are_named_by_what_they_change():
    config = rescnn.get_config("digits")
    assert kind_of(config, "plain") == (False, False, "none", "he", False)
    assert kind_of(config, "residual+scaled+batch") == (True, True, "batch", "he", False)
    assert kind_of(config, "plain+dirac+shared_lr") == (False, False, "none", "dirac", True)
    config.model.norm, config.model.init = "batch", "torch_default"
    assert kind_of(config, "plain") == (False, False, "batch", "torch_default", False)
    assert kind_of(config, "plain+no_norm+he") == (False, False, "none", "he", False)
    for wrong in (
        "skip",
        "plain+",
        "plain+batch+batch",
        "plain+dirac+torch_default",
        "plain+batch+no_norm",
    ):
        with pytest.raises(ConfigError):
            kind_of(config, wrong)


def seeds_of(config):
    return {(kind, depth): tuple(seeds) for kind, depth, seeds in groups_of(config)}


def test_side_arms_follow_the_depths_and_seeds_that_a_study_is_shortened_to():
    config = rescnn.get_config("digits")
    config.depths, config.seeds = (5, 10), (0, 1)
    groups = seeds_of(config)
    assert {depth for _, depth in groups} == {5, 10} and set(groups.values()) == {(0, 1)}
    assert ("plain+dirac", 10) in groups and ("plain+shared_lr", 10) in groups
    assert ("plain+shared_lr", 5) not in groups
    run = {f"{kind}-{depth}" for kind, depth in groups}
    # About depths that lab E took, and not about those of the study.
    del config.claims.b_residual_gains_lab_e
    for name, claim in claims_of(config).items():
        contrasts = [weighing.combined(terms) for terms in claim["contrasts"]]
        assert all(group in run for terms in contrasts for _, group in terms), name
    config.depths, config.seeds = (5, 10, 50), tuple(range(10, 30))
    assert seeds_of(config)["plain+dirac", 50] == tuple(range(10, 16))


def test_the_reference_depth_follows_too():
    config = rescnn.get_config("digits")
    for depths, reference in (((1, 5, 10), 5), ((10, 20), 10), ((1,), 1)):
        config.depths = depths
        assert reference_of(config) == reference
    config.depths, config.reference_depth = (5, 10, 20), 10
    assert reference_of(config) == 10
    assert reference_of(rescnn.get_config("he")) == 20


def test_a_side_depth_that_is_not_run_is_named():
    config = mlp.get_config("digits")
    assert left_out_depths(config) == []
    config.depths = (5, 10)
    assert side_depths_of(config) == (5, 10)
    words = "side_depths: 20 is not among depths; side arms run at 5, 10"
    assert left_out_depths(config) == [words]
    config.side_arms = ()
    assert left_out_depths(config) == []


def test_workdirs_of_before_name_their_side_seeds():
    config = rescnn.get_config("smoke")
    config.unlock()
    config.side_seeds, config.side_depths, config.reference_depth = (1,), (2, 4), 2
    groups = seeds_of(config)
    assert groups["plain+batch", 4] == (1,) and groups["plain", 4] == (0, 1)
    config.depths = (1, 2)  # side arms were run at 4 all the same
    groups = seeds_of(config)
    assert groups["plain+batch", 4] == (1,) and ("plain", 4) not in groups


@pytest.mark.parametrize(
    ("depths", "kinds"),
    [((5,), ("plain", "residual")), ((5,), ("plain",)), ((1, 5), ("residual",))],
)
def test_what_has_no_contrast_was_not_run(depths, kinds):
    """A single depth, or a single arm: no claim may hold, or fail, on a net against itself."""
    config = rescnn.get_config("digits")
    config.depths, config.arms, config.side_arms = depths, kinds, ()
    scores = {"test_loss": 0.3, "diverged": False}
    runs = [
        {"group": f"{kind}-{depth}", "seed": seed, "test_accuracy": 0.9 + seed / 100} | scores
        for kind, depth in seeds_of(config)
        for seed in range(8)
    ]
    # From depth 1, where all arms are one net.
    asked = {"b_residual_gains_always"} if 1 in depths else set()
    if len(kinds) == 2:
        asked |= {
            "d_skip_helps_deep",
            "e_skip_hurts_shallow",
            "q_deepest_residual_below_shallow_plain",
            "r_skip_loss_reference",
            "t_skip_loss_deepest",
        }
    for name, claim in claims_of(config).items():
        found = weighing.weigh(claim, runs)
        assert (found["verdict"] == "not run") == (name not in asked), (name, found["verdict"])
        assert found["missing"] or name in asked
