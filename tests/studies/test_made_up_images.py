"""Records of studies of images that are made up: the signs that a reader sees come out right."""

from unittest import mock

import numpy as np
import pytest
from made_up import IMAGES, classified, finished, noise, verdicts_of

from configs import gradients, rescnn, resnet34
from dla_jax.plots import accuracy
from dla_jax.plots.style import COLOURS, MANY_COLOURS
from dla_jax.studies import find
from dla_jax.studies.architectures.report import answer as networks_answer
from dla_jax.studies.architectures.report import draw_curves, draw_pair, measured_rows
from dla_jax.studies.depth import figures as depth_figures
from dla_jax.studies.depth.answer import answer as depth_answer
from dla_jax.studies.depth.figures import accuracy_points, explanations, rate_lines
from dla_jax.studies.depth.report import arm_rows, secondary_table
from dla_jax.studies.gradients.answer import answer as gradients_answer
from dla_jax.studies.gradients.figures import clipped, last_dense, profiles
from dla_jax.studies.gradients.report import gradient_rows

DEPTH = {
    "plain-5": 0.90,
    "residual-5": 0.91,
    "plain-20": 0.50,
    "residual-20": 0.93,
    "plain+dirac-20": 0.88,
    "plain+batch-20": 0.80,
}


def depth_study(workdir, accuracies=DEPTH, **changes):
    config = rescnn.get_config("quick")
    config.update(changes)

    def last(trial):
        worse = 0.1 * (trial.stage == "select" and trial.lr != config.lrs[1])
        return classified(accuracies[trial.arm] - worse, trial)

    return finished(find("depth"), config, IMAGES, last, lambda trial: [], workdir)


@pytest.fixture(scope="module")
def depth(tmp_path_factory):
    return depth_study(tmp_path_factory.mktemp("depth"))


def test_depth_claims_are_judged_as_their_words_say(depth):
    found = verdicts_of(depth)
    for name in ("a_skip_makes_depth_pay", "a_skip_pays_more", "b_residual_gains", "c_plain_loses"):
        assert found[name] == "holds", name
    for name in ("d_skip_helps_deep", "f_identity_initialisation", "h_normalisation"):
        assert found[name] == "holds", name
    assert found["e_skip_hurts_shallow"] == "does not hold"


def test_depth_compares_residual_with_plain_and_not_the_other_way(depth):
    rows = {row["depth"]: row for row in depth.summary["secondary"]["per_depth"]}
    assert rows[20]["mean"] == pytest.approx(0.43, abs=2e-3) and rows[5]["mean"] == pytest.approx(
        0.01, abs=2e-3
    )
    assert rows[20]["superiority"] == 1.0 and rows[5]["superiority"] == 1.0
    assert depth.summary["secondary"]["slope"]["mean"] == pytest.approx(0.42 / 2, abs=2e-3)
    shown = secondary_table(depth)["rows"]
    assert shown[1][0] == "depth 20" and shown[1][1].startswith(("+42.9", "+43.0", "+43.1"))
    assert shown[2][1].startswith(("+20.9", "+21.0", "+21.1"))


def test_depth_explains_by_differences_to_the_plain_net(depth):
    found = {row["label"]: row for row in explanations(depth)}
    assert found["residual"]["mean"] == pytest.approx(0.43, abs=2e-3)
    assert found["plain + dirac"]["mean"] == pytest.approx(0.38, abs=2e-3)
    assert found["plain + batch"]["mean"] == pytest.approx(0.30, abs=2e-3)
    assert all(row["low"] <= row["mean"] <= row["high"] for row in found.values())
    main, side = accuracy_points(depth)
    assert np.mean(main["plain"][20][0]) == pytest.approx(0.5, abs=0.01)
    assert np.mean(main["residual"][20][0]) == pytest.approx(0.93, abs=0.01)
    assert np.mean(side["plain + batch"][20][0]) == pytest.approx(0.8, abs=0.01)


def test_an_arm_has_one_colour_in_all_figures_of_depth(depth):
    with mock.patch.object(depth_figures, "draw_all") as drawn:
        depth_figures.draw_figures(depth)
    (figures, _), _ = drawn.call_args
    *_, looks = figures["accuracy"]
    shown = ("plain", "residual", "plain + dirac", "plain + batch")
    colours = {arm: looks[arm][0] for arm in shown}
    assert len(set(colours.values())) == 4
    assert (colours["plain"], colours["residual"]) == COLOURS[:2]
    assert figures["gradients_start"][-1] == looks
    _, rows, _ = figures["explanations"]
    assert {row["label"]: row["colour"] for row in rows} == {
        arm: colour for arm, colour in colours.items() if arm != "plain"
    }


