"""From an arm of a study of language models to the Task of one run, and back to a trained model."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from dla_jax.config.checks import ConfigError, check, check_rules, choice, count, number
from dla_jax.config.stop import NonFiniteLoss
from dla_jax.config.workdir import Launch
from dla_jax.data import text, tokenize
from dla_jax.evidence.rows import brief
from dla_jax.models import decoders
from dla_jax.models.build import DTYPES
from dla_jax.tasks.classifier import check_parts, shared_optimiser
from dla_jax.tasks.language_model import init_model, make_evaluate, make_loss
from dla_jax.tasks.language_shown import keep_attention, write_sample
from dla_jax.tasks.text_source import (
    Source,
    make_source,
    ngrams_of,
    prompt_of,
    tokens_per_char,
)
from dla_jax.training.optim import check_optim
from dla_jax.training.steps import STEPS, TrainState
from dla_jax.training.task import Plan, Task

RULES = {
    "compute_dtype": choice(DTYPES),
    "parallel": choice(STEPS),
    "num_steps": count(),
    "batch_size": count(),
    "accumulate": count(),
    "eval_every_steps": count(),
    "steps_per_call": count(),
    "log_every_steps": count(low=0),
    "checkpoint_every_steps": count(low=0),
    "patience": count(low=0),
    "cells_at_a_time": count(low=0),
    "ngram_order": count(),
    "target_order": count(),
}
SAMPLING = {
    "temperature": number(low=0),
    "top_k": count(low=0),
    "top_p": number(above=0, high=1),
}


class Loaded(NamedTuple):
    """A text in tokens, and its copy on the devices."""

    source: Source
    data: dict  # {"token": int32 [N]}
    mesh: jax.sharding.Mesh


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for the keys of a language model; `check_text` looks at the text."""
    check(launch.from_dir is None, "--from: this study trains its own models; leave it out")
    text.check_config(config.data)
    tokenize.check_config(config.tokenizer)
    decoders.check_model(config.model)
    check_optim(config.optim)
    check_rules(config.sample, {"num_tokens": count(low=0)} | SAMPLING, prefix="sample.")
    check_rules(config, RULES)
    check(
        config.target_order <= config.ngram_order,
        f"target_order: {config.target_order} is more than ngram_order, {config.ngram_order}",
    )
    parts = config.accumulate * jax.device_count()
    check_parts(config.batch_size, parts, f"accumulate times the devices, {parts}")


def check_text(config, saved: Path) -> None:
    """Raise ConfigError for a text that is not there, or does not suit the config.

    Args:
      saved: the tokenizer of an earlier launch.
    """
    source = make_source(config, saved)
    text.check_windows(source.tokens, config.model.block_size, config.batch_size)
    try:
        source.tokenizer.encode(config.sample.prompt)
    except ConfigError as error:
        raise ConfigError(f"sample.prompt: {error}") from None


def make_plan(config) -> Plan:
    """Return the plan of a run."""
    every = config.eval_every_steps
    plan = Plan(
        num_steps=config.num_steps,
        eval_steps=(*range(every, config.num_steps, every), config.num_steps),
        log_every_steps=config.log_every_steps,
        checkpoint_every_steps=config.checkpoint_every_steps,
        steps_per_call=config.steps_per_call,
        patience=config.patience,
    )
    return plan._replace(steps_per_call=min(config.steps_per_call, plan.longest_stretch()))


def make_model(config, vocab_size: int):
    """Return the Flax module of a network."""
    return decoders.build(config.model, vocab_size, config.compute_dtype)


def make_task(config, loaded: Loaded, seed: int, compared: bool) -> Task:
    """Return the Task of one run of a network.

    Args:
      compared: whether the run is compared; it then writes a sample at each evaluation.
    """
    source, tokens, size = loaded.source, loaded.source.tokens, config.model.block_size
    model = make_model(config, source.tokenizer.vocab_size)
    ngrams = ngrams_of(source, config.ngram_order)
    scored = "test" if source.parts["test"] else "val"

    on_val = evaluate_part(config, loaded, model, "val")
    on_scored = on_val if scored == "val" else evaluate_part(config, loaded, model, scored)

    def evaluate(state: TrainState) -> dict:
        scores = on_val(state).items()
        shown = {name: value for name, value in scores if not name.endswith("_by_position")}
        return shown | (write_sample(config, source, model, state, seed) if compared else {})

    def test(state: TrainState) -> dict:
        found = on_scored(state)
        nats = found[f"{scored}_nats_per_char"]
        if not math.isfinite(nats):
            raise NonFiniteLoss(int(state.step))
        per_token = found[f"{scored}_nats_per_token"]
        by_position = found[f"{scored}_nats_by_position"] * tokens_per_char(tokens, scored)
        last = scores_of(nats, per_token, ngrams, scored) | brief({"nats_by_position": by_position})
        first = seed == config.seeds[0]
        return last | (keep_attention(config, source, model, state) if first else {})

    def batch_at(step: int) -> dict:
        return {"index": text.train_index(seed, step, config.batch_size, tokens, size)}

    # A run that diverged, and one before its first step, counts as guessing among its tokens.
    per_token = math.log(source.tokenizer.vocab_size)
    guessing = {part: per_token * tokens_per_char(tokens, part) for part in {"val", scored}}
    return Task(
        init_fn=functools.partial(init_model, model=model),
        loss_fn=make_loss(model),
        tx=shared_optimiser(config.optim, config.num_steps),
        batch_at=batch_at,
        evaluate=evaluate,
        better=better,
        plan=make_plan(config),
        data=loaded.data,
        mesh=loaded.mesh,
        batch_size=config.batch_size,
        test=test,
        result=functools.partial(
            run_result,
            config=config,
            target=ngrams["val"][str(config.target_order)],
            chance=guessing["val"],
        ),
        diverged=diverged(config, guessing, per_token, ngrams, scored),
        facts=facts_of(config, source, model, ngrams, scored),
        accumulate=config.accumulate,
        parallel=config.parallel,
        units_per_step=config.batch_size * size,
    )


