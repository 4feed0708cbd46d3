"""Config arguments, what follows the colon of `--config=configs/x.py:ARGUMENT`, and flat keys."""

import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

from dla_jax.config.checks import ConfigError, check, check_choice
from dla_jax.config.project import as_typed

FLAGS = {"true": True, "false": False}
SECONDS = 0.25  # minutes of a preset that takes seconds, which nobody has measured more closely


class Preset(NamedTuple):
    """A preset of a config, as its table `PRESETS` has it; the first one is the default."""

    apply: Callable  # config -> None: sets the values of the preset
    what: str  # it is, in a line
    minutes: float | None = None  # it takes on 2 CPU cores; None: nobody has timed it
    gpu: bool = False  # whether it is for a GPU


def keep(config) -> None:
    """Set nothing: the preset is the config as every other one begins."""


def parse_argument(argument: str, presets: Iterable[str], **defaults) -> SimpleNamespace:
    """Parse the part after the colon in `--config=configs/x.py:ARGUMENT`.

    It is a bare preset name, or comma-separated `key=value` with `preset=` among the keys:
    `digits`, `digits,depth=50`, `preset=digits,depth=50`. The type of each value is that of its
    default. Without a preset it is the first.

    Raises:
      ConfigError: unknown preset or key, value of another type.
    """
    presets = tuple(presets)
    values: dict[str, Any] = {"preset": presets[0], **defaults}
    for part in filter(None, (part.strip() for part in argument.split(","))):
        key, equals, text = part.partition("=")
        if not equals:
            key, text = "preset", part
        if key == "preset":
            check(
                text != "help" or text in presets,
                "config argument 'help' is no preset; "
                f"{as_typed('python launch.py --config=configs/NAME.py')} --help says what each "
                f"of them is: {', '.join(presets)}",
            )
            check_choice("config argument", text, presets)
            values[key] = text
        else:
            check_choice("config argument", key, tuple(defaults))
            values[key] = parse_value(key, text, defaults[key])
    return SimpleNamespace(**values)


def parse_value(key: str, text: str, default: Any) -> Any:
    """Return the value of a key, of the type of its default.

    Raises:
      ConfigError: the text says no such value.
    """
    kind = type(default)
    try:
        return FLAGS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        example = f"{key}={str(default).lower()}"
        raise ConfigError(
            f"config argument {key}={text!r}: expected {kind.__name__}, as in {example}"
        ) from None


def split_words(values: tuple) -> tuple[str, ...]:
    """Split the words of a command line: `("a,b",)` becomes `("a", "b")`, `("",)` becomes `()`."""
    return tuple(word.strip() for value in values for word in str(value).split(",") if word.strip())


def flatten(config: dict, prefix: str = "") -> dict[str, Any]:
    """Flatten a nested dict to {"optim.lr": 0.001, ...} with JSON values (tuples become lists)."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.loads(json.dumps(value))
    return flat
