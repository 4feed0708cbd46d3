"""From the runs of several finished studies to one table and one figure for each data set."""

import itertools
from pathlib import Path

import numpy as np

from dla_jax.config.checks import check
from dla_jax.config.written import read_config, resume_command
from dla_jax.evidence import formatting, report, stats, tables, verdicts, weighing
from dla_jax.evidence.pairs import verdict_words
from dla_jax.evidence.rows import read_record
from dla_jax.evidence.summary import launch_facts, print_lines, write_summary
from dla_jax.plots import accuracy
from dla_jax.studies.compare.answer import answer

COMPARED = "compared"  # the one file of the record, which holds the runs of all studies
HEAD = ("study: network", *tables.MEASURES)
PAIR_HEAD = (
    "verdict",  # first, which no narrow screen cuts
    "network",
    "studies",
    "parameters",
    "points [95 % interval]",
    "p",
    "p (Holm)",
    "seeds",
)
MARGIN = 0.005  # of accuracy: a smaller difference is none that one would care for
TITLES = {
    "same": "The same network in two studies",
    "best": "The best network beside the others",
    "all": "Every two networks",
}
WORDS = {
    "same": "Networks of one name in two studies",
    "best": "The network that is best on validation beside each of the others",
    "all": "Every two networks, of one study or of two",
}
CAPTION = "Test accuracy and loss: mean (diamond), 95 % t-interval (bar), seeds (dots)."


def draw(workdir: Path) -> None:
    """Write `summary.json`, the figures and `report.html` from the record alone.

    Raises:
      ConfigError: there is no comparison, or an unfinished one.
    """
    written, rows = read_config(workdir), read_record(workdir)
    command = resume_command(written, workdir)
    check(len(rows) > 0, f"the study in {workdir} is not finished; go on with: {command}")
    which = written["config"]["pairs"]
    pairs = paired(rows, which)
    compared = [dict(zip(PAIR_HEAD, row, strict=True)) for row in pairs]
    data = [(title, groups(own)) for title, _, own in by_data(rows)]
    told = answer(data, compared, same=which == "same")
    summary = {"study": "compare", "runs": rows, "claims": [], "paired": compared, "answer": told}
    write_summary(workdir, summary)
    sections = [
        data_section(title, own, workdir / "figures" / f"{slug}.png")
        for title, slug, own in by_data(rows)
    ]
    report.render(
        workdir / "report.html",
        title="Studies side by side",
        answer=told,
        question="Which network is best, and did a change help?",
        command=written["launches"][0]["command"],
        claims=[],
        sections=[*sections, *pair_section(pairs, which)],
        facts={"studies": ", ".join(written["data"]["folders"])}
        | launch_facts(written["launches"]),
    )
    head = "test accuracy, % [95 % interval]"
    print_lines(told, head, screen_lines(sections, pairs, TITLES[which]), [], workdir)


def screen_lines(sections: list[dict], pairs: list[list[str]], title: str) -> list[str]:
    """Return the short tables on the screen."""
    test, lines = HEAD.index(tables.MEASURES[tables.TEST]), []
    for section in sections:
        lines.append(section["title"])
        for row in section["table"]["rows"]:
            lines.append(f"  {row[0]:<40} {row[test]}, balanced {row[test + 1]}")
    if pairs:
        lines.append(f"{title[0].lower()}{title[1:]}, seed by seed")
        lines += [f"  {row[1]:<24} {', '.join((*row[2:], row[0]))}" for row in pairs]
    return lines


def data_section(title: str, rows: list[dict], path: Path) -> dict:
    """Return the section on one data set, its figure drawn. `rows`: the runs on it."""
    alt = draw_networks(rows, path)
    return {
        "title": f"On {title}",
        "figures": [{"path": path, "alt": alt, "caption": CAPTION}],
        "table": {"head": HEAD, "rows": table(rows)},
    }


def pair_section(pairs: list[list[str]], which: str) -> list[dict]:
    """Return the section on networks that are judged in pairs; none without such a pair."""
    if not pairs:
        return []
    text = (
        f"{WORDS[which]} on the same data, seed by seed, whatever their widths and sizes. "
        f"By the rule for claims, with a margin of {formatting.points(MARGIN, sign=False)} points, "
        f"p (Holm) is corrected for all {len(pairs)} of them, and better or worse takes p (Holm) < "
        f"{formatting.number(1 - stats.LEVEL, 2)}. The first one named is better, or worse, than "
        "the second."
    )
    shown = {"head": PAIR_HEAD, "rows": pairs}
    return [{"title": TITLES[which], "text": text, "table": shown}]


def by_data(rows: list[dict]) -> list[tuple[str, str, list[dict]]]:
    """Return (title, name of a file, rows) of each data set.

    Two of one name, such as folders of images, are told apart.
    """
    found = {}
    for row in rows:
        data = row["data"]
        same = (
            data["name"],
            data["fingerprint"],
            data.get("num_classes", data.get("num_options")),
        )  # seeds may leave out some
        found.setdefault(same, []).append(row)
    names, told = [name for name, *_ in found], []
    for (name, fingerprint, classes), own in found.items():
        short = fingerprint[:8]
        if names.count(name) == 1:
            told.append((name, name, own))
        elif [each[:2] for each in found].count((name, fingerprint)) == 1:
            size = f"{name} of {own[0]['data']['num_examples']:,} examples, {short}"
            told.append((size, f"{name}-{short}", own))
        else:
            told.append((f"{classes} classes of {name}, {short}", f"{name}-{short}-{classes}", own))
    return told


