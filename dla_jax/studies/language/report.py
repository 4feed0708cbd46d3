"""From the record of a study of language models to its summary, figures and report."""

from pathlib import Path

import numpy as np

from dla_jax.evidence import formatting, records, report, stats, verdicts
from dla_jax.evidence.selection import rate_words, section
from dla_jax.plots import characters
from dla_jax.plots.style import draw_all
from dla_jax.tasks.language_runs import rate_score
from dla_jax.trials.arms import choose_rates, final_cells, own_config, seeds_of, select_cells

NAMES = {"val": "validation text", "test": "test text"}
HEAD = [
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
]


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*.png` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, config, rows, done = records.read_finished(workdir, num_runs)
    summary = summarise(config, done)
    records.write_summary(workdir, summary)
    report.render(
        workdir / "report.html",
        title=f"Language models on {written['data']['name']}",
        question=config.question,
        command=written["launches"][0]["command"],
        claims=summary["claims"],
        sections=sections(config, summary, rows, done, workdir),
        facts=records.facts(written, summary, "characters"),
    )
    records.print_lines(
        printed_lines(config, summary),
        summary["claims"],
        workdir,
        "nats per character [95 % interval]",
    )


def num_runs(config) -> int:
    """How many runs the study has."""
    return len(select_cells(config)) + len(final_cells(config))


def summarise(config, done: dict[str, dict]) -> dict:
    """The finished runs -> {"study", "runs", "claims", "selection"}."""
    left_out = ("run", "done", "stage", "attention", "attention_tokens", "nats_by_position")
    runs = [
        {key: value for key, value in row.items() if key not in left_out}
        | {"censored": censored_of(row)}
        for row in done.values()
        if row["stage"] == "final"
    ]
    runs.sort(key=lambda run: (list(config.networks).index(run["group"]), run["seed"]))
    claims = [
        {"name": name} | verdicts.weigh(claim, runs)
        for name, claim in config.claims.to_dict().items()
    ]
    cells = select_cells(config)
    return {
        "study": "language",
        "runs": runs,
        "claims": claims,
        "selection": records.select_rows(
            cells, done, choose_rates(config, done, rate_score), "val_nats_per_char"
        ),
    }


def censored_of(run: dict) -> list[str]:
    """Return the values of a run that are only bounds, since its budget ended: the steps to an n-gram that it never reached, and
    where validation fell to the last, what it may have risen later, and where it may have been best."""
    never = [] if run["reached_target"] else ["log2_steps"]
    falling = run["nats_risen"] is not None and run["nats_risen"] <= 0
    return never + (["over_fits", "best_past_reported"] if falling else [])


def of_network(summary: dict, network: str) -> list[dict]:
    """The runs of a network."""
    return [run for run in summary["runs"] if run["group"] == network]


def best_ngram(run: dict) -> str:
    """The order that is best on validation."""
    return str(run["best_ngram_order"])


def verdict_words(config, summary: dict) -> str:
    """Which networks are better than the best n-gram, and which are not."""
    first = summary["runs"][0]
    order = best_ngram(first)
    nats = first["ngram_nats_per_char"][order]
    words = [
        f"Of the n-grams the one of order {order} is best on validation; it has {nats:.3f} nats per character."
    ]
    for network in config.networks:
        runs = of_network(summary, network)
        mean, beaten = (
            np.mean([run["above_ngram"] for run in runs]),
            sum(run["above_ngram"] < 0 for run in runs),
        )
        which = f"{beaten} of {formatting.count(len(runs), 'run')}"
        what = "is better than it" if mean < 0 else "does not beat it"
        words.append(
            f"{network} {what}: {abs(mean):.3f} nats {'less' if mean < 0 else 'more'} on average, less in {which}."
        )
    return " ".join(words)


def network_rows(config, summary: dict) -> list[list[str]]:
    """The table of the networks, as text."""
    rows = []
    for network in config.networks:
        runs = of_network(summary, network)

        def mean(key, form, runs=runs):
            values = [run[key] for run in runs if run[key] is not None]
            return format(np.mean(values), form) if values else "diverged"

        nats = [run["nats_per_char"] for run in runs]
        above = np.mean([run["above_ngram"] for run in runs])
        rate = rate_words(summary["selection"], network, runs[0]["lr"], "val_nats_per_char")
        rows.append(
            [
                network,
                heads_words(own_config(config, network).model),
                config.reported[network],
                rate,
                str(len(runs)),
                nats_words(nats),
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
        )
    return rows


def heads_words(model) -> str:
    """How many heads a model has and how wide they are: `16, 4 wide`."""
    return f"{model.n_head}, {model.n_embd // model.n_head} wide"


def nats_words(values: list[float]) -> str:
    """Return the mean of nats per character float [n] with its interval: `1.557 [1.541, 1.573]`."""
    return (
        f"{np.mean(values):.3f}{formatting.interval(*stats.t_interval(values), 'nats/char', False)}"
    )


def reached_words(config, runs: list[dict]) -> str:
    """How soon the runs were as good as the n-gram of `target_order`, and how many of them."""
    steps = [2 ** run["log2_steps"] for run in runs if run["reached_target"]]
    mean = f"{np.mean(steps):,.0f}" if steps else "never"
    return f"{config.target_order}-gram: {mean} ({len(steps)} of {len(runs)} runs)"


def ngram_rows(summary: dict) -> list[list[str]]:
    """The table of the n-grams, as text."""
    run = summary["runs"][0]
    return [
        [
            f"{order}-gram",
            f"{nats:.3f}",
            f"{nats * characters.BITS:.3f}",
            f"{run['val_ngram_nats_per_char'][order]:.3f}",
        ]
        for order, nats in run["ngram_nats_per_char"].items()
    ]


def printed_lines(config, summary: dict) -> list[str]:
    """The short table on the screen."""
    lines = []
    for network in config.networks:
        nats = [run["nats_per_char"] for run in of_network(summary, network)]
        lines.append(f"{network:<20} {nats_words(nats)}   reported: {config.reported[network]}")
    run = summary["runs"][0]
    lines += [
        f"{f'{order}-gram':<20} {nats:.3f}" for order, nats in run["ngram_nats_per_char"].items()
    ]
    return [*lines, *verdict_words(config, summary).replace(". ", ".\n").splitlines()]


def sections(
    config, summary: dict, rows: list[dict], done: dict[str, dict], workdir: Path
) -> list[dict]:
    """The sections of the report, with their figures drawn."""
    figures = draw_figures(config, summary, rows, done, workdir / "figures")
    scored = NAMES[summary["runs"][0]["scored_on"]]
    figure = lambda name, caption: (
        [{"path": figures[name], "caption": caption}] if name in figures else []
    )
    found = [
        {
            "title": "Models and n-grams",
            "text": f"{verdict_words(config, summary)} {scored_words(scored)}",
            "figures": figure(
                "scores",
                f"Bits per character on the {scored}: runs (dots), mean (diamond), 95 % t-interval (bar); "
                "n-grams counted in the same training text (ticks; those far beyond have their figure alone).",
            ),
            "table": {"head": HEAD, "rows": network_rows(config, summary)},
        },
        {
            "title": "N-grams",
            "text": "Interpolated after Witten and Bell (1991), on characters whatever a model's tokens are.",
            "table": {
                "head": ["order", f"nats/char, {scored}", "bits/char", "nats/char, validation"],
                "rows": ngram_rows(summary),
            },
        },
        {
            "title": "Training",
            "figures": figure(
                "curves",
                "Mean and range over seeds; dotted: n-grams. Where validation turns up "
                "while training falls, the model over-fits; the best state is scored.",
            ),
        },
        {
            "title": "How much of the context is used",
            "figures": figure(
                "by_context",
                "Loss behind so many characters of context, within a window; an n-gram of order k has k - 1. A line "
                "that goes on falling makes something of a longer context.",
            ),
        },
        *section(summary["selection"], "val_nats_per_char", "nats/char"),
        *attention_sections(config, figures, done),
        {
            "title": "What they write",
            "text": f"At the first, a middle and the last evaluation, behind the prompt "
            f"{prompt_words(config)}, temperature {config.sample.temperature:g}, first seed.",
            "samples": samples(config, rows),
        },
    ]
    return [section for section in found if section.get("samples") != []]


def scored_words(scored: str) -> str:
    """How the scores came about."""
    if scored == NAMES["test"]:
        how = "each run is scored once, with the state that is best on validation."
    else:
        how = (
            "the text has no test part: scores are of the validation text, on which the best state of each run, the learning "
            "rates that were searched, and the order of the n-gram were chosen."
        )
    return (
        f"Every character is predicted once; {how} Intervals are over runs on this one text. At the beginning of a window a "
        "model sees one token, an n-gram always its whole context."
    )


def prompt_words(config) -> str:
    """The prompt as the report names it."""
    return repr(config.sample.prompt) if config.sample.prompt else "that begins the validation text"


def attention_sections(config, figures: dict[str, Path], done: dict[str, dict]) -> list[dict]:
    """The maps of every network that has some, first seed."""
    maps = []
    for network in config.networks:
        if f"attention_{network}" in figures:
            tokens = done[f"final/{network}/seed{seeds_of(config, network)[0]}"]["attention_tokens"]
            caption = f"{network}, a row of maps a layer, a map a head, on: {'|'.join(tokens)!r}"
            maps.append({"path": figures[f"attention_{network}"], "caption": caption})
    text = "First seed. Row: the token that looks; column: what it looks at; dark: much (square root of the weight)."
    return [{"title": "Attention", "text": text, "figures": maps}] if maps else []


def rows_of(config, rows: list[dict], network: str) -> list[list[dict]]:
    """The rows of each run of a network that did not diverge, in order."""
    names = [f"final/{network}/seed{seed}" for seed in seeds_of(config, network)]
    diverged = {row["run"] for row in rows if row.get("done") and row["diverged"]}
    return [
        [row for row in rows if row["run"] == name and not row.get("done")]
        for name in names
        if name not in diverged
    ]


def draw_figures(
    config, summary: dict, rows: list[dict], done: dict[str, dict], folder: Path
) -> dict[str, Path]:
    """All figures that there is something for: {name: path}."""
    run = summary["runs"][0]
    ngrams, val_ngrams = (
        {int(order): nats for order, nats in run[key].items()}
        for key in ("ngram_nats_per_char", "val_ngram_nats_per_char")
    )
    scored, bars, curves, positions, maps = NAMES[run["scored_on"]], [], {}, {}, {}
    for network in config.networks:
        nats = [run["nats_per_char"] for run in of_network(summary, network)]
        low, high = stats.t_interval(nats)
        bars.append({"label": network, "nats": nats, "low": low, "high": high})
        seeds = rows_of(config, rows, network)
        if seeds:
            curves[network] = curve(seeds, of_network(summary, network)[0]["tokens_per_char"])
        finals = [done[f"final/{network}/seed{seed}"] for seed in seeds_of(config, network)]
        found = [row["nats_by_position"] for row in finals if "nats_by_position" in row]
        if found:
            positions[network] = 1 / finals[0]["scored_tokens_per_char"], np.mean(found, axis=0)
        if "attention" in (shown := finals[0]):
            maps[f"attention_{network}"] = (
                characters.attention,
                np.array(shown["attention"]),
                shown["attention_tokens"],
            )
    paths = draw_all(
        {
            "scores": (characters.scores, bars, ngrams, scored),
            "curves": (characters.curves, curves, val_ngrams),
            "by_context": (characters.by_context, positions, ngrams, scored),
        },
        folder,
    )
    for name, (plot, weights, tokens) in maps.items():
        paths[name] = folder / f"{name}.png"
        plot(weights, tokens, paths[name])
    return paths


def curve(seeds: list[list[dict]], tokens_per_char: float) -> dict:
    """Training and validation of all runs of a network, at the steps that all of them reached."""
    evaluated = [
        [row for row in seed if row.get("val_nats_per_char") is not None] for seed in seeds
    ]
    shortest, length = min(map(len, evaluated)), min(map(len, seeds))
    return {
        "step": [row["step"] for row in evaluated[0][:shortest]],
        "val": [[row["val_nats_per_char"] for row in seed[:shortest]] for seed in evaluated],
        "train_step": [row["step"] for row in seeds[0][:length]],
        "train": [[row["train_loss"] * tokens_per_char for row in seed[:length]] for seed in seeds],
    }


def samples(config, rows: list[dict]) -> list[dict]:
    """What the first seed of each network writes at three of its evaluations."""
    found = []
    for network in config.networks:
        seed = seeds_of(config, network)[0]
        written = [
            row for row in rows if row["run"] == f"final/{network}/seed{seed}" and "sample" in row
        ]
        own = own_config(config, network)
        for i in sorted({0, len(written) // 2, len(written) - 1} if written else ()):
            caption = f"{network}, step {written[i]['step']:,} of {own.num_steps:,}"
            found.append({"caption": caption, "text": written[i]["sample"]})
    return found
