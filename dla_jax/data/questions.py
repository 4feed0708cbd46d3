"""A multiple-choice question about a passage, as every source of them gives it."""

from typing import NamedTuple

from dla_jax.config.checks import check


class Question(NamedTuple):
    """A question, its passage and its options; all texts are one line each.

    place: where it stands, as a message names it.
    answer: the position of the right option; None where it is not known.
    level: such as "middle"; "" where there is none.
    part: "train", "val" or "test" of an official split; "" where there is none.
    """

    place: str
    passage: str
    question: str
    options: tuple[str, ...]
    answer: int | None
    level: str = ""
    part: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return passage, question and options."""
        return self.passage, self.question, *self.options


def one_line(text: str) -> str:
    """Return a text with single blanks for white space, line ends too."""
    return " ".join(text.split())


def check_same_number(questions: list[Question]) -> None:
    """Raise ConfigError for a question with another number of options than the first."""
    for question in questions:
        first, given = questions[0], len(question.options)
        check(
            given == len(first.options),
            f"{question.place} has {given} options, and {first.place} has {len(first.options)}; "
            "give as many to each question",
        )
