"""Run one study, or one command on finished studies: `python launch.py --help`."""

# ruff: noqa: E402 - help is answered before the imports that take time
import os
import sys
from pathlib import Path

from dla_jax.config import help
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.project import launcher


def fail(message: str, code: int):
    """End with one line on standard error."""
    print(f"{Path(launcher()[-1]).name}: {message}", file=sys.stderr)
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


ROOT = Path(__file__).resolve().parent
if __name__ == "__main__":
    # Configs import one another; a study of one's own may lie in the current folder.
    sys.path[:] = [str(ROOT), *sys.path, ""]
    if help.asked(sys.argv[1:]):
        answer_help(sys.argv[1:])

import contextlib
import copy
import shlex
import signal

from absl import app, flags, logging
from ml_collections.config_flags import config_flags

from dla_jax import commands
from dla_jax.config.command_line import (
    check_config_flags,
    config_flags_of,
    find_config_file,
    join_values,
    last_of_each,
)
from dla_jax.config.files import data_folder, expand
from dla_jax.config.flags import OF_TASKS, TYPED, Sharing, check_asked, check_mirror, check_sharing
from dla_jax.config.stop import (
    STOPPING,
    Interrupted,
    NonFiniteLoss,
    WorkersEnded,
    stop_requested,
    unwritten,
)
from dla_jax.config.workdir import (
    Launch,
    default_folder,
    follow_made,
    lock_workdir,
    make_workdir,
    remove_if_empty,
)
from dla_jax.config.written import read_config
from dla_jax.front import heap, mirror, request

FLAGS = flags.FLAGS
HELP = {name: flag.what for name, flag in help.FLAGS.items()}
try:
    config_flags.DEFINE_config_file("config", None, HELP["config"], lock_config=True)
except flags.Error as error:  # it reads the file of --flagfile already
    fail(f"--flagfile: {str(error).strip().splitlines()[0]}; give a file with a flag a line", 2)
for name in ("workdir", "from", "data_dir", "sweep", "submit", "partition"):
    flags.DEFINE_string(name, None, HELP[name])
for name in ("dry_run", "quiet", "wandb", "keep_heap", "multihost", "join"):
    flags.DEFINE_bool(name, False, HELP[name])
for name in ("workers", "tasks", "gpus", "cpus", "minutes"):
    flags.DEFINE_integer(name, None, HELP[name])
flags.DEFINE_bool("download", True, HELP["download"])

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
        arguments = find_config_file(last_of_each(join_values(arguments)))
        check_config_flags(arguments)
        typed[:] = arguments
        rest = FLAGS([argv[0], *arguments])
        check(
            len(rest) == 1,
            f"{' '.join(rest[1:])}: not a flag; flags begin with --, as in --workdir=FOLDER",
        )
        check_asked(*(FLAGS[name].value is not None for name in ("config", "workdir", "sweep")))
        given = FLAGS.config is not None, FLAGS.workdir is not None
        check_sharing(sharing(), FLAGS.multihost, *given)
        if FLAGS.wandb:
            check_mirror(sharing(), TYPED in os.environ, FLAGS.config is not None)
            mirror.check_installed()
    except (ConfigError, flags.Error, TypeError, ValueError) as error:
        fail(str(error).strip().splitlines()[0], 2)
    return rest


def listen() -> None:
    """Let signals ask a study to stop."""
    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)


def ask_to_stop(number: int, frame) -> None:
    """Ask the runs under way to save their state and stop; asked twice, stop at once."""
    if received:
        os._exit(128 + number)
    received.append(number)
    stop_requested.set()
    print(STOPPING, file=sys.stderr)


def draw(workdir: Path) -> None:
    """Draw the report of a workdir again, from its record alone."""
    study = commands.find_experiment(read_config(workdir)["config"]["experiment"])
    if FLAGS.dry_run:
        from dla_jax.studies import dry_run

        print(dry_run.drawn(study, workdir))
        return
    with lock_workdir(workdir):
        study.draw(workdir)


