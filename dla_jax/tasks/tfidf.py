"""The baseline of the studies of texts: logistic regression on TF-IDF of words and word pairs."""

import time
from collections import Counter
from collections.abc import Iterable

import numpy as np

from dla_jax.config.checks import check, check_rules, count
from dla_jax.data import labelled
from dla_jax.tasks import logistic
from dla_jax.tasks.text_data import split
from dla_jax.training.task import Baseline

COUNTS = {"longest": count(), "min_texts": count(), "max_features": count()}
KEYS = ("name", *COUNTS, *logistic.KEYS)
# Letters and marks, not digits, of scripts that have no blanks between words.
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf"  # Thai, Lao
    # Myanmar
    "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    # Hiragana, Katakana
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)
# scikit-learn's words, two letters or more; of those scripts each letter, with the marks on it
TOKEN = rf"[^\W{UNSPACED}]{{2,}}|(?=\w)[{UNSPACED}](?:(?!\w)[{UNSPACED}])*"


def check_model(model) -> None:
    """Raise ConfigError for the `model` of a baseline that cannot be made."""
    check(set(model.keys()) == set(KEYS), f"model: tfidf has the keys {', '.join(KEYS)}")
    logistic.check_model(model)
    check_rules(model, COUNTS, prefix="model.")


def check_words(runs: Iterable[tuple], texts: labelled.LabelledTexts) -> None:
    """Raise ConfigError for a baseline that would have no words.

    Its words are those that stand in at least `min_texts` training texts of a seed. The texts are
    read only until one such word is found.

    Args:
      runs: (name, config, seed) of the runs of a study; those without TF-IDF are left out.
    """
    for name, config, seed in runs:
        if config.model.name != "tfidf":
            continue
        least = config.model.min_texts
        found = texts_of_words(texts, split(config, texts, seed)["train"], config.model)
        where = f"the training texts of seed {seed}"
        check(
            found > 0,
            f"networks.{name}: {where} hold symbols and single letters, but no words; give other "
            "texts, or leave this network out of the preset",
        )
        check(
            found >= least,
            f"networks.{name}: no word stands in {least} of {where}; give more texts, or "
            f"--config.networks.{name}.model.min_texts=1",
        )


def texts_of_words(texts: labelled.LabelledTexts, rows: np.ndarray, model) -> int:
    """Return in how many texts the most common word stands, at most `model.min_texts`.

    Args:
      rows: int32 [n], the texts that count.
    """
    analyse, counts = make_vectoriser(model).build_analyzer(), Counter()
    for row in rows:
        words = set(analyse(texts.texts[row]))
        counts.update(words)
        if any(counts[word] >= model.min_texts for word in words):
            return model.min_texts
    return max(counts.values(), default=0)


def make_vectoriser(model):
    """Return the TfidfVectorizer of scikit-learn that makes the features of a `model`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, model.longest),
        min_df=model.min_texts,
        max_features=model.max_features,
        sublinear_tf=True,
        token_pattern=TOKEN,
        dtype=np.float32,
    )


def make_baseline(config, texts: labelled.LabelledTexts, seed: int) -> Baseline:
    """Return the baseline of one run: what can be had without a transformer."""
    return Baseline(fit=lambda: fit(config, texts, seed), facts={"num_params": 0})


def fit(config, texts: labelled.LabelledTexts, seed: int) -> dict:
    """Return what the last row says of the baseline; it leaves no model.

    Raises:
      Interrupted: a stop was asked for.
    """
    started = time.perf_counter()
    parts, vectoriser = split(config, texts, seed), make_vectoriser(config.model)
    words = {part: [texts.texts[row] for row in rows] for part, rows in parts.items()}
    x = {"train": vectoriser.fit_transform(words["train"])}  # `check_words` has seen some words
    x |= {part: vectoriser.transform(words[part]) for part in ("val", "test")}
    return logistic.fit(config, texts, parts, x, started)[1]
