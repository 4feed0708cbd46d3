"""Tokenizers of pieces of words: many texts at once, and published ones, which give what they give elsewhere."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dla_jax.config.checks import ConfigError
from dla_jax.data import tokenize

TEXT = "nel mezzo del cammin di nostra vita\nmi ritrovai per una selva oscura,\n" * 20
PAIRS = tokenize.train_pairs(TEXT, 280)
WORDS = tokenize.train_wordpiece(TEXT.title().splitlines(), 120)
BERT = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "nel",
    "mezzo",
    "del",
    "cam",
    "##min",
    "##mino",
    "perche",
    "A",
    "a",
    "perché",
    ",",
)
ENDS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}

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


def write(folder, files) -> Path:
    """A model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def gpt2_files() -> dict[str, str]:
    """PAIRS as GPT-2's tokenizer was published."""
    model = json.loads(PAIRS.dumps())["model"]
    merges = "".join(f"{first} {second}\n" for first, second in model["merges"])
    return {"vocab.json": json.dumps(model["vocab"]), "merges.txt": f"#version: 0.2\n{merges}"}


def roberta_files() -> dict[str, str]:
    """The same pairs with RoBERTa's special tokens."""
    files = gpt2_files()
    pieces = sorted((number, piece) for piece, number in json.loads(files["vocab.json"]).items())
    vocab = ENDS | {piece: number + len(ENDS) for number, piece in pieces}
    return files | {"vocab.json": json.dumps(vocab | {"<mask>": len(vocab)})}


def bert_files(**changes) -> dict[str, str]:
    return {"vocab.txt": "\n".join(BERT) + "\n"} | (
        {"tokenizer_config.json": json.dumps(changes)} if changes else {}
    )


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return tokenize.published(write(tmp_path_factory.mktemp("gpt2"), gpt2_files()), 280)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    return tokenize.published(write(tmp_path_factory.mktemp("roberta"), roberta_files()), 285)


@pytest.fixture(params=["words", "gpt2", "roberta"])
def pieces(request):
    return WORDS if request.param == "words" else request.getfixturevalue(request.param)


@pytest.mark.parametrize("pad_id", [0, 1, 7])
@pytest.mark.parametrize("most", [4, 7, 12, 1000])
def test_many_texts_at_once_are_each_as_alone(pieces, most, pad_id):
    texts = ["", "nel", TEXT[:36], "mi ritrovai " * 50, "x", "perché 😀"]
    alone = [pieces.encode(text).tolist() for text in texts]
    ends = len(pieces.encode("")) // 2  # special tokens at each end
    found = pieces.encode_all(iter(texts), most, pad_id)
    assert found.tokens.dtype == found.length.dtype == np.int32 and found.pad_id == pad_id
    assert found.tokens.shape == (6, min(most, max(map(len, alone))))  # no wider than the longest
    assert found.truncated == sum(len(tokens) > most for tokens in alone)
    for row, length, tokens in zip(found.tokens, found.length, alone, strict=True):
        assert length == min(len(tokens), most) and (row[length:] == pad_id).all()
        assert row[: length - ends].tolist() == tokens[: length - ends]
        assert ends == 0 or row[length - 1] == tokens[-1]  # what is cut is inside
    assert [pieces.encode(text).tolist() for text in texts] == alone  # nothing of it stays behind


def test_no_texts_at_all():
    found = WORDS.encode_all([], 8)
    assert found.tokens.shape == (0, 1) and found.length.shape == (0,) and found.truncated == 0


def test_word_pieces_stand_between_the_ends_in_lower_case():
    tokens = WORDS.encode("Nel MEZZO del cammin").tolist()
    vocab = WORDS.tokenizer.get_vocab()
    assert (
        tokens[0] == vocab["[CLS]"] == 2
        and tokens[-1] == vocab["[SEP]"] == 3
        and vocab["[PAD]"] == 0
    )
    assert (
        WORDS.decode(tokens) == "[CLS] nel mezzo del cammin [SEP]"
        and tokens == WORDS.encode("nel mezzo del cammin").tolist()
    )
    assert WORDS.vocab_size <= 120 and not [
        piece for piece in vocab if piece != piece.lower() and piece[0] != "["
    ]
    assert WORDS.encode("天").tolist() == [2, vocab["[UNK]"], 3]
    assert len(WORDS.encode(TEXT)) < 0.75 * len(
        TEXT.replace(" ", "")
    )  # pieces of words, not letters


def test_saved_word_pieces_are_the_same(tmp_path):
    tokenize.save(WORDS, tmp_path / "x.json")
    found = tokenize.load(tmp_path / "x.json")
    assert (
        found == WORDS
        and hash(found) == hash(WORDS)
        and found != PAIRS
        and found.vocab_size == WORDS.vocab_size
    )
    for text in ("Nel mezzo", "", "ritrovai 天 selva"):
        np.testing.assert_array_equal(found.encode(text), WORDS.encode(text))


def test_word_pieces_learned_again_are_the_same():
    """Else two launches of one study would train different networks."""
    assert all(
        tokenize.train_wordpiece(TEXT.splitlines(), 120)
        == tokenize.train_wordpiece(TEXT.splitlines(), 120)
        for _ in range(5)
    )


