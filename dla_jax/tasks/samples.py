"""Samples of a language model, streamed to standard output and kept in `samples.jsonl`."""

import json
import sys
import time
from pathlib import Path

import jax

from dla_jax.config.checks import check, count, seed
from dla_jax.config.files import write_atomically
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.written import read_config, resume_command
from dla_jax.evidence.rows import read_rows
from dla_jax.tasks import sampling
from dla_jax.tasks.language_restored import LanguageModel
from dla_jax.tasks.language_task import SAMPLING

# The keys of a config that say what is written.
SAMPLES = {"num_tokens": count()} | SAMPLING | {"num_samples": count(), "seed": seed()}


def write_samples(config, path: Path, prompt: str, found: LanguageModel) -> None:
    """Write the samples of a config, or those left of them, to standard output and to a file."""
    compile_stream(found, prompt, config.seed)  # so that the rates below do not count it
    seen = read_rows(path)
    # Without a line that was cut off.
    write_atomically(path, "".join(json.dumps(sample) + "\n" for sample in seen))
    for sample in seen:
        show(sample)
    for number in range(len(seen), config.num_samples):
        sample = write(config, number, prompt, found)
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(sample) + "\n")
        print(f"{sample['num_tokens'] / sample['seconds']:,.0f} tokens/s", file=sys.stderr)
    print(f"written: {path}", file=sys.stderr)


def compile_stream(found: LanguageModel, prompt: str, seed: int) -> None:
    """Compile what writes, by drawing one token."""
    tokens, key = found.tokenizer.encode(prompt), jax.random.key(seed)
    for _ in sampling.stream(found.model, found.params, tokens, 1, 1, key, sampling.Sampler()):
        pass


def write(config, number: int, prompt: str, found: LanguageModel) -> dict:
    """Write one sample to standard output as it comes, and return it."""
    key = jax.random.fold_in(jax.random.key(config.seed), number)
    sampler = sampling.Sampler(config.temperature, config.top_k, config.top_p)
    tokens = found.tokenizer.encode(prompt)
    pieces = sampling.stream(found.model, found.params, tokens, config.num_tokens, 1, key, sampler)
    started, text = time.perf_counter(), ""
    print(prompt, end="", flush=True)
    one = (unless_stopped(piece)[0] for piece in pieces)
    for words in sampling.as_text(one, found.tokenizer.decode):
        print(words, end="", flush=True)
        text += words
    print()
    return {
        "run": str(number),
        "prompt": prompt,
        "text": text,
        "num_tokens": config.num_tokens,
        "seconds": time.perf_counter() - started,
    }


def unless_stopped(piece):
    """Return a piece as it is.

    Raises:
      Interrupted: a stop was requested in the meantime.
    """
    if stop_requested.is_set():
        print()
        raise Interrupted
    return piece


def show(sample: dict) -> None:
    """Print a sample that was written before."""
    print(sample["prompt"] + sample["text"])


def draw(workdir: Path) -> None:
    """Print the samples of a workdir again.

    Raises:
      ConfigError: there are none.
    """
    samples = read_rows(workdir / "samples.jsonl")
    command = resume_command(read_config(workdir), workdir)
    check(len(samples) > 0, f"the workdir {workdir} holds no samples; go on with: {command}")
    for sample in samples:
        show(sample)
