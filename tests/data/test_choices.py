"""Multiple-choice questions: parts by passage, the order of options, and what is refused."""

import json
from collections import Counter

import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy.stats import chi2

from dla_jax.config.checks import ConfigError
from dla_jax.data import choices
from dla_jax.data.questions import Question

SEEDS = range(30)


def config(**changes) -> ConfigDict:
    usual = {"name": "docstrings", "path": "", "level": "all", "lower": False}
    return ConfigDict(usual | {"val_fraction": 0.1, "test_fraction": 0.2, "num_train": 0} | changes)


def question(passage: int, answer: int = 0, part: str = "", num_options: int = 4, level: str = ""):
    options = tuple(f"option {i}" for i in range(num_options))
    return Question("a place", f"passage {passage}", "What?", options, answer, level, part)


def made(num_passages: int = 40) -> choices.Choices:
    """Make a set without parts; passage p has 1 + p % 3 questions, none beside another."""
    places = [(p, i) for i in range(3) for p in range(num_passages) if i <= p % 3]
    return choices.assemble("made", [question(p, answer=(p + i) % 4) for p, i in places])


def of_parts(**passages) -> choices.Choices:
    """Make a set with parts, as in train=(0, 0, 1): the passage of each question."""
    return choices.assemble(
        "made", [question(p, part=part) for part, held in passages.items() for p in held]
    )


def passages_of(found: choices.Choices, parts: dict) -> dict[str, set[int]]:
    """Return the numbers of the passages of each part."""
    return {
        name: {int(found.passages[found.passage[i]].split()[1]) for i in positions}
        for name, positions in parts.items()
    }


def test_questions_become_arrays_and_passages_that_are_alike_one():
    found = choices.assemble("made", [question(7, 1), question(3, 2, level="high"), question(7, 3)])
    assert found.passages == ("passage 7", "passage 3")
    np.testing.assert_array_equal(found.passage, [0, 1, 0])
    np.testing.assert_array_equal(found.answers, [1, 2, 3])
    assert found.part is None and found.level == ("", "high", "") and found.num_options == 4
    assert {found.passage.dtype, found.answers.dtype} == {np.dtype(np.int32)}
    np.testing.assert_array_equal(of_parts(train=(0, 1), val=(2,), test=(3,)).part, [0, 0, 1, 2])


def test_the_identity_changes_with_everything_that_matters():
    found = of_parts(train=(0, 1), val=(2,), test=(3,))
    changed = [
        found._replace(passages=("a", *found.passages[1:])),
        found._replace(questions=("a", *found.questions[1:])),
        found._replace(options=(found.options[0][::-1], *found.options[1:])),
        found._replace(answers=found.answers + 1),
        found._replace(passage=found.passage[::-1]),
        found._replace(part=found.part[::-1]),
        found._replace(part=None),
        found._replace(level=("a", *found.level[1:])),
    ]
    prints = {each.identity["fingerprint"] for each in (found, *changed)}
    assert len(prints) == 9 and {len(each) for each in prints} == {16}
    identity = changed[-1].identity
    assert json.loads(json.dumps(identity)) == identity  # which a workdir compares
    del identity["fingerprint"]
    assert identity == {
        "name": "made",
        "num_examples": 4,
        "num_passages": 4,
        "num_options": 4,
        "levels": {"a": 1},
        "part_sizes": {"train": 2, "val": 1, "test": 1},
    }
    assert made().identity["part_sizes"] is None


def test_no_passage_is_in_two_parts_and_every_question_is_in_one():
    found, tested = made(), set()
    sizes = Counter(found.passage.tolist())
    assert set(sizes.values()) == {1, 2, 3}
    for seed in SEEDS:
        parts = choices.split(found, seed, val_fraction=0.1, test_fraction=0.2)
        held = passages_of(found, parts)
        assert {name: len(each) for name, each in held.items()} == {
            "train": 28,
            "val": 4,
            "test": 8,
        }
        assert len(set.union(*held.values())) == 40
        everything = np.concatenate(list(parts.values()))
        np.testing.assert_array_equal(np.sort(everything), np.arange(len(found.questions)))
        assert all(each.dtype == np.int32 for each in parts.values())
        again = choices.split(found, seed, val_fraction=0.1, test_fraction=0.2)
        assert all(np.array_equal(again[name], parts[name]) for name in parts)
        tested.add(frozenset(held["test"]))
    assert len(tested) == len(SEEDS)
    assert len(set.union(*map(set, tested))) == 40  # any passage may be tested


