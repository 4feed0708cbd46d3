"""The mirror of a record in Weights & Biases: `python -m dla_jax.front.wandb_runs WORKDIR`.

Each run of the study is one of W&B, known by an id that is always the same, so that a run that is
stopped and goes on is one run there too. It looks at the files of the record until its standard
input ends, which it does when the study ends, however it does.
"""

import hashlib
import sys
import threading
from pathlib import Path

import wandb

from dla_jax.config.arguments import flatten
from dla_jax.config.workdir import MIRROR
from dla_jax.config.written import read_config
from dla_jax.evidence.rows import read_rows, record_files

LOOK = 1.0  # seconds between two looks at the record
START = 20  # seconds that W&B may take to answer
DONE = "mirrored.txt"  # beside what W&B writes: the runs that are mirrored, a line each


class Mirror:
    """The runs of a workdir, as far as they are in W&B."""

    def __init__(self, workdir: Path):
        self._workdir = workdir
        self._done_file = workdir / MIRROR / DONE
        lines = self._done_file.read_text().splitlines() if self._done_file.exists() else []
        self._done = set(lines)
        self._open = {}  # {run: W&B's}
        self._seen = {}  # {run: (size of its file, rows that are mirrored)}

    def look(self) -> None:
        """Mirror what the record holds and W&B does not."""
        if not (self._workdir / "config.json").exists():
            return
        for run, path in record_files(self._workdir).items():
            size = path.stat().st_size
            if run not in self._done and size and self._seen.get(run, (0, -1))[0] != size:
                self._mirror(run, read_rows(path), size)

    def _mirror(self, run: str, rows: list[dict], size: int) -> None:
        """Log the rows of a run that lie beyond the last one that is there.

        One that was stopped goes on with the same rows, so those that are there stay.
        """
        last = self._seen.get(run, (0, -1))[1]
        if run not in self._open and rows:
            self._open[run] = begin(self._workdir, run)
        for row in rows:
            if row.get("done"):
                self._open[run].summary.update(numbers(row))
            elif step_of(row) > last:
                last = step_of(row)
                self._open[run].log(numbers(row), step=last)
        self._seen[run] = size, last
        if rows and rows[-1].get("done"):
            self._open.pop(run).finish()
            self._done.add(run)
            with open(self._done_file, "a", encoding="utf-8") as file:
                file.write(f"{run}\n")

    def close(self) -> None:
        """End the runs that are under way; they go on later."""
        for opened in self._open.values():
            opened.finish()


def begin(workdir: Path, run: str):
    """Return W&B's run of a run of the study, a new one or that which was begun before."""
    written = read_config(workdir)
    stage, _, rest = run.partition("/")
    left_out = ("claims", "compared", "networks", "arms", "reported")
    config = {key: value for key, value in written["config"].items() if key not in left_out}
    arm = rest.rpartition("/")[0]
    return wandb.init(
        project=wandb.env.get_project() or "dla_jax",
        id=run_id(written["launches"][0]["started"], workdir, run),
        resume="allow",
        name=run,
        group=f"{workdir.parent.name}/{workdir.name}",
        job_type=stage,
        config=flatten(config) | {"arm": arm, "run": run},
        dir=str(workdir),
        reinit="create_new",
        settings=wandb.Settings(
            silent=True,
            console="off",
            init_timeout=START,
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
        ),
    )


def run_id(started: str, workdir: Path, run: str) -> str:
    """Return the id of a run, the same whenever its workdir goes on, in whatever folder it lies."""
    return hashlib.sha256(f"{started} {workdir.name} {run}".encode()).hexdigest()[:16]


def step_of(row: dict) -> int:
    """Return the step of a row: of an agent, what it has played."""
    return int(row.get("env_steps", row["step"]))


def numbers(row: dict) -> dict[str, float]:
    """Return the numbers of a row."""
    return {
        key: value
        for key, value in row.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key != "step"
    }


def main(workdir: Path) -> None:
    """Mirror a workdir until standard input ends."""
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    mirror = Mirror(workdir)
    while not ended.wait(LOOK):
        mirror.look()
    mirror.look()
    mirror.close()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))
