"""A study as its workdir holds it: finished, for its report, or as far as it is."""

from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.checks import check
from dla_jax.config.workdir import OLD_RECORD
from dla_jax.config.written import read_config, resume_command
from dla_jax.evidence.rows import by_run, read_record
from dla_jax.evidence.summary import config_facts, launch_facts
from dla_jax.studies import find
from dla_jax.studies.running import select_seeds
from dla_jax.studies.so_far import Frame
from dla_jax.trials.arms import Arm, Trial, final_trials, select_trials
from dla_jax.trials.finished import is_summed_up


class Finished(NamedTuple):
    """A study as its report reads it; `begun` gives one that need not be finished."""

    workdir: Path
    written: dict  # what `config.json` holds
    config: ConfigDict
    arms: dict[str, Arm]
    rows: dict[str, list[dict]]  # {run: its rows, without the last one}
    done: dict[str, dict]  # {run: its last row}
    summary: dict  # {"study", "runs", "claims", "selection", ...}; empty while it is being made

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.workdir / "figures"

    def runs_of(self, arm: str) -> list[dict]:
        """Return what the summary keeps of the final runs of an arm, seed by seed."""
        return [run for run in self.summary["runs"] if run["group"] == arm]

    def last_rows(self, arm: str) -> list[dict]:
        """Return the last rows of the final runs of an arm, seed by seed."""
        return [self.done[f"final/{arm}/seed{seed}"] for seed in self.arms[arm].seeds]

    def rows_of(self, arm: str) -> dict[int, list[dict]]:
        """Return {seed: the rows of a final run of an arm, without the last one}."""
        seeds = self.arms[arm].seeds
        return {seed: self.rows.get(f"final/{arm}/seed{seed}", []) for seed in seeds}


def read_finished(study, workdir: Path) -> Finished:
    """Return a finished study, its summary still empty.

    Raises:
      ConfigError: there is no study, or an unfinished one.
    """
    found, trials = read_begun(study, workdir)
    check_done(found, trials)
    return found


def read_begun(study, workdir: Path) -> tuple[Finished, list[Trial]]:
    """Return a study as far as it is, its summary empty, and all its runs.

    Raises:
      ConfigError: there is no study, or its record is damaged.
    """
    read_config(workdir)  # whether it is a workdir at all
    return begun(study, workdir, read_record(workdir))


def begun(study, workdir: Path, record: list[dict]) -> tuple[Finished, list[Trial]]:
    """Return a study with those rows of its record, its summary empty, and all its runs."""
    written = read_config(workdir)
    config, (rows, done) = ConfigDict(written["config"]), by_run(record)
    arms = study.arms(config, written["data"])
    trials = [*select_trials(arms, select_seeds(config)), *final_trials(arms)]
    return Finished(workdir, written, config, arms, rows, done, summary={}), trials


def check_done(found: Finished, trials: list[Trial], more: str = "") -> None:
    """Raise ConfigError for a study whose runs are not all done. `more`: what there is of it."""
    counts = f"({len(found.done)} of {len(trials)} runs)"
    check(
        is_done(found, trials) or not (found.workdir / OLD_RECORD).exists(),
        f"the study in {found.workdir} was begun by an earlier version, and is not finished "
        f"{counts}; run it again in another --workdir",
    )
    check(
        is_done(found, trials),
        f"the study in {found.workdir} is not finished {counts}{more}; "
        f"go on with: {resume_command(found.written, found.workdir)}",
    )


def is_done(found: Finished, trials: list[Trial]) -> bool:
    """Return whether all runs of a study are done."""
    return len(found.done) == len(trials)


def words_of_unfinished(workdir: Path) -> list[str]:
    """Return what is said where a model of an unfinished study is read; nothing of a finished one.

    Raises:
      ConfigError: there is no study, or its record is damaged.
    """
    if is_summed_up(workdir):
        return []
    found, trials = read_begun(find(read_config(workdir)["config"]["experiment"]), workdir)
    final = [trial.name in found.done for trial in trials if trial.stage == "final"]
    return [
        f"the study in {workdir} is not finished: {sum(final)} of the {len(final)} runs that it "
        "compares are done, and the best on validation is chosen among them"
    ]


def frame_of(study, workdir: Path) -> Frame:
    """Return what the page of an unfinished study says beside its record.

    Raises:
      ConfigError: `config.json` is damaged.
    """
    found, trials = begun(study, workdir, record=[])
    return Frame(
        workdir=str(workdir.absolute()),
        title=study.title(found),
        question=study.question(found),
        command=resume_command(found.written, workdir),
        value=study.tuning.value,
        trials=[list(trial) for trial in trials],
        claims=[claim["statement"] for claim in study.claims(found.config).values()],
        facts=launch_facts(found.written["launches"]) | config_facts(found.written["config"]),
    )
