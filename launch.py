"""Runs one study: python launch.py --config=configs/rescnn.py:digits [--config.KEY=VALUE ...] [--workdir=FOLDER]

The same --workdir again goes on where it stopped. `python launch.py --workdir=FOLDER` alone draws its report again.
"""

import contextlib
import difflib
import functools
import importlib.util
import os
import re
import shlex
import signal
import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections.config_flags import config_flags

from dla_jax.config import overrides
from dla_jax.config.arguments import flatten, split_words
from dla_jax.config.checks import ConfigError, check, check_choice, nearest
from dla_jax.config.files import expand
from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.config.workdir import (
    Run,
    check_workdir,
    follow_made,
    lock_workdir,
    make_workdir,
    read_config,
    remove_if_empty,
)


def fail(message: str, code: int):
    """Ends with one line on standard error."""
    print(f"launch.py: {message}", file=sys.stderr)
    sys.exit(code)


FLAGS = flags.FLAGS
try:
    config_flags.DEFINE_config_file(
        "config", None, "The study: configs/NAME.py:PRESET.", lock_config=True
    )
except flags.Error as error:  # it reads the file of --flagfile already
    fail(f"--flagfile: {str(error).strip().splitlines()[0]}; give a file with a flag a line", 2)
flags.DEFINE_string(
    "workdir", None, "Folder of the results; default runs/<config>-<preset>/<UTC time>."
)
flags.DEFINE_string("from", None, "A finished workdir to read a trained model from.")
DATA_DIR = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
flags.DEFINE_string("data_dir", DATA_DIR, "Folder of prepared data sets.")
flags.DEFINE_bool("download", True, "Whether missing data may be downloaded.")
flags.DEFINE_bool("quiet", False, "No progress line.")
flags.DEFINE_bool(
    "multihost",
    False,
    "Join the processes of all hosts (Slurm, Cloud TPU, or JAX_COORDINATOR_ADDRESS and so on).",
)
ROOT = Path(__file__).resolve().parent
RENAMED = {"depth_study": "depth"}  # studies, since the workdirs that name them were made


def studies() -> list[str]:
    """Names of the configs there are."""
    return sorted(path.stem for path in (ROOT / "configs").glob("*.py") if path.stem != "__init__")


def usage() -> str:
    """The help text."""
    own = [
        FLAGS[name]
        for name in ("config", "workdir", "from", "data_dir", "download", "quiet", "multihost")
    ]
    lines = [f"  --{'[no]' if flag.boolean else ''}{flag.name:<12}{flag.help}" for flag in own]
    return "\n".join(
        [__doc__, *lines, "", "Studies: " + ", ".join(f"configs/{name}.py" for name in studies())]
    )


def join_values(arguments: list[str]) -> list[str]:
    """`--config.key value` -> `--config.key=value`, for the config's own flags."""
    joined = []
    for argument in arguments:
        if (
            joined
            and re.fullmatch(r"--?config(\.[\w.]+)?", joined[-1])
            and not argument.startswith("-")
        ):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def of_this_project(arguments: list[str]) -> list[str]:
    """`--config=configs/x.py` -> that file of this project, where the folder that it was started from has none."""
    found = []
    for argument in arguments:
        match = re.match(r"(--?config=)([^:]+)(:.*)?$", argument, re.S)
        if match and not Path(match[2]).exists() and (ROOT / match[2]).is_file():
            argument = f"{match[1]}{ROOT / match[2]}{match[3] or ''}"
        found.append(argument)
    return found


def config_flags_of(arguments: list[str]) -> list[re.Match]:
    """Those of the arguments that set the config (group 1 None) or a key of it (group 1), to group 2."""
    matches = (
        re.match(r"--?(?:no)?config(?:\.([\w.]+))?(?:=(.*))?$", argument, re.S)
        for argument in arguments
    )
    return [match for match in matches if match]


