"""Text: a file or the embedded one, its contiguous parts, and the windows of tokens in them."""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import ConfigError, check, check_rules, number
from dla_jax.config.files import expand
from dla_jax.data.batches import batch_positions
from dla_jax.data.encoding import decode

EMBEDDED = "pydoc_data.topics"
PARTS = ("train", "val", "test")
RULES = {
    "val_fraction": number(above=0, below=0.5),
    "test_fraction": number(low=0, below=0.5),
}
_SHIFT = 2  # stream of the epochs' shifts; `batches` has 1


class Text(NamedTuple):
    """A text and its name."""

    name: str
    text: str

    @property
    def identity(self) -> dict:
        """Return what a workdir remembers of its data.

        That is its name, the number of characters and a SHA-256 of the text.
        """
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return {"name": self.name, "num_examples": len(self.text), "fingerprint": digest[:16]}


def check_config(data) -> None:
    """Raise ConfigError for fractions that leave no training part.

    The text itself is checked where it is read.
    """
    check_rules(data, RULES, prefix="data.")


def load(path: str) -> Text:
    """Return the text of a file as `encoding.decode` reads it, any line ends as `\\n`.

    "" is the embedded one. That is the language reference which every Python brings for its help
    (`pydoc_data.topics`, about 0.7 MB of English); it differs between versions of Python.

    Raises:
      ConfigError: no such file, empty, or no text.
    """
    return _load(str(expand("data.path", path))) if path else _load("")


@functools.lru_cache(maxsize=1)  # once for the check of a config and its run
def _load(path: str) -> Text:
    if not path:
        from pydoc_data.topics import topics

        return Text(EMBEDDED, "\n\n".join(topics[name] for name in sorted(topics)))
    check(
        Path(path).exists(),
        f"data.path: there is no file {path}; give a text, as in --config.data.path=dante.txt",
    )
    check(Path(path).is_file(), f"data.path: {path} is a folder; give one text file")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"data.path: {path} cannot be read ({error.strerror})") from None
    check(len(content) > 0, f"data.path: {path} is empty")
    text = decode(content, f"data.path: {path}", path)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    check(text.strip() != "", f"data.path: {path} holds nothing but spaces")
    return Text(Path(path).name, text)


def split(text: str, val_fraction: float, test_fraction: float) -> dict[str, str]:
    """Cut a text into contiguous parts in order: {"train", "val", "test"}.

    The last is empty where `test_fraction` is 0.
    """
    val_start = int(len(text) * (1 - val_fraction - test_fraction))
    test_start = int(len(text) * (1 - test_fraction)) if test_fraction else len(text)
    return {"train": text[:val_start], "val": text[val_start:test_start], "test": text[test_start:]}


class Tokens(NamedTuple):
    """A text in tokens.

    tokens: int32 [N], the parts one after another.
    bounds: {part: (first, stop)}, positions in `tokens`.
    num_chars: {part: characters}.
    """

    tokens: np.ndarray
    bounds: dict[str, tuple[int, int]]
    num_chars: dict[str, int]


def encode_parts(parts: dict[str, str], encode) -> Tokens:
    """Encode each part on its own, so that no token straddles two.

    `encode`: text -> int32 [n].
    """
    encoded = {name: encode(part) for name, part in parts.items()}
    ends = np.cumsum([len(encoded[name]) for name in PARTS]).tolist()
    bounds = {name: (end - len(encoded[name]), end) for name, end in zip(PARTS, ends, strict=True)}
    tokens = np.concatenate([encoded[name] for name in PARTS])
    return Tokens(tokens, bounds, num_chars={name: len(parts[name]) for name in PARTS})


def check_windows(tokens: Tokens, block_size: int, batch_size: int) -> None:
    """Raise ConfigError for a text whose parts are too short for one window, or a batch of them."""
    for name, (first, stop) in tokens.bounds.items():
        size = stop - first
        check(
            size > block_size or (name == "test" and size == 0),
            f"model.block_size: {block_size} with a {name} part of {size} tokens, too short for "
            f"one window of {block_size + 1}; give a longer text, or a smaller model.block_size",
        )
    windows = num_windows(tokens, block_size)
    check(
        batch_size <= windows,
        f"batch_size: {batch_size} is larger than the training part, {windows} windows of "
        f"{block_size} tokens; give a smaller one, or a longer text",
    )


def num_windows(tokens: Tokens, block_size: int) -> int:
    """Return the number of windows of an epoch: as many as fit whatever the shift."""
    return (tokens.bounds["train"][1] - block_size) // block_size


def train_index(
    seed: int, step: int, batch_size: int, tokens: Tokens, block_size: int
) -> np.ndarray:
    """Return the positions in the text that form the batch of step `step` (from 0).

    In every epoch the training part is cut anew into windows, from another shift below
    `block_size`, and they come in random order, each once. A window has `block_size` inputs and as
    many targets, one further on.

    Returns:
      int32 [batch_size, block_size + 1].
    """
    windows = num_windows(tokens, block_size)
    number = batch_positions(seed, step, batch_size, windows)
    epochs = (step * batch_size + np.arange(batch_size)) // windows
    shifts = {
        epoch: np.random.default_rng((seed, _SHIFT, epoch)).integers(block_size)
        for epoch in np.unique(epochs).tolist()
    }
    starts = number * block_size + np.array([shifts[epoch] for epoch in epochs.tolist()])
    return (starts[:, None] + np.arange(block_size + 1)).astype(np.int32)


def part_index(
    tokens: Tokens, part: str, block_size: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return windows that predict every token of a part exactly once, in batches.

    The first token is predicted from the last one of the part before (the very first of the text
    is left out).

    Returns:
      index: int32 [N, batch_size, block_size + 1]; mask of the targets: float32 [N, batch_size,
      block_size], 0 for padding.
    """
    first, stop = tokens.bounds[part]
    starts = np.arange(max(first, 1) - 1, stop - 1, block_size)
    rows = -(-len(starts) // batch_size) * batch_size
    starts = np.concatenate([starts, np.full(rows - len(starts), stop)])
    index = starts[:, None] + np.arange(block_size + 1)
    mask = (index[:, 1:] < stop).astype(np.float32)
    index = np.minimum(index, stop - 1).astype(np.int32)
    return index.reshape(-1, batch_size, block_size + 1), mask.reshape(-1, batch_size, block_size)
