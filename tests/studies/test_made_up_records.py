"""Records of other studies that are made up: the signs that a reader sees come out right."""

import math

import numpy as np
import pytest
from made_up import IMAGES, classified, finished, noise, verdicts_of

from configs import ag_news, agents, cam, dante
from dla_jax.studies import find
from dla_jax.studies.agents.answer import answer as agents_answer
from dla_jax.studies.agents.report import arm_row, lines, run_of, score_rows, steps_words
from dla_jax.studies.cam.answer import answer as maps_answer
from dla_jax.studies.cam.answer import photos_answer
from dla_jax.studies.cam.report import method_rows
from dla_jax.studies.cam.study import MAPS
from dla_jax.studies.compare.answer import answer as compare_answer
from dla_jax.studies.compare.report import PAIR_HEAD, groups, paired
from dla_jax.studies.features.report import answer as texts_answer
from dla_jax.studies.features.report import best_network
from dla_jax.studies.language.answer import answer as language_answer
from dla_jax.studies.language.figures import bars
from dla_jax.studies.language.report import network_rows, verdict_words

TEXT = {"name": "text", "num_examples": 1000, "fingerprint": "0" * 16}
NGRAMS = {"1": 2.5, "2": 1.6, "3": 1.8}
NATS = {"llama_4_heads": 1.5, "llama_16_heads": 1.55, "gpt": 1.9}


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    config = dante.get_config("tiny")

    def last(trial):
        nats = NATS[trial.arm] + noise(trial.seed) + noise(trial.seed + len(trial.arm), 5e-4)
        steps = 100.0 if trial.arm == "llama_4_heads" else 200.0
        row = {"nats_per_char": nats, "bits_per_char": nats / math.log(2), "perplexity": 4.0}
        row |= {"nats_per_token": nats, "above_ngram": nats - 1.6, "best_ngram_order": 2}
        row |= {"val_nats_per_char": nats, "ngram_nats_per_char": NGRAMS, "scored_on": "test"}
        row |= {"val_ngram_nats_per_char": NGRAMS, "tokens_per_char": 1.0, "num_params": 10}
        row |= {"scored_tokens_per_char": 1.0, "diverged": False, "best_step": 300, "step": 400}
        row |= {"log2_steps": math.log2(steps) + noise(trial.seed), "reached_target": True}
        return row | {"nats_risen": 0.0, "train_seconds": 1.0, "tokens_per_s": 1.0}

    study = find("language")
    return finished(study, config, TEXT, last, lambda trial: [], tmp_path_factory.mktemp("l"))


def test_language_claims_are_judged_as_their_words_say(language):
    found = verdicts_of(language)
    assert found["b_llama_beats_ngrams"] == found["e_llama_beats_gpt"] == "holds"
    assert found["a_gpt_beats_ngrams"] == "does not hold"
    assert found["d_heads_lower_loss"] == "does not hold"
    assert found["c_heads_converge_faster"] == "does not hold"


def test_language_says_how_far_each_model_is_from_the_ngrams(language):
    words = verdict_words(language)
    assert "the one of order 2 is best" in words
    assert "llama_4_heads has 0.100 nats less than it on average, less in 6 of 6 runs" in words
    assert "gpt has 0.300 nats more than it on average, less in 0 of 6 runs" in words
    rows = {row[0]: row for row in network_rows(language)}
    assert rows["llama_4_heads"][10] == "−0.100" and rows["gpt"][10] == "+0.300"
    shown = {row["label"]: np.mean(row["nats"]) for row in bars(language)}
    assert shown == {name: pytest.approx(nats, abs=5e-3) for name, nats in NATS.items()}


def test_language_answers_how_the_best_model_compares_with_the_best_ngram(language):
    found = language_answer(language)
    assert found.startswith("llama_4_heads, best on validation, needs 1.50")
    assert "of order 2, 1.600 (6 seeds): its median run is 0.1" in found and found.endswith(
        "] better."
    )


def test_a_language_model_that_diverged_counts_as_guessing(language):
    lost = {"diverged": True, "val_nats_per_char": 4.0, "nats_per_char": 4.0, "above_ngram": 2.4}
    runs = [run | (lost if run["seed"] == 0 else {}) for run in language.summary["runs"]]
    found = language_answer(language._replace(summary=language.summary | {"runs": runs}))
    assert "1 of 6 runs diverged and count as guessing" in found and "as chance" not in found