def from_dir() -> Path | None:
    """Return the workdir that a trained model is read from, None without --from."""
    given = FLAGS["from"].value
    return follow_made("--from", expand("--from", given)) if given else None


def sharing() -> Sharing:
    """Return by how many processes the study is run; a worker was told all of it too."""
    if TYPED in os.environ:
        return Sharing(join=True)
    names = ("workers", "join", "submit", *OF_TASKS)
    return Sharing(**{name: FLAGS[name].value for name in names})


def start(config, workdir: Path) -> None:
    """Check the config and the workdir, then run the study."""
    remarks = request.prepare(config, [match[1] for match in config_flags_of(typed) if match[1]])
    check(
        not (FLAGS.dry_run and FLAGS.multihost),
        "--dry_run is for one process; leave out --multihost",
    )
    data = data_folder(FLAGS.data_dir)
    # A dry run says what is missing, and goes on; several processes fail together, once they have
    # met.
    if FLAGS.download and not (FLAGS.dry_run or FLAGS.multihost):
        request.check_data(config, data)
    first = join_processes() if FLAGS.multihost else True
    with speaking(first), contextlib.ExitStack() as ending:

        def begin() -> None:
            listen()
            mirrors = FLAGS.wandb and first and TYPED not in os.environ
            ending.enter_context(mirror.mirrored(workdir, mirrors))

        from dla_jax.front import launching

        shared = sharing()
        launch = Launch(workdir, from_dir(), data, FLAGS.download, FLAGS.quiet, first)
        launch = launch._replace(command=os.environ.get(TYPED), joins=shared.join)
        if FLAGS.sweep is not None:
            from dla_jax.front import sweep

            config = sweep.swept(config, FLAGS.sweep)
        if FLAGS.dry_run:
            launching.show_plan(config, launch, remarks, config_flag())
        elif shared.starts:
            from dla_jax.front import workers

            launch = launch._replace(command=again(workdir, not FLAGS.workdir))
            workers.run(config, launch, remarks, shared, typed, begin, be_worker)
        else:
            launching.start(config, launch, remarks, begin)


def be_worker(workdir: Path) -> None:
    """Be one of the workers of a launch, from which this process is forked."""
    FLAGS.workdir, FLAGS.quiet = str(workdir), True
    received.clear()
    stop_requested.clear()
    main([])


@contextlib.contextmanager
def speaking(first: bool):
    """Let only the first of several processes write to standard error."""
    if first:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


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
    if FLAGS.keep_heap:
        heap.keep_freed_memory()
    workdir, made = None, False
    try:
        workdir, made = choose_workdir()
        draw(workdir) if FLAGS.config is None else start(copy.deepcopy(FLAGS.config), workdir)
    except ConfigError as error:
        if made:
            remove_if_empty(workdir)
        fail(str(error), 2)
    except WorkersEnded as error:
        fail(str(error), error.code)
    except NonFiniteLoss as error:
        fail(f"{error}; its record is in {workdir}; try a smaller optim.lr in another --workdir", 3)
    except (Interrupted, KeyboardInterrupt):
        number = received[0] if received else signal.SIGINT
        fail(f"interrupted; go on with: {again(workdir, made)}", 128 + number)
    except BrokenPipeError:
        ignore_closed_output()
    except Exception as error:
        reason = unwritten(error, workdir)
        if reason is None:
            raise
        print(
            f"{Path(launcher()[-1]).name}: {reason} and go on with: {again(workdir, made)}",
            file=sys.stderr,
        )
        sys.stderr.flush()
        os._exit(1)  # at once: files that are open would each report the full disk again


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
    """Return the command that continues: of a worker, that of who started it."""
    if TYPED in os.environ:
        return os.environ[TYPED]
    return shlex.join([*launcher(), *sys.argv[1:], *([f"--workdir={workdir}"] if made else [])])


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
