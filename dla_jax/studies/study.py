"""What a study is, and the only run and the only draw of all of them.

A study compares arms: it resolves them, trains each at a learning rate of its own with every seed,
and judges its claims by what it measured. What differs between studies are the fields of `Study`.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.workdir import OLD_RECORD, Launch, is_finished
from dla_jax.config.written import read_config
from dla_jax.data import splits
from dla_jax.evidence import pairs, report, weighing
from dla_jax.evidence.summary import config_facts, launch_facts, print_lines, write_summary
from dla_jax.studies import find, so_far, sweeps
from dla_jax.studies.begun import (
    Finished,
    check_done,
    frame_of,
    is_done,
    read_begun,
    read_finished,
)
from dla_jax.studies.choosing import halving_facts, selection_rows
from dla_jax.studies.redrawing import redrawn
from dla_jax.studies.running import select_seeds, train_study
from dla_jax.training.record import show_figures
from dla_jax.trials import crew
from dla_jax.trials.arms import resolve, select_trials
from dla_jax.trials.finished import model_folder


class Description(NamedTuple):
    """What a study says of its data before it trains."""

    identity: dict  # JSON that tells these data from others; `config.json` keeps it as "data"
    remarks: list[str]  # lines for the screen


class Tuning(NamedTuple):
    """What the learning rate of an arm is chosen by."""

    value: str  # the key of a last row that the summary shows
    score: Callable  # the last rows of the runs at one rate -> larger for a better rate


def contrasts_as_written(config) -> dict[str, dict]:
    """Return the claims of a config as they stand there."""
    return config.claims.to_dict()


def nothing_more(found: Finished) -> dict:
    """Return no further parts of a summary."""
    return {}


def data_facts(found: Finished, counted: str) -> dict[str, str]:
    """Return what the report says of the data. `counted`: what they are counted in."""
    data = found.written["data"]
    size = f"{data['num_examples']:,} {counted}"
    facts = {"data": f"{data['name']}, {size}, fingerprint {data['fingerprint']}"}
    copies = splits.copies_words(data, data["num_examples"])
    return facts | ({"copies": copies} if copies else {})


class Study(NamedTuple):
    """One kind of study. `found` is a Finished, `data` the identity of its Description."""

    check: Callable  # (config, launch) -> None: ConfigError for what cannot run, before all slow
    describe: Callable  # (config, launch) -> Description
    jobs: Callable  # (config, launch, arms, trials, record) -> [Job]
    tuning: Tuning
    unit: str  # of the progress line
    name: Callable  # config -> "depth, cnn on digits", for the summary
    title: Callable  # found -> the report's title
    answer: Callable  # found -> one sentence that answers the question, from the record
    run_of: Callable  # (found, last row) -> what the summary keeps of a run
    sections: Callable  # found -> the sections of the report, their figures drawn
    lines: Callable  # found -> the short table on the screen
    head: str  # above that table
    facts: Callable  # found -> {name: text}: what the report says of the data
    question: Callable = lambda found: found.config.question
    arms: Callable = lambda config, data: resolve(config)  # -> {name: Arm}, as they are shown
    labels: Callable = lambda arm: {}  # what the summary adds to each run of an arm
    claims: Callable = contrasts_as_written  # config -> {name: claim}, contrasts in terms of arms
    more: Callable = nothing_more  # found -> further parts of the summary
    measure: pairs.Measure | None = None  # of the arms of a sweep; None: it makes none of values
    restore: Callable | None = None  # (folder, config of an arm, data, **more) -> a trained model
    also: tuple[str, ...] = ()  # what it writes into the workdir beside what every study does

    def run(self, config, launch: Launch) -> None:
        """Run the study, or what is left of it, in `launch.workdir`, and draw its report."""
        run_study(self, config, launch)

    def draw(self, workdir: Path) -> None:
        """Draw the report of a finished study again, from its record alone."""
        draw_study(self, workdir)


class Command(NamedTuple):
    """What reads finished studies, and trains nothing itself."""

    check: Callable  # (config, launch) -> None
    tell: Callable  # (config, launch) -> what it would do, in a line
    run: Callable  # (config, launch) -> None
    draw: Callable  # workdir -> None


def run_study(study: Study, config, launch: Launch) -> None:
    """Run a study, or what is left of it, and draw its report; meanwhile, what there is so far."""

    def frame() -> so_far.Frame | None:
        begun = (launch.workdir / "config.json").is_file()
        return frame_of(study, launch.workdir) if begun else None

    if not launch.joins:
        with redrawn(frame, is_ours=lambda: launch.first):
            train_study(study, config, launch, None)
        if launch.first:
            draw_study(study, launch.workdir)
            crew.forget(launch.workdir)
        return
    with contextlib.closing(crew.Crew(launch.workdir)) as team:
        with redrawn(frame, is_ours=lambda: team.has_task("look")):
            train_study(study, config, launch, team)
        drawing = {"name_of": str, "is_done": lambda what: is_finished(launch.workdir)}
        team.each(lambda what: draw_study(study, launch.workdir), ["report"], 1, **drawing)
    crew.forget(launch.workdir)


def draw_study(study: Study, workdir: Path) -> None:
    """Write the figures, `report.html` and `summary.json` of a finished study.

    The record is only read. Of an unfinished study the page of what there is so far is written.

    Raises:
      ConfigError: there is no study, or an unfinished one.
    """
    found, trials = read_begun(study, workdir)
    if not is_done(found, trials) and not (workdir / OLD_RECORD).exists():
        so_far.draw(frame_of(study, workdir))
        check_done(found, trials, ", and report.html shows what there is")
    check_done(found, trials)
    found = with_summary(study, found)
    summary, launches = found.summary, found.written["launches"]
    chosen = f"{len(summary['selection'])} to choose learning rates"
    sections = [*sweeps.section(study, found), *study.sections(found)]
    report.render(
        workdir / "report.html",
        title=study.title(found),
        answer=summary["answer"],
        question=study.question(found),
        command=launches[0]["command"],
        claims=summary["claims"],
        sections=sections,
        facts={"runs": f"{len(summary['runs'])} compared, {chosen}"}
        | halving_facts(found)
        | study.facts(found)
        | launch_facts(launches)
        | config_facts(found.written["config"]),
    )
    show_figures(workdir, figures_of(sections))
    write_summary(workdir, summary)  # last: where it is, the page is the finished study's
    tell(study, found)


def figures_of(sections: list[dict]) -> dict[str, Path]:
    """Return {name: file} of the figures of a report."""
    shown = [figure["path"] for part in sections for figure in part.get("figures", ())]
    return {Path(path).stem: Path(path) for path in shown}


def tell(study: Study, found: Finished) -> None:
    """Print what a finished study found; its report says all of it."""
    lines, claims = study.lines(found), found.summary["claims"]
    lines = [*lines, *sweeps.lines(study, found)]
    print_lines(found.summary["answer"], study.head, lines, claims, found.workdir, study.also)


def summed_up(study: Study, workdir: Path) -> Finished:
    """Return a finished study with its summary, all of it.

    Raises:
      ConfigError: there is no study, or an unfinished one.
    """
    return with_summary(study, read_finished(study, workdir))


def with_summary(study: Study, found: Finished) -> Finished:
    """Return a finished study with its summary."""
    found = found._replace(summary=summarise(study, found))
    found = found._replace(summary=found.summary | study.more(found))
    if "compared" not in found.config:
        return found._replace(summary=found.summary | {"answer": study.answer(found)})
    return found._replace(summary=found.summary | sweeps.summary(study, found))


def summarise(study: Study, found: Finished) -> dict:
    """Return the summary of a finished study: {"study", "runs", "claims", "selection"}."""
    final = [row for row in found.done.values() if row["stage"] == "final"]
    runs = [study.labels(found.arms[row["group"]]) | study.run_of(found, row) for row in final]
    order = list(found.arms)
    runs.sort(key=lambda run: (order.index(run["group"]), run["seed"]))
    claims = [
        {"name": name} | weighing.weigh(claim, runs)
        for name, claim in study.claims(found.config).items()
    ]
    selected = select_trials(found.arms, select_seeds(found.config))
    selection = selection_rows(found, selected, study.tuning, study.labels)
    return {
        "study": study.name(found.config),
        "runs": runs,
        "claims": claims,
        "selection": selection,
    }


def restore(workdir: Path, row: dict, **more):
    """Return the trained model of a finished run, as its study's `restore` makes it.

    Args:
      row: the run's last row.
      more: what that function needs beside.

    Raises:
      ConfigError: the model is missing or damaged.
    """
    written = read_config(workdir)
    data, study = written["data"], find(written["config"]["experiment"])
    # Where a seed leaves out classes, its network has names of its own for the others.
    data = data | {key: row[key] for key in ("class_names",) if key in row}
    return study.restore(model_folder(workdir, row), arm_config(workdir, row), data, **more)


def arm_config(workdir: Path, row: dict) -> ConfigDict:
    """Return the config that a run of a workdir was trained with. `row`: its last one."""
    written = read_config(workdir)
    config = ConfigDict(written["config"])
    return find(config.experiment).arms(config, written["data"])[row["group"]].config
