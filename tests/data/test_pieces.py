"""Tokenizers of pieces of words: many texts at once are each as alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_folders import ENDS, PAIRS, TEXT, WORDS, gpt2_files, roberta_files, write

from dla_jax.config.checks import ConfigError
from dla_jax.data import tokenize


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
    assert tokens[0] == vocab["[CLS]"] == 2
    assert tokens[-1] == vocab["[SEP]"] == 3
    assert vocab["[PAD]"] == 0
    assert WORDS.decode(tokens) == "[CLS] nel mezzo del cammin [SEP]"
    assert tokens == WORDS.encode("nel mezzo del cammin").tolist()
    assert WORDS.vocab_size <= 120
    assert not [piece for piece in vocab if piece != piece.lower() and piece[0] != "["]
    assert WORDS.encode("天").tolist() == [2, vocab["[UNK]"], 3]
    letters = TEXT.replace(" ", "")
    assert len(WORDS.encode(TEXT)) < 0.75 * len(letters)  # pieces of words, not letters


def test_saved_word_pieces_are_the_same(tmp_path):
    tokenize.save(WORDS, tmp_path / "x.json")
    found = tokenize.load(tmp_path / "x.json")
    assert found == WORDS
    assert hash(found) == hash(WORDS)
    assert found != PAIRS
    assert found.vocab_size == WORDS.vocab_size
    for text in ("Nel mezzo", "", "ritrovai 天 selva"):
        np.testing.assert_array_equal(found.encode(text), WORDS.encode(text))


def test_word_pieces_learned_again_are_the_same():
    """Else two launches of one study would train different networks."""
    learn = lambda: tokenize.train_wordpiece(TEXT.splitlines(), 120)
    assert all(learn() == learn() for _ in range(5))


@settings(max_examples=100, deadline=None)
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


def test_half_a_surrogate_pair_is_refused_among_many_too():
    with pytest.raises(ConfigError, match="no character of its own"):
        WORDS.encode_all(["nel", "a\ud800"], 8)


def test_plain_texts_have_no_special_tokens_and_are_never_cut(pieces, monkeypatch):
    texts = ["nel", "", TEXT, "mezzo del cammin"]
    ends = len(pieces.encode("")) // 2
    pieces.encode_all(texts, 4)  # which cuts, and leaves nothing of it behind
    monkeypatch.setattr(tokenize, "AT_A_TIME", 3)
    found = pieces.encode_plain(iter(texts))
    assert len(found) == 4
    for text, tokens in zip(texts, found, strict=True):
        whole = pieces.encode(text)
        assert tokens.dtype == np.int32
        assert tokens.tolist() == whole[ends : len(whole) - ends].tolist()
    with pytest.raises(ConfigError, match="no character of its own"):
        pieces.encode_plain(["nel", "a\ud800"])


def test_the_frame_is_what_each_family_puts_around_two_texts(gpt2, roberta):
    for pieces, expected in (
        (WORDS, ([2], [3], [3], 1)),  # [CLS] a [SEP] b [SEP], and b is of type 1
        (roberta, ([0], [2, 2], [2], 0)),  # <s> a </s></s> b </s>, all of type 0
        (gpt2, ([], [], [], 1)),
    ):
        frame = pieces.frame()
        assert tuple(part.tolist() for part in frame[:3]) == expected[:3]
        assert frame.second_type == expected[3] and frame.prefix.dtype == np.int32
        first, second = "nel mezzo", "del cammin di"
        pair = pieces.tokenizer.encode(first, second)
        a, b = pieces.encode_plain([first, second])
        assert pair.ids == [*frame.prefix, *a, *frame.middle, *b, *frame.suffix]
        behind = len(b) + len(frame.suffix)
        types = [0] * (len(pair.ids) - behind) + [frame.second_type] * behind
        assert pair.type_ids == types
