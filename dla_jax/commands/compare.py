"""Finished studies in one table and one figure."""

import glob
import importlib
import itertools
import json
import os
import sys
from pathlib import Path

import numpy as np

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.files import expand, write_atomically
from dla_jax.config.workdir import Run, follow_made, read_config, write_config
from dla_jax.evidence import formatting, records, report, stats, tables, verdicts
from dla_jax.evidence.rows import read_rows
from dla_jax.plots import accuracy
from dla_jax.training.mesh import describe_devices

HEAD = ["study: network", *tables.MEASURE_HEAD]
PAIR_HEAD = [
    "network",
    "studies",
    "parameters",
    "points [95 % interval]",
    "p",
    "p (Holm)",
    "seeds",
    "verdict",
]
MARGIN = 0.005  # of accuracy: a smaller difference is none that one would care for


def check_config(config, run: Run) -> None:
    """Raises ConfigError for studies that are not there, not finished, or hold no test accuracies."""
    check(
        run.from_dir is None, "--from: this study reads the workdirs of --config.runs; leave it out"
    )
    check(
        not (config.runs and config.made),
        "runs: this preset makes its own studies; give runs with configs/compare.py alone",
    )
    check(
        bool(folders_of(config) or config.made),
        "runs is empty; give workdirs of finished studies, as in --config.runs=runs/a,runs/b",
    )
    for name, made in config.made.items():
        study_module(made).check_config(made, made_run(run, name))
    labels(folders_of(config))
    for folder in folders_of(config):
        read_study(folder)


def folders_of(config) -> list[Path]:
    """Return the workdirs that `runs` names: paths and patterns such as `runs/rescnn*`, with commas between.

    A comma may belong to a path: the longest piece that is a folder is taken. A workdir that made its study inside stands for it.

    Raises:
      ConfigError: a pattern that no workdir matches, a workdir that made several studies.
    """
    pieces, found, first = config.runs.split(","), [], 0
    while first < len(pieces):
        stops = range(len(pieces), first, -1)
        names = {stop: ",".join(pieces[first:stop]).strip() for stop in stops}
        stop = next(
            (stop for stop in stops if names[stop] and os.path.isdir(expand("runs", names[stop]))),
            first + 1,
        )
        found += matching(names[stop]) if names[stop] else []
        first = stop
    return [follow_made("runs", folder, say=False) for folder in found]


def matching(name: str) -> list[Path]:
    """Return the workdir of that name, or those that a pattern matches."""
    path = expand("runs", name)
    if os.path.exists(path) or not any(sign in name for sign in "*?["):
        return [path]
    found = [
        Path(match)
        for match in sorted(glob.glob(str(path)))
        if (Path(match) / "config.json").is_file()
    ]
    check(len(found) > 0, f"runs: no workdir matches {name}; give workdirs of finished studies")
    return found


def study_module(made):
    """The module of a study that is made first."""
    return importlib.import_module(f"dla_jax.studies.{made.experiment}.study")


def made_run(run: Run, name: str) -> Run:
    """What a study that is made first is given."""
    return run._replace(workdir=run.workdir / "studies" / name)


def run(config, run: Run) -> None:
    """Makes the studies that are to be made, gathers all, and draws the report."""
    made = [made_run(run, name) for name in config.made]
    folders = [*folders_of(config), *(other.workdir for other in made)]
    if run.first:
        identity = {"name": "compare", "folders": [str(folder) for folder in folders]}
        write_config(run.workdir, config.to_dict(), describe_devices(), identity)
    for (name, study), other in zip(config.made.items(), made, strict=True):
        print(f"\n{name}: {other.workdir}", file=sys.stderr)
        other.workdir.mkdir(parents=True, exist_ok=True)
        study_module(study).run(study, other)
    if run.first:
        studies = {
            name: read_study(folder) for name, folder in zip(labels(folders), folders, strict=True)
        }
        rows = [
            found
            | {
                "run": f"{name}/{found['group']}/seed{found['seed']}",
                "done": True,
                "study": name,
                "data": data_of(written),
            }
            for name, (written, summary) in studies.items()
            for found in summary["runs"]
        ]
        write_atomically(
            run.workdir / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows)
        )
        draw(run.workdir)


