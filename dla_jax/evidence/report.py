"""One self-contained HTML page.

It has the claims with their verdicts, figures inline, tables, and the command that made it.
"""

import base64
import math
from pathlib import Path

import jinja2

from dla_jax.config.files import write_atomically
from dla_jax.evidence import verdicts
from dla_jax.evidence.formatting import amount, count, interval, number, p_value


def contrast_words(result: dict, unit: str) -> str:
    """Return `+3.2 points [+1.1, +5.2], p = 0.0078, 8 of 8 seeds` of a contrast.

    Behind it stands why it was not decided. Where only more seeds would help, that is the
    difference that these would have seen in 80 % of studies.
    """
    note = result["reason"]
    if result["verdict"] == verdicts.OPEN and not note and math.isfinite(result["seen"]):
        note = f"80 % power at {amount(result['seen'], unit, sign=False)}"
    about = result["about"]
    centre = amount(result[about], unit)
    words = f"{'median ' if about == 'median' else ''}{centre} {unit}"
    bounds = interval(result["low"], result["high"], unit)
    seeds = f"{result['in_favour']} of {count(result['n'], 'seed')}"
    return f"{words}{bounds}, p = {p_value(result['p'])}, {seeds}{f' ({note})' if note else ''}"


def terms_words(terms) -> str:
    """Return `residual-25 − plain-25` of a contrast's terms."""
    words = []
    for weight, group in terms:
        size = "" if abs(weight) == 1 else f"{abs(weight):g} "
        words.append(f"{'+' if weight > 0 else '−'} {size}{group}")
    return " ".join(words).removeprefix("+ ")


def contrast_name(terms, threshold: float, unit: str) -> str:
    """Return what a contrast compares, and what it is measured from where that is not 0.

    For example `residual (from −1.00 decades)`.
    """
    bound = f" (from {amount(threshold, unit, sign=False)} {unit})" if threshold else ""
    return terms_words(terms) + bound


def power_words(result: dict, margin: float, unit: str, level: float = 0.95) -> str:
    """Return whether these runs could have decided the claim either way.

    Presence and absence need the same evidence.
    """
    if result["smallest_p"] >= 1 - level:
        needed = next(n for n in range(2, 64) if 2.0 / 2**n < 1 - level)
        seeds, p = count(result["n"], "seed"), number(1 - level, 2)
        return f"no: {seeds} cannot give p < {p}, {needed} are needed"
    if not result["varies"]:
        return "a difference: yes; its absence: no, the runs do not vary"
    if result["censored"]:
        return "a difference: yes; its absence: no, runs were cut off at the budget"
    if result["reason"] == "too few seeds differ":
        return "a difference: yes; its absence: no, too few seeds differ"
    half = (result["high"] - result["low"]) / 2
    wide, most = (amount(size, unit, sign=False) for size in (half, margin))
    detail = f"interval ±{wide}, margin {most}"
    return f"yes ({detail})" if half < margin else f"a difference: yes; its absence: no ({detail})"


def width(image: bytes) -> int:
    """Return how wide an image is on the page, from its header.

    Two pixels of a PNG make one, for sharp screens; a GIF's are as they are.
    """
    if image[:3] == b"GIF":
        return int.from_bytes(image[6:8], "little")
    return int.from_bytes(image[16:20], "big") // 2


def inline(image: Path) -> str:
    """Return a file's bytes as the page has them, in base 64."""
    return base64.b64encode(Path(image).read_bytes()).decode()


def render(path: Path, **context) -> None:
    """Write the page.

    Args:
      path: the HTML file.
      context: title, answer, question, command, facts (name -> text), claims (as `weighing.weigh`
        gives them), sections ([{"title", "text", "figures": [{"path", "caption"}], "samples":
        [{"caption", "text"}], "table": {"head", "rows"}}], each part but the title optional).

    Raises:
      jinja2.UndefinedError: a value is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "amount": amount,
        "contrast_words": contrast_words,
        "contrast_name": contrast_name,
        "power_words": power_words,
    }
    environment.filters["width"] = lambda image: width(Path(image).read_bytes())
    environment.filters["kind"] = lambda image: Path(image).suffix[1:]
    environment.filters["inline"] = inline
    write_atomically(path, environment.get_template("report.html.j2").render(**context))
