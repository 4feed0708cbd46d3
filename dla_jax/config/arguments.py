"""Config arguments, what stands behind the colon of `--config=configs/x.py:ARGUMENT`, and flat keys."""

import json
from types import SimpleNamespace
from typing import Any

from dla_jax.config.checks import ConfigError, check_choice


def parse_argument(argument: str, presets: tuple[str, ...], **defaults) -> SimpleNamespace:
    """The part after the colon in `--config=configs/x.py:ARGUMENT`.

    A bare preset name, or comma-separated `key=value` with `preset=` among the keys: `digits`, `digits,depth=50`,
    `preset=digits,depth=50`. The type of each value is that of its default; without a preset it is the first.

    Raises:
      ConfigError: unknown preset or key, value of another type.
    """
    values: dict[str, Any] = {"preset": presets[0], **defaults}
    kinds = {bool: lambda text: {"true": True, "false": False}[text.lower()]}
    for part in filter(None, (part.strip() for part in argument.split(","))):
        key, equals, text = part.partition("=")
        if not equals:
            key, text = "preset", part
        if key == "preset":
            check_choice("config argument", text, presets)
            values[key] = text
            continue
        check_choice("config argument", key, tuple(defaults))
        try:
            values[key] = kinds.get(type(defaults[key]), type(defaults[key]))(text)
        except (ValueError, KeyError):
            expected, example = type(defaults[key]).__name__, str(defaults[key]).lower()
            raise ConfigError(
                f"config argument {key}={text!r}: expected {expected}, as in {key}={example}"
            ) from None
    return SimpleNamespace(**values)


def split_words(values: tuple) -> tuple[str, ...]:
    """`("plain,residual",)` as a command line gives it -> `("plain", "residual")`; `("",)` -> `()`."""
    return tuple(word.strip() for value in values for word in str(value).split(",") if word.strip())


def flatten(config: dict, prefix: str = "") -> dict[str, Any]:
    """Nested dict -> {"optim.lr": 0.001, ...}, JSON values (tuples become lists)."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.loads(json.dumps(value))
    return flat
