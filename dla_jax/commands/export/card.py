"""The model card: `README.md` as the Hugging Face hub reads it, with what the record says."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.arguments import flatten
from dla_jax.config.files import write_atomically
from dla_jax.config.written import FREE_KEYS, read_config
from dla_jax.data.hub_sets import SETS, is_hub, named
from dla_jax.evidence import report, stats, tables
from dla_jax.evidence.formatting import count, interval, number
from dla_jax.evidence.summary import launch_facts
from dla_jax.evidence.verdicts import NOT_RUN, OPEN
from dla_jax.studies import find
from dla_jax.studies.study import Finished, read_finished, summarise

# Keys of a config, and groups of keys, that say how a network was trained.
TRAINING = (
    "model",
    "tokenizer",
    "encoder",
    "data",
    "optim",
    "num_epochs",
    "num_steps",
    "batch_size",
    "accumulate",
    "patience",
    "compute_dtype",
    "label_smoothing",
    "class_weight",
    "freeze_norm_after_epochs",
)


class Model(NamedTuple):
    """What a card says of one kind of model."""

    library: str  # that loads it, as the hub names it
    task: str  # as the hub names it
    what: str  # it is, in a sentence or two
    snippet: str  # Python that loads and uses it, with a line `folder = ...`
    limits: list[str]


def read(workdir: Path) -> Finished:
    """Return a finished study with its summary weighed anew, whose intervals may be infinite."""
    config = read_config(workdir)["config"]
    study = find(config["experiment"])
    found = read_finished(study, workdir)
    return found._replace(summary=summarise(study, found))


def write(folder: Path, found: Finished, row: dict, model: Model) -> None:
    """Write the card of one run of a study."""
    sections = [
        f"---\n{head(found, row, model)}---",
        f"# {row['group']}: {find(found.config.experiment).title(found)}",
        model.what,
        f"## Use\n\n```python\n{model.snippet}```",
        f"## Scores\n\n{scores(found, row)}",
        f"## What the study claims\n\n{claims(found)}",
        f"## Data\n\n{listed(find(found.config.experiment).facts(found))}",
        f"## Training\n\n{training(found, row)}",
        "## Limits\n\n" + "\n".join(f"- {line}" for line in [*model.limits, *limits(found, row)]),
    ]
    write_atomically(folder / "README.md", "\n\n".join(sections) + "\n")


def head(found: Finished, row: dict, model: Model) -> str:
    """Return the card's YAML, without a license: that is for those who share the model to say."""
    lines = [f"library_name: {model.library}", f"pipeline_tag: {model.task}"]
    lines += ["tags:", "- dla_jax", "- jax"]
    data = arm_config(found, row).data
    repo = hub_repo(data.name) if "name" in data else ""
    if repo:
        lines += ["datasets:", f"- {json.dumps(repo)}"]
    return "".join(f"{line}\n" for line in lines)


def hub_repo(name: str) -> str:
    """Return where the hub has the set of a `data.name`; empty where it is none of the hub's."""
    if is_hub(name):
        return named(name, columns=(), label="", kind="").repo
    # RACE has a set for each level
    return next((found.repo for key, found in SETS.items() if key.partition("/")[0] == name), "")


def arm_config(found: Finished, row: dict) -> ConfigDict:
    """Return the config that a run was trained with."""
    return found.arms[row["group"]].config


def score_words(row: dict) -> str:
    """Return the score of a run on its test part, in words."""
    if "nats_per_char" in row:
        return f"{row['nats_per_char']:.3f} nats per character of the {part_words(row)}"
    return f"{100 * row['test_accuracy']:.1f} % on its test part{tables.balanced_words([row])}"


def part_words(row: dict) -> str:
    """Return which part of the text a language model was scored on."""
    return "test text" if row["scored_on"] == "test" else "validation text"


def scores(found: Finished, row: dict) -> str:
    """Return the scores of the run, and of its network over seeds, as text and a table."""
    value = "nats_per_char" if "nats_per_char" in row else "test_accuracy"
    seeds = tables.known(found.runs_of(row["group"]), value)
    language = value == "nats_per_char"
    what = f"nats per character, {part_words(row)}" if language else "test accuracy, %"
    own = number(row[value], 3) if language else own_accuracy(row)
    mean = mean_nats(seeds) if language else tables.accuracy_words(seeds)
    lines = [
        f"| | {what} |",
        "|---|---|",
        f"| this model, seed {row['seed']} | {own} |",
        f"| mean of {count(len(seeds), 'seed')} | {mean} |",
    ]
    if language:
        order = row["best_ngram_order"]
        ngram = row["ngram_nats_per_char"][str(order)]
        lines.append(f"| the best n-gram, of order {order} | {number(ngram, 3)} |")
    return "\n".join(lines) + "\n\n" + scores_words(found, row, len(seeds))


def own_accuracy(row: dict) -> str:
    """Return the accuracy of one run in per cent, with Wilson's interval where it is known."""
    accuracy, counts = row["test_accuracy"], row.get("class_counts")
    if not counts:
        return tables.percent(accuracy)
    low, high = stats.proportion_interval(round(accuracy * sum(counts)), sum(counts))
    return tables.percent(accuracy) + interval(low, high, sign=False)


