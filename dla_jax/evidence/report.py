"""One self-contained HTML page: the claims with their verdicts, figures inline, tables, the command that made it."""

import base64
import math
from pathlib import Path

import jinja2

from dla_jax.config.files import write_atomically
from dla_jax.evidence import verdicts
from dla_jax.evidence.formatting import amount, count, interval, number, p_value


def contrast_words(result: dict, unit: str) -> str:
    """Return `+3.2 points [+1.1, +5.2], p = 0.0078, 8 of 8 seeds` of a contrast, and why it was not decided.

    Where only more seeds would help, the difference that these would have seen in 80 % of studies stands behind it.
    """
    seeds = f"{result['in_favour']} of {count(result['n'], 'seed')}"
    bounds = interval(result["low"], result["high"], unit)
    note = result["reason"]
    if result["verdict"] == verdicts.OPEN and not note and math.isfinite(result["seen"]):
        note = f"80 % power at {amount(result['seen'], unit, False)}"
    words = (
        f"median {amount(result['median'], unit)}"
        if result["about"] == "median"
        else amount(result["mean"], unit)
    )
    return (
        f"{words} {unit}{bounds}, p = {p_value(result['p'])}, {seeds}{f' ({note})' if note else ''}"
    )


def terms_words(terms) -> str:
    """`residual-25 − plain-25` of a contrast's terms."""
    signs = ("+" if weight > 0 else "−" for weight, _ in terms)
    sizes = ("" if abs(weight) == 1 else f"{abs(weight):g} " for weight, _ in terms)
    words = [
        f"{sign} {size}{group}" for sign, size, (_, group) in zip(signs, sizes, terms, strict=True)
    ]
    return " ".join(words).removeprefix("+ ")


def power_words(result: dict, margin: float, unit: str, level: float = 0.95) -> str:
    """Return whether these runs could have decided the claim either way: presence and absence need the same evidence."""
    if result["smallest_p"] >= 1 - level:
        needed = next(n for n in range(2, 64) if 2.0 / 2**n < 1 - level)
        return f"no: {count(result['n'], 'seed')} cannot give p < {number(1 - level, 2)}, {needed} are needed"
    if not result["varies"]:
        return "a difference: yes; its absence: no, the runs do not vary"
    if result["censored"]:
        return "a difference: yes; its absence: no, runs were cut off at the budget"
    if result["reason"] == "too few seeds differ":
        return "a difference: yes; its absence: no, too few seeds differ"
    half = (result["high"] - result["low"]) / 2
    detail = f"interval ±{amount(half, unit, False)}, margin {amount(margin, unit, False)}"
    return f"yes ({detail})" if half < margin else f"a difference: yes; its absence: no ({detail})"


def width(image: bytes) -> int:
    """Of an image on the page, from its header: two pixels of a PNG make one, for sharp screens; a GIF's are as they are."""
    return (
        int.from_bytes(image[6:8], "little")
        if image[:3] == b"GIF"
        else int.from_bytes(image[16:20], "big") // 2
    )


def render(path: Path, **context) -> None:
    """Writes the page.

    Args:
      path: the HTML file.
      context: title, question, claims (as `verdicts.weigh` gives them), sections ([{"title", "text", "figures":
        [{"path", "caption"}], "samples": [{"caption", "text"}], "table": {"head", "rows"}}], each part but the title
        optional), facts (name -> text), command.

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
        "terms_words": terms_words,
        "power_words": power_words,
    }
    environment.filters["width"] = lambda image: width(Path(image).read_bytes())
    environment.filters["kind"] = lambda image: Path(image).suffix[1:]
    environment.filters["inline"] = lambda image: base64.b64encode(
        Path(image).read_bytes()
    ).decode()
    write_atomically(path, environment.get_template("report.html.j2").render(**context))
