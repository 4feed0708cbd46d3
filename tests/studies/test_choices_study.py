"""The study of multiple choice: what the record holds is what its models say, and reads back."""

import json
import shutil

import jax
import numpy as np
import pytest
from launching import answers_to, assert_refused, launch
from ml_collections import ConfigDict
from records import last_rows_of, models_of

from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.data.choices import load
from dla_jax.evidence.rows import record_files
from dla_jax.studies.choices import rules
from dla_jax.studies.choices.drawn import about, decisive, drawn
from dla_jax.studies.choices.inputs import Inputs, learned_from
from dla_jax.studies.choices.ranker import make_ranker
from dla_jax.studies.choices.vectors import Embedded, Vectors
from dla_jax.studies.study import restore
from dla_jax.training.mesh import data_mesh


@pytest.fixture(scope="module")
def workdir(smoke):
    return smoke("race")[0]


@pytest.fixture(scope="module")
def seen(workdir):
    """Return the config of the smoke, and the questions as its second seed has them."""
    config = ConfigDict(read_config(workdir)["config"])
    choices = load(config.data, workdir, download=False)
    return config, drawn(config, choices, 1)


@pytest.mark.parametrize("network", ["cross", "softmax", "softmax_blind", "lab_c"])
def test_a_model_that_is_read_back_answers_as_the_record_says(network, workdir, seen):
    row, own = last_rows_of(workdir)[f"final/{network}/seed1"], seen[1]
    launch_ = Launch(workdir, from_dir=None, data_dir=workdir, download=False, quiet=True)
    mesh = data_mesh(jax.devices()[:1])
    found = restore(workdir, row, launch=launch_, mesh=mesh, at_most=64)
    rows = own.parts["test"][:40]
    choices = own.choices._replace(
        questions=tuple(own.choices.questions[row] for row in rows),
        options=tuple(own.choices.options[row] for row in rows),
        answers=own.choices.answers[rows],
        passage=own.choices.passage[rows],
        level=("",) * len(rows),
    )
    logits = found.logits(choices)
    assert logits.shape == (40, 4)
    other = choices._replace(passages=("Nothing of that.",), passage=np.zeros(40, np.int32))
    moved = np.abs(found.logits(other) - logits).max(1)
    blind = network == "softmax_blind"  # it reads the question alone
    assert (
        found.reads_passage != blind and (moved > 0).all() != blind and (moved == 0).all() == blind
    )
    turned = choices._replace(options=tuple(own[::-1] for own in choices.options))
    np.testing.assert_allclose(found.logits(turned), logits[:, ::-1], atol=1e-5)
    right = logits.argmax(1) == choices.answers
    counted, by = row["by_passage"], {}
    for passage, answered in zip(choices.passage, right, strict=True):
        by.setdefault(int(passage), []).append(answered)
    recorded = dict(zip(counted["passage"], counted["right"], strict=True))
    # Each passage of this set has one question.
    assert np.mean([sum(own) == recorded[passage] for passage, own in by.items()]) > 0.97


def test_what_is_right_is_counted_alike_everywhere(workdir, seen):
    own = seen[1]
    for name, row in last_rows_of(workdir).items():
        if not name.startswith("final/") or not name.endswith("seed1"):
            continue
        size, right = len(own.parts["test"]), sum(row["by_passage"]["right"])
        assert row["test_accuracy"] == pytest.approx(right / size)
        for groups in row["groups"].values():
            assert sum(sum(group["right"]) for group in groups.values()) == right
            assert sum(sum(group["count"]) for group in groups.values()) == size
        assert row["test_accuracy_ties"] >= row["test_accuracy"]


def with_model(config, model):
    """Return the config with another network."""
    return ConfigDict(config.to_dict() | {"model": model})


def test_seeds_draw_parts_and_orders_of_their_own(seen):
    config, second = seen
    first, again = (drawn(config, second.choices, seed) for seed in (0, 1))
    assert all((again.parts[name] == second.parts[name]).all() for name in second.parts)
    assert (first.orders != second.orders).any(1).mean() > 0.9
    for name in ("train", "test"):
        assert set(first.parts[name].tolist()) != set(second.parts[name].tolist())