def labels(folders) -> list[str]:
    """A short name for each folder: as many of its last parts as tell it from the others.

    Raises:
      ConfigError: a folder given twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for given, path in zip(folders, paths, strict=True):
        check(paths.count(path) == 1, f"runs: {given} is given twice; give each study once")
    length = next(
        (n for n in range(1, 64) if len({path.parts[-n:] for path in paths}) == len(paths)), 1
    )
    return ["/".join(path.parts[-length:]) for path in paths]


def read_study(folder: Path) -> tuple[dict, dict]:
    """(`config.json`, `summary.json`) of a finished supervised study.

    Raises:
      ConfigError: it is none, or not finished.
    """
    written, path = read_config(folder), folder / "summary.json"
    check(
        path.is_file(),
        f"runs: the study in {folder} is not finished; go on with: {records.resume_command(written, folder)}",
    )
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        supervised = len(summary["runs"]) > 0 and all(
            set(tables.RUN_KEYS) <= run.keys() for run in summary["runs"]
        )
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"runs: {path} is damaged ({error}); draw it again with --workdir={folder}"
        ) from None
    check(
        written["config"]["experiment"] != "compare",
        f"runs: {folder} is a comparison itself; give the studies that it compares",
    )
    check(
        supervised, f"runs: {folder} holds no test accuracies; give studies that train classifiers"
    )
    return written, summary


def data_of(written: dict) -> dict:
    """What two studies must have in common for a seed to mean the same split in both: the images, and the parts of the split."""
    data = written["config"]["data"]
    return written["data"] | {key: data[key] for key in ("val_fraction", "test_fraction")}


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*.png` and `report.html` from the record alone.

    Raises:
      ConfigError: no comparison there, or an unfinished one.
    """
    written, rows = read_config(workdir), read_rows(workdir / "metrics.jsonl")
    check(
        len(rows) > 0,
        f"the study in {workdir} is not finished; go on with: {records.resume_command(written, workdir)}",
    )
    sections = []
    for title, slug, here in by_data(rows):
        figure = draw_networks(here, workdir / "figures" / f"{slug}.png")
        caption = "Test accuracy and loss: mean (diamond), 95 % t-interval (bar), seeds (dots)."
        sections.append(
            {
                "title": f"On {title}",
                "figures": [{"path": figure, "caption": caption}],
                "table": {"head": HEAD, "rows": table(here)},
            }
        )
    column = HEAD.index("test % [95 % interval]")
    lines = []
    for section in sections:
        shown = [
            f"  {row[0]:<40} {row[column]}, balanced {row[column + 1]}"
            for row in section["table"]["rows"]
        ]
        lines += [section["title"], *shown]
    pairs = paired(rows)
    if pairs:
        text = (
            "Networks of one name in two studies on the same data, seed by seed, whatever their sizes. By the rule for claims, "
            f"with a margin of {formatting.points(MARGIN, False)} points, each verdict is that of its pair alone; p (Holm) is "
            f"corrected for all {len(pairs)} of them."
        )
        sections.append(
            {
                "title": "The same network in two studies",
                "text": text,
                "table": {"head": PAIR_HEAD, "rows": pairs},
            }
        )
        lines += [
            "the same network in two studies, seed by seed",
            *(f"  {row[0]:<24} {', '.join(row[1:])}" for row in pairs),
        ]
    summary = {
        "study": "compare",
        "runs": rows,
        "claims": [],
        "paired": [dict(zip(PAIR_HEAD, row, strict=True)) for row in pairs],
    }
    records.write_summary(workdir, summary)
    report.render(
        workdir / "report.html",
        title="Studies side by side",
        question="Which network is best, and did a change help?",
        command=written["launches"][0]["command"],
        claims=[],
        sections=sections,
        facts={"studies": ", ".join(written["data"]["folders"])} | records.launch_facts(written),
    )
    records.print_lines(lines, [], workdir)