def test_an_arm_that_stands_alone_keeps_its_colour_and_every_preset_has_enough_of_them():
    config = rescnn.get_config("digits")
    config.arms = ("residual",)
    assert depth_figures.coloured(config)[:2] == ["plain", "residual"]
    for preset in ("cifar10", "digits", "quick", "smoke", "lab_a", "lab_b", "he", "resnet18"):
        arms = depth_figures.coloured(rescnn.get_config(preset))
        assert len(set(arms)) == len(arms) <= len(MANY_COLOURS)


def test_depth_tables_have_each_arms_own_numbers(depth):
    rows = {(row[0], row[1]): row for row in arm_rows(depth)}
    for name, value in DEPTH.items():
        kind, _, at = name.rpartition("-")
        row = rows[kind.replace("+", " + "), at]
        assert float(row[5].split()[0]) == pytest.approx(100 * value, abs=0.2), name
        assert row[2].startswith(f"{depth.config.lrs[1]:g}")
    grid, chosen = rate_lines(depth)
    assert set(chosen.values()) == {depth.config.lrs[1]}
    assert max(grid["plain"][20][1]) == pytest.approx(0.45, abs=0.01)  # on validation


@pytest.mark.parametrize(
    ("deep", "endings"),
    [
        ({"plain": 0.50, "residual": 0.88}, ("depth costs the residual net 3", "] less.")),
        ({"plain": 0.88, "residual": 0.50}, ("depth costs the residual net 3", "] more.")),
        ({"plain": 0.93, "residual": 0.98}, ("depth brings the residual net ", "] more.")),
        ({"plain": 0.98, "residual": 0.93}, ("depth brings the residual net ", "] less.")),
        ({"plain": 0.89, "residual": 0.96}, ("; the residual net fares ", "] better.")),
        ({"plain": 0.96, "residual": 0.89}, ("; the residual net fares ", "] worse.")),
    ],
)
def test_depth_answers_what_depth_does_with_skips_and_without(deep, endings, tmp_path):
    accuracies = DEPTH | {f"{kind}-20": value for kind, value in deep.items()}
    words, ending = endings
    found = depth_answer(depth_study(tmp_path, accuracies))
    assert words in found and found.endswith(ending)
    assert ("changes by" in found) == (words.startswith(";"))


def test_depth_names_both_changes_where_one_net_gains_and_the_other_loses(depth):
    found = depth_answer(depth)
    assert found.startswith("At depth 20 the plain net has a test accuracy of 50.")
    assert "the residual one of 93." in found or "the residual one of 92.9" in found
    assert ": from depth 5 on, the plain net changes by −" in found
    assert ", the residual net by +" in found and "; the residual net fares 4" in found


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({"arms": ("plain",)}, "] points"),
        ({"arms": ("plain",), "depths": (20,)}, "there is no other net to compare it with."),
        ({"depths": (20,)}, "] better."),
        ({"seeds": (0,)}, "too few seeds)."),
    ],
)
def test_depth_answers_with_what_arms_are_left(changes, ending, tmp_path):
    found = depth_answer(depth_study(tmp_path, side_arms=(), claims={}, **changes))
    if ending == "] points":
        assert "from depth 5 on, depth costs it 40." in found or "costs it 39." in found
    else:
        assert found.endswith(ending) and found.startswith("At depth 20 the plain net")


NETWORKS = {"convnet": 0.90, "resnet": 0.95}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    config = resnet34.get_config("quick")

    def last(trial):
        row = classified(NETWORKS.get(trial.arm, 0.7), trial)
        slow = 64.0 if trial.arm == "resnet" else 32.0
        return row | {"seconds_per_epoch": slow + noise(trial.seed)}

    return finished(
        find("architectures"), config, IMAGES, last, lambda trial: [], tmp_path_factory.mktemp("a")
    )


def test_networks_are_judged_as_their_words_say(networks):
    found = verdicts_of(networks)
    assert found["a_skips_help"] == found["b_lower_loss"] == "holds"
    assert found["d_mlp_useless"] == found["e_mlp_useless_as_intended"] == "does not hold"
    result = next(c for c in networks.summary["claims"] if c["name"].startswith("c_"))
    assert result["results"][0]["mean"] == pytest.approx(1.0, abs=0.01)  # a doubling of seconds


def test_a_pair_shows_the_second_minus_the_first(networks):
    drawn = mock.Mock()
    with mock.patch.object(accuracy, "pair", drawn):
        assert len(draw_pair(networks)) == 1
    values, interval = drawn.call_args.args[:2]
    first, second = networks.config.pair
    assert (first, second) == ("convnet", "resnet")
    assert np.mean(values[second] - values[first]) == pytest.approx(0.05, abs=2e-3)
    assert interval[0] <= 0.05 <= interval[1] and interval[0] > 0
    rows = {row[0]: row for row in measured_rows(networks)}
    assert rows["resnet"][5].startswith("95.") and rows["convnet"][5].startswith(("89.", "90."))


