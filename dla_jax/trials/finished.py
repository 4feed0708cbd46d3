"""The trained networks of a workdir: which finished runs left one, and which is best."""

from collections.abc import Callable, Iterable
from pathlib import Path

from dla_jax.config.checks import check, check_choice
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config, resume_command
from dla_jax.evidence.rows import read_record

# Studies here that leave classifiers, of images and of texts, and networks that choose an answer.
IMAGES = ("depth", "architectures", "gradients", "why")
TEXTS = ("finetune", "features")
CHOICES = ("choices",)


def made_launch(launch: Launch) -> Launch:
    """Return what the study that a preset makes first is given."""
    return launch._replace(workdir=launch.workdir / "study")


def source_of(config, launch: Launch) -> Path:
    """Return the workdir to read a model from: that of `--from`, or of the study made first."""
    return made_launch(launch).workdir if config.made else launch.from_dir


def source_words(config, launch: Launch, what: str) -> str:
    """Return where a model would be read from, in words.

    Args:
      what: kind of model, in words.
    """
    place = "the study made first" if config.made else launch.from_dir
    named = f"the {what} {config.network}" if config.network else f"the best {what} on validation"
    return f"{named}, of {place}"


def make_source(config, launch: Launch, run: Callable) -> Path:
    """Make the study `config.made`, where there is one; return the workdir to read a model from.

    Args:
      run: (config, launch) -> None: makes a study, or what is left of it.
    """
    workdir = source_of(config, launch)
    if config.made:
        workdir.mkdir(parents=True, exist_ok=True)
        run(config.made, made_launch(launch))
    return workdir


def check_source(config, launch: Launch, what: str, example: str) -> None:
    """Raise ConfigError unless there is one source of a model: `--from`, or a study made first.

    Args:
      what: kind of study that makes such models, in words.
      example: a workdir, for the message.
    """
    check(
        launch.from_dir is not None or bool(config.made),
        f"--from is missing; give the workdir of a finished study of {what}, "
        f"as in --from={example}",
    )
    check(
        launch.from_dir is None or not config.made,
        "--from: this preset makes its own model; leave it out",
    )


def finished_runs(
    workdir: Path, network: str, experiments: Iterable[str], what: str, unfinished: bool = False
) -> list[dict]:
    """Return the last rows of the runs that left a model, of one network or of all.

    Args:
      network: as the report names it; "": any.
      experiments: those that make such a model.
      what: they make, in words.
      unfinished: whether the study may go on, so that there are only some of its runs.

    Raises:
      ConfigError: no such study there, not finished, or without such a network.
    """
    written, finished = read_config(workdir), is_summed_up(workdir)
    found = written["config"]["experiment"]
    check(
        found in experiments,
        f"--from: {workdir} holds no {what}, but {found}; "
        f"give a workdir of {', '.join(experiments)}",
    )
    go_on = f"go on with: {resume_command(written, workdir)}"
    check(finished or unfinished, f"the study in {workdir} is not finished; {go_on}")
    rows = [row for row in read_record(workdir) if row.get("done") and row["stage"] == "final"]
    check(
        finished or len(rows) > 0,
        f"--from: the study in {workdir} is not finished, and none of the runs that it compares is "
        f"done; wait for one, or {go_on}",
    )
    rows = [row for row in rows if row["step"]]  # a baseline, which takes none, leaves no model
    check(
        len(rows) > 0,
        f"--from: the study in {workdir} has but a baseline, which leaves no model",
    )
    rows.sort(key=lambda row: (row["group"], row["seed"]))  # of equals the first is chosen
    if network:
        found = tuple(dict.fromkeys(row["group"] for row in rows))
        check(
            finished or network in found,
            f"network: {workdir} is not finished, and has no finished run of {network}; give one "
            f"of {', '.join(found)}",
        )
        check_choice("network", network, found)
    rows = [row for row in rows if network in ("", row["group"]) and not row["diverged"]]
    runs = f"{'' if finished else 'finished '}run of {network or 'the study'}"
    check(
        len(rows) > 0,
        f"--from: every {runs} in {workdir} diverged; there is no model",
    )
    return rows


def is_summed_up(workdir: Path) -> bool:
    """Return whether a study is finished, with its summary."""
    return (workdir / "summary.json").is_file()


def choose_run(
    workdir: Path,
    network: str,
    experiments: Iterable[str],
    what: str,
    score: Callable,
    unfinished: bool = False,
) -> dict:
    """Return the last row with the largest score among the `finished_runs`.

    Args:
      score: last row -> number or tuple.
    """
    return max(finished_runs(workdir, network, experiments, what, unfinished), key=score)


def choose_classifier(
    workdir: Path,
    network: str,
    experiments: Iterable[str] = (*IMAGES, *TEXTS),
    unfinished: bool = False,
) -> dict:
    """Return the last row of the classifier, of images or texts, that is best on validation."""

    def accuracy(row: dict) -> float:
        return row["val_accuracy"]

    return choose_run(workdir, network, experiments, "classifier", accuracy, unfinished)


def model_folder(workdir: Path, row: dict) -> Path:
    """Return where the model of a run was saved. `row`: its last one."""
    return workdir / "checkpoints" / row["run"] / "model"
