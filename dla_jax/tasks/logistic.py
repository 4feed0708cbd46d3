"""Logistic regression, solved exactly by scikit-learn: the convex baselines of texts.

Its strength is chosen on validation. One that is trained for a few epochs instead would be beaten
by its optimiser, not by what it is compared with.
"""

import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import check_rules, count, distinct, number
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.data import labelled, splits
from dla_jax.tasks.classifier import better
from dla_jax.tasks.text_scores import details, scores

# So many strengths in a row that are not better end the search: larger ones, which take longest,
# are not tried then.
PAST_THE_BEST = 2
# The keys of a config's `model`, beside those of the features.
RULES = {"strengths": distinct(number(above=0)), "tolerance": number(above=0), "max_iter": count()}
KEYS = tuple(RULES)


class Solution(NamedTuple):
    """The minimum of the mean loss in nats plus the penalty |kernel|^2 / (2 strength n).

    The bias is not penalised. n: the examples, each counted with the weight of its class. Of two
    classes the penalty is on the difference of their columns.
    """

    strength: float  # scikit-learn's C: the larger, the weaker the penalty
    kernel: np.ndarray  # float64 [D, C]
    bias: np.ndarray  # float64 [C]
    gradient: float  # the largest component of what is minimised: 0 at the minimum
    steps: int  # of the solver, with those for smaller strengths, from which it starts
    num_params: int  # that were fitted: of two classes those of one


def check_model(model) -> None:
    """Raise ConfigError for KEYS of a `model` that nothing can be solved with."""
    check_rules(model, RULES, prefix="model.")


def solutions(
    x, labels: np.ndarray, model, weights: tuple[float, ...] | None
) -> Iterator[Solution]:
    """Yield the solution for each of the strengths of a `model`, the smallest first.

    Args:
      x: float [N, D], dense or sparse; taken as float64, since float32 is too coarse for small
        tolerances.
      labels: int32 [N]; every class has one.
      weights: of each class in the loss; None: alike.

    Raises:
      Interrupted: a stop was asked for.
    """
    from sklearn.linear_model import LogisticRegression

    x, steps = x.astype(np.float64), 0
    # newton-cg: on sparse words it needs a tenth of the time of lbfgs, on dense vectors about the
    # same
    solver = LogisticRegression(
        solver="newton-cg",
        tol=model.tolerance,
        max_iter=model.max_iter,
        warm_start=True,
        class_weight=dict(enumerate(weights or ())) or None,
    )
    for strength in sorted(model.strengths):
        if stop_requested.is_set():
            raise Interrupted
        solver.set_params(C=strength).fit(x, labels)
        steps += int(solver.n_iter_.max())
        # Copies: the next fit may write into them.
        kernel, bias = solver.coef_.T.copy(), solver.intercept_.copy()
        if kernel.shape[1] == 1:  # of two classes there is only the second's
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])
        yield Solution(
            strength=strength,
            kernel=kernel,
            bias=bias,
            gradient=largest_gradient(solver, x, labels, weights),
            steps=steps,
            num_params=solver.coef_.size + solver.intercept_.size,
        )


def largest_gradient(solver, x, labels: np.ndarray, weights: tuple[float, ...] | None) -> float:
    """Return the largest component of the gradient of what a fitted `solver` minimises.

    It is computed here, whatever the solver says of itself.
    """
    weight = np.ones(len(labels)) if weights is None else np.asarray(weights)[labels]
    wrong = solver.predict_proba(x) - np.eye(len(solver.classes_))[labels]
    wrong = wrong * weight[:, None] / weight.sum()
    wrong = wrong[:, -len(solver.coef_) :]  # of two classes the second
    of_kernel = x.T @ wrong + solver.coef_.T / (solver.C * weight.sum())
    return float(max(np.abs(of_kernel).max(), np.abs(wrong.sum(0)).max()))


def fit(
    config, texts: labelled.LabelledTexts, parts: dict[str, np.ndarray], x: dict, started: float
) -> tuple[Solution, dict]:
    """Return the solution whose strength is best on validation, and what the last row says of it.

    A strength is chosen as a learning rate is.

    Args:
      parts: {"train", "val", "test"}: int32 positions of texts.
      x: features of the texts of each part, float [n, D].
      started: when `time.perf_counter()` began to count the seconds.

    Raises:
      Interrupted: a stop was asked for.
    """
    y = {part: texts.labels[rows] for part, rows in parts.items()}
    best, best_row, behind, unsolved = None, None, 0, []
    weights = splits.class_weights(config.class_weight, texts)
    for solution in solutions(x["train"], y["train"], config.model, weights):
        row = scores(logits_of(solution, x["val"]), y["val"], "val")
        if best is None or better(row) > better(best_row):
            best, best_row, behind = solution, row, 0
        else:
            behind += 1
        if solution.gradient > config.model.tolerance:
            unsolved.append(solution.strength)
            print(
                f"C = {solution.strength:g}: not solved, a gradient of {solution.gradient:.1e} "
                f"instead of {config.model.tolerance:g}; raise model.max_iter",
                file=sys.stderr,
            )
        if behind == PAST_THE_BEST:
            break
    seconds, logits = time.perf_counter() - started, logits_of(best, x["test"])
    return best, best_row | {
        "strength": best.strength,
        "gradient": best.gradient,
        "unsolved": unsolved,
        "solver_steps": solution.steps,
        "best_step": 0,
        "step": 0,
        "train_seconds": seconds,
        "num_params": best.num_params,
        "examples_per_s": len(y["train"]) / seconds,
        "seconds_per_epoch": None,
        **scores(logits, y["test"], "test"),
        **details(logits, parts["test"], texts),
    }


def logits_of(solution: Solution, x) -> np.ndarray:
    """Return the logits float64 [N, C] of features [N, D], dense or sparse."""
    return x @ solution.kernel + solution.bias
