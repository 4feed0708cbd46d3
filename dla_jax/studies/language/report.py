"""From the record of a study of language models to its summary and report."""

import numpy as np

from dla_jax.evidence import formatting, stats
from dla_jax.evidence.selection import rate_words, section
from dla_jax.plots import characters
from dla_jax.studies.language.figures import NAMES, draw_figures
from dla_jax.studies.study import Finished

HEAD = (
    "network",
    "heads",
    "reported",
    "learning rate",
    "runs",
    "nats/char [95 % interval]",
    "bits/char",
    "nats/token",
    "perplexity of a token",
    "tokens/char",
    "minus best n-gram",
    "best step",
    "steps to n-gram",
    "diverged",
    "parameters",
    "train s",
    "tokens/s",
)
LEFT_OUT = ("run", "done", "stage", "attention", "attention_tokens", "nats_by_position")
CAPTIONS = {
    "scores": (
        "Bits per character on the {scored}: runs (dots), mean (diamond), 95 % t-interval (bar); "
        "n-grams counted in the same training text (ticks; those far beyond have their figure "
        "alone)."
    ),
    "curves": (
        "Mean and range over seeds; dotted: n-grams. Where validation turns up while training "
        "falls, the model over-fits; the best state is scored."
    ),
    "by_context": (
        "Loss behind so many characters of context, within a window; an n-gram of order k has "
        "k - 1. A line that continues to fall makes something of a longer context."
    ),
}


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run, and which of its values are only bounds."""
    kept = {key: value for key, value in row.items() if key not in LEFT_OUT}
    best = None if row["diverged"] else row["best_step"] / 1000
    return kept | {"best_kilosteps": best, "censored": censored_of(row)}


def censored_of(run: dict) -> list[str]:
    """Return the values of a run that are only bounds, since its budget ended.

    These are the steps to an n-gram that it never reached, and, where validation fell to the last,
    how far it may have risen later, and where it may have been best. The last two are values that
    claims of earlier versions compare.
    """
    never = [] if run["reached_target"] else ["log2_steps"]
    falling = run["nats_risen"] is not None and run["nats_risen"] <= 0
    later = ["nats_risen", "best_kilosteps", "over_fits", "best_past_reported"]
    return never + (later if falling else [])


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    config, figures = found.config, draw_figures(found)
    scored = NAMES[found.summary["runs"][0]["scored_on"]]

    def drawn(name: str) -> list[dict]:
        caption = CAPTIONS[name].format(scored=scored)
        return [figures[name] | {"caption": caption}] if name in figures else []

    attention = attention_figures(found, figures)
    parts = [
        {
            "title": "Models and n-grams",
            "text": f"{verdict_words(found)} {scored_words(scored)}",
            "figures": drawn("scores"),
            "table": {"head": HEAD, "rows": network_rows(found)},
        },
        {
            "title": "N-grams",
            "text": "Interpolated after Witten and Bell (1991), on characters whatever a model's "
            "tokens are.",
            "table": ngram_table(found, scored),
        },
        {"title": "Training", "figures": drawn("curves")},
        {"title": "How much of the context is used", "figures": drawn("by_context")},
        *section(found.summary["selection"], "val_nats_per_char", "nats/char"),
        {
            "title": "Attention",
            "text": "First seed. Row: the token that looks; column: what it looks at; dark: much "
            "(square root of the weight).",
            "figures": attention,
        },
        {
            "title": "What they write",
            "text": "At the first, a middle and the last evaluation, behind the prompt "
            f"{prompt_words(config)}, temperature {config.sample.temperature:g}, first seed.",
            "samples": samples(found),
        },
    ]
    empty = {"Attention": not attention, "What they write": not samples(found)}
    return [part for part in parts if not empty.get(part["title"], False)]


def lines(found: Finished) -> list[str]:
    """Return the short table on the screen."""
    shown = []
    for network in found.arms:
        nats = [run["nats_per_char"] for run in found.runs_of(network)]
        reported = found.config.reported[network]
        shown.append(f"{network:<20} {nats_words(nats)}   reported: {reported}")
    ngrams = found.summary["runs"][0]["ngram_nats_per_char"]
    shown += [f"{f'{order}-gram':<20} {nats:.3f}" for order, nats in ngrams.items()]
    return [*shown, *verdict_words(found).replace(". ", ".\n").splitlines()]


def verdict_words(found: Finished) -> str:
    """Return how far each network lies below or above the best n-gram."""
    first = found.summary["runs"][0]
    order = str(first["best_ngram_order"])
    nats = first["ngram_nats_per_char"][order]
    words = [
        f"Of the n-grams the one of order {order} is best on validation; it has {nats:.3f} nats "
        "per character."
    ]
    for network in found.arms:
        above = [run["above_ngram"] for run in found.runs_of(network)]
        mean, beaten = np.mean(above), sum(value < 0 for value in above)
        side = "less" if mean < 0 else "more"
        words.append(
            f"{network} has {abs(mean):.3f} nats {side} than it on average, less in {beaten} of "
            f"{formatting.count(len(above), 'run')}."
        )
    return " ".join(words)


def scored_words(scored: str) -> str:
    """Return how the scores were measured. `scored`: the text, in words."""
    if scored == NAMES["test"]:
        how = "each run is scored once, with the state that is best on validation."
    else:
        how = (
            "the text has no test part: scores are of the validation text, on which the best state "
            "of each run, the learning rates that were searched, and the order of the n-gram were "
            "chosen."
        )
    return (
        f"Every character is predicted once; {how} Intervals are over runs on this one text. At "
        "the beginning of a window a model sees one token, an n-gram always its whole context."
    )


def network_rows(found: Finished) -> list[list[str]]:
    """Return the table of the networks, as text."""
    return [network_row(found, network) for network in found.arms]


def network_row(found: Finished, network: str) -> list[str]:
    """Return the row of one network."""
    config, runs = found.config, found.runs_of(network)

    def mean(key: str, form: str) -> str:
        values = [run[key] for run in runs if run[key] is not None]
        return format(np.mean(values), form) if values else "diverged"

    above = np.mean([run["above_ngram"] for run in runs])
    rate = rate_words(found.summary["selection"], network, runs[0]["lr"], "val_nats_per_char")
    return [
        network,
        heads_words(found.arms[network].config.model),
        config.reported[network],
        rate,
        str(len(runs)),
        nats_words([run["nats_per_char"] for run in runs]),
        mean("bits_per_char", ".3f"),
        mean("nats_per_token", ".3f"),
        mean("perplexity", ".2f"),
        mean("tokens_per_char", ".2f"),
        formatting.amount(above, "nats/char"),
        mean("best_step", ",.0f"),
        reached_words(config, runs),
        str(sum(run["diverged"] for run in runs)),
        f"{runs[0]['num_params']:,}",
        mean("train_seconds", ".1f"),
        mean("tokens_per_s", ",.0f"),
    ]


def heads_words(model) -> str:
    """Return how many heads a model has and how wide they are: `16, 4 wide`."""
    return f"{model.n_head}, {model.n_embd // model.n_head} wide"


def nats_words(values: list[float]) -> str:
    """Return the mean of nats per character with its interval: `1.557 [1.541, 1.573]`.

    Args:
      values: float [n], of the runs.
    """
    low, high = stats.t_interval(values)
    return f"{np.mean(values):.3f}{formatting.interval(low, high, 'nats/char', sign=False)}"


def reached_words(config, runs: list[dict]) -> str:
    """Return how soon the runs were as good as the n-gram of `target_order`, and how many were."""
    steps = [2 ** run["log2_steps"] for run in runs if run["reached_target"]]
    mean = f"{np.mean(steps):,.0f}" if steps else "never"
    return f"{config.target_order}-gram: {mean} ({len(steps)} of {len(runs)} runs)"


def ngram_table(found: Finished, scored: str) -> dict:
    """Return the table of the n-grams, as text. `scored`: the text that is scored, in words."""
    run = found.summary["runs"][0]
    rows = []
    for order, nats in run["ngram_nats_per_char"].items():
        validation = run["val_ngram_nats_per_char"][order]
        bits = nats * characters.BITS
        rows.append([f"{order}-gram", f"{nats:.3f}", f"{bits:.3f}", f"{validation:.3f}"])
    head = ["order", f"nats/char, {scored}", "bits/char", "nats/char, validation"]
    return {"head": head, "rows": rows}


def prompt_words(config) -> str:
    """Return the prompt as the report names it."""
    return repr(config.sample.prompt) if config.sample.prompt else "that begins the validation text"


def attention_figures(found: Finished, figures: dict) -> list[dict]:
    """Return the maps of every network that has some, first seed, with their captions."""
    shown = []
    for network in found.arms:
        if f"attention_{network}" in figures:
            tokens = "|".join(found.last_rows(network)[0]["attention_tokens"])
            caption = f"{network}, a row of maps a layer, a map a head, on: {tokens!r}"
            shown.append(figures[f"attention_{network}"] | {"caption": caption})
    return shown


def samples(found: Finished) -> list[dict]:
    """Return what the first seed of each network writes at three of its evaluations."""
    shown = []
    for arm in found.arms.values():
        written = [row for row in found.rows_of(arm.name)[arm.seeds[0]] if "sample" in row]
        for i in sorted({0, len(written) // 2, len(written) - 1} if written else ()):
            step = written[i]["step"]
            caption = f"{arm.name}, step {step:,} of {arm.config.num_steps:,}"
            shown.append({"caption": caption, "text": written[i]["sample"]})
    return shown
