"""The flags of launch.py, and those that say by how many processes a study is run.

Imports nothing that is slow.
"""

from typing import NamedTuple

from dla_jax.config.checks import check, check_choice


class Flag(NamedTuple):
    """A flag of launch.py."""

    typed: str  # as it is typed
    what: str


FLAGS = {
    "config": Flag("--config=CONFIG", "The study: configs/NAME.py:PRESET."),
    "workdir": Flag(
        "--workdir=FOLDER",
        "Folder of the results; default runs/<config>-<preset>/<UTC time>.",
    ),
    "from": Flag("--from=FOLDER", "A finished workdir to read a trained model from."),
    "data_dir": Flag("--data_dir=FOLDER", "Folder of prepared data sets."),
    "download": Flag("--[no]download", "Whether missing data may be downloaded."),
    "dry_run": Flag(
        "--dry_run",
        "Check all, and say how many runs of what it would be, and how long; run nothing.",
    ),
    "sweep": Flag(
        "--sweep='KEY=VALUE,VALUE;KEY=...'",
        "Compare all combinations of these values, each with every seed; no claim is judged.",
    ),
    "quiet": Flag("--[no]quiet", "No progress line."),
    "wandb": Flag(
        "--[no]wandb",
        "Mirror the record in Weights & Biases too; WANDB_MODE=offline keeps it here.",
    ),
    "keep_heap": Flag(
        "--[no]keep_heap",
        "On Linux, keep freed memory for the next step; measure whether that is faster.",
    ),
    "multihost": Flag(
        "--[no]multihost",
        "Join the processes of all hosts (Slurm, Cloud TPU, or JAX_COORDINATOR_ADDRESS and so on).",
    ),
    "workers": Flag("--workers=N", "Share the runs among N processes of this machine."),
    "join": Flag("--[no]join", "Be one more of the processes that share the runs of a workdir."),
    "submit": Flag(
        "--submit=slurm|local",
        "Share the runs among --tasks of a Slurm cluster, or of this machine, through submitit.",
    ),
    "tasks": Flag("--tasks=N", "How many processes --submit starts."),
    "gpus": Flag("--gpus=N", "GPUs of each task; default 0."),
    "cpus": Flag("--cpus=N", "CPU cores of each task; default 1."),
    "minutes": Flag("--minutes=N", "How long a task may take before it is queued again; 60."),
    "partition": Flag("--partition=NAME", "Where Slurm runs the tasks; default its own."),
    "version": Flag("--version", "The versions of this project and of JAX."),
    "help": Flag("--help", "This help; with --config=configs/NAME.py that of one study."),
}
# What a process that starts others tells them: the command that was typed, for `config.json` and
# for whoever goes on.
TYPED = "DLA_JAX_TYPED"
OF_TASKS = ("tasks", "gpus", "cpus", "minutes", "partition")


class Sharing(NamedTuple):
    """By how many processes a study is run, as it was typed; None: not said."""

    workers: int | None = None
    join: bool = False
    submit: str | None = None
    tasks: int | None = None
    gpus: int | None = None
    cpus: int | None = None
    minutes: int | None = None
    partition: str | None = None

    @property
    def starts(self) -> int:
        """How many processes are to be started; 0: this one does the work."""
        return self.workers or self.tasks or 0


def check_mirror(given: Sharing, is_worker: bool, has_config: bool) -> None:
    """Raise ConfigError where --wandb is given and no launch sees all of a study.

    Args:
      is_worker: whether another launch started this one, which then has the mirror.
      has_config: whether a study is to be run.
    """
    check(has_config, "--wandb mirrors a study under way; give it with --config")
    check(
        is_worker or not (given.join or given.submit == "slurm"),
        "--wandb: one launch mirrors a study, and this would be one of several; leave it out, and "
        "give it with the same command alone when the study is finished",
    )


def check_asked(config: bool, workdir: bool, sweep: bool) -> None:
    """Raise ConfigError where the flags that are given ask for nothing."""
    check(
        config or workdir,
        "nothing to do; give --config=configs/rescnn.py:digits to run a study, "
        "--workdir to draw one again, or --help",
    )
    check(config or not sweep, "--sweep makes the arms of a study; give it with --config")


def check_sharing(given: Sharing, multihost: bool, has_config: bool, has_workdir: bool) -> None:
    """Raise ConfigError for flags that do not go together.

    Args:
      multihost: whether the processes of all hosts train as one.
      has_config: whether a study is to be run.
      has_workdir: whether its folder is given.
    """
    ways = [f"--{way}" for way in ("workers", "join", "submit") if getattr(given, way)]
    ways += ["--multihost"] if multihost else []
    check(len(ways) < 2, f"{' and '.join(ways)}: each is a way to run a study; give one of them")
    for name in ("workers", "tasks", "cpus", "minutes"):
        number = getattr(given, name)
        check(number is None or number > 0, f"--{name}: {number} is not above 0; give 1 or more")
    gpus = given.gpus
    check(gpus is None or gpus >= 0, f"--gpus: {gpus} is below 0; give 0 or more")
    shares = given.workers or given.join or given.submit
    check(
        has_config or not shares,
        f"{ways[0] if ways else ''} shares the runs of a study; give it with --config",
    )
    check(
        has_workdir or not given.join,
        "--join needs --workdir; give that of the study whose runs are shared",
    )
    if given.submit is not None:
        check_choice("--submit", given.submit, ("slurm", "local"))
        check(given.tasks is not None, "--tasks is missing; say how many, as in --tasks=16")
    for name in OF_TASKS:
        check(
            given.submit is not None or getattr(given, name) is None,
            f"--{name} is of the tasks that --submit starts; add --submit=slurm, or leave it out",
        )
    check(
        given.submit != "local" or given.partition is None,
        "--partition is of Slurm; leave it out with --submit=local",
    )