def test_networks_answer_how_much_better_the_second_of_the_pair_is(networks):
    found = networks_answer(networks)
    assert found.startswith("resnet has a test accuracy of 9") and "convnet of" in found
    assert ": resnet is 5." in found or ": resnet is 4.9" in found
    assert found.endswith("] better.")


def test_what_was_never_evaluated_has_no_curves(networks, depth):
    def evaluated(found, *rows):
        done = {name: list(rows) for name in found.done}
        return found._replace(rows=done)

    before, after = {"step": 1}, {"step": 2, "val_accuracy": 0.5, "train_loss": 1.0}
    assert draw_curves(evaluated(networks, before)) == []
    assert len(draw_curves(evaluated(networks, before, after))) == 1
    assert depth_figures.training_curves(evaluated(depth, before)) == {}
    assert len(depth_figures.training_curves(evaluated(depth, before, after))) == 4


# The first layer's gradient relative to the last one's, and what the last dense layer keeps.
SHARES = {"plain": (0.01, 0.02), "residual": (0.5, 0.8)}


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    config = gradients.get_config("quick")
    first = config.trace_first_steps

    def shares_of(arm):
        return SHARES["residual" if arm.startswith("residual") else "plain"]

    def rows(trial):
        share, kept = shares_of(trial.arm)
        share *= 1 + noise(trial.seed, 0.05)
        probe = {"probe_layer_relative": [share, 1.0, 1.0], "probe_layer_rms": [share, 1.0, 1.0]}
        probe |= {"probe_layer_mean_abs": [share, 1.0, 1.0]}
        names = {"layers": ["stem", "blocks 0", "head"], "stages": [0, 1, 0]}
        yield {"step": 0, "seconds": 0.0} | probe | names
        for step in range(1, first + 1):
            falls = 1.0 if step <= first // 2 else kept
            row = {"step": step, "grad_norm": 5.0, "clipped_norm": 1.0, "train_loss": 1.0}
            row |= {"layer_mean_abs": [1.0, 1.0, falls], "layer_update_ratio": [0.1, 0.1, 0.1]}
            yield row | (probe if step == first else {})
        yield {"step": first + 1, "val_accuracy": 0.9, "train_loss": 1.0}

    def last(trial):
        return classified(0.9, trial)

    study = find("gradients")
    return finished(study, config, IMAGES, last, rows, tmp_path_factory.mktemp("gradients"))


def test_gradients_are_judged_as_their_words_say(traced):
    found = verdicts_of(traced)
    expected = {
        "a_skip_keeps_the_gradient": "holds",
        "b_start_plain_vanishes": "holds",
        "b_train_plain_vanishes": "holds",
        "c_residual_does_not_vanish": "holds",
        "d_residual_does_not_explode": "holds",
        "e_residual_stays_bounded": "holds",
        "f_plain_tends_to_zero": "holds",
        "g_residual_does_not": "holds",
    }
    asked = {name: verdict for name, verdict in expected.items() if name in found}
    assert {name: found[name] for name in asked} == asked and len(asked) >= 6


def test_gradients_are_shown_as_factors_of_the_right_net(traced):
    rows = {row[0]: row for row in gradient_rows(traced)}
    plain, residual = rows["plain"], rows["residual"]
    assert plain[2] == "0.01" and residual[2] == "0.5"
    assert plain[3].startswith("0.01 [") and residual[3].startswith("0.5 [")
    assert plain[4] == "0.02" and residual[4] == "0.8" and plain[5] == "5"
    assert plain[6] == "100 %"
    panels = profiles(traced, ["plain", "residual"])
    assert panels["before the first step"]["plain"][0][0] == pytest.approx(0.01, rel=0.1)
    assert profiles(traced, []) == {}
    dense = last_dense(traced)
    assert dense["plain"]["plain"][0][-1] == pytest.approx(0.02)
    assert dense["residual"]["residual"][0][-1] == pytest.approx(0.8)
    shown = clipped(traced)["plain"]
    assert shown["before"][0] == 5.0 and shown["after"][0] == 1.0


def test_gradients_answer_which_net_keeps_its_gradient(traced):
    found = gradients_answer(traced)
    assert "0.01 times" in found and "in plain and 0.5 times" in found
    assert "that of plain vanishes (falls below a tenth)" in found
    assert ", and residual keeps 50 times [" in found and found.endswith("] as much as plain.")


def test_gradients_of_a_net_that_always_diverged_are_unknown(traced):
    runs = [
        run | ({"first_layer": None, "diverged": True} if run["group"] == "plain" else {})
        for run in traced.summary["runs"]
    ]
    found = gradients_answer(traced._replace(summary=traced.summary | {"runs": runs}))
    assert ", is unknown in plain and 0.5 times [" in found and "last one in residual (" in found
    assert "(no run of plain has a value)" in found and "no seed in common" not in found
