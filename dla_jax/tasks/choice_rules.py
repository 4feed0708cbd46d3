"""Answers without training: what multiple choice gives away to simple rules.

Each rule returns scores, float [m, n], of the slots of the questions at `rows`.
"""

import numpy as np

from dla_jax.config.checks import ConfigError
from dla_jax.data.choices import GAP, Choices
from dla_jax.tasks.choice_pairs import filled
from dla_jax.tasks.tfidf import TOKEN

_RULE = 11  # a random stream of its own


def random(rows: np.ndarray, order: np.ndarray, seed: int) -> np.ndarray:
    """Return scores in [0, 1) that say nothing, a pure function of the seed and the question.

    Args:
      rows: int32 [m]; order: int32 [m, n], the option in each slot.
    """
    num_options = order.shape[1]
    every = np.random.default_rng((seed, _RULE)).random((rows.max(initial=-1) + 1, num_options))
    return np.take_along_axis(every[rows], order, 1)


def longest(choices: Choices, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the number of characters of each option.

    Args:
      rows: int32 [m]; order: int32 [m, n], the option in each slot.
    """
    sizes = [[len(option) for option in choices.options[row]] for row in rows]
    return np.take_along_axis(np.array(sizes, float).reshape(order.shape), order, 1)


def tfidf(choices: Choices, train: np.ndarray, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the cosine between the TF-IDF of the passage and of each option.

    An option stands in the gap of its question where there is one. Words and their weights are
    those of the passages and options of the training part.

    Args:
      train: int32 [k], the questions of the training part.
      rows: int32 [m]; order: int32 [m, n], the option in each slot.

    Raises:
      ConfigError: the training part has no words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    def option_texts(row) -> list[str]:
        question, options = choices.questions[row], choices.options[row]
        gap = GAP.search(question) is not None
        return [filled(question, option) if gap else option for option in options]

    vectoriser = TfidfVectorizer(sublinear_tf=True, token_pattern=TOKEN)
    learned_from = [choices.passages[passage] for passage in np.unique(choices.passage[train])]
    learned_from += [option for row in train for option in choices.options[row]]
    try:
        vectoriser.fit(learned_from)
    except ValueError:
        raise ConfigError(
            f"the training part of {choices.name} holds symbols and single letters, but no words; "
            "give other questions, or leave the rule tfidf out"
        ) from None
    # rows of length one: their products are cosines
    option = vectoriser.transform([text for row in rows for text in option_texts(row)])
    contexts = vectoriser.transform([choices.passages[choices.passage[row]] for row in rows])
    repeated = contexts[np.repeat(np.arange(len(rows)), order.shape[1])]
    own = np.asarray(option.multiply(repeated).sum(1)).reshape(order.shape)
    return np.take_along_axis(own, order, 1)


def cosine(data: dict, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the cosine between the vectors of the context and of each option; 0 without length.

    Args:
      data: {"context": float [N, D], "option": float [N, n, D]}, of `choice_ranker`.
      rows: int32 [m]; order: int32 [m, n], the option in each slot.
    """
    context, option = (np.asarray(data[name][rows]) for name in ("context", "option"))
    products = np.einsum("md,mnd->mn", context, option)
    lengths = np.linalg.norm(context, axis=-1)[:, None] * np.linalg.norm(option, axis=-1)
    own = products / np.where(lengths > 0, lengths, 1)
    return np.take_along_axis(own, order, 1)
