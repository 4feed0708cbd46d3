"""One self-contained HTML page: the answer first, then what it rests on.

It has the main figure, the claims with their verdicts, figures inline, tables, and the command that
made it.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

import jinja2

from dla_jax.config.files import write_atomically
from dla_jax.evidence import pictures, verdicts
from dla_jax.evidence.formatting import amount, count, interval, number, p_value

# An address ends before the punctuation of its sentence.
LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]|arXiv:\d{4}\.\d{4,5}")


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


def links(text: str) -> list[tuple[str, str]]:
    """Return a text in pieces (words, address): the address of what is a link, else an empty one.

    Links are addresses, and papers of arXiv.
    """
    text = str(text)  # an error for what the page lacks
    pieces, last = [], 0
    for found in LINK.finditer(text):
        words = found.group()
        paper = words.removeprefix("arXiv:")
        address = words if paper == words else f"https://arxiv.org/abs/{paper}"
        pieces += [(text[last : found.start()], ""), (words, address)]
        last = found.end()
    return [*pieces, (text[last:], "")]


def without_gaps(sections: list[dict]) -> tuple[dict | None, list[dict]]:
    """Return the main figure, and the sections without it; those that hold nothing are left out.

    It is the figure that its study marks as "main", or the first one.
    """
    figures = [figure for section in sections for figure in section.get("figures", ())]
    main = next((figure for figure in figures if figure.get("main")), None)
    main = main or next(iter(figures), None)
    kept = []
    for section in sections:
        rest = [figure for figure in section.get("figures", ()) if figure is not main]
        table = section.get("table")
        content = {
            "text": section.get("text", ""),
            "figures": rest,
            "samples": section.get("samples", []),
            "table": table if table and table["rows"] else None,
        }
        if any(content.values()):
            kept.append({"title": section["title"]} | content)
    return main, kept


def render(
    path: Path,
    *,
    claims: list[dict],
    sections: list[dict],
    reload: int = 0,
    unless: Callable[[], bool] = lambda: False,
    **context,
) -> None:
    """Write the page.

    Args:
      path: the HTML file.
      claims: as `weighing.weigh` gives them.
      sections: [{"title", "text", "figures": [{"path", "alt": what it shows, "caption", "main":
        whether it stands on top}], "samples": [{"caption", "text"}], "table": {"head", "rows"}}];
        each part but the title is optional, and so is "main".
      reload: after so many seconds the page reloads itself; 0: never.
      unless: whether it is not written after all, asked when it is ready, and again when it is
        on disk.
      context: title, answer, question, command, facts (name -> text).

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
        "NOT_RUN": verdicts.NOT_RUN,
    }
    environment.filters |= {"links": links, "picture": pictures.read, "inline": pictures.inline}
    main, kept = without_gaps(sections)
    numbered = list(enumerate(claims, 1))
    page = environment.get_template("report.html.j2").render(
        main=main,
        sections=kept,
        claims=numbered,
        weighed=[each for each in numbered if each[1]["verdict"] != verdicts.NOT_RUN],
        not_run=[each for each in numbered if each[1]["verdict"] == verdicts.NOT_RUN],
        reload=reload,
        **context,
    )
    if not unless():
        write_atomically(path, page, unless)