def test_at_most_so_many_training_questions_in_whole_passages():
    found = made()
    per_passage = Counter(found.passage.tolist())
    for seed in SEEDS:
        whole = choices.split(found, seed, 0.1, 0.2)
        before = set()
        for most in (4, 9, 20, 1000):
            parts = choices.split(found, seed, 0.1, 0.2, num_train=most)
            assert np.array_equal(parts["val"], whole["val"])
            assert np.array_equal(parts["test"], whole["test"])
            train = parts["train"]
            assert most - 2 <= len(train) <= most or len(train) == len(whole["train"])
            kept = Counter(found.passage[train].tolist())
            assert all(per_passage[passage] == n for passage, n in kept.items())
            assert before <= set(train.tolist()) <= set(whole["train"].tolist())
            before = set(train.tolist())
    drawn = {tuple(choices.split(found, seed, 0.1, 0.2, num_train=9)["train"]) for seed in SEEDS}
    assert len(drawn) == len(SEEDS)


def test_official_parts_are_those_of_every_seed_less_passages_of_other_parts():
    found = of_parts(train=(0, 0, 1, 2, 3, 4), val=(5, 1, 6, 6), test=(7, 2, 6))
    for seed in SEEDS:
        parts = choices.split(found, seed, val_fraction=0.3, test_fraction=0.3)
        np.testing.assert_array_equal(parts["train"], [0, 1, 4, 5])  # less passages 1 and 2
        np.testing.assert_array_equal(parts["val"], [6, 7])  # less passage 6
        np.testing.assert_array_equal(parts["test"], [10, 11, 12])
    drawn = {tuple(choices.split(found, seed, 0.3, 0.3, num_train=2)["train"]) for seed in SEEDS}
    assert drawn <= {(0, 1), (4, 5), (4,), (5,)} and (4, 5) in drawn and (0, 1) in drawn


def test_a_part_that_is_missing_is_drawn_from_the_training_part():
    found = of_parts(train=(*range(10), 3, 11), test=(10, 11))
    valued = set()
    for seed in SEEDS:
        parts = choices.split(found, seed, val_fraction=0.2, test_fraction=0.4)
        held = passages_of(found, parts)
        assert held["test"] == {10, 11} and parts["test"].tolist() == [12, 13]
        assert len(held["val"]) == 2 and held["train"] | held["val"] == set(range(10))
        assert not held["train"] & held["val"]
        valued |= held["val"]
    assert valued == set(range(10))
    found = of_parts(train=range(10), val=(10,))
    held = passages_of(found, choices.split(found, 0, val_fraction=0.2, test_fraction=0.4))
    assert held["val"] == {10} and len(held["test"]) == 4 and len(held["train"]) == 6


@pytest.mark.parametrize(
    ("found", "fractions", "words"),
    [
        (made(), (0.0, 0.2), "the val part of 40 passages would be empty; .*val_fraction"),
        (made(), (0.2, 0.0), "the test part .*test_fraction"),
        (made(4), (0.1, 0.4), "the val part"),  # of four passages a tenth is none
        (of_parts(train=(0, 1), val=(0, 1), test=(2,)), (0.1, 0.1), "the train part"),
        (of_parts(train=(0, 1), val=(2,), test=(2,)), (0.1, 0.1), "the val part"),
        (of_parts(train=(0, 0, 0), val=(1,), test=(2,)), (0.1, 0.1, 2), "larger data.num_train"),
    ],
)
def test_a_part_without_questions_is_refused(found, fractions, words):
    with pytest.raises(ConfigError, match=words) as caught:
        choices.split(found, 0, *fractions)
    assert "\n" not in str(caught.value)