def check_config_flags(arguments: list[str]) -> None:
    """Raises ConfigError for a config file, config argument or `--config.key` that does not exist, before absl sees them."""
    given = config_flags_of(arguments)
    files = [match[2] for match in given if match[1] is None]
    check(
        not given or bool(files and files[0]),
        "--config is missing; give it as in --config=configs/rescnn.py:digits",
    )
    if not given:
        return
    path, _, argument = files[0].partition(":")
    if not Path(path).is_file() or Path(path).suffix != ".py":
        names = [f"configs/{name}.py" for name in studies()]
        raise ConfigError(
            f"--config: there is no config {path}{nearest(path, names)}; known: {', '.join(names)}"
        )
    spec = importlib.util.spec_from_file_location("given_config", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config(argument)
        known = flatten(config.to_dict())
    except ConfigError:
        raise
    except Exception as error:  # it is code: whatever it raises
        raise ConfigError(
            f"--config: {path} is not a config of this project ({error!r}); see configs/"
        ) from None
    for key in (match[1] for match in given if match[1]):
        group = next((name for name in known if name.startswith(key + ".")), None)
        check(
            group is None,
            f"--config.{key} is a group of keys; give one of them, as in --config.{group}=VALUE",
        )
        check(
            key in known, f"--config.{key}: unknown key{near_keys(key, known)}; {path} has them all"
        )


def near_keys(key: str, known) -> str:
    """` (did you mean 'optim.lr'?)`: up to three keys, but for those of claims, that are spelled or end like an unknown one."""
    names = [name for name in known if not name.startswith("claims.")]
    last = {name: name.rpartition(".")[2] for name in names}
    like = difflib.get_close_matches(key.rpartition(".")[2], last.values(), n=3)
    near = dict.fromkeys(
        [
            *difflib.get_close_matches(key, names, n=3),
            *(name for name in names if last[name] in like),
        ]
    )
    return f" (did you mean {' or '.join(map(repr, list(near)[:3]))}?)" if near else ""


def parse_flags(argv: list[str]) -> list[str]:
    """Absl's parser with errors of one line: exit code 2 for wrong input, 0 for --help."""
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(argv):
        print(usage())
        sys.exit(0)
    try:
        arguments = of_this_project(
            join_values(FLAGS.read_flags_from_files(argv[1:], force_gnu=False))
        )
        check_config_flags(arguments)
        typed[:] = arguments
        rest = FLAGS([argv[0], *arguments])
        check(
            len(rest) == 1,
            f"{' '.join(rest[1:])}: not a flag; flags begin with --, as in --workdir=FOLDER",
        )
        check(
            FLAGS.config is not None or FLAGS.workdir is not None,
            "nothing to do; give --config=configs/rescnn.py:digits to run a study, or --workdir to draw one again",
        )
    except (ConfigError, flags.Error, TypeError, ValueError) as error:
        fail(str(error).strip().splitlines()[0], 2)
    return rest


typed: list[str] = []  # the arguments, those of --flagfile among them


def set_up_jax() -> None:
    """The persistent compilation cache, the first printed line, and the signals that ask a study to stop."""
    from dla_jax.training import mesh

    unkept = mesh.keep_programs()
    print("devices: " + ", ".join(mesh.describe_devices()), file=sys.stderr)
    for warning in filter(None, (mesh.idle_gpu_warning(), unkept)):
        print(warning, file=sys.stderr)

    def ask_to_stop(number, frame):
        if received:
            os._exit(128 + number)  # asked twice: at once
        received.append(number)
        stop_requested.set()
        print(
            "\nstopping: the runs under way save their state; once more to stop at once",
            file=sys.stderr,
        )

    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)


received: list[int] = []  # signals, in order


def study_module(name: str):
    """The module of a study or command, imported: the first thing that is slow."""
    name = RENAMED.get(name, name)
    package = ROOT / "dla_jax"
    studies = {
        path.parent.name: f"dla_jax.studies.{path.parent.name}.study"
        for path in package.glob("studies/*/study.py")
    }
    commands = {
        path.stem: f"dla_jax.commands.{path.stem}"
        for path in package.glob("commands/*.py")
        if path.stem != "__init__"
    }
    check_choice("experiment", name, sorted(studies | commands))
    return importlib.import_module((studies | commands)[name])


def draw(workdir: Path) -> None:
    """Draws the report of a workdir again, from its record alone."""
    study = study_module(read_config(workdir)["config"]["experiment"])
    with lock_workdir(workdir):
        study.draw(workdir)


