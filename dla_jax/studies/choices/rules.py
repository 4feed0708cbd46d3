"""Rules that choose without training."""

import time

import numpy as np

from dla_jax.studies.choices.drawn import Drawn, tested
from dla_jax.studies.choices.vectors import Vectors
from dla_jax.tasks import choice_rules, choice_scores
from dla_jax.training.task import Baseline

RULES = ("random", "longest", "tfidf", "cosine")


def scores_of(
    config, own: Drawn, vectors: Vectors | None, seed: int, rows: np.ndarray
) -> np.ndarray:
    """Return the score of each slot of the questions at `rows`, float [len(rows), n].

    Args:
      vectors: of the rule "cosine".
    """
    order = own.orders[rows]
    match config.model.rule:
        case "random":
            return choice_rules.random(rows, order, seed)
        case "longest":
            return choice_rules.longest(own.choices, rows, order)
        case "tfidf":
            return choice_rules.tfidf(own.choices, own.parts["train"], rows, order)
        case "cosine":
            return choice_rules.cosine(vectors.arrays, rows, order)


def make_rule(config, own: Drawn, vectors: Vectors | None, seed: int) -> Baseline:
    """Return the Baseline of a rule without training; args as `scores_of`."""

    def fit() -> dict:
        started, val, test = time.perf_counter(), own.parts["val"], own.parts["test"]
        scores = scores_of(config, own, vectors, seed, np.concatenate([val, test]))
        found = choice_scores.scores(scores[: len(val)], own.labels[val], "val")
        found |= tested(own, scores[len(val) :])
        # Their scores are no logits, so that their loss says nothing.
        found |= {"val_loss": None, "test_loss": None, "best_step": 0, "step": 0}
        seconds = time.perf_counter() - started
        return found | {
            "train_seconds": seconds,
            "examples_per_s": len(scores) / seconds,
            "seconds_per_epoch": None,
        }

    return Baseline(fit=fit, facts={"num_params": 0})
