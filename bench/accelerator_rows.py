"""What a stage of `bench.accelerator` is asked for, and the rows that it answers with."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Asked(NamedTuple):
    """What a stage is given."""

    data_dir: Path  # prepared sets, dante.txt, shakespeare.txt
    work: Path  # for workdirs of studies: checkpoints, figures
    tiny: bool = False  # whether it only rehearses, on sizes that a CPU does in seconds
    rates: dict[str, float] = {}  # {dtype: TFLOP/s of matrix products}, where they are measured


class Stage(NamedTuple):
    """One stage."""

    name: str
    what: str  # it measures, in words
    seconds: int  # about how long it takes on a GPU: a guess, until it has been run there
    work: Callable  # Asked -> rows
    packages: tuple[str, ...] = ()  # that it needs beside JAX, as Python imports them
    data: tuple[str, ...] = ()  # of `data_dir`


def row(
    what: str,
    value: float | None,
    unit: str,
    *,
    least: float | None = None,
    most: float | None = None,
    note: str = "",
) -> dict:
    """Return one result.

    Args:
      value: None where there is only something to say.
      least, most: what the value should be, at least or at most; None: it has no aim.
    """
    aim = f"at least {least:g}" if least is not None else ""
    aim = f"at most {most:g}" if most is not None else aim
    met = None
    if aim and value is not None:
        met = bool(value >= least if least is not None else value <= most)
    return {"what": what, "value": value, "unit": unit, "aim": aim, "met": met, "note": note}


def shown(found: dict) -> str:
    """Return a row in words."""
    value = "" if found["value"] is None else f": {digits(found['value'])} {found['unit']}".rstrip()
    aim = f", {found['aim']}: {'reached' if found['met'] else 'missed'}" if found["aim"] else ""
    return f"{found['what']}{value}{aim}" + (f" ({found['note']})" if found["note"] else "")


def digits(value: float) -> str:
    """Return a number with four digits, or all of its whole ones."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
