"""A study by several processes that this one starts, and one progress line over all of them.

Each worker does what `launch.py --join` does. What they have done is read from the record.
"""

import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from errno import ENOSPC
from functools import partial
from os import strerror
from pathlib import Path

import jax

from dla_jax import commands
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.flags import Sharing
from dla_jax.config.project import ROOT, launcher
from dla_jax.config.stop import Interrupted, WorkersEnded, stop_requested
from dla_jax.config.workdir import CREW, Launch, check_workdir, is_finished, lock_workdir
from dla_jax.evidence.rows import done_row, record_file
from dla_jax.front import cluster, launching
from dla_jax.front.forks import Forked, can_fork, forked
from dla_jax.front.processes import Ended, Processes, start, starts_of
from dla_jax.studies.dry_run import check_here
from dla_jax.studies.plans import planned
from dla_jax.studies.running import few_seeds
from dla_jax.studies.study import Study, summed_up, tell
from dla_jax.training.record import progress_line

LOOK = 0.5  # seconds between two looks at the record
FULL = 2**20  # bytes; a disk with less is full
SAID = re.compile(r"^(launch\.py|dla-jax): ")  # before the line by which a launch says why it ends


def run(
    config,
    launch: Launch,
    remarks: list[str],
    sharing: Sharing,
    arguments: list[str],
    listen: Callable[[], None],
    be_worker: Callable[[Path], None],
) -> None:
    """Run a study, or what is left of it, by several processes, and print what it found.

    Args:
      config: as `request.prepare` leaves it.
      launch: its `command` is what starts the same again.
      remarks: lines for standard error, once all is checked.
      arguments: the flags that were typed.
      listen: lets signals ask to stop, from then on.
      be_worker: workdir -> None: does what `--join` does, in a process forked from this one.

    Raises:
      ConfigError: wrong input, before anything is started.
      Interrupted: a stop was requested; the workers have saved their state.
      WorkersEnded: they have all ended, and the study is not finished.
      OSError: the disk is full.
    """
    study, forks = imported(config, sharing)
    # In a process of its own, since it starts JAX, after which this one could not be forked.
    check_it = partial(forked, checked) if forks else checked
    runs, told = check_it(config, launch, sharing)
    if is_finished(launch.workdir):
        stay_off_gpus()
        launching.start(config, launch, remarks, listen)
        return
    folder = launch.workdir / CREW
    with lock_workdir(launch.workdir, shared=True):  # nobody is at work alone
        folder.mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "launch.py"), *arguments]
    command += [f"--workdir={launch.workdir.absolute()}", "--join", "--quiet"]
    if sharing.submit != "slurm":
        listen()  # before any is started, which a signal would leave at work
    if sharing.submit:
        team = cluster.Tasks(command, folder, launch.command, sharing)
    else:
        starts = starts_of(command, folder, launch.command, sharing.workers)
        work = partial(be_worker, launch.workdir)
        team = Processes(starts, partial(Forked, work=work) if forks else start)
    stay_off_gpus()
    said = [*remarks, *told, f"{len(runs)} runs, {sharing.starts} workers"]
    print("\n".join(said), file=sys.stderr)
    watch_slurm(team, launch, runs) if sharing.submit == "slurm" else watch(team, launch, runs)
    failed = team.failed()
    if is_finished(launch.workdir):
        for one in failed:
            print(f"{ended_words(one)}; the others went on", file=sys.stderr)
        tell(study, summed_up(study, launch.workdir))
    elif stop_requested.is_set():
        raise Interrupted
    else:
        raise why_ended(failed, launch)


def imported(config, sharing: Sharing) -> tuple:
    """Return the study that is named, and whether its workers can be forked from this process."""
    platforms = jax.config.jax_platforms
    stay_off_gpus()  # also where the import of the study starts JAX
    study = commands.find_experiment(config.experiment)
    forks = not sharing.submit and can_fork()
    if forks:
        jax.config.update("jax_platforms", platforms)  # as the workers are to have it
    return study, forks


def stay_off_gpus() -> None:
    """Leave the GPUs to the workers; those that are forked afterwards would be kept off too."""
    jax.config.update("jax_platforms", "cpu")


def checked(config, launch: Launch, sharing: Sharing) -> tuple[list[str], list[str]]:
    """Return the names of the runs of a study, and lines for standard error.

    Raises:
      ConfigError: it would be refused, or is none that processes share, or they are too many.
    """
    stay_off_gpus()
    study = commands.find_experiment(config.experiment)
    check(
        isinstance(study, Study),
        f"{config.experiment} trains nothing itself that processes could share; leave out "
        "--workers and --submit, or make with them the study that it reads, and give it as --from",
    )
    check_workdir(launch.workdir, config.to_dict())
    check_here(study, config, launch._replace(download=False), launch.download)
    if sharing.submit:
        cluster.check_cluster(sharing)
    plan = planned(study, config, identity={})
    flag = "tasks" if sharing.submit else "workers"
    check(
        sharing.starts <= len(plan.trials),
        f"--{flag}: {sharing.starts} for the {len(plan.trials)} runs of this study; "
        "give at most as many",
    )
    return [trial.name for trial in plan.trials], few_seeds(study, config, plan.arms)


def watch(team, launch: Launch, runs: list[str]) -> None:
    """Show how many runs are done until no worker is left; ask them to stop when that is asked.

    Args:
      team: `Processes` or `cluster.Tasks`.
      runs: the names of all.
    """
    left = [record_file(launch.workdir, run) for run in runs]
    asked, dismissed = False, False
    with progress_line(len(runs), launch.quiet, "run") as line:
        while True:
            number = team.under_way()  # asked before what they have done is read
            under_way = [path for path in left if done_row(path) is None]
            line.set_postfix_str(team.words(), refresh=False)
            line.update(len(left) - len(under_way))
            left = under_way
            if not number:
                return
            if not dismissed and is_finished(launch.workdir):
                team.dismiss()
                dismissed = True
            if not asked and stop_requested.is_set():
                team.stop()
                asked = True
            time.sleep(LOOK)


def watch_slurm(team: cluster.Tasks, launch: Launch, runs: list[str]) -> None:
    """Do as `watch`; Ctrl-C ends the watching alone.

    Raises:
      WorkersEnded: it did.
    """
    print(f"Slurm's job {team.job}; Ctrl-C leaves it at work", file=sys.stderr)
    try:
        watch(team, launch, runs)
    except KeyboardInterrupt:
        shows = shlex.join([*launcher(), f"--workdir={launch.workdir}"])
        raise WorkersEnded(
            f"Slurm's job {team.job} goes on; scancel {team.job} stops it; when it is over, "
            f"{shows} shows what it found",
            130,
        ) from None


def ended_words(one: Ended) -> str:
    """Return how a worker ended."""
    how = f"ended with exit code {one.code}" if one.code > 0 else f"was killed (signal {-one.code})"
    return f"{one.log.stem} {how}, and said {one.last_line or 'nothing'!r} ({one.log})"


def why_ended(failed: list[Ended], launch: Launch) -> Exception:
    """Return the error that says why all workers ended before the study."""
    for one in failed:
        said = SAID.sub("", one.last_line)
        if one.code == 2 and said != one.last_line:
            return ConfigError(said)
        if one.code in (1, 3) and said != one.last_line:
            return WorkersEnded(said, one.code)
    if shutil.disk_usage(launch.workdir).free < FULL:  # then no log says so either
        return OSError(ENOSPC, strerror(ENOSPC))
    words = ended_words(failed[0]) if failed else "every worker ended"
    return WorkersEnded(f"{words}; go on with: {launch.command}", 1)
