"""The baseline of the studies of texts: logistic regression on TF-IDF of words and of words in a row, by scikit-learn."""

import functools
import time
from collections import Counter

import numpy as np

from dla_jax.config import check, check_count, check_number
from dla_jax.data import labelled, splits
from dla_jax.experiments import text_runs
from dla_jax.experiments.grid import Setting, Story
from dla_jax.experiments.networks import final_cells, own_config, select_cells
from dla_jax.stop import Interrupted, stop_requested
from dla_jax.train import Plan, no_trace

KEYS = ("name", "strengths", "longest", "min_texts", "max_features", "max_iter")
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
    check(len(model.strengths) > 0, "model.strengths is empty; give at least one")
    for strength in model.strengths:
        check_number("model.strengths", strength, above=0)
    for key in KEYS[2:]:
        check_count(f"model.{key}", model[key])


def check_words(config, texts: labelled.LabelledTexts) -> None:
    """Raises ConfigError for a baseline that would have no words: none stands in `min_texts` training texts of a seed.

    It reads no further than to the first word that does.
    """
    for network, seed in dict.fromkeys((cell.group, cell.seed) for cell in (*select_cells(config), *final_cells(config))):
        own = own_config(config, network)
        if own.model.name != "tfidf":
            continue
        found, least = texts_of_words(texts, text_runs.split(own, texts, seed)["train"], own.model), own.model.min_texts
        where = f"the training texts of seed {seed}"
        check(found > 0, f"networks.{network}: {where} hold symbols and single letters, but no words; give other texts, or leave "
              "this network out of the preset")  # fmt: skip
        check(found >= least, f"networks.{network}: no word stands in {least} of {where}; give more texts, or "
              f"--config.networks.{network}.model.min_texts=1")  # fmt: skip


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

    return TfidfVectorizer(ngram_range=(1, model.longest), min_df=model.min_texts, max_features=model.max_features,
                           sublinear_tf=True, token_pattern=TOKEN, dtype=np.float32)  # fmt: skip


def make_setting(config, texts: labelled.LabelledTexts, mesh) -> Setting:
    """A setting in which nothing is trained step by step."""
    return Setting(config, {}, mesh, None, Plan(0, (), 0, 0, 1, 0), no_trace, texts)


def make_story(setting: Setting, seed: int) -> Story:
    """Logistic regression on TF-IDF of words and pairs of words: what can be had without a transformer."""
    story = Story(*(None,) * 7, {}, {"num_params": 0})
    return story._replace(at_once=functools.partial(fit, setting.config, setting.source, seed))


def fit(config, texts: labelled.LabelledTexts, seed: int) -> dict:
    """What the last row says of the baseline: the strength (scikit-learn's C) that is best on validation, its scores.

    Raises:
      Interrupted: a stop was asked for.
    """
    from sklearn.linear_model import LogisticRegression

    started, parts, own = time.perf_counter(), text_runs.split(config, texts, seed), config.model
    vectoriser, words = make_vectoriser(own), {part: [texts.texts[row] for row in rows] for part, rows in parts.items()}
    x = {"train": vectoriser.fit_transform(words["train"])}  # `check_words` has seen that there are some
    x |= {part: vectoriser.transform(words[part]) for part in ("val", "test")}
    y, best = {part: texts.labels[rows] for part, rows in parts.items()}, None
    weights = splits.class_weights(config.class_weight, texts)
    for strength in own.strengths:
        if stop_requested.is_set():
            raise Interrupted
        model = LogisticRegression(C=strength, max_iter=own.max_iter, class_weight=dict(enumerate(weights or ())) or None)
        model.fit(x["train"], y["train"])
        if best is None or model.score(x["val"], y["val"]) > best.score(x["val"], y["val"]):
            best = model
    seconds = time.perf_counter() - started
    logits = {part: np.asarray(both(best.decision_function(x[part]))) for part in ("val", "test")}
    return {"best_step": 0, "step": 0, "train_seconds": seconds, "strength": best.C, "num_params": best.coef_.size,
            "examples_per_s": x["train"].shape[0] / seconds, "seconds_per_epoch": None,
            **text_runs.scores(logits["val"], y["val"], "val"), **text_runs.scores(logits["test"], y["test"], "test"),
            **text_runs.details(logits["test"], parts["test"], texts)}  # fmt: skip


def both(decision: np.ndarray) -> np.ndarray:
    """Logits float [N, C] of a decision function, which for two classes has one column only."""
    return np.stack([-decision / 2, decision / 2], 1) if decision.ndim == 1 else decision
