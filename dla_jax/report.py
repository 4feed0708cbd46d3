"""One self-contained HTML page: the claims with their verdicts, figures inline, tables, the command that made it."""

import base64
import math
from pathlib import Path

import jinja2

from dla_jax.config import write_atomically


def points(fraction: float, sign: bool = True) -> str:
    """A difference of accuracies in [-1, 1] -> percentage points, `+1.2`; bounds that do not exist -> the infinity sign."""
    if math.isinf(fraction):
        return "−∞" if fraction < 0 else "+∞"
    return f"{100 * fraction:{'+' if sign else ''}.1f}".replace("-", "−")


def amount(value: float, unit: str, sign: bool = True) -> str:
    """A value in its unit: accuracies in "points", others as they are ("decades": powers of ten)."""
    if unit == "points" or math.isinf(value):
        return points(value, sign)
    digits = 3 if unit == "nats/char" else 2
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def p_value(p: float) -> str:
    """A p-value in two digits."""
    return f"{p:.2g}" if p < 0.095 else f"{p:.2f}"


def count(number: int, thing: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{number} {thing}{'s' * (number != 1)}"


def contrast_words(result: dict, unit: str) -> str:
    """`+3.2 points [+1.1, +5.2], p = 0.0078, 8 of 8 seeds` of a contrast."""
    interval = f"[{amount(result['low'], unit)}, {amount(result['high'], unit)}]"
    seeds = f"{result['in_favour']} of {count(result['n'], 'seed')}"
    return f"{amount(result['mean'], unit)} {unit} {interval}, p = {p_value(result['p'])}, {seeds}"


def terms_words(terms) -> str:
    """`residual-25 − plain-25` of a contrast's terms."""
    signs = ("+" if weight > 0 else "−" for weight, _ in terms)
    sizes = ("" if abs(weight) == 1 else f"{abs(weight):g} " for weight, _ in terms)
    words = [f"{sign} {size}{group}" for sign, size, (_, group) in zip(signs, sizes, terms, strict=True)]
    return " ".join(words).removeprefix("+ ")


def power_words(result: dict, margin: float, unit: str, level: float = 0.95) -> str:
    """Whether these runs could have decided the claim either way."""
    half = (result["high"] - result["low"]) / 2
    if result["smallest_p"] >= 1 - level:
        needed = next(n for n in range(2, 64) if 2.0 / 2**n < 1 - level)
        why = f"{count(result['n'], 'seed')} cannot give p < {1 - level:.2f}, {needed} are needed"
        return f"a difference: no, {why}; its absence: {'yes' if half < margin else 'no'}"
    detail = f"interval ±{amount(half, unit, False)}, margin {amount(margin, unit, False)}"
    return f"yes ({detail})" if half < margin else f"a difference: yes; its absence: no ({detail})"


def width(image: bytes) -> int:
    """Of an image on the page, from its header: two pixels of a PNG make one, for sharp screens; a GIF's are as they are."""
    return int.from_bytes(image[6:8], "little") if image[:3] == b"GIF" else int.from_bytes(image[16:20], "big") // 2


def render(path: Path, **context) -> None:
    """Writes the page.

    Args:
      path: the HTML file.
      context: title, question, claims (as `stats.weigh` gives them), sections ([{"title", "text", "figures":
        [{"path", "caption"}], "samples": [{"caption", "text"}], "table": {"head", "rows"}}], each part but the title
        optional), facts (name -> text), command.

    Raises:
      jinja2.UndefinedError: a value is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), undefined=jinja2.StrictUndefined, autoescape=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {
        "amount": amount,
        "contrast_words": contrast_words,
        "terms_words": terms_words,
        "power_words": power_words,
    }
    environment.filters["width"] = lambda image: width(Path(image).read_bytes())
    environment.filters["kind"] = lambda image: Path(image).suffix[1:]
    environment.filters["inline"] = lambda image: base64.b64encode(Path(image).read_bytes()).decode()
    write_atomically(path, environment.get_template("report.html.j2").render(**context))
