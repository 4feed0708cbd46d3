"""One run of a language model, from the text to the scores: what the studies of decoders share."""

import functools
import math
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.analysis.ngrams import interpolated
from dla_jax.config.checks import ConfigError, check, check_choice, check_count, check_number
from dla_jax.config.stop import NonFiniteLoss
from dla_jax.config.workdir import Run
from dla_jax.data import text, tokenize
from dla_jax.evidence.rows import brief
from dla_jax.models import decoders
from dla_jax.models.build import DTYPES
from dla_jax.tasks import language_model, sampling
from dla_jax.tasks.classifier import shared_optimiser
from dla_jax.training.loop import Plan, no_trace
from dla_jax.training.mesh import put, replicated, together
from dla_jax.training.optim import check_optim
from dla_jax.training.steps import STEPS
from dla_jax.trials.grid import Setting, Story

PROMPT_LENGTH = 24  # characters of the default prompt; tokens of any prompt whose attention is kept
RISE = 0.01  # nats a character; less is nothing that one would call over-fitting
_SAMPLE = 2  # of a run's keys: `steps.init_state` has 0 and 1


def check_config(config, run: Run) -> None:
    """Raises ConfigError for the keys of a language model's config; `check_text` looks at the text."""
    check(run.from_dir is None, "--from: this study trains its own models; leave it out")
    text.check_config(config.data)
    tokenize.check_config(config.tokenizer)
    decoders.check_model(config.model)
    check_choice("compute_dtype", config.compute_dtype, DTYPES)
    check_choice("parallel", config.parallel, tuple(STEPS))
    check_optim(config.optim)
    check_sampling(config.sample, "sample.")
    for key in ("num_steps", "batch_size", "accumulate", "eval_every_steps", "steps_per_call"):
        check_count(key, config[key])
    for key in (
        "log_every_steps",
        "checkpoint_every_steps",
        "patience",
        "cells_at_a_time",
        "overfits_at",
    ):
        check_count(key, config[key], low=0)
    check_count("ngram_order", config.ngram_order)
    check_count("target_order", config.target_order)
    check(
        config.target_order <= config.ngram_order,
        f"target_order: {config.target_order} is more than ngram_order, {config.ngram_order}",
    )
    parts = config.accumulate * jax.device_count()
    check(
        config.batch_size % parts == 0,
        f"batch_size: {config.batch_size} is not divisible by accumulate times the devices, {parts}",
    )


def check_text(config, saved: Path) -> None:
    """Raises ConfigError for a text that is not there, or does not fit the config. `saved`: tokenizer of an earlier launch."""
    source = make_source(config, saved)
    text.check_windows(source.tokens, config.model.block_size, config.batch_size)
    try:
        source.tokenizer.encode(config.sample.prompt)
    except ConfigError as error:
        raise ConfigError(f"sample.prompt: {error}") from None


def check_sampling(sample, prefix: str = "") -> None:
    """Raises ConfigError for keys that say how to draw tokens."""
    check_count(f"{prefix}num_tokens", sample.num_tokens, low=0 if prefix else 1)
    check_number(f"{prefix}temperature", sample.temperature, low=0)
    check_count(f"{prefix}top_k", sample.top_k, low=0)
    check_number(f"{prefix}top_p", sample.top_p, above=0, high=1)


class Source(NamedTuple):
    """A text as a model reads it."""

    parts: dict[str, str]
    alphabet: int  # different characters of the whole text
    tokenizer: object
    tokens: text.Tokens


def read_text(config) -> text.Text:
    """The text of a config."""
    check(
        config.data.path != "",
        "data.path is empty; give a text file, or leave it out for the embedded text",
    )
    return text.load(config.data.path or "")


def make_source(config, saved: Path | None = None) -> Source:
    """The text of a config in tokens, those of the tokenizer in the file `saved` where there is one."""
    tokenizer = tokenize.load(saved) if saved and saved.exists() else None
    return _make_source(
        read_text(config),
        config.data.val_fraction,
        config.data.test_fraction,
        FrozenConfigDict(config.tokenizer.to_dict()),
        tokenizer,
    )


@functools.lru_cache(maxsize=8)  # networks share it, and the check of a config with its run
def _make_source(
    whole: text.Text, val_fraction: float, test_fraction: float, config, tokenizer
) -> Source:
    parts = text.split(whole.text, val_fraction, test_fraction)
    short = [name for name in ("train", "val") if len(parts[name]) < 2]
    check(
        not short,
        f"data.path: {whole.name} has {len(whole.text)} characters, too few to split; give a longer text",
    )
    tokenizer = tokenizer or tokenize.train(config, whole.text, parts["train"])
    return Source(
        parts, len(set(whole.text)), tokenizer, text.encode_parts(parts, tokenizer.encode)
    )


