"""The baseline of the studies of texts: logistic regression on TF-IDF of words and of words in a row."""

import functools
import time
from collections import Counter

import numpy as np

from dla_jax.config.checks import check, check_count
from dla_jax.data import labelled
from dla_jax.tasks import logistic, text_classifier
from dla_jax.trials.arms import final_cells, own_config, select_cells
from dla_jax.trials.grid import Setting, Story

COUNTS = ("longest", "min_texts", "max_features")
KEYS = ("name", *COUNTS, *logistic.KEYS)
# Letters and marks, not digits, of scripts that have no blanks between words.
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"  # Myanmar
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)
# scikit-learn's words, two letters or more; of those scripts each letter, with the marks on it
TOKEN = rf"[^\W{UNSPACED}]{{2,}}|(?=\w)[{UNSPACED}](?:(?!\w)[{UNSPACED}])*"


def check_model(model) -> None:
    """Raises ConfigError for the `model` of a baseline."""
    check(set(model.keys()) == set(KEYS), f"model: tfidf has the keys {', '.join(KEYS)}")
    logistic.check_model(model)
    for key in COUNTS:
        check_count(f"model.{key}", model[key])


def check_words(config, texts: labelled.LabelledTexts) -> None:
    """Raises ConfigError for a baseline that would have no words: none stands in `min_texts` training texts of a seed.

    It reads no further than to the first word that does.
    """
    for network, seed in dict.fromkeys(
        (cell.group, cell.seed) for cell in (*select_cells(config), *final_cells(config))
    ):
        own = own_config(config, network)
        if own.model.name != "tfidf":
            continue
        found, least = (
            texts_of_words(texts, text_classifier.split(own, texts, seed)["train"], own.model),
            own.model.min_texts,
        )
        where = f"the training texts of seed {seed}"
        check(
            found > 0,
            f"networks.{network}: {where} hold symbols and single letters, but no words; give other texts, or leave "
            "this network out of the preset",
        )
        check(
            found >= least,
            f"networks.{network}: no word stands in {least} of {where}; give more texts, or "
            f"--config.networks.{network}.model.min_texts=1",
        )


def texts_of_words(texts: labelled.LabelledTexts, rows: np.ndarray, model) -> int:
    """In how many of the texts at `rows` the most common word stands, or `model.min_texts`, whatever is less."""
    analyse, counts = make_vectoriser(model).build_analyzer(), Counter()
    for row in rows:
        words = set(analyse(texts.texts[row]))
        counts.update(words)
        if any(counts[word] >= model.min_texts for word in words):
            return model.min_texts
    return max(counts.values(), default=0)


def make_vectoriser(model):
    """What makes the features of a `model`, a TfidfVectorizer of scikit-learn."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, model.longest),
        min_df=model.min_texts,
        max_features=model.max_features,
        sublinear_tf=True,
        token_pattern=TOKEN,
        dtype=np.float32,
    )


def make_story(setting: Setting, seed: int) -> Story:
    """Logistic regression on TF-IDF of words and pairs of words: what can be had without a transformer."""
    return logistic.make_story(functools.partial(fit, setting.config, setting.source, seed), {})


def fit(config, texts: labelled.LabelledTexts, seed: int) -> dict:
    """Return what the last row says of the baseline; it leaves no model.

    Raises:
      Interrupted: a stop was asked for.
    """
    started, parts, vectoriser = (
        time.perf_counter(),
        text_classifier.split(config, texts, seed),
        make_vectoriser(config.model),
    )
    words = {part: [texts.texts[row] for row in rows] for part, rows in parts.items()}
    x = {
        "train": vectoriser.fit_transform(words["train"])
    }  # `check_words` has seen that there are some
    x |= {part: vectoriser.transform(words[part]) for part in ("val", "test")}
    return logistic.fit(config, texts, parts, x, started)[1]
