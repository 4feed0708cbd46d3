"""Makes questions with options, and tokenizers of both families that read them as pairs."""

import numpy as np
from tokenizers import ByteLevelBPETokenizer, processors

from dla_jax.data import tokenize
from dla_jax.data.choices import Choices

WORDS = ("sea", "ship", "storm", "port", "wind", "sail", "rope", "crew", "mast", "wave", "gull")


def made(num_questions=24, num_options=4, passage_words=(3, 120), seed=0) -> Choices:
    """Return questions about passages of random words, two a passage, every third with a gap."""
    rng = np.random.default_rng(seed)

    def text(low, high) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(low, high + 1)))

    number = -(-num_questions // 2)
    endings = ["what _ now?" if i % 3 == 2 else "why?" for i in range(num_questions)]
    return Choices(
        name="made",
        passages=tuple(f"{i} {text(*passage_words)}." for i in range(number)),
        questions=tuple(f"{text(1, 6)} {ending}" for ending in endings),
        options=tuple(
            tuple(f"{slot} {text(1, 5)}" for slot in range(num_options))
            for _ in range(num_questions)
        ),
        answers=rng.integers(0, num_options, num_questions).astype(np.int32),
        passage=(np.arange(num_questions) // 2).astype(np.int32),
        part=None,
        level=("",) * num_questions,
    )


def texts_of(choices: Choices) -> list[str]:
    """Return all texts of the questions."""
    options = [option for own in choices.options for option in own]
    return [*choices.passages, *choices.questions, *options]


def berts(choices: Choices) -> tokenize.Pieces:
    """Return a tokenizer of BERT's kind."""
    return tokenize.train_wordpiece(texts_of(choices), 90)


def robertas(choices: Choices) -> tokenize.Pieces:
    """Return a tokenizer of RoBERTa's kind: pairs of bytes, two ends between the texts."""
    ends = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(
        texts_of(choices), vocab_size=300, show_progress=False, special_tokens=ends
    )
    pieces._tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    return tokenize.Pieces(pieces._tokenizer)
