"""Tokenizers: one token a character, or pieces of words, learned from texts or published.

All are saved as JSON and read back.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import ConfigError, check, check_rules, choice, count
from dla_jax.config.connectivity import first_line
from dla_jax.config.files import write_atomically
from dla_jax.data.characters import Characters, check_characters

KINDS = ("characters", "bpe")
RULES = {"name": choice(KINDS)}
RULES_OF_PAIRS = {"vocab_size": count(low=256)}  # the 256 bytes are always there
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
AT_A_TIME = 10_000  # texts that are held as objects of `tokenizers`


class Encoded(NamedTuple):
    """Texts in tokens.

    tokens: int32 [N, T], padded behind with `pad_id`; length: int32 [N].
    truncated: how many texts were cut to T tokens.
    """

    tokens: np.ndarray
    length: np.ndarray
    truncated: int
    pad_id: int


class Frame(NamedTuple):
    """What a family of models puts around two texts that it reads together.

    prefix, middle, suffix: int32 arrays, the special tokens before, between and behind the texts.
    second_type: the token type of the second text and of the suffix; all before it has type 0.
    """

    prefix: np.ndarray
    middle: np.ndarray
    suffix: np.ndarray
    second_type: int


class Pieces:
    """Pieces of words, of the package `tokenizers`.

    They are byte pairs (Sennrich et al. 2016, arXiv:1508.07909) or BERT's WordPiece.
    """

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer  # of the package `tokenizers`
        self.vocab_size = tokenizer.get_vocab_size()
        self._json = tokenizer.to_str()

    def __eq__(self, other):
        return isinstance(other, Pieces) and self._json == other._json

    def __hash__(self):
        return hash(self._json)

    def encode(self, text: str) -> np.ndarray:
        """Encode a text as int32 [n].

        Raises:
          ConfigError: half a surrogate pair, which no UTF-8 has, or a character that the tokenizer
            has no token for.
        """
        check_characters(text)
        try:
            return np.array(self.tokenizer.encode(text).ids, np.int32)
        except Exception as error:  # `tokenizers` raises plain Exception
            raise ConfigError(
                f"the tokenizer cannot read {text[:40]!r} ({first_line(error)}); write with the "
                "characters that the model saw"
            ) from None

    def encode_all(self, texts, max_length: int, pad_id: int = 0) -> Encoded:
        """Encode every text with the special tokens of its family, cut to `max_length` tokens."""
        texts, truncated = list(texts), 0
        for text in texts:
            check_characters(text)
        tokens = np.full((len(texts), max_length), pad_id, np.int32)
        length = np.zeros(len(texts), np.int32)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length)
        for first in range(0, len(texts), AT_A_TIME):
            encodings = self.tokenizer.encode_batch(texts[first : first + AT_A_TIME])
            for row, encoding in enumerate(encodings, first):
                length[row] = len(encoding.ids)
                tokens[row, : length[row]] = encoding.ids
                truncated += bool(encoding.overflowing)
        self.tokenizer.no_truncation()
        return Encoded(tokens[:, : max(1, length.max(initial=0))], length, truncated, pad_id)

    def encode_plain(self, texts) -> list[np.ndarray]:
        """Encode every text as int32 [n], without special tokens, however long it is."""
        texts, found = list(texts), []
        for text in texts:
            check_characters(text)
        for first in range(0, len(texts), AT_A_TIME):
            part = texts[first : first + AT_A_TIME]
            encodings = self.tokenizer.encode_batch(part, add_special_tokens=False)
            found += [np.array(encoding.ids, np.int32) for encoding in encodings]
        return found

    def frame(self) -> Frame:
        """Return what stands around two texts, as a pair of letters shows it."""
        pair = self.tokenizer.encode("a", "b")
        ids, text = np.array(pair.ids, np.int32), np.array(pair.sequence_ids)
        first, second = (np.flatnonzero(text == number) for number in (0, 1))
        middle, suffix = ids[first[-1] + 1 : second[0]], ids[second[-1] + 1 :]
        return Frame(ids[: first[0]], middle, suffix, pair.type_ids[second[0]])

    def decode(self, tokens) -> str:
        """Return the text of tokens int [n].

        Bytes that are no whole character become the replacement character.
        """
        return self.tokenizer.decode(np.asarray(tokens).tolist(), skip_special_tokens=False)

    def dumps(self) -> str:
        """Return JSON that `load` reads."""
        return self._json


def check_config(tokenizer) -> None:
    """Raise ConfigError for a `config.tokenizer` that says nothing buildable."""
    check_rules(tokenizer, RULES, prefix="tokenizer.")
    if tokenizer.name == "bpe":
        check_rules(tokenizer, RULES_OF_PAIRS, prefix="tokenizer.")


def train(config, whole: str, learned_from: str) -> Characters | Pieces:
    """Make the tokenizer of a `config.tokenizer`.

    It is the alphabet of the whole text, or pairs learned from its training part alone.

    Raises:
      ConfigError: a vocabulary larger than the text allows.
    """
    if config.name == "characters":
        return Characters("".join(sorted(set(whole))))
    return train_pairs(learned_from, config.vocab_size)


def train_pairs(text: str, vocab_size: int) -> Pieces:
    """Learn pairs from a text: the 256 bytes and the most frequent pairs, `vocab_size` in all.

    Pairs never straddle GPT-2's word borders.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator([text], trainer)
    found = tokenizer.get_vocab_size()
    check(
        found == vocab_size,
        f"tokenizer.vocab_size: {vocab_size} is more than the training part allows, "
        f"{found} bytes and pairs; give {found} or less",
    )
    return Pieces(tokenizer)


