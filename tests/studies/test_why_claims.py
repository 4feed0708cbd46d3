"""Verdicts and sentences of the study of why skips help lie on the side of a made-up record."""

import numpy as np
import pytest
from made_up import IMAGES, classified, finished, noise, verdicts_of
from matplotlib.backends.backend_agg import FigureCanvasAgg

from configs import why
from dla_jax.studies.why import report
from dla_jax.studies.why.answer import answer
from dla_jax.studies.why.study import STUDY

BLOCKS = 8
LENGTHS = list(range(BLOCKS + 1))
# What a run of a network measures: (cost of a block, loss around, curvature, mean path).
MEASURED = {
    "plain": (0.8, 100.0, 300.0, BLOCKS),
    "residual": (0.02, 1.0, 10.0, 2),
}


def diagnosed(arm, seed, measured, config):
    """Return what the last row of a run holds of its diagnostics."""
    cost, around, curved, length = measured[arm]
    points, depths = config.landscape.points, list(config.shattering.depths)
    whole, moved = 0.95, noise(seed, 0.01)
    bowl = np.full((points, points), 1.0)
    bowl[points // 2, points // 2] = 0.5  # the trained network
    curve = np.linspace(whole, whole - cost, BLOCKS + 1)
    correlation = np.linspace(1, 1 - cost, config.shattering.longest_lag + 1) + moved
    return {
        "whole_accuracy": whole,
        "lesion_accuracy": [whole - cost + moved] * BLOCKS,
        "deleted_counts": LENGTHS,
        "deleted_accuracy": list(curve + moved),
        "swap_counts": [0, 1, 2],
        "swapped_accuracy": [whole, whole - cost + moved, 0.1],
        "path_length": LENGTHS,
        "path_norm": [float(k == length or length < BLOCKS) for k in LENGTHS],
        "path_mass": [(1 + moved) * (k == length) + 0.01 * (k == 1) * seed for k in LENGTHS],
        "surface": (around * (1 + moved) * bowl).tolist(),
        "cut": [around] * config.landscape.cut_points,
        "kept_top_eigenvalue": curved * (1 + moved),
        "spectrum_nodes": [[0.0, curved]],
        "spectrum_weights": [[0.9, 0.1]],
        "walk_depths": depths,
        "walk_gradient": [[1.0] * config.shattering.points] * len(depths),
        "walk_correlation": [correlation.tolist()] * len(depths),
    }


def study(workdir, measured):
    """Return a finished `quick` study with these measures; remedies are as good as skips."""
    config = why.get_config("quick")
    accuracy = {"plain": 0.85, "residual": 0.95, "looks_linear": 0.95, "skipinit": 0.95}

    def last(trial):
        row = classified(accuracy[trial.arm], trial)
        if trial.stage == "final" and trial.arm in measured:
            row |= diagnosed(trial.arm, trial.seed, measured, config)
        return row

    def rows(trial):
        curved = measured.get(trial.arm, (0, 0, 1.0, 0))[2]
        return [
            {"step": 4 * i, "epoch": i, "top_eigenvalue": curved, "train_loss": 1.0}
            | {"val_accuracy": 0.5, "val_loss": 1.0, "train_accuracy": 0.5, "seconds": 1.0}
            for i in range(2)
        ]

    return finished(STUDY, config, IMAGES, last, rows, workdir)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return study(tmp_path_factory.mktemp("why"), MEASURED)


TWINS = ("a_lesion", "c_half", "d_swap", "f_shattering", "g_landscape", "h_curvature")


def test_claims_hold_where_the_record_says_so(found):
    verdicts = verdicts_of(found)
    assert {verdicts[name] for name in (*TWINS, "i_curvature_along", "e_short_paths")} == {"holds"}
    assert verdicts["j_looks_linear_helps"] == verdicts["j_looks_linear_is_enough"] == "holds"


def test_claims_do_not_hold_where_it_says_the_opposite(tmp_path):
    swapped = {"plain": MEASURED["residual"], "residual": MEASURED["plain"]}
    found = study(tmp_path, swapped)
    verdicts = verdicts_of(found)
    names = (*TWINS, "i_curvature_along", "e_short_paths")
    assert {verdicts[name] for name in names} == {"does not hold"}
    told = answer(found)
    assert "A deleted block costs the residual net 78." in told
    assert "around the residual net the loss rises " in told
    assert "curvature of the residual net is " in told


def test_the_answer_says_by_how_much(found):
    told = answer(found)
    assert told.startswith("A deleted block costs the plain net 78.")
    assert "in residual the gradient comes over paths of 2.0 [" in told
    assert "] of 8 blocks, weighed by size; the gradient of deep plain nets is shattered" in told
    assert "around the plain net the loss rises 100 times" in told
    assert "curvature of the plain net is 30 times" in told and "(6 seeds)" in told


def test_measures_are_what_they_say(found):
    (run, *_) = found.runs_of("plain")
    seed = run["seed"]
    assert run["lesion_cost"] == pytest.approx(0.8 - noise(seed, 0.01))
    assert run["half_cost"] == pytest.approx(0.4 - noise(seed, 0.01))
    assert run["swap_cost"] == pytest.approx(0.8 - noise(seed, 0.01))
    assert run["length_ratio"] == pytest.approx(2.0) and run["num_blocks"] == BLOCKS
    assert run["log_rise"] == pytest.approx(np.log10(50 * (1 + noise(seed, 0.01))))
    lag, longest = found.config.shattering.lag, found.config.shattering.longest_lag
    assert run["shattering"] == pytest.approx(0.8 * lag / longest - noise(seed, 0.01))
    assert found.runs_of("skipinit")[0]["lesion_cost"] is None


def test_what_overflowed_is_large_and_what_is_flat_small():
    assert report.log_curvature(-3.0) == report.log_curvature(0.0) == -6
    assert report.log_curvature(None) is None
    assert report.length_of({"path_length": [0, 1], "path_mass": [0, 0]}, 1) == {
        "effective_length": None,
        "length_ratio": None,
    }


def test_the_pictures_and_tables_are_of_these_numbers(found, monkeypatch):
    # To render them takes most of the time, and the smoke preset does.
    monkeypatch.setattr(FigureCanvasAgg, "draw", FigureCanvasAgg.get_renderer)
    sections = {section["title"]: section for section in report.sections(found)}
    assert sections["Lesions"]["text"].startswith("A deleted block costs the plain net 78.")
    table = sections["All measures"]["table"]["rows"]
    plain = dict(zip(report.HEAD, table[0], strict=True))
    assert plain["network"] == "plain" and plain["loss rises by, nats (geometric mean)"] == "50"
    assert plain["largest eigenvalue (geometric mean)"] == "300"
    assert "looks_linear" in sections["Remedies"]["text"]
    alts = {
        figure["path"].stem: figure["alt"]
        for section in sections.values()
        for figure in section.get("figures", ())
    }
    assert "plain" in alts["lesions"] and "residual" in alts["surfaces"]
    assert set(alts) >= {"lesions", "paths", "walks", "surfaces", "contours", "along", "spectra"}


def test_a_loss_that_falls_on_one_side_is_a_small_rise(found):
    row = found.last_rows("plain")[0]
    points = len(row["surface"])
    slope = np.tile(np.linspace(-1, 1, points), (points, 1))
    tilted = row | {"surface": (5 + slope + 0.1).tolist()}
    tilted["surface"][points // 2][points // 2] = 5.0
    assert report.log_rise(found, tilted) == pytest.approx(-1)
    coarse = found._replace(config=found.config.copy_and_resolve_references())
    coarse.config.landscape.points = 3
    three = row | {"surface": [[9.0, 3.0, 9.0], [3.0, 1.0, 3.0], [9.0, 3.0, 9.0]]}
    assert report.log_rise(coarse, three) == pytest.approx(np.log10(2))
    overflowed = row | {"surface": [[None] * points] * points}
    overflowed["surface"] = [list(line) for line in overflowed["surface"]]
    overflowed["surface"][points // 2][points // 2] = 1.0
    assert report.log_rise(found, overflowed) == pytest.approx(6)


def test_each_preset_asks_of_its_own_twins():
    names = {preset: set(why.get_config(preset).claims) for preset in why.PRESETS}
    assert {"a_lesion", "a_lesion_batch", "h_curvature_same_rate", "m_skipinit"} <= names["digits"]
    assert {"b_lesion_recomputed_batch", "f_shattering_unscaled"} <= names["digits"]
    assert {"a_lesion", "b_lesion_recomputed"} <= names["read"] and len(names["read"]) == 9
    for preset in ("resnet20", "resnet56"):
        asked = {"a_lesion_batch", "e_short_paths_batch", "k_orthogonal_helps", "n_fixup"}
        assert asked | {"l_identity_is_enough"} <= names[preset]
        assert "a_lesion" not in names[preset]
