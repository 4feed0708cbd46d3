"""From the record of multiple choice to its summary and report."""

import math

import numpy as np

from dla_jax.evidence import answers, formatting, selection, stats, tables
from dla_jax.plots import choices
from dla_jax.studies.architectures.report import (
    NETWORK_HEAD,
    best_beside,
    draw_curves,
    draw_networks,
    measured_rows,
)
from dla_jax.studies.choices.drawn import probabilistic, reads_passage
from dla_jax.studies.study import Finished

OVER_QUESTIONS, TIES = "over questions [95 % interval]", "equal scores as right %"
HEAD = ("network", "reported", "learning rate", "runs", tables.MEASURES[tables.TEST])
HEAD += (OVER_QUESTIONS, TIES, "validation %", "test loss", "parameters", "train s")
GROUPS = {"level": "level", "kind": "what is asked", "length": "words of the passage"}
GROUP_CAPTION = """Test accuracy by kind of question and by passage: mean and range over seeds, of
    those that are best on validation; dotted: guessing."""
PASSAGE_KEYS = ("passage", "right", "count")
MANY = 10  # passages, below which a bootstrap says little
DRAWN = 6  # networks in the figure of groups


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run, and what its claims compare."""
    accuracy, ties = row["test_accuracy"], row["test_accuracy_ties"]
    guessing = 1 / found.written["data"]["num_options"]
    return tables.run_of(row) | {
        "above_guessing": accuracy - guessing,
        "above_guessing_ties": ties - guessing,
        "test_accuracy_ties": ties,
        "stuck": row.get("stuck", False),
    }


def title(found: Finished) -> str:
    """Return the title of the report."""
    return f"Which answer is right? {found.written['data']['name']}"


def facts(found: Finished) -> dict[str, str]:
    """Return what the report says of the data."""
    data = found.written["data"]
    size = f"{data['num_examples']:,} questions about {data['num_passages']:,} passages"
    options = f"{data['num_options']} options each, guessing has {100 / data['num_options']:.1f} %"
    said = {"data": f"{data['name']}, {size}, {options}, fingerprint {data['fingerprint']}"}
    if data["part_sizes"]:
        parts = ", ".join(f"{name} {count:,}" for name, count in data["part_sizes"].items())
        said["parts of the set"] = parts
    return said


def answer(found: Finished) -> str:
    """Return how the network that is best on validation compares with the best rule."""
    rules = [arm.name for arm in found.arms.values() if arm.config.model.name == "rule"]
    return best_beside(found, rules)


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    return [
        {
            "title": "The networks",
            "text": "Equal scores: the first option counts, and each seed shuffles them. Over "
            "questions: the 95 % interval that other passages would give, by a bootstrap of "
            "passages, since questions share them."
            + same_questions_words(found)
            + stuck_words(found),
            "figures": [draw_networks(found)],
            "table": {"head": HEAD, "rows": network_rows(found)},
        },
        *group_sections(found),
        {"title": "Training", "figures": draw_curves(found)},
        *selection.section(found.summary["selection"]),
        *wrong_section(found),
    ]


def network_rows(found: Finished) -> list[list[str]]:
    """Return the table of the networks, as text."""
    rows = []
    for measured in measured_rows(found):
        row = dict(zip(NETWORK_HEAD, measured, strict=True))
        ties = [run["test_accuracy_ties"] for run in found.runs_of(row["network"])]
        row[OVER_QUESTIONS] = question_words(found, row["network"])
        row[TIES] = tables.percent(np.mean(ties))
        if row["test loss"] == "diverged" and row["diverged"] == "0":
            row["test loss"] = "–"  # scores that are no logits
        rows.append([row[name] for name in HEAD])
    return rows


def question_words(found: Finished, network: str) -> str:
    """Return the interval of a network's accuracy over passages, all seeds together, in words.

    Runs that diverged have answered nothing, and are not in it.
    """
    counted = [row["by_passage"] for row in found.last_rows(network) if row["by_passage"]]
    if not counted:
        return "diverged"
    gone = len(found.last_rows(network)) - len(counted)
    remark = f" (without {formatting.count(gone, 'run')} that diverged)" if gone else ""
    return interval_words(counted) + remark


def interval_words(counted: list[dict]) -> str:
    """Return the interval over passages, `[38.0, 42.1]`; empty where they are fewer than MANY.

    Args:
      counted: {"passage", "right", "count"} of each run, as `choice_scores.by_passage` has them.
    """
    columns = (np.concatenate([run[key] for run in counted]) for key in PASSAGE_KEYS)
    right, count = summed(*columns)
    if len(count) < MANY:
        return ""
    low, high = stats.cluster_interval(right, count)
    return formatting.interval(low, high, sign=False).strip()


def summed(passages: np.ndarray, right: np.ndarray, count: np.ndarray) -> tuple:
    """Return the sums of `right` and `count` over the entries of each passage, float [P] both."""
    _, place = np.unique(passages, return_inverse=True)
    return np.bincount(place, weights=right), np.bincount(place, weights=count)


def same_questions_words(found: Finished) -> str:
    """Return what verdicts do not cover where all seeds are tested on the same questions."""
    sizes = found.written["data"]["part_sizes"]
    if not sizes or not sizes["test"]:
        return ""
    return (
        f" All seeds are tested on the same {sizes['test']:,} questions: a verdict is about these, "
        "and a rule without training answers them alike whatever the seed. What other questions "
        "would give is the interval over questions."
    )


def stuck_words(found: Finished) -> str:
    """Return which runs never left the loss of guessing, as fine-tuning sometimes does."""
    told = []
    for name in found.arms:
        gone = sum(run["stuck"] for run in found.runs_of(name))
        if gone:
            told.append(f"{gone} of {len(found.runs_of(name))} runs of {name}")
    guessed = math.log(found.written["data"]["num_options"])
    if not told:
        return ""
    return (
        f" Warning: {', '.join(told)} stayed at the training loss of guessing, {guessed:.3f}; give "
        "a smaller learning rate, a longer warm-up or larger batches."
    )


def group_sections(found: Finished) -> list[dict]:
    """Return the section on what is asked, how long the passage is and the level."""
    panels, rows = [], []
    shown = answers.ranked(found, found.arms)[:DRAWN]
    for key, title in GROUPS.items():
        counted = {name: counted_by_group(found, name, key) for name in found.arms}
        groups = list(dict.fromkeys(group for own in counted.values() for group in own))
        if len(groups) < 2:
            continue
        curves = {name: accuracies(counted[name], groups) for name in shown}
        ordered = key == "length"
        panels.append({"title": title, "groups": groups, "curves": curves, "ordered": ordered})
        rows += [[title, *group_row(counted, group)] for group in groups]
    if not panels:
        return []
    path = found.figures / "groups.png"
    alt = choices.by_group(panels, 1 / found.written["data"]["num_options"], path)
    return [
        {
            "title": "Which questions",
            "text": "Accuracy in per cent, all seeds together [95 % interval over passages].",
            "figures": [{"path": path, "alt": alt, "caption": GROUP_CAPTION}],
            "table": {"head": ["by", "group", "test questions", *found.arms], "rows": rows},
        }
    ]


def counted_by_group(found: Finished, network: str, key: str) -> dict[str, list[dict]]:
    """Return {group: {"passage", "right", "count"} of each run that has it} of a network."""
    counted: dict[str, list[dict]] = {}
    for row in found.last_rows(network):
        for group, own in (row["groups"] or {key: {}})[key].items():
            counted.setdefault(group, []).append(own)
    return counted


def group_row(counted: dict[str, dict[str, list[dict]]], group: str) -> list[str]:
    """Return a group, its mean number of test questions, and how each network does on it."""
    sizes = [sum(run["count"]) for own in counted.values() for run in own.get(group, [])]
    cells = []
    for own in counted.values():
        runs = own.get(group, [])
        if not runs:
            cells.append("–")
            continue
        right, asked = (sum(sum(run[name]) for run in runs) for name in ("right", "count"))
        cells.append(f"{tables.percent(right / asked)} {interval_words(runs)}".strip())
    return [group, f"{np.mean(sizes):.0f}", *cells]


def accuracies(counted: dict[str, list[dict]], groups: list[str]) -> np.ndarray:
    """Return accuracies float [S, groups]; nan where a run tests no question of the group."""
    most = max(map(len, counted.values()), default=1)
    values = np.full((most, len(groups)), np.nan)
    for column, group in enumerate(groups):
        for place, run in enumerate(counted.get(group, [])):
            values[place, column] = sum(run["right"]) / sum(run["count"])
    return values


def wrong_section(found: Finished) -> list[dict]:
    """Return the section of what the best network got most surely wrong; none without any.

    It is the best on validation of those that read the passage and give probabilities.
    """
    models = {name: arm.config.model for name, arm in found.arms.items()}
    reading = [
        name for name, model in models.items() if probabilistic(model) and reads_passage(model)
    ]
    if not reading:
        return []
    best = answers.ranked(found, reading)[0]
    samples = [sample_of(example) for example in found.last_rows(best)[0]["wrong"]]
    text = (
        f"Test questions that {best}, best on validation of those that read the passage, answered "
        "wrongly with the highest probability; first seed. The sentence that is named is the one "
        "whose absence moves the probabilities of the options most."
    )
    section = {"title": "What was most surely wrong", "text": text, "samples": samples}
    return [section] if samples else []


def sample_of(example: dict) -> dict:
    """Return a question as a sample of the report: passage, options and what counted."""
    options = zip(example["options"], example["probabilities"], strict=True)
    marks = {example["right"]: " (right)", example["chosen"]: " (chosen)"}
    listed = "\n".join(f"{p:.2f}  {text}{marks.get(text, '')}" for text, p in options)
    told = ""
    if "sentence" in example:
        moved = f"{100 * example['moved']:.0f} % of the probability moves without it"
        told = f"\n\nThe sentence that counts most ({moved}): {example['sentence']}"
    return {
        "caption": example["question_text"],
        "text": f"{example['passage']}\n\n{listed}{told}",
    }
