"""A tokenizer of one token a character."""

import json
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import ConfigError, check


class Characters(NamedTuple):
    """One token a character of `alphabet`, which is sorted and has each once."""

    alphabet: str

    @property
    def vocab_size(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> np.ndarray:
        """Encode a text as int32 [len(text)].

        Raises:
          ConfigError: a character that is not in the alphabet, by name.
        """
        known, points = code_points(self.alphabet), code_points(text)
        index = np.searchsorted(known, points).clip(max=len(known) - 1)
        unknown = sorted({chr(point) for point in points[known[index] != points].tolist()})
        more = " ..." if len(known) > 150 else ""
        check(
            not unknown,
            f"the model never saw {', '.join(map(repr, unknown[:10]))}; "
            f"write with its {len(known)} characters, {self.alphabet[:150]!r}{more}",
        )
        return index.astype(np.int32)

    def decode(self, tokens) -> str:
        """Return the text of tokens int [n]."""
        return "".join(self.alphabet[token] for token in np.asarray(tokens).tolist())

    def dumps(self) -> str:
        """Return JSON that `tokenize.load` reads."""
        return json.dumps({"kind": "characters", "alphabet": self.alphabet})

    def published(self):
        """Return the same tokenizer as one of the package `tokenizers`, which transformers reads.

        It encodes and decodes alike, and raises Exception for a character that is not in the
        alphabet, since the model has no row for an unknown one.
        """
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

        words = models.WordLevel({character: i for i, character in enumerate(self.alphabet)})
        tokenizer = Tokenizer(words)
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
        tokenizer.decoder = decoders.Fuse()  # else there is a space between any two
        return tokenizer


def check_characters(text: str) -> None:
    """Raise ConfigError for half a surrogate pair, which no UTF-8 has."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the text has {text[error.start]!r}, which is no character of its own; leave it out"
        ) from None


def code_points(text: str) -> np.ndarray:
    """Return the code points of a text, uint32 [len(text)]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
