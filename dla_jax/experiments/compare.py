"""Finished studies in one table and one figure."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np

from dla_jax import config as configs
from dla_jax import report, stats
from dla_jax.config import ConfigError, Run, check, expand, read_config
from dla_jax.experiments import classifier_report, records
from dla_jax.logs import read_rows
from dla_jax.mesh import describe_devices
from dla_jax.plots import accuracy

HEAD = ["study: network", *classifier_report.MEASURE_HEAD]


def check_config(config, run: Run) -> None:
    """Raises ConfigError for studies that are not there, not finished, or hold no test accuracies."""
    check(run.from_dir is None, "--from: this study reads the workdirs of --config.runs; leave it out")
    check(not (config.runs and config.made), "runs: this preset makes its own studies; give runs with configs/compare.py alone")
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
    """The workdirs that `runs` names."""
    return [expand("runs", folder.strip()) for folder in config.runs.split(",") if folder.strip()]


def study_module(made):
    """The module of a study that is made first."""
    return importlib.import_module(f"dla_jax.experiments.{made.experiment}")


def made_run(run: Run, name: str) -> Run:
    """What a study that is made first is given."""
    return run._replace(workdir=run.workdir / "studies" / name)


def run(config, run: Run) -> None:
    """Makes the studies that are to be made, gathers all, and draws the report."""
    made = [made_run(run, name) for name in config.made]
    folders = [*folders_of(config), *(other.workdir for other in made)]
    if run.first:
        identity = {"name": "compare", "folders": [str(folder) for folder in folders]}
        configs.write_config(run.workdir, config.to_dict(), describe_devices(), identity)
    for (name, study), other in zip(config.made.items(), made, strict=True):
        print(f"\n{name}: {other.workdir}", file=sys.stderr)
        other.workdir.mkdir(parents=True, exist_ok=True)
        study_module(study).run(study, other)
    if run.first:
        studies = {name: read_study(folder) for name, folder in zip(labels(folders), folders, strict=True)}
        rows = [found | {"run": f"{name}/{found['group']}/seed{found['seed']}", "done": True, "study": name,
                         "data": data_of(written)}
                for name, (written, summary) in studies.items() for found in summary["runs"]]  # fmt: skip
        configs.write_atomically(run.workdir / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        draw(run.workdir)


def labels(folders) -> list[str]:
    """A short name for each folder: as many of its last parts as tell it from the others.

    Raises:
      ConfigError: a folder given twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for given, path in zip(folders, paths, strict=True):
        check(paths.count(path) == 1, f"runs: {given} is given twice; give each study once")
    length = next((n for n in range(1, 64) if len({path.parts[-n:] for path in paths}) == len(paths)), 1)
    return ["/".join(path.parts[-length:]) for path in paths]


def read_study(folder: Path) -> tuple[dict, dict]:
    """(`config.json`, `summary.json`) of a finished supervised study.

    Raises:
      ConfigError: it is none, or not finished.
    """
    written, path = read_config(folder), folder / "summary.json"
    check(path.is_file(), f"runs: the study in {folder} is not finished; go on with: {records.resume_command(written, folder)}")
    try:
        summary = json.loads(path.read_text())
        supervised = len(summary["runs"]) > 0 and all(set(classifier_report.RUN_KEYS) <= run.keys() for run in summary["runs"])
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"runs: {path} is damaged ({error}); draw it again with --workdir={folder}") from None
    check(
        written["config"]["experiment"] != "compare", f"runs: {folder} is a comparison itself; give the studies that it compares"
    )
    check(supervised, f"runs: {folder} holds no test accuracies; give studies that train classifiers")
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
    check(len(rows) > 0, f"the study in {workdir} is not finished; go on with: {records.resume_command(written, workdir)}")
    sections = []
    for data in dict.fromkeys(row["data"]["name"] for row in rows):
        here = [row for row in rows if row["data"]["name"] == data]
        figure = draw_networks(here, workdir / "figures" / f"{data}.png")
        caption = "Test accuracy and loss: mean (diamond), 95 % t-interval (bar), seeds (dots)."
        sections.append({"title": f"On {data}", "figures": [{"path": figure, "caption": caption}],
                         "table": {"head": HEAD, "rows": table(here)}})  # fmt: skip
    pairs = paired(rows)
    if pairs:
        text = "Networks of one name and size in two studies on the same data, seed by seed. P-values are not corrected."
        head = ["network", "studies", "points [95 % interval]", "p", "seeds"]
        sections.append({"title": "The same network in two studies", "text": text, "table": {"head": head, "rows": pairs}})
    summary = {"study": "compare", "runs": rows, "claims": []}
    records.write_summary(workdir, summary)
    report.render(workdir / "report.html", title="Studies side by side", question="Which network is best, and did a change help?",
                  command=written["launches"][0]["command"], claims=[], sections=sections,
                  facts={"studies": ", ".join(written["data"]["folders"])} | records.launch_facts(written))  # fmt: skip
    lines = [f"{row[0]:<40} {row[HEAD.index('test % [95 % interval]')]}" for section in sections[: len(sections) - bool(pairs)]
             for row in section["table"]["rows"]]  # fmt: skip
    records.print_lines(lines, [], workdir)


def groups(rows: list[dict]) -> dict[str, list[dict]]:
    """{"study: network": its runs}, the most accurate last."""
    found = {}
    for row in rows:
        found.setdefault(f"{row['study']}: {row['group']}", []).append(row)
    return dict(sorted(found.items(), key=lambda item: np.mean([row["test_accuracy"] for row in item[1]])))


def table(rows: list[dict]) -> list[list[str]]:
    """A row a network, the best first."""
    return [[name, *classifier_report.measures(runs)] for name, runs in reversed(groups(rows).items())]


def draw_networks(rows: list[dict], path: Path) -> Path:
    """The figure of accuracies and losses, the best on top."""
    shown = [{"label": name, "accuracy": [run["test_accuracy"] for run in runs],
              "loss": [run["test_loss"] for run in runs if run["test_loss"] is not None]}
             for name, runs in groups(rows).items()]  # fmt: skip
    accuracy.networks(shown[::-1], {key: [stats.t_interval(row[key]) for row in shown[::-1] if row[key]]
                                    for key in ("accuracy", "loss")}, path)  # fmt: skip
    return path


def paired(rows: list[dict]) -> list[list[str]]:
    """Differences between two studies, for networks of one name and size, on the same data, with two common seeds at least."""
    names, found = list(dict.fromkeys(row["study"] for row in rows)), []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for group in dict.fromkeys(row["group"] for row in rows if row["study"] == first):
                both = [{"group": row["study"], "seed": row["seed"], "test_accuracy": row["test_accuracy"],
                         "same": (row["data"], row["num_params"])}
                        for row in rows if row["study"] in (first, second) and row["group"] == group]  # fmt: skip
                if len({row["group"] for row in both}) < 2 or any(row["same"] != both[0]["same"] for row in both):
                    continue
                differences = list(stats.paired_values(((1.0, second), (-1.0, first)), both, "test_accuracy").values())
                if len(differences) < 2:
                    continue
                low, high = stats.t_interval(differences)
                found.append([group, f"{second} − {first}", f"{report.points(float(np.mean(differences)))} "
                              f"[{report.points(low)}, {report.points(high)}]", report.p_value(stats.sign_flip_p(differences)),
                              str(len(differences))])  # fmt: skip
    return found