def by_data(rows: list[dict]) -> list[tuple[str, str, list[dict]]]:
    """Return (title, name of a file, rows) of each data set; two of one name, folders of images, are told apart."""
    found = {}
    for row in rows:
        found.setdefault((row["data"]["name"], row["data"]["fingerprint"]), []).append(row)
    names, told = [name for name, _ in found], []
    for (name, fingerprint), own in found.items():
        one = names.count(name) == 1
        size = f"{name} of {own[0]['data']['num_examples']:,} examples, {fingerprint[:8]}"
        told.append((name if one else size, name if one else f"{name}-{fingerprint[:8]}", own))
    return told


def groups(rows: list[dict]) -> dict[str, list[dict]]:
    """{"study: network": its runs}, the most accurate last."""
    found = {}
    for row in rows:
        found.setdefault(f"{row['study']}: {row['group']}", []).append(row)
    return dict(
        sorted(found.items(), key=lambda item: np.mean([row["test_accuracy"] for row in item[1]]))
    )


def table(rows: list[dict]) -> list[list[str]]:
    """A row a network, the best first."""
    return [[name, *tables.measures(runs)] for name, runs in reversed(groups(rows).items())]


def draw_networks(rows: list[dict], path: Path) -> Path:
    """The figure of accuracies and losses, the best on top."""
    shown = [
        {
            "label": name,
            "accuracy": [run["test_accuracy"] for run in runs],
            "loss": [run["test_loss"] for run in runs if run["test_loss"] is not None],
        }
        for name, runs in groups(rows).items()
    ]
    accuracy.networks(shown[::-1], tables.intervals(shown[::-1]), path)
    return path


def paired(rows: list[dict]) -> list[list[str]]:
    """Return differences between two studies, for networks of one name on the same data with a common seed: rows of PAIR_HEAD."""
    names, known, contrasts = list(dict.fromkeys(row["study"] for row in rows)), [], []
    for first, second in itertools.combinations(names, 2):
        for group in dict.fromkeys(row["group"] for row in rows if row["study"] == first):
            both = [
                row | {"group": row["study"]}
                for row in rows
                if row["study"] in (first, second) and row["group"] == group
            ]
            if len({row["group"] for row in both}) < 2 or any(
                row["data"] != both[0]["data"] for row in both
            ):
                continue
            differences = list(
                verdicts.paired_values(
                    ((1.0, second), (-1.0, first)), both, "test_accuracy"
                ).values()
            )
            if differences:
                sizes = dict.fromkeys(f"{row['num_params']:,}" for row in both)
                known.append([group, f"{second} − {first}", " and ".join(sizes)])
                contrasts.append(verdicts.judge(differences, ">", MARGIN, bound=1.0))
    corrected = stats.holm([contrast.p for contrast in contrasts])
    return [
        row + pair_words(contrast, p)
        for row, contrast, p in zip(known, contrasts, corrected, strict=True)
    ]


def pair_words(contrast: verdicts.Contrast, p_holm: float) -> list[str]:
    """Return points with their interval, p, the corrected one, number of seeds, and the verdict of a contrast of accuracies."""
    verdict = contrast.verdict
    if verdict == verdicts.HOLDS:
        verdict = "better"
    elif verdict == verdicts.FAILS:
        verdict = f"no difference ({contrast.reason})" if contrast.reason else "worse"
    elif contrast.reason:
        verdict = f"{verdict} ({contrast.reason})"
    shown = formatting.points(contrast.mean) + formatting.interval(contrast.low, contrast.high)
    p = [f"p = {formatting.p_value(contrast.p)}", f"Holm {formatting.p_value(p_holm)}"]
    return [shown, *p, formatting.count(contrast.n, "seed"), verdict]
