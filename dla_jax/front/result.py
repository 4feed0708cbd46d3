"""What a finished study found, as Python and a notebook see it.

Imports nothing that is slow.
"""

import collections
import html
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from dla_jax import commands
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.files import expand
from dla_jax.config.project import launcher
from dla_jax.config.workdir import is_finished
from dla_jax.config.written import read_config, resume_command
from dla_jax.evidence import pictures

NOT_RUN = "not run"  # that of evidence/verdicts.py, which is slow to import
SHOWN = 2  # figures in a notebook: those at the top of the page
# A figure on the page: the text that stands for it, and its bytes in base 64.
IMAGE = re.compile(r'<img alt="([^"]*)"[^>]*;base64,([^"]*)"')
# What verdicts look like on the page, they look like here.
CHIPS = Path(pictures.__file__).with_name("chips.css")


class Result(NamedTuple):
    """A finished study: the folder where it is, and what its `summary.json` holds."""

    workdir: Path
    summary: dict  # {"study", "answer", "runs", "claims", ...}

    @property
    def claims(self) -> list[dict]:
        """The claims, each with its "statement", "verdict" and "results", one a contrast."""
        return self.summary.get("claims", [])

    @property
    def report(self) -> Path:
        """The page with all of it."""
        return self.workdir / "report.html"

    @property
    def figures(self) -> dict[str, Path]:
        """{name: file} of the figures on the page, in its order."""
        return {path.stem: path for path, _ in self.pictures()}

    def pictures(self) -> list[tuple[Path, str]]:
        """Return (file, what it shows in words) of the figures on the page, in its order."""
        found = [path for path in self.workdir.glob("figures/*") if path.is_file()]
        files = {pictures.inline(path): path for path in found}
        shown = IMAGE.findall(self.report.read_text(encoding="utf-8"))
        return [(files[data], html.unescape(alt)) for alt, data in shown if data in files]

    def __repr__(self) -> str:
        """Return the workdir, the number of runs, and how many claims got which verdict."""
        counts = collections.Counter(claim["verdict"] for claim in self.claims)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        claims = f", claims: {verdicts}" if verdicts else ""
        return f"<Result {str(self.workdir)!r}, runs: {len(self.summary.get('runs', []))}{claims}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the answer, the verdicts and the first figures."""
        weighed = [claim for claim in self.claims if claim["verdict"] != NOT_RUN]
        left_out = len(self.claims) - len(weighed)
        words = [(claim["verdict"], claim["statement"]) for claim in weighed]
        words += [(NOT_RUN, f"claims: {left_out}")] if left_out else []
        chips = "".join(f"<p>{chip(*pair)}</p>" for pair in words)
        images = "".join(
            f'<p><img alt="{html.escape(alt)}" '
            f'src="data:image/{path.suffix[1:]};base64,{pictures.inline(path)}"></p>'
            for path, alt in self.pictures()[:SHOWN]
        )
        # Workdirs of earlier versions have no answer until they are drawn again.
        answer = html.escape(self.summary.get("answer") or self.summary["study"])
        report = html.escape(str(self.report))
        style = (
            CHIPS.read_text(encoding="utf-8") + ".dla_jax img {max-width: 100%; background: white}"
        )
        return (
            f'<div class="dla_jax"><style>{style}</style><p><b>{answer}</b></p>{chips}{images}'
            f"<p>All of it: <code>{report}</code></p></div>"
        )


def chip(verdict: str, words: str) -> str:
    """Return a verdict, and what it is about, as HTML."""
    name = verdict.replace(" ", "-")
    return f'<span class="verdict {name}">{verdict}</span> {html.escape(words)}'


def load(workdir: str | Path) -> Result:
    """Return what a finished study found; nothing is run or drawn.

    Args:
      workdir: of the study.

    Raises:
      ConfigError: there is no study, or one that is not finished or damaged, in one line.
    """
    folder = expand("workdir", str(workdir))
    written = read_config(folder)
    experiment = written["config"]["experiment"]
    check(
        experiment not in commands.modules(),
        f"{folder} holds what {experiment} wrote, and no study; give the workdir of a study",
    )
    check(
        is_finished(folder),
        f"the study in {folder} is not finished; go on with: {resume_command(written, folder)}",
    )
    path = folder / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(summary, dict) or not {"study", "runs"} <= summary.keys():
            raise ValueError("no summary of a study")
        return Result(folder, summary)
    except ValueError as error:
        raise ConfigError(
            f"{path} is damaged ({error}); "
            f"draw it again: {shlex.join([*launcher(), f'--workdir={folder}'])}"
        ) from None
