"""Rules that choose without training."""

import time

import numpy as np

from dla_jax.studies.choices.drawn import Drawn, make_test
from dla_jax.studies.choices.vectors import Vectors
from dla_jax.tasks import choice_rules, choice_scores
from dla_jax.training.task import Baseline

RULES = ("random", "longest", "tfidf", "cosine")


def make_rule(config, own: Drawn, vectors: Vectors | None, seed: int) -> Baseline:
    """Return the Baseline of a rule without training. `vectors`: of the rule "cosine"."""

    def logits_of(state, rows: np.ndarray) -> np.ndarray:
        order = own.orders[rows]
        match config.model.rule:
            case "random":
                return choice_rules.random(rows, order, seed)
            case "longest":
                return choice_rules.longest(own.choices, rows, order)
            case "tfidf":
                return choice_rules.tfidf(own.choices, own.parts["train"], rows, order, asked=False)
            case "cosine":
                return choice_rules.cosine(vectors.arrays, rows, order)

    def fit() -> dict:
        started, val = time.perf_counter(), own.parts["val"]
        found = choice_scores.scores(logits_of(None, val), own.labels[val], "val")
        found |= make_test(own, logits_of)(None)
        # Their scores are no logits, so that their loss says nothing.
        found |= {"val_loss": None, "test_loss": None, "best_step": 0, "step": 0}
        seconds = time.perf_counter() - started
        return found | {
            "train_seconds": seconds,
            "examples_per_s": (len(val) + len(own.parts["test"])) / seconds,
            "seconds_per_epoch": None,
        }

    return Baseline(fit=fit, facts={"num_params": 0})