def test_what_is_learned_from_is_the_training_part(seen):
    """TF-IDF knows no word of the test part alone, and vectors are scaled by the training part."""
    config, own = seen
    test, strange = own.parts["test"], "zyzzyva"
    passages = list(own.choices.passages)
    for row in test:
        passages[own.choices.passage[row]] += f" {strange}"
    options = list(own.choices.options)
    for row in test:
        wrong = (own.choices.answers[row] + 1) % 4
        options[row] = tuple(
            f"{text} {strange}" if i == wrong else text for i, text in enumerate(options[row])
        )
    choices = own.choices._replace(passages=tuple(passages), options=tuple(options))
    rule = with_model(config, {"name": "rule", "rule": "tfidf"})
    plain, planted = (
        rules.scores_of(rule, own._replace(choices=which), None, 1, test)
        for which in (own.choices, choices)
    )
    np.testing.assert_allclose(planted, plain, atol=1e-6)

    rng = np.random.default_rng(0)
    arrays = {"context": rng.normal(size=(len(own.labels), 3)).astype(np.float32)}
    arrays["option"] = rng.normal(size=(len(own.labels), 4, 3)).astype(np.float32)
    arrays["context"][test] += 100.0
    embedded = {name: Embedded(array, array, {}) for name, array in arrays.items()}
    vectors = Vectors(**embedded, embed=None)
    model = config.model.to_dict() | {"widths": (4,)}
    task = make_ranker(with_model(config, model), own, vectors, None, 1, explained=False)
    scale = task.init_fn(jax.random.key(0))[1]["scale"]
    mean = arrays["context"][own.parts["train"]].mean(0)
    np.testing.assert_allclose(scale["context"]["mean"], mean, atol=1e-5)


def test_networks_with_other_encoders_share_no_vectors(seen, tmp_path):
    config, own = seen
    launch_ = Launch(tmp_path, from_dir=None, data_dir=tmp_path, download=False, quiet=True)
    inputs, other = Inputs(own.choices, data_mesh(), launch_), ConfigDict(config.to_dict())
    other.encoder.seed = 5
    blind = with_model(config, config.model.to_dict() | {"passage": False})
    first, second, third = (inputs.of(each) for each in (config, other, blind))
    assert np.abs(first.context.array - second.context.array).max() > 0.01
    assert np.abs(first.option.array - second.option.array).max() > 0.01
    assert third.option.array is first.option.array
    assert np.ptp(third.context.array, axis=0).max() == 0  # one question for all


def test_rules_by_hand(workdir, seen):
    config, own = seen
    config = with_model(config, {"name": "rule", "rule": "longest"})
    found = rules.make_rule(config, own, None, 1).fit()
    rows = own.parts["test"]
    right = [
        max(order, key=lambda option: len(options[option])) == answer
        for order, options, answer in zip(
            own.orders[rows].tolist(),
            [own.choices.options[row] for row in rows],
            own.choices.answers[rows],
            strict=True,
        )
    ]
    assert found["test_accuracy"] == pytest.approx(np.mean(right)) and found["test_loss"] is None
    assert found["test_accuracy"] == last_rows_of(workdir)["final/longest/seed1"]["test_accuracy"]


def test_the_sentence_that_decides_is_the_one_that_a_scorer_reads(seen):
    choices = seen[1].choices
    number = int(choices.passage[3])
    passages = list(choices.passages)
    passages[number] = "Rain fell. Rain fell. The bird sang loudly. Night came."
    choices = choices._replace(passages=tuple(passages))

    def answer(given):
        assert given.questions == (choices.questions[3],) * len(given.passages)
        sang = np.array(["sang" in passage for passage in given.passages], float)
        return np.stack([3 * sang, 0 * sang, 0 * sang, 0 * sang], axis=1)

    found = decisive(answer, choices, 3)
    assert found["sentence"] == "The bird sang loudly."
    p = np.exp(3) / (np.exp(3) + 3)
    assert found["moved"] == pytest.approx(p - 0.25, abs=1e-4)
    asked = about(choices, 3, ["a", "b"])
    assert asked.options == (choices.options[3],) * 2 and asked.passage.tolist() == [0, 1]