TEXTS = {"mlp": 0.90, "mlp_lab_c": 0.80, "linear": 0.88, "tfidf": 0.85}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    config = ag_news.get_config("quick")

    def last(trial):
        row = classified(TEXTS[trial.arm], trial) | {"macro_f1": 0.5, "wrong": []}
        return row | {"confusion": [[1, 0], [0, 1]]}

    study = find("features")
    return finished(study, config, IMAGES, last, lambda trial: [], tmp_path_factory.mktemp("t"))


def test_text_claims_are_judged_as_their_words_say(texts):
    found = verdicts_of(texts)
    asked = ("b_recipe_holds_back", "c_hidden_layers_help", "d_features_beat_tfidf")
    assert [found[name] for name in asked] == ["holds"] * 3
    assert found["a_lab_reaches_87"] == "not run"  # on other data than the lab's
    assert best_network(texts) == "mlp"


def test_texts_answer_how_the_best_network_compares_with_tfidf(texts):
    found = texts_answer(texts)
    assert found.startswith("mlp, best on validation, has a test accuracy of ")
    assert ", tfidf of 8" in found and found.endswith("] better.") and ": mlp is " in found


RETURNS = {"reinforce": 200.0, "dqn": 300.0, "ppo": 400.0}
STEPS = {"reinforce": 32_768, "dqn": 65_536, "ppo": 8_192}


def played_study(workdir, returns=RETURNS, lucky=0.0):
    config = agents.get_config("quick")

    def last(trial):
        value = returns[trial.arm] + lucky * (trial.seed == 0 and trial.arm == "dqn")
        value += noise(trial.seed, 1.0) + noise(trial.seed + len(trial.arm))
        row = dict.fromkeys(("eval_return", "last_return", "mean_return"), value)
        row |= {"random_return": 20.0 + noise(trial.seed), "num_params": 10, "diverged": False}
        row |= {"solved_at": STEPS[trial.arm], "solved_after": STEPS[trial.arm] - 100}
        row |= {"log2_solved": math.log2(STEPS[trial.arm]) + noise(trial.seed, 0.01)}
        row |= {"resolution": {"log2_solved": 0.01}, "env_steps_per_s": 1.0}
        return row | {"train_seconds": 1.0, "step": 100_000, "env_steps": 100_000}

    study = find("agents")
    return finished(study, config, TEXT, last, lambda trial: [], workdir)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return played_study(tmp_path_factory.mktemp("p"))


def test_agents_are_judged_as_their_words_say(played):
    found = verdicts_of(played)
    asked = ("a_ppo_beats_reinforce", "b_ppo_faster_than_reinforce", "c_ppo_beats_dqn")
    assert [found[name] for name in (*asked, "d_ppo_faster_than_dqn")] == ["holds"] * 4


def test_agents_are_compared_with_the_first_one(played):
    scores = {row["label"]: row for row in score_rows(played)}
    assert {name: round(scores[name]["whole"]["iqm"]) for name in RETURNS} == RETURNS
    assert round(scores["random actions"]["best"]["iqm"]) == 20
    first = played.runs_of(next(iter(played.arms)))
    shares = {name: arm_row(played, scores[name], first)[9][:4] for name in RETURNS}
    assert shares == {"reinforce": "–", "dqn": "1.00", "ppo": "1.00"}
    assert steps_words(played, "ppo") == "8,092 to 8,192"
    (line,) = [line for line in lines(played) if line.startswith("ppo")]
    assert " 400." in line or " 399." in line


def test_agents_answer_which_arm_learns_most(played):
    found = agents_answer(played)
    assert found.startswith("On CartPole-v1 ppo has a mean return over training of ")
    assert (
        ", the highest, and dqn one of " in found
        and "the return of ppo is 100." in found
        and "] higher" in found
    )
    assert (
        "it is solved by ppo on 6 of 6 seeds (the median one after 8,092 to 8,192 steps)" in found
    )


def test_agents_answer_as_the_claim_on_the_same_difference(tmp_path):
    close = played_study(tmp_path, RETURNS | {"reinforce": 395.0})
    assert verdicts_of(close)["a_ppo_beats_reinforce"] == "does not hold"
    assert "the difference is too small to matter (+" in agents_answer(close)
    unclaimed = close._replace(summary=close.summary | {"claims": []})
    assert ": the return of ppo is " in agents_answer(unclaimed)


def test_agents_are_ranked_by_the_means_that_are_compared(tmp_path):
    returns = {"reinforce": 200.0, "dqn": 290.0, "ppo": 300.0}
    found = agents_answer(played_study(tmp_path, returns, lucky=180.0))
    assert found.startswith("On CartPole-v1 dqn has a mean return over training of 3")
    assert " and ppo one of 300." in found or " and ppo one of 299." in found
    assert "whether dqn learns more than ppo is not decided (+" in found


