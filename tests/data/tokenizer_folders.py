"""Small tokenizers, and folders of them as they are published."""

import json
from pathlib import Path

from dla_jax.data import tokenize

TEXT = "nel mezzo del cammin di nostra vita\nmi ritrovai per una selva oscura,\n" * 20
PAIRS = tokenize.train_pairs(TEXT, 280)
WORDS = tokenize.train_wordpiece(TEXT.title().splitlines(), 120)
BERT = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("nel", "mezzo", "del", "cam", "##min", "##mino", "perche", "A", "a", "perché", ","),
)
ENDS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}


def write(folder, files) -> Path:
    """Write a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def gpt2_files() -> dict[str, str]:
    """Return PAIRS as GPT-2's tokenizer was published."""
    model = json.loads(PAIRS.dumps())["model"]
    merges = "".join(f"{first} {second}\n" for first, second in model["merges"])
    return {"vocab.json": json.dumps(model["vocab"]), "merges.txt": f"#version: 0.2\n{merges}"}


def roberta_files() -> dict[str, str]:
    """Return the same pairs with RoBERTa's special tokens."""
    files = gpt2_files()
    pieces = sorted((number, piece) for piece, number in json.loads(files["vocab.json"]).items())
    vocab = ENDS | {piece: number + len(ENDS) for number, piece in pieces}
    return files | {"vocab.json": json.dumps(vocab | {"<mask>": len(vocab)})}


def bert_files(**changes) -> dict[str, str]:
    return {"vocab.txt": "\n".join(BERT) + "\n"} | (
        {"tokenizer_config.json": json.dumps(changes)} if changes else {}
    )
