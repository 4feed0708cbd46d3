"""From a config to its study under way, or to what it would do: `launch.py` and `dla_jax.run`.

It imports JAX; what comes before it, in `request.py`, does not.
"""

import contextlib
import functools
import signal
import sys
import threading
from collections.abc import Callable

from ml_collections import ConfigDict

from dla_jax import commands
from dla_jax.config.checks import check
from dla_jax.config.stop import STOPPING, Interrupted, stop_requested
from dla_jax.config.workdir import Launch, check_workdir, check_writable, lock_workdir
from dla_jax.studies import dry_run
from dla_jax.studies.study import Study
from dla_jax.training import mesh


def start(
    config: ConfigDict, launch: Launch, remarks: list[str], listen: Callable[[], None]
) -> None:
    """Check a config and its workdir, then run the study, or what is left of it.

    With several processes, all fail where one does.

    Args:
      config: as `request.prepare` leaves it.
      remarks: lines for standard error, once all is checked.
      listen: lets signals ask the study to stop, from then on.

    Raises:
      ConfigError: wrong input, before anything is written.
      Interrupted: a stop was requested; the state is saved.
      NonFiniteLoss: in a study of a single run.
    """
    study = commands.find_experiment(config.experiment)
    check(
        isinstance(study, Study) or not launch.joins,
        f"--join: {config.experiment} trains nothing itself that processes could share; "
        "leave it out",
    )
    mesh.check_devices()
    fits = functools.partial(check_workdir, launch.workdir, config.to_dict())
    fits()
    study.check(config, launch)
    take = functools.partial(lock_workdir, launch.workdir, launch.joins)
    with mesh.together(take if launch.first else contextlib.nullcontext, "take the workdir"):
        # Once more: while the data were read, another launch may have begun, and ended, another
        # study there.
        mesh.together(fits, "use the workdir")
        unkept = mesh.keep_programs()
        devices = "devices: " + ", ".join(mesh.describe_devices())
        for line in filter(None, (devices, mesh.idle_gpu_warning(), unkept, *remarks)):
            print(line, file=sys.stderr)
        listen()
        study.run(config, launch)


def show_plan(config: ConfigDict, launch: Launch, remarks: list[str], config_flag: str) -> None:
    """Check what a launch would do, and print it.

    Arguments are those of `start`, and `config_flag` that of `dry_run.lines`.

    Raises:
      ConfigError: it would be refused.
    """
    study = commands.find_experiment(config.experiment)
    mesh.check_devices()
    check_workdir(launch.workdir, config.to_dict())
    check_writable(launch.workdir)
    print("\n".join([*remarks, *dry_run.lines(study, config, launch, config_flag)]))


def start_as_guest(config: ConfigDict, launch: Launch, remarks: list[str]) -> None:
    """Do as `start` in a process that has other work, such as a notebook's.

    While the study trains, Ctrl-C asks it to stop, and a second one stops at once; before and
    after, it does what it did.

    Raises:
      KeyboardInterrupt: the study was asked to stop; the state is saved.
      ConfigError, NonFiniteLoss: see `start`.
    """
    before, listens = signal.getsignal(signal.SIGINT), may_set_signals()

    def listen() -> None:
        if listens:
            signal.signal(signal.SIGINT, ask_to_stop)

    try:
        start(config, launch, remarks, listen)
    except Interrupted:
        raise KeyboardInterrupt(
            f"saved; the same call with workdir={str(launch.workdir)!r} goes on, and so does: "
            f"{launch.command}"
        ) from None
    finally:
        if listens:
            signal.signal(signal.SIGINT, before)
        stop_requested.clear()


def may_set_signals() -> bool:
    """Return whether this thread is the one that may say what a signal does."""
    return threading.current_thread() is threading.main_thread()


def ask_to_stop(number: int, frame) -> None:
    """Ask the runs under way to save their state and stop; asked twice, stop at once."""
    if stop_requested.is_set():
        raise KeyboardInterrupt
    stop_requested.set()
    print(STOPPING, file=sys.stderr)