def prepare_source(config, run: Run, network: str) -> Source:
    """`make_source` with the tokenizer of the workdir, which the first process writes when it is not there."""
    saved = tokenizer_path(run.workdir, network)
    missing = run.first and not saved.exists()
    together(
        lambda: tokenize.save(make_source(config).tokenizer, saved) if missing else None,
        "write the tokenizer",
    )
    return together(lambda: make_source(config, saved), "read the tokenizer")


def tokenizer_path(workdir: Path, network: str) -> Path:
    """Where the tokenizer of a network is saved."""
    return workdir / "tokenizers" / f"{network}.json"


def put_tokens(source: Source, mesh) -> dict:
    """The whole text on every device."""
    return put({"token": source.tokens.tokens}, replicated(mesh))


def prepare(config, source: Source, data: dict, mesh) -> Setting:
    """The plan of a run, its optimiser, and its data."""
    every = config.eval_every_steps
    evaluations = (*range(every, config.num_steps, every), config.num_steps)
    plan = Plan(
        config.num_steps,
        evaluations,
        config.log_every_steps,
        config.checkpoint_every_steps,
        config.steps_per_call,
        config.patience,
    )
    plan = plan._replace(steps_per_call=min(config.steps_per_call, plan.longest_stretch()))
    tx = shared_optimiser(config.optim, config.num_steps)
    return Setting(
        config,
        data,
        mesh,
        tx,
        plan,
        no_trace,
        source,
        step_size=config.batch_size * config.model.block_size,
        accumulate=config.accumulate,
    )


@functools.lru_cache(maxsize=8)
def ngram_scores(
    train: str, before: str, scored: str, alphabet: int, max_order: int
) -> dict[str, float]:
    """{order: nats per character} of n-grams counted in `train`, on `scored`, which stands behind `before`.

    `alphabet`: number of characters that there are.
    """
    points = np.unique(tokenize.code_points(train + before + scored), return_inverse=True)
    first = len(train) + len(before)
    log_p = interpolated(points[1], len(train), first, first + len(scored), alphabet, max_order)
    return {str(order): float(-row.mean()) for order, row in enumerate(log_p, 1)}


def ngrams_of(source: Source, max_order: int) -> dict[str, dict[str, float]]:
    """{part: {order: nats per character}} of the parts that are scored."""
    parts = source.parts
    found = {"val": ngram_scores(parts["train"], "", parts["val"], source.alphabet, max_order)}
    if parts["test"]:
        found["test"] = ngram_scores(
            parts["train"], parts["val"], parts["test"], source.alphabet, max_order
        )
    return found


def make_model(setting: Setting):
    """The Flax module of a network."""
    return decoders.build(
        setting.config.model, setting.source.tokenizer.vocab_size, setting.config.compute_dtype
    )


def prompt_of(source: Source, prompt: str) -> np.ndarray:
    """The prompt in tokens; "" stands for the beginning of the validation text."""
    return source.tokenizer.encode(prompt or source.parts["val"][:PROMPT_LENGTH])


def make_story(setting: Setting, cell) -> Story:
    """What makes the run of a cell."""
    config, source, model = setting.config, setting.source, make_model(setting)
    size, seed, tokens = config.model.block_size, cell.seed, source.tokens
    ngrams = ngrams_of(source, config.ngram_order)
    scored = "test" if source.parts["test"] else "val"

    def evaluate_part(part):
        index, mask = text.part_index(
            tokens, part, size, config.batch_size // config.accumulate
        )  # what fits in training, fits
        return language_model.make_evaluate(
            model, setting.data["token"], setting.mesh, index, mask, tokens.num_chars[part], part
        )

    on_val = evaluate_part("val")
    on_scored = on_val if scored == "val" else evaluate_part(scored)

    def evaluate(state):
        found = {
            name: value
            for name, value in on_val(state).items()
            if not name.endswith("_by_position")
        }
        return found | (write_sample(setting, model, state, seed) if cell.stage == "final" else {})

    def test(state):
        found = on_scored(state)
        if not math.isfinite(found[f"{scored}_nats_per_char"]):
            raise NonFiniteLoss(int(state.step))
        return (
            scores(
                found[f"{scored}_nats_per_char"], found[f"{scored}_nats_per_token"], ngrams, scored
            )
            | brief(
                {
                    "nats_by_position": found[f"{scored}_nats_by_position"]
                    * tokens_per_char(tokens, scored)
                }
            )
            | (keep_attention(setting, model, state) if seed == config.seeds[0] else {})
        )

    facts = {
        "num_params": sum(leaf.size for leaf in jax.tree.leaves(decoders.shapes_of(model))),
        "vocab_size": source.tokenizer.vocab_size,
        "tokens_per_char": tokens_per_char(tokens, "train"),
        "scored_tokens_per_char": tokens_per_char(tokens, scored),
        "scored_on": scored,
        "prompt": source.tokenizer.decode(prompt_of(source, config.sample.prompt)),
        "ngram_nats_per_char": ngrams[scored],
        "val_ngram_nats_per_char": ngrams["val"],
    }
    # A run that diverged, and one before its first step, counts as guessing among its tokens.
    per_token = math.log(source.tokenizer.vocab_size)
    guessing = {part: per_token * tokens_per_char(tokens, part) for part in {"val", scored}}
    target = ngrams["val"][str(config.target_order)]
    return Story(
        init_fn=functools.partial(language_model.init_model, model=model),
        loss_fn=language_model.make_loss(model),
        batch_at=lambda step: {
            "index": text.train_index(seed, step, config.batch_size, tokens, size)
        },
        evaluate=evaluate,
        better=better,
        test=test,
        result=functools.partial(run_result, config=config, target=target, chance=guessing["val"]),
        diverged={
            "val_nats_per_char": guessing["val"],
            "val_nats_per_token": per_token,
            "reached_target": False,
            "log2_steps": math.log2(config.num_steps),
        }
        | scores(guessing[scored], per_token, ngrams, scored)
        | dict.fromkeys(("tokens_per_s", "nats_risen", "over_fits", "best_past_reported")),
        facts=facts,
    )