def evaluate_part(config, loaded: Loaded, model, part: str) -> Callable:
    """Return the function state -> scores of a part of the text (`make_evaluate`).

    It takes as many windows at once as fit in training.
    """
    tokens, windows = loaded.source.tokens, config.batch_size // config.accumulate
    index, mask = text.part_index(tokens, part, config.model.block_size, windows)
    num_chars = tokens.num_chars[part]
    return make_evaluate(model, loaded.data["token"], loaded.mesh, index, mask, num_chars, part)


def facts_of(config, source: Source, model, ngrams: dict, scored: str) -> dict:
    """Return what the last row says of the network and its text. `scored`: the part."""
    shapes = jax.tree.leaves(decoders.shapes_of(model))
    prompt = prompt_of(source, config.sample.prompt)
    return {
        "num_params": sum(leaf.size for leaf in shapes),
        "vocab_size": source.tokenizer.vocab_size,
        "tokens_per_char": tokens_per_char(source.tokens, "train"),
        "scored_tokens_per_char": tokens_per_char(source.tokens, scored),
        "scored_on": scored,
        "prompt": source.tokenizer.decode(prompt),
        "ngram_nats_per_char": ngrams[scored],
        "val_ngram_nats_per_char": ngrams["val"],
    }


def diverged(config, guessing: dict, per_token: float, ngrams: dict, scored: str) -> dict:
    """Return what stands for the scores of a run that diverged: those of guessing.

    Args:
      guessing: {part: nats per character} of guessing among the tokens.
      per_token: nats of guessing a token.
    """
    unknown = ("tokens_per_s", "nats_risen")
    return (
        {
            "val_nats_per_char": guessing["val"],
            "val_nats_per_token": per_token,
            "reached_target": False,
            "log2_steps": math.log2(config.num_steps),
        }
        | scores_of(guessing[scored], per_token, ngrams, scored)
        | dict.fromkeys(unknown)
    )


def better(row: dict) -> float:
    """Return the score by which the best evaluation of a run is chosen."""
    nats = row["val_nats_per_char"]
    return -math.inf if nats is None else -nats


def scores_of(nats_per_char: float, nats_per_token: float, ngrams: dict, scored: str) -> dict:
    """Return what the last row says of the part that is scored.

    The n-grams beside it are those of the order that is best on validation.
    """
    order = min(ngrams["val"], key=ngrams["val"].get)
    return {
        "nats_per_char": nats_per_char,
        "bits_per_char": nats_per_char / math.log(2),
        "nats_per_token": nats_per_token,
        "perplexity": float(np.exp(nats_per_token)),
        "best_ngram_order": int(order),
        "above_ngram": nats_per_char - ngrams[scored][order],
    }


def run_result(rows: list[dict], best: dict, *, config, target: float, chance: float) -> dict:
    """Return what the last row says of the training.

    `log2_steps` is the binary logarithm of the steps after which validation, which starts at
    `chance`, falls to `target`, interpolated; that of all steps where it never does
    (`reached_target` False). `nats_risen` is how much validation has risen from its best to the
    last evaluation.

    Raises:
      NonFiniteLoss: no evaluation was finite.
    """
    evaluated = [row for row in rows if row.get("val_nats_per_char") is not None]
    curve = [(row["step"], row["val_nats_per_char"]) for row in evaluated]
    if not curve:
        raise NonFiniteLoss(rows[-1]["step"])
    steps = steps_to([(0, chance), *curve], target)
    tokens = rows[-1]["step"] * config.batch_size * config.model.block_size
    return {
        "val_nats_per_char": best["val_nats_per_char"],
        "val_nats_per_token": best["val_nats_per_token"],
        "tokens_per_s": tokens / rows[-1]["seconds"],
        "log2_steps": math.log2(steps or config.num_steps),
        "reached_target": steps is not None,
        "nats_risen": curve[-1][1] - best["val_nats_per_char"],
    }


def steps_to(curve: list[tuple[int, float]], target: float) -> float | None:
    """Return the step at which a curve first falls to a target, on the line between two points.

    Args:
      curve: (step, loss) of each evaluation.

    Returns:
      None where it never does.
    """
    for i, (step, loss) in enumerate(curve):
        if loss <= target:
            if i == 0:
                return float(step)
            before, higher = curve[i - 1]
            return before + (step - before) * (higher - target) / (higher - loss)
    return None