def mean_nats(values: list[float]) -> str:
    """Return the mean of nats per character with its interval."""
    low, high = stats.t_interval(values)
    return number(float(np.mean(values)), 3) + interval(low, high, "nats", sign=False)


def scores_words(found: Finished, row: dict, num_seeds: int) -> str:
    """Return what the intervals are of, and by what the run was chosen."""
    words = [own_interval_words(row)]
    if num_seeds < stats.FEWEST:
        words.append(f"Fewer than {stats.FEWEST} seeds give none for the mean.")
    else:
        words.append("Behind the mean, Student's 95 % interval over the seeds.")
    diverged = sum(run["diverged"] for run in found.runs_of(row["group"]))
    if diverged:
        how = "counted as chance" if "test_accuracy" in row else "left out of the mean"
        words.append(f"{count(diverged, 'run')} of the network diverged, {how}.")
    if row.get("scored_on", "test") == "test":
        words.append(
            "What was chosen, be it learning rate, step or run, was chosen on validation data."
        )
    else:
        words.append(
            "What was chosen, be it learning rate, step or run, was chosen on the same text: the "
            "score is too good."
        )
    return " ".join(words)


def own_interval_words(row: dict) -> str:
    """Return what the interval of one run is, or why there is none."""
    if row.get("class_counts"):
        return (
            "In brackets, for this model Wilson's 95 % interval, for the chance that its "
            f"{sum(row['class_counts']):,} test examples are easier or harder than others."
        )
    if "test_accuracy_ties" in row:
        why = "answers to questions about one passage are not independent"
    elif "test_accuracy" in row:
        why = "its record does not say how many test examples there were"
    else:
        why = "there is one test text"
    return f"This model alone has no interval: {why}."


def claims(found: Finished) -> str:
    """Return what the study answers, and each of its claims with its verdict."""
    study, summary = find(found.config.experiment), found.summary
    question = " ".join(study.question(found).split())  # some have line breaks
    words = f"{question}\n\n{study.answer(found)}"
    if not summary["claims"]:
        return f"{words}\n\nIt judges no claim."
    rows = [
        f"| {claim['verdict']} | {cell(claim['statement'])} | {cell(claim['reported'])} | "
        f"{cell(measured(claim))} |"
        for claim in summary["claims"]
    ]
    head = "| verdict | claim | reported | measured, with its 95 % interval |\n|---|---|---|---|"
    return "\n".join([words, "", head, *rows])


def measured(claim: dict) -> str:
    """Return what was measured of a claim, contrast by contrast."""
    if claim["verdict"] == NOT_RUN:
        return f"the study lacks {', '.join(claim['missing'])}"
    unit, threshold = claim["unit"], claim["threshold"]
    return "; ".join(
        f"{report.contrast_name(result['terms'], threshold, unit)}: "
        f"{report.contrast_words(result, unit)}"
        for result in claim["results"]
    )


def cell(text: str) -> str:
    """Return a text as it may stand in a table of Markdown."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def training(found: Finished, row: dict) -> str:
    """Return how the run was trained: the command, its own numbers and the keys of its config."""
    launches = found.written["launches"]
    own = {
        "run": row["run"],
        "learning rate": f"{row['lr']:g}",
        "parameters": f"{row['num_params']:,}",
        "steps": f"{row['step']:,}, the best on validation {row['best_step']:,}",
    }
    config = arm_config(found, row).to_dict()
    groups = (*TRAINING, "attack") if trained_on_attacks(config) else TRAINING
    kept = flatten({key: config[key] for key in groups if key in config})
    keys = [f"{key}={value}" for key, value in kept.items() if is_said(key, value)]
    command = "\n".join(dict.fromkeys(launch["command"] for launch in launches))
    return (
        f"```\n{command}\n```\n\n{listed(own | launch_facts(launches))}\n\n"
        "Of the config, as this run had it:\n\n```\n" + "\n".join(keys) + "\n```"
    )


def trained_on_attacks(config: dict) -> bool:
    """Return whether a run was trained on images that were attacked."""
    return "attack" in config and config["attack"]["name"] != "standard"


def is_said(key: str, value) -> bool:
    """Return whether the card names a key of the config; where data lie is no part of it."""
    return value is not None and key != "optim.lr" and key not in FREE_KEYS


def listed(facts: dict[str, str]) -> str:
    """Return facts as a list of Markdown."""
    return "\n".join(f"- {name}: {text}" for name, text in facts.items())


def limits(found: Finished, row: dict) -> list[str]:
    """Return what the record leaves open, whatever the kind of model."""
    said = [
        f"All scores are of {found.written['data']['name']}; how it does on other data was not "
        "measured."
    ]
    dtype = arm_config(found, row).compute_dtype
    if dtype != "float32":
        said.append(
            f"It was trained and scored in {dtype}; here it is float32, and its scores may be "
            "slightly others."
        )
    judged = found.summary["claims"]
    open_ = sum(claim["verdict"] == OPEN for claim in judged)
    if open_:
        said.append(
            f"Of the study's {count(len(judged), 'claim')} {open_} {'is' if open_ == 1 else 'are'} "
            "not decided, which is no evidence either way."
        )
    return said
