"""Tokenizers: one token a character, or byte-pair encoding learned from a text. Both are saved as JSON and read back."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config import ConfigError, check, check_choice, check_count, write_atomically

KINDS = ("characters", "bpe")


class Characters(NamedTuple):
    """One token a character of `alphabet`, which is sorted and has each once."""

    alphabet: str

    @property
    def vocab_size(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> np.ndarray:
        """int32 [len(text)].

        Raises:
          ConfigError: a character that is not in the alphabet, by name.
        """
        known, points = code_points(self.alphabet), code_points(text)
        index = np.searchsorted(known, points).clip(max=len(known) - 1)
        unknown = sorted({chr(point) for point in points[known[index] != points].tolist()})
        more = " ..." if len(known) > 150 else ""
        check(not unknown, f"the model never saw {', '.join(map(repr, unknown[:10]))}; write with its {len(known)} characters, "
              f"{self.alphabet[:150]!r}{more}")  # fmt: skip
        return index.astype(np.int32)

    def decode(self, tokens) -> str:
        """The text of int [n]."""
        return "".join(self.alphabet[token] for token in np.asarray(tokens).tolist())

    def dumps(self) -> str:
        """JSON that `load` reads."""
        return json.dumps({"kind": "characters", "alphabet": self.alphabet})


class BytePairs:
    """Byte-pair encoding of UTF-8 bytes, as GPT-2 has it (Sennrich et al. 2016, arXiv:1508.07909): any text has an encoding."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer  # of the package `tokenizers`
        self.vocab_size = tokenizer.get_vocab_size()
        self._json = tokenizer.to_str()

    def __eq__(self, other):
        return isinstance(other, BytePairs) and self._json == other._json

    def __hash__(self):
        return hash(self._json)

    def encode(self, text: str) -> np.ndarray:
        """int32 [n].

        Raises:
          ConfigError: half a surrogate pair, which no UTF-8 has.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"the text has {text[error.start]!r}, which is no character of its own; leave it out") from None
        return np.array(self.tokenizer.encode(text).ids, np.int32)

    def decode(self, tokens) -> str:
        """The text of int [n]; bytes that are no whole character become the replacement character."""
        return self.tokenizer.decode(np.asarray(tokens).tolist(), skip_special_tokens=False)

    def dumps(self) -> str:
        """JSON that `load` reads."""
        return self._json


def code_points(text: str) -> np.ndarray:
    """uint32 [len(text)]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def check_config(tokenizer) -> None:
    """Raises ConfigError for a `config.tokenizer` that says nothing buildable."""
    check_choice("tokenizer.name", tokenizer.name, KINDS)
    if tokenizer.name == "bpe":
        check_count("tokenizer.vocab_size", tokenizer.vocab_size, low=256)


def train(config, whole: str, learned_from: str) -> Characters | BytePairs:
    """The tokenizer of a `config.tokenizer`: the alphabet of the whole text, or pairs learned from its training part alone.

    Raises:
      ConfigError: a vocabulary larger than the text allows.
    """
    if config.name == "characters":
        return Characters("".join(sorted(set(whole))))
    return train_pairs(learned_from, config.vocab_size)


def train_pairs(text: str, vocab_size: int) -> BytePairs:
    """The 256 bytes and the pairs most frequent in a text, `vocab_size` in all; pairs never straddle GPT-2's word borders."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))  # fmt: skip
    tokenizer.train_from_iterator([text], trainer)
    found = tokenizer.get_vocab_size()
    check(found == vocab_size, f"tokenizer.vocab_size: {vocab_size} is more than the training part allows, {found} bytes and "
          f"pairs; give {found} or less")  # fmt: skip
    return BytePairs(tokenizer)


def save(tokenizer: Characters | BytePairs, path: Path) -> None:
    """Writes a tokenizer, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, tokenizer.dumps())


def load(path: Path) -> Characters | BytePairs:
    """The tokenizer of a file that `save` wrote.

    Raises:
      ConfigError: none there, or damaged.
    """
    check(path.is_file(), f"there is no tokenizer {path}; has the study finished?")
    try:
        text = path.read_text()
        found = json.loads(text)
        if found.get("kind") == "characters":
            return Characters(found["alphabet"])
        from tokenizers import Tokenizer

        return BytePairs(Tokenizer.from_str(text))
    except Exception as error:  # `tokenizers` raises plain Exception
        raise ConfigError(f"tokenizer {path} is damaged ({str(error).splitlines()[0]}); train the model again") from None