def test_a_run_that_was_never_solved_is_a_bound(played):
    row = next(row for row in played.done.values() if row["stage"] == "final")
    assert run_of(played, row)["censored"] == []
    assert run_of(played, row | {"solved_at": None})["censored"] == ["log2_solved"]


AREAS = {"cam": (0.8, 0.2), "random": (0.5, 0.5)}  # insertion, deletion


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    config = cam.get_config("digits")
    data = IMAGES | {"network": "residual-10", "num_networks": 6, "seeds": list(range(6))}

    def last(trial):
        insertion, deletion = AREAS.get(trial.arm, (0.6, 0.4))
        moved = noise(trial.seed) + noise(trial.seed + len(trial.arm), 5e-4)
        row = {"insertion_auc": insertion + moved, "deletion_auc": deletion + moved}
        row |= {"insertion_aucs": [insertion], "deletion_aucs": [deletion], "diverged": False}
        row |= {"likeness_forgotten": 0.1 + moved, "signed_likeness_forgotten": 0.0}
        return row | {"likeness_another": 0.5, "val_accuracy": 0.9, "test_accuracy": 0.9}

    return finished(MAPS, config, data, last, lambda trial: [], tmp_path_factory.mktemp("m"))


def test_maps_are_judged_as_their_words_say(mapped):
    found = verdicts_of(mapped)
    assert found["a_insertion"] == found["b_deletion"] == "holds"
    assert found["f_outlives"] == "does not hold"


def test_maps_are_compared_with_noise_and_not_the_other_way(mapped):
    rows = {row[0]: row for row in method_rows(mapped)}
    assert rows["cam"][3].startswith("+30.0") and rows["cam"][4].startswith("−30.0")
    assert rows["cam"][1] == "80.0" and rows["random"][3] == "–"


def test_maps_answer_whether_they_find_more_than_noise(mapped):
    found = maps_answer(mapped)
    assert "area under the probability of the predicted class is 80.0 % [" in found
    assert found.index("80.0 %") < found.index("in the order of cam")
    assert "the map finds what the networks use, by 30.0 points [" in found


def test_photos_answer_what_they_are_taken_for():
    row = {"label": "ship", "probability": 0.9}
    assert photos_answer([row]) == "The photo is taken for ship, with probability 0.90."
    found = photos_answer([row, row, {"label": "cat", "probability": 0.5}])
    assert found == (
        "Of 3 photos are taken 2 for ship, 1 for cat; the surest is ship, with probability 0.90."
    )


def test_a_pair_of_studies_is_the_second_minus_the_first():
    rows = []
    for study, value in (("old", 0.80), ("new", 0.90)):
        for seed in range(8):
            found = {"study": study, "group": "net", "seed": seed, "data": IMAGES}
            moved = noise(seed) + noise(seed + len(study) * 7)
            found |= {"num_params": 10, "diverged": False}
            rows.append(found | {"test_accuracy": value + moved, "val_accuracy": value - 0.1})
    (row,) = paired(rows)
    assert row[2] == "new − old" and row[4].startswith("+") and row[0] == "better"
    assert list(groups(rows)) == ["old: net", "new: net"]  # the most accurate last
    (row,) = paired(rows[8:] + rows[:8])
    assert row[2] == "old − new" and row[4].startswith("−") and row[0] == "worse"
    compared = [dict(zip(PAIR_HEAD, row, strict=True))]
    found = compare_answer([("digits", groups(rows))], compared)
    best = "On digits new: net, best of 2 on validation, has a test accuracy of 90."
    assert found.startswith(best)
    assert "old beside new: of 1 network worse in net (−" in found


def test_a_comparison_ranks_by_validation_and_announces_what_outlives_the_correction():
    runs = {"test_accuracy": 0.9, "val_accuracy": 0.7, "diverged": False}
    networks = {"a: x": [runs | {"val_accuracy": 0.8}], "b: y": [runs | {"test_accuracy": 0.95}]}
    verdicts = ("better", "not decided (after correction)", "not decided", "no difference (x)")
    row = {"studies": "b − a", "points [95 % interval]": "+1.0"}
    pairs = [row | {"network": f"n{i}", "verdict": each} for i, each in enumerate(verdicts)]
    found = compare_answer([("digits", networks)], pairs)
    assert found.startswith("On digits a: x, best of 2 on validation, has a test accuracy of 90.0")
    assert found.endswith(
        "b beside a: of 4 networks better in n0 (+1.0 points), no different in 1, not decided "
        "after correction in 1, not decided in 1."
    )
