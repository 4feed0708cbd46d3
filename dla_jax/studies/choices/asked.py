"""What does a trained network say of one's own multiple-choice questions?"""

from collections.abc import Iterator
from pathlib import Path

import jax
from scipy.special import softmax

from dla_jax.config.checks import check
from dla_jax.config.files import standard_input
from dla_jax.config.workdir import Launch
from dla_jax.data import choice_files
from dla_jax.data.choices import assemble
from dla_jax.data.encoding import decode
from dla_jax.data.questions import Question
from dla_jax.studies.study import restore
from dla_jax.training.mesh import data_mesh

AT_A_TIME = 64  # questions that are answered, and written, together


def read(config) -> list[Question]:
    """Return the questions of `file`, or the JSON lines of standard input; answers may be missing.

    Raises:
      ConfigError: no such file, no question, or one that is not as it should be.
    """
    check(
        not config.text,
        "text: this network answers questions; give JSON lines or CSV with passage, question and "
        "options, as in --config.file=questions.jsonl",
    )
    if config.file:
        return choice_files.read_questions(config.file, key="file")
    lines = decode(standard_input(), "standard input", "").split("\n")
    return choice_files.read_questions(lines, key="standard input")


def answers(config, workdir: Path, row: dict, launch: Launch) -> Iterator[dict]:
    """Yield what the network says of each question."""
    questions = read(config)
    network = restore(
        workdir,
        row,
        launch=launch._replace(workdir=workdir),
        mesh=data_mesh(jax.devices()[:1]),
        at_most=min(AT_A_TIME, len(questions)),
    )
    for first in range(0, len(questions), AT_A_TIME):
        part = questions[first : first + AT_A_TIME]
        # Where the answer is not known none is needed: only the scores are looked at.
        choices = assemble("file", [each._replace(answer=each.answer or 0) for each in part])
        logits = network.logits(choices)
        values = softmax(logits, axis=1) if network.probabilistic else logits
        for question, own in zip(part, values.tolist(), strict=True):
            yield answer(question, own, network.probabilistic)


def answer(question: Question, values: list[float], probabilistic: bool) -> dict:
    """Return the option that is chosen, with the probability of each, or its score, in order.

    Args:
      values: of the options.
      probabilistic: whether they are probabilities; those of a margin loss are not.
    """
    best = max(range(len(values)), key=values.__getitem__)
    every = [round(value, 6) for value in values]
    found = {"question": question.question, "answer": question.options[best]}
    if probabilistic:
        found |= {"probability": every[best], "probabilities": every}
    else:
        found["scores"] = every
    known = question.answer is not None
    return found | ({"right": best == question.answer} if known else {})