def split_words_of(config) -> None:
    """Splits the texts of tuples at their commas: --config.arms=plain,residual."""
    for key, value in config.items():
        if hasattr(value, "items"):
            split_words_of(value)
        elif isinstance(value, tuple) and any(isinstance(word, str) for word in value):
            config[key] = split_words(value)


def data_dir() -> Path:
    """The folder of prepared data sets; where it is the default and there is no home, `tensorflow_datasets` here."""
    try:
        return expand("--data_dir", FLAGS.data_dir)
    except ConfigError:
        if FLAGS["data_dir"].present or os.environ.get("TFDS_DATA_DIR"):
            raise
        return Path("tensorflow_datasets")


def start(config, workdir: Path) -> None:
    """Checks the config and the workdir, then runs the study."""
    split_words_of(config)
    carried = overrides.carry(config, [match[1] for match in config_flags_of(typed) if match[1]])
    study = study_module(config.experiment)
    first = join_processes() if FLAGS.multihost else True
    with (
        contextlib.nullcontext() if first else contextlib.redirect_stderr(open(os.devnull, "w"))
    ):  # the first one speaks
        from dla_jax.training import mesh

        mesh.check_devices()
        from_dir = (
            follow_made("--from", expand("--from", FLAGS["from"].value))
            if FLAGS["from"].value
            else None
        )
        run = Run(workdir, from_dir, data_dir(), FLAGS.download, FLAGS.quiet, first)
        check_workdir(workdir, config.to_dict())
        study.check_config(config, run)
        with in_step(
            functools.partial(lock_workdir, workdir) if first else contextlib.nullcontext,
            "take the workdir",
        ):
            # Once more: while the data were read, another launch may have begun, and ended, another study there.
            in_step(functools.partial(check_workdir, workdir, config.to_dict()), "use the workdir")
            set_up_jax()
            for line in carried:
                print(line, file=sys.stderr)
            study.run(config, run)


def in_step(work, what: str):
    """`work()`; with --multihost, all processes fail when one does."""
    if not FLAGS.multihost:
        return work()
    from dla_jax.training import mesh

    return mesh.together(work, what)


def join_processes() -> bool:
    """Joins the processes of all hosts; returns whether this one is the first, which writes and speaks."""
    check(
        FLAGS.workdir is not None, "--multihost needs --workdir, one folder that all processes see"
    )
    from dla_jax.training import mesh

    mesh.start_processes()
    return mesh.is_first_process()


def main(argv: list[str]) -> None:
    """Runs or re-draws a study; what goes wrong becomes one line and an exit code."""
    sys.stdout.reconfigure(
        encoding="utf-8", errors="backslashreplace"
    )  # JSON and text, wherever they go
    logging.set_verbosity(
        logging.FATAL
    )  # JAX and orbax report their every step; what a user must know, we print
    workdir, made = None, False
    try:
        if FLAGS.workdir:
            workdir = expand("--workdir", FLAGS.workdir)
        else:
            workdir = make_workdir(
                next(match[2] for match in config_flags_of(typed) if match[1] is None)
            )
            made = True
        draw(workdir) if FLAGS.config is None else start(FLAGS.config, workdir)
    except ConfigError as error:
        if made:
            remove_if_empty(workdir)
        fail(str(error), 2)
    except NonFiniteLoss as error:
        fail(f"{error}; its record is in {workdir}; try a smaller optim.lr in another --workdir", 3)
    except (Interrupted, KeyboardInterrupt):
        fail(
            f"interrupted; go on with: {again(workdir, made)}",
            128 + (received[0] if received else signal.SIGINT),
        )
    except BrokenPipeError:  # whoever read standard output has enough: | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if "No space left on device" not in str(error):
            raise
        print(
            f"launch.py: no space left on the device of {workdir}; free some and go on with: {again(workdir, made)}",
            file=sys.stderr,
        )
        sys.stderr.flush()
        os._exit(1)  # at once: TensorBoard's threads would each report the full disk again


def again(workdir: Path, made: bool) -> str:
    """The command that goes on."""
    return shlex.join(["python", *sys.argv, *([f"--workdir={workdir}"] if made else [])])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # configs import one another
    app.run(main, flags_parser=parse_flags)
