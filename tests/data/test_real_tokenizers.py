"""Published tokenizers give what they give elsewhere."""

import importlib.util
import json
import os
from pathlib import Path

import pytest
from tokenizer_folders import BERT, TEXT, bert_files, gpt2_files, roberta_files, write

from dla_jax.data import tokenize

DATA = os.environ.get("DLA_DATA_DIR")
REAL = {"gpt2": 50257, "bert-base-uncased": 30522}
real_tokenizers = pytest.mark.skipif(
    not (DATA and all(Path(DATA, "tokenizers", name).is_dir() for name in REAL)),
    reason="needs DLA_DATA_DIR with tokenizers/",
)
SENTENCES = [
    "This is an example sentence to encode into tokens.",
    "Nel mezzo del cammin di nostra vita, perché l'è così!",
    "天气很好，我们去公园吧。",
    "Emoji 😀👩‍👩‍👧 e 🇮🇹",
    "",
    " ",
    "\n\t  \n",
    "1234567890 3.14159 1,000,000 ½ ²",
    "word " * 600,
    "don't WE'LL I've",
    "á é Å ﬁ ß İ ​  x",
    "def f(x):\n    return x  # héé",
    "пример مثال 例文",
]


@pytest.fixture(scope="module")
def real():
    folder = Path(DATA, "tokenizers")
    return {name: tokenize.published(folder / name, size) for name, size in REAL.items()}


@real_tokenizers
def test_the_real_gpt2_makes_ten_tokens_of_nine_words(real):
    sentence = SENTENCES[0]
    tokens = real["gpt2"].encode(sentence)
    assert len(sentence.split()) == 9
    assert len(tokens) == 10
    assert real["gpt2"].decode(tokens) == sentence
    assert real["gpt2"].encode("Hello world").tolist() == [15496, 995]
    for text in SENTENCES:
        assert real["gpt2"].decode(real["gpt2"].encode(text)) == text


@real_tokenizers
def test_the_real_bert_lower_cases(real):
    assert real["bert-base-uncased"].encode("Hello WORLD").tolist() == [101, 7592, 2088, 102]
    assert {name: tokenizer.vocab_size for name, tokenizer in real.items()} == REAL


@real_tokenizers
@pytest.mark.parametrize("name", REAL)
def test_the_real_ones_are_those_of_transformers(real, name):
    theirs = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(
        Path(DATA, "tokenizers", name)
    )
    for text in SENTENCES:
        assert real[name].encode(text).tolist() == theirs(text)["input_ids"], text
    cut = real[name].encode_all(SENTENCES, 16)
    expected = theirs(SENTENCES, truncation=True, max_length=16)["input_ids"]
    for row, length, ids in zip(cut.tokens, cut.length, expected, strict=True):
        assert row[:length].tolist() == ids


@pytest.mark.skipif(
    not importlib.util.find_spec("transformers"), reason="needs requirements-bench.txt"
)
@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("gpt2", gpt2_files()),
        ("roberta", roberta_files()),
        ("bert", bert_files()),
        ("bert", bert_files(do_lower_case=False)),
        ("bert", bert_files(do_lower_case=True)),
        ("bert", bert_files(model_max_length=512)),
    ],
)
def test_small_ones_are_those_of_transformers(tmp_path, kind, files):
    import transformers

    folder = write(tmp_path, files | {"config.json": json.dumps({"model_type": kind})})
    ours = tokenize.published(folder, {"gpt2": 280, "roberta": 285, "bert": len(BERT)}[kind])
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in (*SENTENCES, TEXT, "A Nel perché, CAMMINO"):
        assert ours.encode(text).tolist() == theirs(text)["input_ids"], text
