"""Runs one study: python launch.py --config=configs/rescnn.py:digits [--config.KEY=VALUE ...] [--workdir=FOLDER]

The same --workdir again goes on where it stopped. `python launch.py --workdir=FOLDER` alone draws its report again.
"""

import contextlib
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

from dla_jax import config as configs
from dla_jax.config import ConfigError, Run, check, nearest
from dla_jax.stop import Interrupted, NonFiniteLoss, stop_requested

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", None, "The study: configs/NAME.py:PRESET.", lock_config=True)
flags.DEFINE_string("workdir", None, "Folder of the results; default runs/<config>-<preset>/<UTC time>.")
flags.DEFINE_string("from", None, "A finished workdir to read a trained model from.")
flags.DEFINE_string("data_dir", os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"), "Folder of prepared data sets.")
flags.DEFINE_bool("download", True, "Whether missing data may be downloaded.")
flags.DEFINE_bool("quiet", False, "No progress line.")
flags.DEFINE_bool("multihost", False, "Join the processes of all hosts (Slurm, Cloud TPU, or JAX_COORDINATOR_ADDRESS and so on).")
ROOT = Path(__file__).resolve().parent


def studies() -> list[str]:
    """Names of the configs there are."""
    return sorted(path.stem for path in (ROOT / "configs").glob("*.py") if path.stem != "__init__")


def usage() -> str:
    """The help text."""
    own = [FLAGS[name] for name in ("config", "workdir", "from", "data_dir", "download", "quiet", "multihost")]
    lines = [f"  --{'[no]' if flag.boolean else ''}{flag.name:<12}{flag.help}" for flag in own]
    return "\n".join([__doc__, *lines, "", "Studies: " + ", ".join(f"configs/{name}.py" for name in studies())])


def join_values(arguments: list[str]) -> list[str]:
    """`--config.key value` -> `--config.key=value`, for the config's own flags."""
    joined = []
    for argument in arguments:
        if joined and re.fullmatch(r"--?config(\.[\w.]+)?", joined[-1]) and not argument.startswith("-"):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def check_config_flags(arguments: list[str]) -> None:
    """Raises ConfigError for a config file, config argument or `--config.key` that does not exist, before absl sees them."""
    given = [match for match in (re.match(r"--?(?:no)?config(?:\.([\w.]+))?(?:=(.*))?$", a, re.S) for a in arguments) if match]
    files = [match[2] for match in given if match[1] is None]
    check(not given or bool(files and files[0]), "--config is missing; give it as in --config=configs/rescnn.py:digits")
    if not given:
        return
    path, _, argument = files[0].partition(":")
    if not Path(path).is_file() or Path(path).suffix != ".py":
        names = [f"configs/{name}.py" for name in studies()]
        raise ConfigError(f"--config: there is no config {path}{nearest(path, names)}; known: {', '.join(names)}")
    spec = importlib.util.spec_from_file_location("given_config", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config(argument)
        known = configs.flatten(config.to_dict())
    except ConfigError:
        raise
    except Exception as error:  # it is code: whatever it raises
        raise ConfigError(f"--config: {path} is not a config of this project ({error!r}); see configs/") from None
    for key in (match[1] for match in given if match[1]):
        group = next((name for name in known if name.startswith(key + ".")), None)
        check(group is None, f"--config.{key} is a group of keys; give one of them, as in --config.{group}=VALUE")
        check(key in known, f"--config.{key}: unknown key{nearest(key, known)}; known: {', '.join(known)}")


def parse_flags(argv: list[str]) -> list[str]:
    """Absl's parser with errors of one line: exit code 2 for wrong input, 0 for --help."""
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(argv):
        print(usage())
        sys.exit(0)
    argv = join_values(argv)
    try:
        check_config_flags(argv[1:])
        rest = FLAGS(argv)
        check(len(rest) == 1, f"{' '.join(rest[1:])}: not a flag; flags begin with --, as in --workdir=FOLDER")
        check(FLAGS.config is not None or FLAGS.workdir is not None,
              "nothing to do; give --config=configs/rescnn.py:digits to run a study, or --workdir to draw one again")  # fmt: skip
    except (ConfigError, flags.Error, TypeError, ValueError) as error:
        fail(str(error).strip().splitlines()[0], 2)
    return rest


def given_config(argv: list[str]) -> str:
    """The value of --config as it was typed."""
    return next((text.partition("=")[2] for text in join_values(argv) if re.match("--?config=", text)), "study")


def fail(message: str, code: int):
    """Ends with one line on standard error."""
    print(f"launch.py: {message}", file=sys.stderr)
    sys.exit(code)


def set_up_jax() -> None:
    """The persistent compilation cache, the first printed line, and the signals that ask a study to stop."""
    import jax

    from dla_jax import mesh

    unkept = None
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "dla_jax" / "xla"
    cache = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR", default))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(cache))
    except OSError as error:
        unkept = f"compiled programs are not kept: {cache} cannot be written ({error.strerror})"
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    print("devices: " + ", ".join(mesh.describe_devices()), file=sys.stderr)
    for warning in filter(None, (mesh.idle_gpu_warning(), unkept)):
        print(warning, file=sys.stderr)

    def ask_to_stop(number, frame):
        if received:
            os._exit(128 + number)  # asked twice: at once
        received.append(number)
        stop_requested.set()
        print("\nstopping: the runs under way save their state; once more to stop at once", file=sys.stderr)

    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)


received: list[int] = []  # signals, in order


def study_module(name: str):
    """`dla_jax.experiments.<name>`, imported: the first thing that is slow."""
    files = (ROOT / "dla_jax" / "experiments").glob("*.py")
    configs.check_choice(
        "experiment", name, sorted(path.stem for path in files if "\ndef run(" in path.read_text(encoding="utf-8"))
    )
    return importlib.import_module(f"dla_jax.experiments.{name}")


def draw(workdir: Path) -> None:
    """Draws the report of a workdir again, from its record alone."""
    study = study_module(configs.read_config(workdir)["config"]["experiment"])
    with configs.lock_workdir(workdir):
        study.draw(workdir)


def split_words_of(config) -> None:
    """Splits the texts of tuples at their commas: --config.arms=plain,residual."""
    for key, value in config.items():
        if hasattr(value, "items"):
            split_words_of(value)
        elif isinstance(value, tuple) and any(isinstance(word, str) for word in value):
            config[key] = configs.split_words(value)


def start(config, workdir: Path) -> None:
    """Checks the config and the workdir, then runs the study."""
    split_words_of(config)
    study = study_module(config.experiment)
    from_dir = configs.expand("--from", FLAGS["from"].value) if FLAGS["from"].value else None
    first = join_processes() if FLAGS.multihost else True
    run = Run(workdir, from_dir, configs.expand("--data_dir", FLAGS.data_dir), FLAGS.download, FLAGS.quiet, first)
    configs.check_workdir(workdir, config.to_dict())
    study.check_config(config, run)
    lock = functools.partial(configs.lock_workdir, workdir) if first else functools.partial(open, os.devnull, "w")
    with in_step(lock, "take the workdir") as held, contextlib.nullcontext() if first else contextlib.redirect_stderr(held):
        set_up_jax()
        study.run(config, run)


def in_step(work, what: str):
    """`work()`; with --multihost, all processes fail when one does."""
    if not FLAGS.multihost:
        return work()
    from dla_jax import mesh

    return mesh.together(work, what)


def join_processes() -> bool:
    """Joins the processes of all hosts; returns whether this one is the first, which writes and speaks."""
    check(FLAGS.workdir is not None, "--multihost needs --workdir, one folder that all processes see")
    from dla_jax import mesh

    mesh.start_processes()
    return mesh.is_first_process()


def main(argv: list[str]) -> None:
    """Runs or re-draws a study; what goes wrong becomes one line and an exit code."""
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # JSON and text, wherever they go
    logging.set_verbosity(logging.FATAL)  # JAX and orbax report their every step; what a user must know, we print
    try:
        given = configs.expand("--workdir", FLAGS.workdir) if FLAGS.workdir else None
    except ConfigError as error:
        fail(str(error), 2)
    workdir = given or configs.default_workdir(given_config(sys.argv))
    again = [*sys.argv, *([] if given else [f"--workdir={workdir}"])] if FLAGS.config is not None else argv
    try:
        draw(workdir) if FLAGS.config is None else start(FLAGS.config, workdir)
    except ConfigError as error:
        fail(str(error), 2)
    except NonFiniteLoss as error:
        fail(f"{error}; its record is in {workdir}; try a smaller optim.lr in another --workdir", 3)
    except (Interrupted, KeyboardInterrupt):
        fail(f"interrupted; go on with: {shlex.join(['python', *again])}", 128 + (received[0] if received else signal.SIGINT))
    except BrokenPipeError:  # whoever read standard output has enough: | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if "No space left on device" not in str(error):
            raise
        again_words = shlex.join(["python", *again])
        print(f"launch.py: no space left on the device of {workdir}; free some and go on with: {again_words}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)  # at once: TensorBoard's threads would each report the full disk again


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # configs import one another
    app.run(main, flags_parser=parse_flags)
