"""Verdicts and sentences of the study of strange images lie on the side of a made-up record."""

import numpy as np
import pytest
from made_up import IMAGES, finished, noise, verdicts_of

from configs import ood
from dla_jax.studies.ood import report
from dla_jax.studies.ood.answer import answer
from dla_jax.studies.ood.measure import AS_IMPLEMENTED
from dla_jax.studies.ood.sets import NOISE, reported_names
from dla_jax.studies.ood.study import OOD

SEEDS = range(8)
# AUROC on near sets, far sets, and lab B's noise, of detectors as OpenOOD ranks them.
MEASURED = {
    "msp": (0.70, 0.80, 0.78),
    "max_logit": (0.70, 0.80, 0.78),
    "energy": (0.65, 0.85, 0.80),
    "gen": (0.75, 0.80, 0.80),
    "odin": (0.60, 0.90, 0.85),
    AS_IMPLEMENTED: (0.50, 0.60, 0.98),
    "mahalanobis": (0.65, 0.75, 0.90),
    "relative_mahalanobis": (0.75, 0.85, 0.90),
    "knn": (0.80, 0.95, 0.95),
    "vim": (0.75, 0.97, 0.95),
}
CURVE = {"coverage": [0.5, 0.8, 1.0], "risk": [0.0, 0.01, 0.1]}


def study(workdir, measured):
    """Return a finished study with these scores."""
    config = ood.get_config("quick")
    data = IMAGES | {"seeds": list(SEEDS), "network": "residual-5", "num_networks": len(SEEDS)}
    data["sets"] = {key: list(config[key]) for key in ("near", "far", "tuning")}

    def last(trial):
        near, far, noisy = (
            value + noise(trial.seed, 0.003) + noise(trial.seed + len(trial.arm), 0.001)
            for value in measured[trial.arm]
        )
        row = {"test_accuracy": 0.9, "diverged": False, "network": "residual-5", "setting": {}}
        row |= {"near_auroc": near, "far_auroc": far, "noise_auroc": noisy, "aurc": 0.01}
        places = dict.fromkeys(reported_names(config), far)
        places |= dict.fromkeys(config.near, near) | {NOISE: noisy}
        row["sets"] = {
            place: {"auroc": value, "fpr95": 1 - value, "aupr_in": value, "aupr_out": value}
            for place, value in places.items()
        }
        for kind, value in (("near", near), ("far", far)):
            row |= {f"{kind}_{key}": value for key in ("aupr_in", "aupr_out")}
            row[f"{kind}_fpr95"] = 1 - value
        row["risk_coverage"] = CURVE
        if trial.arm == "msp":
            row |= {"strangeness_test": 0.17 + 2 * noise(trial.seed), "strangeness_noise": 0.40}
        if trial.arm.startswith("odin"):
            row["setting"] = {"temperature": 1000.0, "epsilon": 0.005 * (1 + trial.seed // 6)}
        if trial.arm == "odin":  # temperature 1, then 1000; epsilons rising
            row["grid"] = {NOISE: [0.7, 0.8, 0.8, 0.7, 0.8 + noise(trial.seed), 0.9, 0.95, 0.85]}
        return row

    return finished(OOD, config, data, last, lambda trial: [], workdir)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return study(tmp_path_factory.mktemp("ood"), MEASURED)


def test_claims_hold_where_the_record_says_so(found):
    verdicts = verdicts_of(found)
    against = {"i_odin_near"}  # OpenOOD found the opposite
    assert len(verdicts) == 21
    assert {name for name, verdict in verdicts.items() if verdict != "holds"} == against
    assert verdicts["i_odin_near"] == "does not hold"


def test_claims_do_not_hold_where_it_says_the_opposite(tmp_path):
    turned = {name: tuple(1 - value for value in own) for name, own in MEASURED.items()}
    found = study(tmp_path, turned | {"msp": (0.80, 0.20, 0.22)})
    verdicts = verdicts_of(found)
    for name in ("a_strange_noise", "h_near_is_harder", "g_near_is_hard", "b_softmax_noise"):
        expected = "holds" if name.startswith("a_") else "does not hold"
        assert verdicts[name] == expected, name
    assert verdicts["j_odin_far"] == verdicts["o_vim_far"] == "does not hold"


def test_the_answer_names_the_best_distance_and_by_how_much(found):
    told = answer(found)
    assert told.startswith("On near sets the softmax has an AUROC of 70."), told
    assert "ODIN is 10." in told and "worse" in told
    assert "the distance to neighbours is 10." in told and "On far sets" in told
    assert "the distance to neighbours is 15." in told and "(8 networks)" in told


def test_measures_are_what_they_say(found):
    (run, *_) = found.runs_of("msp")
    row = found.last_rows("msp")[0]
    assert run["far_minus_near"] == pytest.approx(row["far_auroc"] - row["near_auroc"])
    assert run["strangeness_gap"] == pytest.approx(0.23 - 2 * noise(run["seed"]))
    assert found.runs_of("knn")[0]["strangeness_gap"] is None
    odin = found.runs_of("odin")[0]
    assert odin["temperature_gain"] == pytest.approx(0.1 + noise(odin["seed"]))
    assert odin["step_cost"] == pytest.approx(0.1)
    assert found.runs_of(AS_IMPLEMENTED)[0]["step_cost"] is None


def test_tables_and_words_are_of_these_numbers(found):
    rows = {row[0]: row[1:] for row in report.set_rows(found, "auroc")}
    head = reported_names(found.config)
    assert rows["k nearest neighbours"][head.index("turned")].startswith("95.")
    assert rows["k nearest neighbours"][head.index("left_out")].startswith("80.")
    kinds = {
        row[0]: dict(zip(report.kind_head(found)[1:], row[1:], strict=True))
        for row in report.kind_rows(found)
    }
    assert kinds["ViM"]["far: FPR at 95 % TPR %"].startswith("3.")
    assert kinds["ViM"]["near: AUROC %"].startswith("75.")
    (odin, *_) = [row for row in report.setting_rows(found) if row[0] == "ODIN"]
    assert odin[1].startswith("temperature 1000, epsilon 0.005 (6), temperature 1000, epsilon 0.01")
    told = report.odin_words(found)
    assert "these test images has 98.0" in told and "on far sets (softmax 80.0" in told
    assert "strangest, it is 1.0 [1.0, 1.0] %" in report.coverage_words(found)
    assert "0.17" in report.summed_words(found) and "0.40" in report.summed_words(found)


def test_detectors_ask_only_what_they_can_answer():
    alone = {"a_strange_noise", "b_softmax_noise", "g_near_is_hard", "h_near_is_harder"}
    assert set(ood.claims(("msp",))) == alone
    assert {"d_odin_as_implemented", "c_temperature"} < set(ood.claims(("msp", "odin")))
    assert not ood.claims(("knn",))
    halves = np.array([0, 0.0005, 0.001, 0.0014, 0.002, 0.0024, 0.005, 0.01, 0.02, 0.05]) / 2
    np.testing.assert_allclose(ood.get_config("digits").settings.epsilons[:10], halves)  # lab B's
