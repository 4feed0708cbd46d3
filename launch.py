"""Run one study, or one command on finished studies: `python launch.py --help`."""

# ruff: noqa: E402 - help is answered before the imports that take time
import os
import sys

from dla_jax.config import help
from dla_jax.config.checks import ConfigError, check


def fail(message: str, code: int):
    """End with one line on standard error."""
    print(f"launch.py: {message}", file=sys.stderr)
    sys.exit(code)


def ignore_closed_output() -> None:
    """Drop what is still to be written: whoever reads standard output has enough, | head -1."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer_help(arguments: list[str]) -> None:
    """Print the help that a command line asks for, and end, with 2 where its config is wrong."""
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        print(help.page(arguments), flush=True)
    except ConfigError as error:
        fail(str(error), 2)
    except BrokenPipeError:
        ignore_closed_output()
    sys.exit(0)


if __name__ == "__main__" and help.asked(sys.argv[1:]):
    answer_help(sys.argv[1:])

import contextlib
import functools
import shlex
import signal
from pathlib import Path

from absl import app, flags, logging
from ml_collections.config_flags import config_flags

from dla_jax import commands
from dla_jax.config import overrides
from dla_jax.config.command_line import (
    check_config_flags,
    config_flags_of,
    find_config_file,
    join_values,
    split_words_of,
)
from dla_jax.config.files import expand
from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.config.workdir import (
    Launch,
    check_workdir,
    check_writable,
    default_folder,
    follow_made,
    lock_workdir,
    make_workdir,
    remove_if_empty,
)
from dla_jax.config.written import read_config

FLAGS = flags.FLAGS
DATA_DIR = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
HELP = {name: flag.what for name, flag in help.FLAGS.items()}
try:
    config_flags.DEFINE_config_file("config", None, HELP["config"], lock_config=True)
except flags.Error as error:  # it reads the file of --flagfile already
    fail(f"--flagfile: {str(error).strip().splitlines()[0]}; give a file with a flag a line", 2)
flags.DEFINE_string("workdir", None, HELP["workdir"])
flags.DEFINE_string("from", None, HELP["from"])
flags.DEFINE_string("data_dir", DATA_DIR, HELP["data_dir"])
flags.DEFINE_bool("download", True, HELP["download"])
flags.DEFINE_bool("dry_run", False, HELP["dry_run"])
flags.DEFINE_bool("quiet", False, HELP["quiet"])
flags.DEFINE_bool("multihost", False, HELP["multihost"])
ROOT = Path(__file__).resolve().parent

typed: list[str] = []  # the arguments, those of --flagfile among them
received: list[int] = []  # signals, in order


def parse_flags(argv: list[str]) -> list[str]:
    """Parse the command line with absl, but with errors of one line.

    The exit code is 2 for wrong input, 0 for --help.
    """
    try:
        arguments = FLAGS.read_flags_from_files(argv[1:], force_gnu=False)
        if help.asked(arguments):  # in a file of flags
            answer_help(arguments)
        arguments = find_config_file(join_values(arguments))
        check_config_flags(arguments)
        typed[:] = arguments
        rest = FLAGS([argv[0], *arguments])
        check(
            len(rest) == 1,
            f"{' '.join(rest[1:])}: not a flag; flags begin with --, as in --workdir=FOLDER",
        )
        check(
            FLAGS.config is not None or FLAGS.workdir is not None,
            "nothing to do; give --config=configs/rescnn.py:digits to run a study, "
            "--workdir to draw one again, or --help",
        )
    except (ConfigError, flags.Error, TypeError, ValueError) as error:
        fail(str(error).strip().splitlines()[0], 2)
    return rest


def set_up_jax() -> None:
    """Keep compiled programs, print the devices, and let signals ask a study to stop."""
    from dla_jax.training import mesh

    unkept = mesh.keep_programs()
    print("devices: " + ", ".join(mesh.describe_devices()), file=sys.stderr)
    for warning in filter(None, (mesh.idle_gpu_warning(), unkept)):
        print(warning, file=sys.stderr)
    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)


def ask_to_stop(number: int, frame) -> None:
    """Ask the runs under way to save their state and stop; asked twice, stop at once."""
    if received:
        os._exit(128 + number)
    received.append(number)
    stop_requested.set()
    print(
        "\nstopping: the runs under way save their state; once more to stop at once",
        file=sys.stderr,
    )


def draw(workdir: Path) -> None:
    """Draw the report of a workdir again, from its record alone."""
    study = commands.find_experiment(read_config(workdir)["config"]["experiment"])
    if FLAGS.dry_run:
        from dla_jax.studies import dry_run

        print(dry_run.drawn(study, workdir))
        return
    with lock_workdir(workdir):
        study.draw(workdir)


def data_dir() -> Path:
    """Return the folder of prepared data sets.

    Where it is the default and there is no home, it is `tensorflow_datasets` here.
    """
    try:
        return expand("--data_dir", FLAGS.data_dir)
    except ConfigError:
        if FLAGS["data_dir"].present or os.environ.get("TFDS_DATA_DIR"):
            raise
        return Path("tensorflow_datasets")


def from_dir() -> Path | None:
    """Return the workdir that a trained model is read from, None without --from."""
    given = FLAGS["from"].value
    return follow_made("--from", expand("--from", given)) if given else None


def start(config, workdir: Path) -> None:
    """Check the config and the workdir, then run the study."""
    split_words_of(config)
    given = [match[1] for match in config_flags_of(typed) if match[1]]
    carried = overrides.carry(config, given)
    study = commands.find_experiment(config.experiment)
    check(
        not (FLAGS.dry_run and FLAGS.multihost),
        "--dry_run is for one process; leave out --multihost",
    )
    first = join_processes() if FLAGS.multihost else True
    with speaking(first):
        from dla_jax.training import mesh

        mesh.check_devices()
        launch = Launch(workdir, from_dir(), data_dir(), FLAGS.download, FLAGS.quiet, first)
        check_workdir(workdir, config.to_dict())
        if FLAGS.dry_run:
            show_plan(study, config, launch, carried)
            return
        study.check(config, launch)
        take = functools.partial(lock_workdir, workdir) if first else contextlib.nullcontext
        with in_step(take, "take the workdir"):
            # Once more: while the data were read, another launch may have begun, and ended, another
            # study there.
            in_step(functools.partial(check_workdir, workdir, config.to_dict()), "use the workdir")
            set_up_jax()
            for line in carried:
                print(line, file=sys.stderr)
            study.run(config, launch)


def show_plan(study, config, launch: Launch, carried: list[str]) -> None:
    """Check what a launch would do, and print it."""
    from dla_jax.studies import dry_run

    check_writable(launch.workdir)
    print("\n".join([*carried, *dry_run.lines(study, config, launch, config_flag())]))


@contextlib.contextmanager
def speaking(first: bool):
    """Let only the first of several processes write to standard error."""
    if first:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def in_step(work, what: str):
    """Return `work()`; with --multihost, all processes fail when one fails to do `what`."""
    if not FLAGS.multihost:
        return work()
    from dla_jax.training import mesh

    return mesh.together(work, what)


def join_processes() -> bool:
    """Join the processes of all hosts; return whether this one is the first, which writes."""
    check(
        FLAGS.workdir is not None, "--multihost needs --workdir, one folder that all processes see"
    )
    from dla_jax.training import mesh

    mesh.start_processes()
    return mesh.is_first_process()


def main(argv: list[str]) -> None:
    """Run or re-draw a study; what goes wrong becomes one line and an exit code."""
    # JSON and text, wherever they go.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    # JAX and orbax report their every step; what a user must know, we print.
    logging.set_verbosity(logging.FATAL)
    workdir, made = None, False
    try:
        workdir, made = choose_workdir()
        draw(workdir) if FLAGS.config is None else start(FLAGS.config, workdir)
    except ConfigError as error:
        if made:
            remove_if_empty(workdir)
        fail(str(error), 2)
    except NonFiniteLoss as error:
        fail(f"{error}; its record is in {workdir}; try a smaller optim.lr in another --workdir", 3)
    except (Interrupted, KeyboardInterrupt):
        number = received[0] if received else signal.SIGINT
        fail(f"interrupted; go on with: {again(workdir, made)}", 128 + number)
    except BrokenPipeError:
        ignore_closed_output()
    except Exception as error:
        if "No space left on device" not in str(error):
            raise
        print(
            f"launch.py: no space left on the device of {workdir}; "
            f"free some and go on with: {again(workdir, made)}",
            file=sys.stderr,
        )
        sys.stderr.flush()
        os._exit(1)  # at once: TensorBoard's threads would each report the full disk again


def choose_workdir() -> tuple[Path, bool]:
    """Return the workdir, and whether it was made just now, as it is without --workdir."""
    if FLAGS.workdir:
        return expand("--workdir", FLAGS.workdir), False
    if FLAGS.dry_run:
        return default_folder(config_flag()) / "<UTC time>", False
    return make_workdir(config_flag()), True


def config_flag() -> str:
    """Return the config and its argument as they were typed, `configs/rescnn.py:digits`."""
    return next(match[2] for match in config_flags_of(typed) if match[1] is None)


def again(workdir: Path, made: bool) -> str:
    """Return the command that continues."""
    return shlex.join(["python", *sys.argv, *([f"--workdir={workdir}"] if made else [])])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # configs import one another
    app.run(main, flags_parser=parse_flags)
