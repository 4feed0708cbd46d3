"""Verdicts and sentences of the study of attacks lie on the side of a made-up record."""

import numpy as np
import pytest
from made_up import IMAGES, finished, noise, verdicts_of

from configs import adversarial
from dla_jax.studies.adversarial import report
from dla_jax.studies.adversarial.answer import answer
from dla_jax.studies.adversarial.figures import amplified, padded, training_data, transfer_data
from dla_jax.studies.adversarial.study import ATTACKED

SEEDS = range(8)
# Clean accuracy, under FGSM, under PGD, worst of all, and AUROC near and far.
MEASURED = {
    "standard": (0.98, 0.40, 0.10, 0.05, 0.90, 0.80),
    "fgsm_lab_b": (0.97, 0.60, 0.30, 0.20, 0.91, 0.80),
    "fgsm": (0.95, 0.85, 0.50, 0.40, 0.95, 0.80),
    "rs_fgsm": (0.93, 0.86, 0.80, 0.75, 0.92, 0.80),
    "pgd": (0.92, 0.86, 0.82, 0.751, 0.95, 0.90),
    "trades": (0.91, 0.87, 0.84, 0.82, 0.92, 0.85),
}


def study(workdir, measured):
    """Return a finished study of these measures."""
    config = adversarial.get_config("digits")
    data = IMAGES | {"seeds_of": {name: list(SEEDS) for name in measured}, "network": "all"}
    data |= {"num_networks": 48, "sets": {"near": ["left_out"], "far": ["gaussian", "turned"]}}

    def last(trial):
        moved = noise(trial.seed, 0.003) + noise(trial.seed + len(trial.arm), 0.001)
        clean, fgsm, pgd, worst, near, far = (value + moved for value in measured[trial.arm])
        own = {f"{name}_accuracy": pgd for name in config.attacks}
        own |= {"clean_accuracy": clean, "test_accuracy": clean, "worst_accuracy": worst}
        own |= {"fgsm_accuracy": fgsm, "diverged": False, "masking": -0.1 - moved, "target": "a"}
        own |= {"near_auroc": near, "far_auroc": far, "near_auroc_knn": near, "far_auroc_knn": far}
        falling = [clean, 0.9 * clean, 0.8 * clean, fgsm, pgd, worst]
        for key in ("fgsm", "pgd", "fgsm_targeted", "pgd_targeted"):
            own[f"{key}_curve"] = falling
        own["lab_b_curve"] = [value / 2 for value in falling]
        rising = [0.3 + moved, 0.3, 0.31, 0.32, 0.33, 0.4 + 2 * moved]
        own |= {"lab_d_targeted_curve": rising, "lab_d_target_curve": rising[::-1]}
        own |= {
            f"{key}_target_curve": [0, 0.1, 0.2, 0.4, 0.6, 0.8 + moved] for key in ("fgsm", "pgd")
        }
        if trial.arm != "standard":
            own |= {"trained_step_curve": [10, 20], "trained_clean_curve": [0.5, clean]}
            own |= {"trained_fgsm_curve": [0.5, 0.9], "trained_pgd_curve": [0.8, 0.3 + moved]}
            own |= {"pgd_last": 0.3 + moved, "pgd_lost": 0.5 - moved, "overfitted_at": 20}
        own["transfer"] = {name: 0.1 if name == trial.arm else 0.7 + moved for name in measured}
        return own | {"transfer_gap": 0.6 + moved}

    return finished(ATTACKED, config, data, last, lambda trial: [], workdir)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return study(tmp_path_factory.mktemp("attacked"), MEASURED)


def test_claims_hold_where_the_record_says_so(found):
    verdicts = verdicts_of(found)
    assert len(verdicts) == 17 and set(verdicts.values()) == {"holds"}, verdicts


def test_claims_do_not_hold_where_it_says_the_opposite(tmp_path):
    turned = dict(zip(MEASURED, reversed(MEASURED.values()), strict=True))
    verdicts = verdicts_of(study(tmp_path, turned))
    for name in ("f_lab_b_fgsm", "g_lab_b_pgd", "h_fgsm_pgd", "i_pgd", "l_costs_clean"):
        assert verdicts[name] == "does not hold", name
    assert verdicts["k_trades"] == verdicts["o_pgd_far"] == "does not hold"
    assert verdicts["j_fgsm_is_enough"] == "does not hold"


def test_the_answer_says_by_how_much(found):
    told = answer(found)
    assert told.startswith("At epsilon 0.1 (25.5/255) all attacks in the largest norm"), told
    assert "of standard from 98." in told and "to 5." in told
    assert "pgd is 70." in told and "better" in told and "pgd is 6." in told and "worse" in told


def test_measures_are_what_they_say(found):
    run, row = found.runs_of("standard")[0], found.last_rows("standard")[0]
    assert run["fgsm_cost"] == pytest.approx(0.58, abs=1e-3)
    assert run["clamp_cost"] == pytest.approx(row["clean_accuracy"] / 2)
    curve = row["lab_d_targeted_curve"]
    assert run["targeted_rise"] == pytest.approx(curve[-1] - curve[0])
    assert run["target_share"] == row["pgd_target_curve"][-1]


def test_tables_and_words_are_of_these_numbers(found):
    rows = {row[0]: row for row in report.attack_rows(found)}
    names = ["clean", *found.config.attacks, "worst"]
    assert rows["standard"][2 + names.index("fgsm")].startswith("40.")
    assert rows["TRADES"][-1].startswith("82.")
    said = report.masked_words(found)
    assert "finds nothing that the others together miss" in said
    assert said.endswith(
        "Alone it finds more than FGSM (of standard, FGSM lab B's, FGSM, FGSM random start, PGD, "
        "TRADES)."
    )
    values, order = transfer_data(found)
    assert order[0] == "standard" and values[0, 0] == pytest.approx(0.1)
    assert values[0, 1] == pytest.approx(0.7, abs=0.01)


def test_what_became_of_training_is_told_of_those_that_were_attacked(found):
    names = [name for name in found.arms if name != "standard"]
    section = report.training_section(found, names, [])
    assert [row[0] for row in section["table"]["rows"]] == [report.spoken(name) for name in names]
    assert section["table"]["rows"][1][1].startswith("30.")
    assert section["table"]["rows"][1][2].startswith("50.")
    assert "8 of 8 runs of PGD" in section["text"] and "standard" not in section["text"]
    panels = training_data(found)
    assert list(panels) == names and panels["pgd"]["step"].tolist() == [10, 20]
    np.testing.assert_allclose(panels["pgd"]["fgsm"], [[0.5, 0.9]] * 8)


def test_a_run_that_stopped_earlier_has_no_values_after_its_end():
    np.testing.assert_array_equal(padded([0.5, None], 3), [0.5, np.nan, np.nan])


def test_masked_gradients_are_said(tmp_path):
    found = study(tmp_path, MEASURED)
    for name in ("standard", "pgd"):
        for run in found.runs_of(name):
            run["masking"] = 0.3 if name == "pgd" else -0.1
    assert "finds more than all others in this norm for 8 of 8 runs of PGD." in (
        report.masked_words(found)
    )


def test_a_perturbation_is_enlarged_around_grey():
    change = np.array([[[0.01], [-0.02]], [[0.0], [0.02]]], np.float32)
    image, times = amplified(change)
    assert times == 25 and image[1, 0, 0] == 128
    assert image[0, 1, 0] == 0 and image[1, 1, 0] == 255 and 128 < image[0, 0, 0] < 255
    assert amplified(np.zeros((2, 2, 1), np.float32))[1] == 1
