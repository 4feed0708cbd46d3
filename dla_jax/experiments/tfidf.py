"""The baseline of the studies of texts: logistic regression on TF-IDF of words and of words in a row, by scikit-learn."""

import functools
import time

import numpy as np

from dla_jax.config import ConfigError, check, check_count, check_number
from dla_jax.data import labelled
from dla_jax.experiments import text_runs
from dla_jax.experiments.grid import Setting, Story
from dla_jax.stop import Interrupted, stop_requested
from dla_jax.train import Plan, no_trace

KEYS = ("name", "strengths", "longest", "min_texts", "max_features", "max_iter")


def check_model(model) -> None:
    """Raises ConfigError for the `model` of a baseline."""
    check(set(model.keys()) == set(KEYS), f"model: tfidf has the keys {', '.join(KEYS)}")
    check(len(model.strengths) > 0, "model.strengths is empty; give at least one")
    for strength in model.strengths:
        check_number("model.strengths", strength, above=0)
    for key in KEYS[2:]:
        check_count(f"model.{key}", model[key])


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
      ConfigError: the texts have no words in common.
      Interrupted: a stop was asked for.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    started, parts, own = time.perf_counter(), text_runs.split(config, texts, seed), config.model
    vectorizer = TfidfVectorizer(ngram_range=(1, own.longest), min_df=own.min_texts, max_features=own.max_features,
                                 sublinear_tf=True, dtype=np.float32)  # fmt: skip
    x = {part: [texts.texts[row] for row in rows] for part, rows in parts.items()}
    try:
        x = {"train": vectorizer.fit_transform(x["train"])} | {part: vectorizer.transform(x[part]) for part in ("val", "test")}
    except ValueError as error:  # nothing but symbols, or words that stand in one text each
        raise ConfigError(f"networks.tfidf: the texts have no words in common ({error}); give longer texts, or more") from None
    y, best = {part: texts.labels[rows] for part, rows in parts.items()}, None
    for strength in own.strengths:
        if stop_requested.is_set():
            raise Interrupted
        model = LogisticRegression(C=strength, max_iter=own.max_iter).fit(x["train"], y["train"])
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