def test_what_a_tokenizer_file_says_of_cutting_and_padding_is_not_done(tmp_path):
    from tokenizers import Tokenizer

    saved = Tokenizer.from_str(WORDS.dumps())
    saved.enable_truncation(5)
    saved.enable_padding(length=9)
    assert len(saved.encode("nel").ids) == 9 and len(saved.encode(TEXT).ids) == 9
    saved.save(str(tmp_path / "tokenizer.json"))
    found = tokenize.published(tmp_path, WORDS.vocab_size)
    assert found == WORDS
    for text in ("nel", TEXT):
        np.testing.assert_array_equal(found.encode(text), WORDS.encode(text))
    assert found.encode_all([TEXT], 12).length.tolist() == [12]


def test_a_tokenizer_file_comes_before_a_vocabulary(tmp_path):
    tokenize.save(WORDS, tmp_path / "tokenizer.json")
    assert tokenize.published(write(tmp_path, bert_files()), WORDS.vocab_size) == WORDS


@pytest.mark.parametrize(
    ("changes", "lower"),
    [
        ({}, True),
        ({"do_lower_case": True}, True),
        ({"do_lower_case": False}, False),
        ({"model_max_length": 512}, True),
    ],
)
def test_berts_vocabulary_is_lower_cased_as_it_says(tmp_path, changes, lower):
    found = tokenize.published(write(tmp_path, bert_files(**changes)), len(BERT))
    words = lambda text: [BERT[token] for token in found.encode(text)]
    assert words("nel mezzo, del cammin") == [
        "[CLS]",
        "nel",
        "mezzo",
        ",",
        "del",
        "cam",
        "##min",
        "[SEP]",
    ]
    assert words("A Nel perché") == [
        "[CLS]",
        *(("a", "nel", "perche") if lower else ("A", "[UNK]", "perché")),
        "[SEP]",
    ]
    assert words("cammino camx") == [
        "[CLS]",
        "cam",
        "##mino",
        "[UNK]",
        "[SEP]",
    ]  # the longest piece; all of a word or nothing


@settings(max_examples=300, deadline=None)
@given(text=st.text())
def test_gpt2s_files_give_back_any_text_and_no_special_token(gpt2, text):
    np.testing.assert_array_equal(gpt2.encode(text), PAIRS.encode(text))
    assert gpt2.decode(gpt2.encode(text)) == text


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_robertas_files_put_its_ends_around_the_same_pieces(roberta, text):
    np.testing.assert_array_equal(
        roberta.encode(text), [ENDS["<s>"], *(PAIRS.encode(text) + len(ENDS)), ENDS["</s>"]]
    )
    assert roberta.decode(roberta.encode(text)) == f"<s>{text}</s>"


@pytest.mark.parametrize(
    ("files", "size"), [(gpt2_files, 280), (roberta_files, 285), (bert_files, len(BERT))]
)
def test_a_tokenizer_of_another_size_than_the_embedding_is_refused(tmp_path, files, size):
    folder = write(tmp_path, files())
    for rows in (size, -(-size // 64) * 64):  # a table may be rounded up
        assert tokenize.published(folder, rows).vocab_size == size
    for rows in (size - 1, 2 * size + 1, 1):
        with pytest.raises(
            ConfigError, match=f"has {size} tokens, the model's embedding {rows} rows"
        ) as caught:
            tokenize.published(folder, rows)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "names", [(), ("vocab.json",), ("merges.txt",), ("tokenizer_config.json",)]
)
def test_a_folder_without_a_tokenizer_says_so(tmp_path, names):
    files = gpt2_files() | {"tokenizer_config.json": "{}"}
    with pytest.raises(
        ConfigError,
        match=r"has no tokenizer: no tokenizer.json, vocab.txt, or vocab.json with merges.txt",
    ):
        tokenize.published(write(tmp_path, {name: files[name] for name in names}), 280)


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.json": ""},
        {"tokenizer.json": "{"},
        {"tokenizer.json": "[]"},
        {"tokenizer.json": '{"model": {}}'},
        {"tokenizer.json": b"\xff\xfe"},
        {"vocab.txt": ""},
        {"vocab.txt": "[UNK]\na\n"},
        {"vocab.txt": b"[CLS]\n[SEP]\n\xe9\n"},
        bert_files() | {"tokenizer_config.json": "{"},
        bert_files() | {"tokenizer_config.json": "[]"},
        gpt2_files() | {"vocab.json": "{"},
        gpt2_files() | {"vocab.json": "[]"},
        gpt2_files() | {"merges.txt": "a b c\nd\n"},
        gpt2_files() | {"merges.txt": "q Q\n"},
        gpt2_files() | {"merges.txt": b"\xff"},
        {"vocab.txt": "\n".join(word for word in BERT if word != "[UNK]")},
    ],
)
def test_a_damaged_published_tokenizer_is_refused(tmp_path, files):
    with pytest.raises(ConfigError, match="is damaged") as caught:
        tokenize.published(write(tmp_path, files), 15)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_half_a_surrogate_pair_is_refused_among_many_too():
    with pytest.raises(ConfigError, match="no character of its own"):
        WORDS.encode_all(["nel", "a\ud800"], 8)


@pytest.fixture(scope="module")
def real():
    return {
        name: tokenize.published(Path(DATA, "tokenizers", name), size)
        for name, size in REAL.items()
    }


@real_tokenizers
def test_the_real_gpt2_makes_ten_tokens_of_nine_words(real):
    sentence = SENTENCES[0]
    tokens = real["gpt2"].encode(sentence)
    assert (
        len(sentence.split()) == 9 and len(tokens) == 10 and real["gpt2"].decode(tokens) == sentence
    )
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
    for row, length, ids in zip(
        cut.tokens,
        cut.length,
        theirs(SENTENCES, truncation=True, max_length=16)["input_ids"],
        strict=True,
    ):
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