def tokens_per_char(tokens: text.Tokens, part: str) -> float:
    """Tokens of a part by its characters."""
    first, stop = tokens.bounds[part]
    return (stop - first) / tokens.num_chars[part]


def better(row: dict) -> float:
    """The score by which the best evaluation of a run is chosen."""
    return -math.inf if row["val_nats_per_char"] is None else -row["val_nats_per_char"]


def rate_score(rows: list[dict]) -> float:
    """By which a learning rate is chosen: the lowest mean of validation nats per character."""
    return -float(np.mean([row["val_nats_per_char"] for row in rows]))


def scores(nats_per_char: float, nats_per_token: float, ngrams: dict, scored: str) -> dict:
    """What the last row says of the part that is scored; n-grams of the order that is best on validation are compared."""
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
    """What the last row says of the training.

    `log2_steps`: binary logarithm of the steps after which validation, which starts at `chance`, falls to `target`, interpolated;
    that of all steps where it never does (`reached_target` False). `nats_risen`: how much validation has risen from its best to
    the last evaluation; `over_fits`: by how much more than RISE. `best_past_reported`: thousands of steps from the one after
    which a lab saw it rise to the best; None where no lab says.

    Raises:
      NonFiniteLoss: no evaluation was finite.
    """
    curve = [
        (row["step"], row["val_nats_per_char"])
        for row in rows
        if row.get("val_nats_per_char") is not None
    ]
    if not curve:
        raise NonFiniteLoss(rows[-1]["step"])
    steps, risen = steps_to([(0, chance), *curve], target), curve[-1][1] - best["val_nats_per_char"]
    rate = rows[-1]["step"] * config.batch_size * config.model.block_size / rows[-1]["seconds"]
    return {
        "val_nats_per_char": best["val_nats_per_char"],
        "val_nats_per_token": best["val_nats_per_token"],
        "tokens_per_s": rate,
        "log2_steps": math.log2(steps or config.num_steps),
        "reached_target": steps is not None,
        "nats_risen": risen,
        "over_fits": risen - RISE,
        "best_past_reported": (best["step"] - config.overfits_at) / 1000
        if config.overfits_at
        else None,
    }


def steps_to(curve: list[tuple[int, float]], target: float) -> float | None:
    """The step at which a curve of (step, loss) first falls to the target, on the line between two points; None: never."""
    for i, (step, loss) in enumerate(curve):
        if loss <= target:
            if i == 0:
                return float(step)
            before, higher = curve[i - 1]
            return before + (step - before) * (higher - target) / (higher - loss)
    return None


def write_sample(setting: Setting, model, state, seed: int) -> dict[str, str]:
    """{"sample": what the model writes behind the prompt}; nothing where the config asks for no tokens."""
    sample, source = setting.config.sample, setting.source
    if not sample.num_tokens:
        return {}
    key, sampler = (
        jax.random.fold_in(jax.random.key(seed), _SAMPLE),
        (sample.temperature, sample.top_k, sample.top_p),
    )
    prompt = prompt_of(source, sample.prompt)
    drawn = sampling.sample(
        model, state.params, prompt, sample.num_tokens, 1, key, sampling.Sampler(*sampler)
    )
    return {"sample": source.tokenizer.decode(drawn[0])}


def keep_attention(setting: Setting, model, state) -> dict:
    """The attention weights of every head on the prompt, [n_layer, n_head, T, T], with its tokens as text."""
    size = min(PROMPT_LENGTH, setting.config.model.block_size)
    prompt = prompt_of(setting.source, setting.config.sample.prompt)[:size]
    words = [setting.source.tokenizer.decode([token]) for token in prompt]
    return {"attention_tokens": words} | brief(
        {"attention": language_model.attention_maps(state.params, prompt, model=model)}
    )