def train_wordpiece(texts, vocab_size: int) -> Pieces:
    """Learn pieces of BERT's own kind from texts, lower-cased, with its special tokens.

    They are `vocab_size` pieces, or as many as there are letters.
    """
    from tokenizers import BertWordPieceTokenizer

    texts, tokenizer = list(texts), BertWordPieceTokenizer(lowercase=True)
    inner, inside = tokenizer._tokenizer, set()
    for text in texts:
        for word, _ in inner.pre_tokenizer.pre_tokenize_str(inner.normalizer.normalize_str(text)):
            inside.update(word[1:])
    # Named beforehand, letters within words have a fixed order; else it, and what is learned,
    # would be another each time.
    first = [*BERT_SPECIAL, *(f"##{letter}" for letter in sorted(inside))]
    tokenizer.train_from_iterator(
        texts, vocab_size=vocab_size, min_frequency=2, show_progress=False, special_tokens=first
    )
    return Pieces(BertWordPieceTokenizer(tokenizer.get_vocab(), lowercase=True)._tokenizer)


def published(folder: Path, vocab_size: int) -> Pieces:
    """Read the tokenizer of a model folder.

    It is in `tokenizer.json`, BERT's `vocab.txt`, or GPT-2's `vocab.json` and `merges.txt`.

    Args:
      vocab_size: rows of the model's embedding.

    Raises:
      ConfigError: none there, damaged, or of another size than the embedding.
    """
    has = lambda name: (folder / name).is_file()
    check(
        has("tokenizer.json") or has("vocab.txt") or (has("vocab.json") and has("merges.txt")),
        f"{folder} has no tokenizer: no tokenizer.json, vocab.txt, or vocab.json with merges.txt",
    )
    try:
        if has("tokenizer.json"):
            tokenizer = whole_tokenizer(folder)
        elif has("vocab.txt"):
            tokenizer = berts_tokenizer(folder)
        else:
            tokenizer = pairs_tokenizer(folder)
    except Exception as error:  # `tokenizers` raises plain Exception
        raise ConfigError(f"the tokenizer of {folder} is damaged ({first_line(error)})") from None
    size = 1 + max(tokenizer.get_vocab().values(), default=-1)
    # Some models' tables are rounded up.
    padded = [-(-size // multiple) * multiple for multiple in (1, 8, 64, 128)]
    check(
        vocab_size in padded,
        f"the tokenizer of {folder} has {size} tokens, the model's embedding "
        f"{vocab_size} rows; they do not belong together",
    )
    return Pieces(tokenizer)


def whole_tokenizer(folder: Path):
    """Read `tokenizer.json`, without the cutting and padding that it may ask for."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def berts_tokenizer(folder: Path):
    """Read `vocab.txt`, and from `tokenizer_config.json` whether words are lower-cased."""
    from tokenizers import BertWordPieceTokenizer

    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lower = settings.get("do_lower_case", True)
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lower)._tokenizer
    tokenizer.encode("\u2603")  # fails where there is no piece for what the vocabulary lacks
    return tokenizer


def pairs_tokenizer(folder: Path):
    """Read `vocab.json` and `merges.txt`; RoBERTa's ends are put around where there are such."""
    from tokenizers import ByteLevelBPETokenizer, processors

    paths = [str(folder / name) for name in ("vocab.json", "merges.txt")]
    tokenizer = ByteLevelBPETokenizer(*paths)._tokenizer
    end, begin = (tokenizer.token_to_id(word) for word in ("</s>", "<s>"))
    if end is not None and begin is not None:
        tokenizer.post_processor = processors.RobertaProcessing(
            ("</s>", end), ("<s>", begin), add_prefix_space=False
        )
    return tokenizer


def save(tokenizer: Characters | Pieces, path: Path) -> None:
    """Write a tokenizer, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, tokenizer.dumps())


def load(path: Path) -> Characters | Pieces:
    """Read the tokenizer of a file that `save` wrote.

    Raises:
      ConfigError: none there, or damaged.
    """
    check(path.is_file(), f"there is no tokenizer {path}; has the study finished?")
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
        if found.get("kind") == "characters":
            return Characters(found["alphabet"])
        from tokenizers import Tokenizer

        return Pieces(Tokenizer.from_str(text))
    except Exception as error:  # `tokenizers` raises plain Exception
        raise ConfigError(
            f"tokenizer {path} is damaged ({str(error).splitlines()[0]}); train the model again"
        ) from None