def test_the_worst_answers_of_the_first_seed_name_a_sentence(workdir):
    rows = last_rows_of(workdir)
    for network in ("cross", "softmax", "lab_c"):
        first, second = (rows[f"final/{network}/seed{seed}"]["wrong"] for seed in (0, 1))
        assert all(0 <= example["moved"] <= 1 for example in first)
        assert first and second and not any("sentence" in example for example in second)
    assert not any("sentence" in example for example in rows["final/softmax_blind/seed0"]["wrong"])


def test_a_tokenizer_learns_nothing_of_a_test_part(seen):
    choices = seen[1].choices
    parts = np.arange(len(choices.questions)) % 3
    texts = set(learned_from(choices._replace(part=parts.astype(np.int32)), lower=False))
    tested = {choices.passages[choices.passage[i]] for i in np.flatnonzero(parts == 2)}
    kept = {choices.passages[choices.passage[i]] for i in np.flatnonzero(parts != 2)}
    assert not (tested - kept) & texts and kept <= texts


@pytest.mark.slow
def test_what_was_stopped_goes_on_to_the_same_record(workdir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    files = record_files(copy)
    for name in ("final/softmax/seed1", "final/tfidf/seed0", "final/cross/seed0"):
        lines = files[name].read_text().splitlines(keepends=True)
        files[name].write_text("".join(lines[:-1]))
    (copy / "summary.json").unlink()
    answer = launch("--config=configs/race.py:smoke", f"--workdir={copy}", warm=True)
    assert answer.code == 0, answer.err
    timed = {"train_seconds", "examples_per_s", "seconds_per_epoch", "seconds"}
    before, after = (last_rows_of(folder) for folder in (workdir, copy))
    for name, row in before.items():
        for key in row.keys() - timed:
            assert after[name][key] == row[key], (name, key)
    assert models_of(copy).keys() == models_of(workdir).keys()


def test_own_questions_are_answered(workdir, tmp_path):
    file, asked = tmp_path / "asked.jsonl", "Which summary belongs to this text?"
    question = {"passage": "Sort along an axis.", "question": asked, "options": ["Sort.", "Add."]}
    lines = [question | {"answer": "A"}, question]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    flags = ("--config=configs/predict.py", f"--from={workdir}")
    given = launch(*flags, f"--config.file={file}", f"--workdir={tmp_path / 'run'}")
    assert given.code == 0, given.err
    first, second = [json.loads(line) for line in given.out.splitlines()]
    assert first["answer"] in question["options"] and sum(first["probabilities"]) == pytest.approx(
        1, abs=1e-5
    )
    assert first["right"] == (first["answer"] == "Sort.") and "right" not in second
    assert {**first, "right": 0} == {**second, "right": 0}


WRONG = {
    "--config.data.name=file": ["data.path", "empty"],
    "--config.data.name=race": ["race", "--data_dir"],
    "--config.data.level=low": ["data.level", "low"],
    "--config.networks.cross.model.num_windows=-1": ["num_windows", "-1"],
    "--config.networks.lab_c.encoder.pooling=nonsense": ["encoder.pooling", "'nonsense'", "first"],
    "--config.class_weight=balanced": ["class_weight", "none"],
    "--config.label_smoothing=0.1": ["label_smoothing", "margin"],
    "--config.networks.cross.model.num_windows=1000": ["num_windows", "1000", "16"],
    "--config.networks.lab_c.model.loss=hinge": ["loss", "hinge"],
    "--config.networks.tfidf.model.rule=luck": ["rule", "luck"],
    "--config.networks.cross.steps_per_call=8": ["steps_per_call", "8"],
    "--config.networks.cross.model.frozen_layers=5": ["frozen_layers", "5", "1 layers"],
    "--config.encoder.max_length=4": ["max_length", "4"],
    "--config.batch_size=4096": ["batch_size", "4096"],
    "--config.data.num_train=1": ["batch_size", "the training part, 1 questions"],
}


def test_wrong_input_is_one_line_and_exit_code_2(tmp_path):
    more = f"--data_dir={tmp_path} --workdir={tmp_path / 'wrong'}"
    lines = {f"--config=configs/race.py:smoke {flag} {more}": WRONG[flag] for flag in WRONG}
    for line, answer in answers_to(lines).items():
        assert_refused(answer, lines[line])
    assert not (tmp_path / "wrong" / "config.json").exists()