def test_orders_are_permutations_by_seed_and_question_uniform_over_slots():
    found = made(3000)
    order = choices.orders(found, seed=0)
    assert order.dtype == np.int32 and order.shape == (len(found.questions), 4)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(4), (len(order), 1)))
    np.testing.assert_array_equal(order, choices.orders(found, seed=0))
    np.testing.assert_array_equal(order[:50], choices.orders(made(), seed=0)[:50])
    assert len({tuple(row) for row in order.tolist()}) == 24
    other = choices.orders(found, seed=1)
    assert 0.02 < np.mean(np.all(order == other, axis=1)) < 0.07  # 1 of 24
    for option in range(4):
        counts = np.bincount(np.argmax(order == option, axis=1), minlength=4)
        expected = len(order) / 4
        assert np.sum((counts - expected) ** 2) / expected < chi2.ppf(0.9999, df=3)


def test_labels_are_the_slots_of_the_right_options_and_a_constant_scorer_is_at_chance():
    found = made(3000)
    order = choices.orders(found, seed=5)
    labels = choices.labels_of(found, order)
    rows = np.arange(len(labels))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(order[rows, labels], found.answers)
    shown = [[found.options[i][k] for k in slots] for i, slots in enumerate(order)]
    right = [options[answer] for options, answer in zip(found.options, found.answers, strict=True)]
    assert [texts[slot] for texts, slot in zip(shown, labels, strict=True)] == right
    first = np.argmax(np.zeros((len(labels), 4)), axis=1)  # of equal scores
    assert abs(np.mean(first == labels) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(labels))
    put_first = found._replace(answers=np.zeros(len(labels), np.int32))  # as lab C put them
    assert abs(np.mean(choices.labels_of(put_first, order) == 0) - 0.25) < 0.03


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("What is it?", "what"),
        ("According to the text, WHY did he go?", "why"),
        ("How many were there when he came?", "how"),
        ("When he was young, what did he do?", "what"),
        ("When did he go?", "when"),
        ("Whose house is it?", "who"),
        ("To whom does he talk?", "who"),
        ("Where's the cat?", "where"),
        ("In which city?", "which"),
        ("What we know is that _ .", "blank"),
        ("Somewhat whatever shown nowhere", "other"),
        ("Did he go?", "other"),
        ("", "other"),
    ],
)
def test_kinds_of_questions(asked, kind):
    assert choices.kind_of(asked) == kind


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "dreams"}, "data.name: .*did you mean 'dream'"),
        ({"name": "file"}, "data.path is empty; give the file"),
        ({"name": "dream"}, "data.path is empty; give the folder"),
        ({"name": "dream", "path": "/nowhere"}, "no train.json, dev.json, test.json in /nowhere"),
        ({"name": "race", "level": "low"}, "data.level: .*all, middle, high"),
        ({"name": "race"}, "race/middle is not in .*--download"),
        ({"name": "race", "level": "high"}, "race/high is not in .*--download"),
        ({"val_fraction": 0.5}, "data.val_fraction"),
        ({"val_fraction": 0.0}, "data.val_fraction"),
        ({"test_fraction": 0.0}, "data.test_fraction"),
        ({"test_fraction": -0.1}, "data.test_fraction"),
        ({"num_train": -1}, "data.num_train"),
    ],
)
def test_wrong_keys_are_refused(changes, words, tmp_path):
    with pytest.raises(ConfigError, match=words) as caught:
        choices.check_config(config(**changes), tmp_path, download=False)
    assert "\n" not in str(caught.value)


def test_right_keys_are_taken(tmp_path):
    choices.check_config(config(), tmp_path, download=False)
    own = {"name": "file", "path": "x.jsonl", "val_fraction": 0.0, "test_fraction": 0.0}
    choices.check_config(config(**own), tmp_path, download=False)


def test_another_number_of_options_is_refused_where_it_stands():
    other = question(1, num_options=3)._replace(place="line 9")
    with pytest.raises(ConfigError, match="line 9 has 3 options, and a place has 4"):
        choices.assemble("made", [question(0), other])
    with pytest.raises(ConfigError, match="made: there is no question"):
        choices.assemble("made", [])