def groups(rows: list[dict]) -> dict[str, list[dict]]:
    """Return {"study: network": its runs}, the most accurate last."""
    found = {}
    for row in rows:
        found.setdefault(f"{row['study']}: {row['group']}", []).append(row)

    def mean_accuracy(item: tuple) -> float:
        return np.mean([row["test_accuracy"] for row in item[1]])

    return dict(sorted(found.items(), key=mean_accuracy))


def table(rows: list[dict]) -> list[list[str]]:
    """Return the table of the networks, the best first, as text."""
    return [[name, *tables.measures(runs)] for name, runs in reversed(groups(rows).items())]


def draw_networks(rows: list[dict], path: Path) -> str:
    """Draw accuracies and losses, the best on top; return what the figure shows, in words."""
    shown = []
    for name, runs in reversed(groups(rows).items()):
        accuracies = [run["test_accuracy"] for run in runs]
        losses = [run["test_loss"] for run in runs if run["test_loss"] is not None]
        shown.append({"label": name, "accuracy": accuracies, "loss": losses})
    return accuracy.networks(shown, tables.intervals(shown), path)


def paired(rows: list[dict], which: str = "same") -> list[list[str]]:
    """Return the differences between two networks, as rows of PAIR_HEAD, with what they differ in.

    They are on the same data, with a common seed.

    Args:
      which: "same": networks of one name in two studies; "best": the network that is best on
        validation beside each other one on its data; "all": every two networks.
    """
    known, contrasts = [], []
    for second, first in chosen_pairs(rows, which):
        both = [row | {"group": told} for row in rows if (told := name_of(row)) in (first, second)]
        if any(row["data"] != both[0]["data"] for row in both):
            continue
        terms = ((1.0, second), (-1.0, first))
        differences = list(weighing.paired_values(terms, both, "test_accuracy").values())
        if differences:
            known.append([*words_of(second, first, both), *sizes_of(second, first, both)])
            contrasts.append(verdicts.judge(differences, direction=">", margin=MARGIN, bound=1.0))
    corrected = stats.holm([contrast.p for contrast in contrasts])
    pairs = zip(known, contrasts, corrected, strict=True)
    return [
        [verdict_words(contrast, p), *row, *pair_words(contrast, p)] for row, contrast, p in pairs
    ]


def name_of(row: dict) -> str:
    """Return what a network is called among those of all studies, `study: network`."""
    return f"{row['study']}: {row['group']}"


def chosen_pairs(rows: list[dict], which: str) -> list[tuple[str, str]]:
    """Return the pairs of networks that are judged, (second, first), named by `name_of`."""
    known = {name_of(row): row for row in rows}
    if which == "best":
        return [pair for _, _, own in by_data(rows) for pair in beside_best(own)]
    every = itertools.combinations(known, 2)
    if which == "all":
        return [(second, first) for first, second in every]
    studies = list(dict.fromkeys(row["study"] for row in rows))
    groups = dict.fromkeys(row["group"] for row in rows)
    found = [
        (f"{second}: {group}", f"{first}: {group}")
        for first, second in itertools.combinations(studies, 2)
        for group in groups
    ]
    return [pair for pair in found if known.keys() >= set(pair)]


def beside_best(rows: list[dict]) -> list[tuple[str, str]]:
    """Return the network that is best on validation with each other one. `rows`: on one data set.

    What it is chosen by is not what it is judged by, the test part.
    """
    runs = groups(rows)
    best = max(runs, key=lambda name: np.mean([run["val_accuracy"] for run in runs[name]]))
    return [(best, other) for other in reversed(runs) if other != best]


def words_of(second: str, first: str, rows: list[dict]) -> list[str]:
    """Return what two networks are called, and which is compared with which."""
    by_name = {row["group"]: row for row in rows}
    studies = [by_name[name]["study"] for name in (second, first)]
    nets = [
        name.removeprefix(f"{study}: ")
        for name, study in zip((second, first), studies, strict=True)
    ]
    if nets[0] == nets[1]:
        return [nets[0], " − ".join(studies)]
    return [" − ".join(nets), studies[0] if studies[0] == studies[1] else " − ".join(studies)]


def sizes_of(second: str, first: str, rows: list[dict]) -> list[str]:
    """Return the parameters of two networks, `2,000 and 5,000`, or those of both."""
    sizes = {row["group"]: f"{row['num_params']:,}" for row in rows}
    return [" and ".join(dict.fromkeys((sizes[first], sizes[second])))]


def pair_words(contrast: verdicts.Contrast, p_holm: float) -> list[str]:
    """Return a contrast of accuracies in words.

    These are points with their interval, p, the corrected p, and the number of seeds.
    """
    interval = formatting.interval(contrast.low, contrast.high)
    return [
        formatting.points(contrast.mean) + interval,
        f"p = {formatting.p_value(contrast.p)}",
        f"Holm {formatting.p_value(p_holm)}",
        formatting.count(contrast.n, "seed"),
    ]
