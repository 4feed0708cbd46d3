"""Verdicts and sentences of multiple choice lie on the side of a made-up record."""

import numpy as np
import pytest
from made_up import classified, finished, noise, verdicts_of

from configs import race
from configs.claims.race import claims
from dla_jax.studies.choices import report
from dla_jax.studies.choices.answering import restore
from dla_jax.studies.choices.study import STUDY

DATA = {"name": "race", "num_examples": 97_687, "num_passages": 27_933, "num_options": 4}
DATA |= {"fingerprint": "0" * 16, "part_sizes": {"train": 100, "val": 10, "test": 10}, "levels": {}}
MEASURED = {
    "lab_c": 0.38,
    "margin": 0.401,
    "softmax": 0.4,
    "softmax_blind": 0.33,
    "cross": 0.65,
    "cross_windows": 0.7,
    "cross_blind": 0.45,
    "random": 0.25,
    "longest": 0.31,
    "tfidf": 0.3,
    "cosine": 0.28,
}


def study(workdir, measured, ties=0.001, stuck=()):
    """Return a finished study of these accuracies."""
    config = race.get_config("race")
    config.claims = claims(config.networks, one_test_part=False)

    def last(trial):
        row = classified(measured[trial.arm], trial)
        row = {key: value for key, value in row.items() if not key.startswith(("class", "bal"))}
        right = round(100 * measured[trial.arm])
        passages = {"passage": list(range(10)), "right": [right - 18, 2] + [1, 3] * 4}
        passages["count"] = [55] + [5] * 9
        asked = {"why": {"passage": [1, 2], "right": [right - 15, 5], "count": [50, 10]}}
        asked["how"] = {"passage": list(range(10)), "right": [1] * 10, "count": [4] * 10}
        wrong = {"question": 1, "passage": "A ship. A storm.", "question_text": "What sank?"}
        wrong |= {"options": ["a ship", "b"], "probabilities": [0.2, 0.8], "right": "a ship"}
        wrong |= {"chosen": "b", "sentence": "A storm.", "moved": 0.25}
        return row | {
            "test_accuracy_ties": row["test_accuracy"] + ties + abs(noise(trial.seed, 0.001)),
            "groups": {"kind": asked, "level": {"": passages}, "length": {"up to 9": passages}},
            "by_passage": passages,
            "wrong": [wrong],
            "stuck": trial.arm in stuck,
        }

    return finished(STUDY, config, DATA, last, lambda trial: [], workdir)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return study(tmp_path_factory.mktemp("choices"), MEASURED)


def test_claims_hold_where_the_record_says_so(found):
    verdicts = verdicts_of(found)
    assert len(verdicts) == 10 and set(verdicts.values()) == {"holds"}, verdicts


def test_claims_do_not_hold_where_it_says_the_opposite(tmp_path):
    turned = {name: 0.8 - value for name, value in MEASURED.items()} | {"lab_c": 0.2}
    turned |= {"longest": 0.2, "margin": 0.2}
    verdicts = verdicts_of(study(tmp_path, turned, ties=0.03))
    assert set(verdicts.values()) == {"does not hold"}, verdicts


def test_seeds_decide_nothing_of_a_rule_on_one_test_part():
    asked = set(race.get_config("docstrings").claims) - set(race.get_config("race").claims)
    assert "j_longest" in asked


def test_the_answer_sets_the_best_network_beside_the_best_rule(found):
    told = report.answer(found)
    assert told.startswith("cross_windows, best on validation, has a test accuracy of 70.")
    assert "longest of 31." in told and "better" in told


def test_the_table_has_the_interval_over_passages_and_what_ties_give(found):
    rows = {row[0]: dict(zip(report.HEAD, row, strict=True)) for row in report.network_rows(found)}
    assert rows["lab_c"][report.TIES].startswith("38.")
    low, high = map(float, rows["softmax"][report.OVER_QUESTIONS].strip("[]").split(", "))
    assert low < 40 < high
    assert rows["lab_c"]["reported"] == "about 38 % of RACE, equal scores counted as right"


def test_passages_of_all_seeds_are_summed():
    passages, right, count = np.array([[1, 2, 1], [1, 0, 2], [2, 1, 4]])
    for sums, expected in zip(report.summed(passages, right, count), ([3, 0], [6, 1]), strict=True):
        assert sums.tolist() == expected


def test_groups_are_told_with_their_share(found):
    (section,) = report.group_sections(found)
    rows = {(row[0], row[1]): row for row in section["table"]["rows"]}
    assert set(rows) == {
        ("what is asked", "why"),
        ("what is asked", "how"),
    }  # one level, one length
    place = section["table"]["head"].index("cross")
    assert rows["what is asked", "why"][2] == "60"
    assert rows["what is asked", "why"][place] == f"{100 * 55 / 60:.1f}"  # of two passages
    assert rows["what is asked", "how"][place] == "25.0 [25.0, 25.0]"


def test_the_same_questions_for_all_seeds_are_named(found):
    assert "the same 10 questions" in report.same_questions_words(found)
    found = found._replace(written=found.written | {"data": DATA | {"part_sizes": None}})
    assert report.same_questions_words(found) == ""


def test_runs_that_diverged_are_counted_apart(tmp_path):
    found = study(tmp_path, MEASURED)
    row = found.last_rows("cross")[0]
    row |= {"by_passage": None, "groups": None}
    assert report.question_words(found, "cross").endswith("(without 1 run that diverged)")
    assert report.accuracies(report.counted_by_group(found, "cross", "kind"), ["how"]).shape == (
        7,
        1,
    )


def test_trainings_that_stay_at_guessing_are_warned_of(found, tmp_path):
    assert report.stuck_words(found) == ""
    told = report.stuck_words(study(tmp_path, MEASURED, stuck=("cross",)))
    assert told.startswith(" Warning: 8 of 8 runs of cross stayed at the training loss of guessing")
    assert "1.386" in told


def test_a_question_is_shown_with_what_counted(found):
    (section,) = report.wrong_section(found)
    (sample,) = section["samples"]
    assert sample["caption"] == "What sank?"
    assert sample["text"] == (
        "A ship. A storm.\n\n0.20  a ship (right)\n0.80  b (chosen)\n\n"
        "The sentence that counts most (25 % of the probability moves without it): A storm."
    )


def test_facts_say_how_much_guessing_has(found):
    told = report.facts(found)["data"]
    assert "97,687 questions about 27,933 passages" in told and "guessing has 25.0 %" in told
    assert STUDY.restore is restore
