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
from dla_jax.studies.choices.study import learned_from
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
    assert logits.shape == (40, 4) and found.reads_passage == (network != "softmax_blind")
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
            assert np.sum(list(groups.values()), axis=0).tolist() == [right, size]
        assert row["test_accuracy_ties"] >= row["test_accuracy"]


def test_rules_by_hand(workdir, seen):
    config, own = seen
    config = ConfigDict(config.to_dict() | {"model": {"name": "rule", "rule": "longest"}})
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
    texts = set(learned_from(choices._replace(part=parts.astype(np.int32))))
    tested = {choices.passages[choices.passage[i]] for i in np.flatnonzero(parts == 2)}
    kept = {choices.passages[choices.passage[i]] for i in np.flatnonzero(parts != 2)}
    assert not (tested - kept) & texts and kept <= texts


def test_what_was_stopped_goes_on_to_the_same_record(workdir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    files = record_files(copy)
    for name in ("final/softmax/seed1", "final/tfidf/seed0", "final/cross/seed0"):
        lines = files[name].read_text().splitlines(keepends=True)
        files[name].write_text("".join(lines[:-1]))
    (copy / "summary.json").unlink()
    answer = launch("--config=configs/race.py:smoke", f"--workdir={copy}")
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
    "--config.networks.softmax.encoder.pooling=max": ["pooling", "max"],
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
