"""What reading and encoding a text costs, by its size.

    python -m bench.text_memory [--nets=characters,pairs] [--largest=100] [--write]

Every measurement is a process of its own, which does with a text file what a study of language
models does before its first step. The texts are the embedded one again and again, each time with
other letters changed.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import page, processes
from configs import dante

PAIRS = 5549  # of lab C's Llama
# Million bytes: of pairs no more, since they take some 190 bytes of memory for each of the text.
SIZES = {"characters": (1, 10, 100), "pairs": (1, 10)}
CHANGED = 0.002  # share of letters that a repetition has of its own
KINDS = {"characters": dante.characters(), "pairs": dante.byte_pairs(PAIRS)}
TOLD = {"characters": "characters", "pairs": f"{PAIRS:,} bytes and pairs"}


class Job(NamedTuple):
    """One measurement of a text."""

    kind: str
    path: str
    workdir: str  # for the tokenizer
    size: int  # million bytes

    def __str__(self):
        return f"{self.kind}, {self.size} MB"


def repeated(text: str, size: int) -> bytes:
    """Return `size` bytes of a text again and again, in ASCII.

    The first time it stands as it is; each time after, a few of its small letters are others.
    """
    once = np.frombuffer(text.encode("ascii", "ignore"), np.uint8)
    letters = np.flatnonzero((once >= ord("a")) & (once <= ord("z")))
    rng, parts = np.random.default_rng(0), [once]
    for _ in range(-(-size // len(once)) - 1):
        part = once.copy()
        at = rng.choice(letters, round(CHANGED * len(letters)), replace=False)
        part[at] = rng.integers(ord("a"), ord("z") + 1, len(at))
        parts.append(part)
    return np.concatenate(parts)[:size].tobytes()


def config_of(job: Job):
    """Return the config of a study that reads this text."""
    from ml_collections import ConfigDict

    config = dante.base()
    config.data.path, config.tokenizer = job.path, ConfigDict(KINDS[job.kind])
    return config


def measure(side: str, job: Job, setting: dict, seconds: float) -> dict:
    """Measure the stages in this process; only the job says which.

    Returns:
      "read", "learn", "again": (wall, CPU) seconds of reading the text, of learning the tokenizer
      and encoding with it, and of saving it and encoding with the saved one; "peaks": MiB at most
      before them, after reading, and after all; "tokens": of the whole text.
    """
    from dla_jax.config.workdir import Launch
    from dla_jax.tasks import text_source
    from dla_jax.training.mesh import data_mesh

    del side, setting, seconds
    config, mesh = config_of(job), data_mesh()
    launch = Launch(Path(job.workdir), None, Path(job.workdir), download=False, quiet=True)
    if job.kind == "pairs":
        import tokenizers  # noqa: F401  # so that its import counts for no stage
    stages = {
        "read": lambda: text_source.read_text(config),
        "learn": lambda: text_source.make_source(config),
        "again": lambda: text_source.prepare_source(config, launch, job.kind),
    }
    found, peaks = {}, [processes.peak()]
    for stage, do in stages.items():
        begin = processes.spent()
        source = do()
        found[stage] = (processes.spent() - begin).tolist()
        peaks.append(processes.peak())
    text_source.put_tokens(source, mesh)
    peaks[-1] = processes.peak()
    return found | {"peaks": peaks, "tokens": len(source.tokens.tokens)}


def table(results: dict[Job, dict]) -> str:
    """Return a table in Markdown."""
    head = ["tokens", "text, MB", "million tokens", "read", "learned and encoded"]
    head += ["saved and encoded again", "memory before", "read", "encoded", "all"]
    rows = []
    for job, found in results.items():
        times = [found[stage] for stage in ("read", "learn", "again")]
        cells = [f"{wall:.1f} s / {cpu:.1f}" for wall, cpu in times]
        tokens = f"{found['tokens'] / 1e6:.1f}"
        memory = [f"{most:,.0f} MiB" for most in found["peaks"]]
        rows.append([TOLD[job.kind], str(job.size), tokens, *cells, *memory])
    return page.markdown(head, rows)


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    if processes.answered(Job, by=measure):
        return
    from dla_jax.data.text import load

    largest = (max(sum(SIZES.values(), ())), "million bytes of the largest text")
    given, results = page.arguments("text_memory", __doc__, KINDS, largest=largest), {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.nets:
            for size in (size for size in SIZES[kind] if size <= given.largest):
                path = Path(folder) / f"{size}.txt"
                path.write_bytes(repeated(load("").text, size * 10**6))
                job = Job(kind, str(path), str(Path(folder) / f"{kind}{size}"), size)
                results[job] = processes.run_once("text_memory", "ours", job, {}, 0.0)
    page.show("text_memory", table(results), given.write, "tokenizers")


if __name__ == "__main__":
    main()
