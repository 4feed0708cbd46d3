"""Tests the words of the baseline of texts, in any script."""

import re
import unicodedata

import numpy as np
import pytest
from made_texts import labelled_texts, smoke_config
from sklearn.feature_extraction.text import TfidfVectorizer

from dla_jax.data import docstrings
from dla_jax.tasks import tfidf
from dla_jax.trials.arms import own_config

ENGLISH = [
    "Don't split snake_case, __init__ or x_1; 3.14, 2024 and a1b2 are words; I, a and 7 are not.",
    "Perché no? Ångström's naïve café — e\u0301te\u0301, ß, ﬁn, İstanbul, ΟΔΟΣ.",  # composed or not
    # Other scripts, with marks; digits.
    "Привет, мир! हिन्दी में लिखा; العَرَبِيَّة; 한국어 문장은 띄어 쓴다; שָׁלוֹם; 😀 ½ ² ٣٤ ๒๕๖๗",
    "tabs\tand\nlines\r\n and\u00a0blanks\u2003of-every kind…",
    "",
    "?!",
    "_ __ a_ _a",
]
TOPICS = {  # words of two topics, and of both, in Chinese, Japanese and Thai
    "zh": (
        "球队 前锋 教练 门将 赢得了比赛 在下半场进球 扑出了点球 换下了队长",
        "央行 股市 公司 投资者 提高了利率 公布了利润 抛售了股票 下调了预测",
        "昨天 消息 记者说 我们 都知道 因为 今年 已经",
    ),
    "ja": (
        "チームは 選手が 監督は 試合に勝った ゴールを決めた 得点した",
        "銀行は 株価が 会社は 金利を上げた 利益を発表した 下落した",
        "昨日 と言った らしい また そして",
    ),
    "th": (
        "ทีม นักเตะ โค้ช ชนะการแข่งขัน ยิงประตู เล่นฟุตบอล",
        "ธนาคาร ตลาดหุ้น บริษัท ขึ้นดอกเบี้ย มีกำไร ขายหุ้น",
        "แล้ว เมื่อวาน อีกครั้ง ว่า และ",
    ),
}


@pytest.mark.parametrize(
    "text",
    [
        *ENGLISH,
        " ".join(chr(i) + chr(i) for i in range(0x20, 0xE00)),  # before Thai
        "".join(chr(i) for i in range(0x20, 0xE00)),
        "".join(chr(i) for i in range(0xAC00, 0xD7A4)),
    ],
)
def test_words_of_other_scripts_are_those_of_scikit_learn(text):
    expected = re.findall(TfidfVectorizer().token_pattern, text.lower())
    assert re.findall(tfidf.TOKEN, text.lower()) == expected


def test_features_of_other_scripts_have_the_same_bits():
    texts, model = (
        ENGLISH + list(docstrings.collect()[0][:300]),
        smoke_config().networks.tfidf.model,
    )
    ours = tfidf.make_vectoriser(model)
    theirs = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, max_features=1_000_000, sublinear_tf=True, dtype=np.float32
    )
    x, y = ours.fit_transform(texts), theirs.fit_transform(texts)
    assert ours.vocabulary_ == theirs.vocabulary_ and len(ours.vocabulary_) > 1000
    assert x.dtype == y.dtype == np.float32
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(x, name), getattr(y, name))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("天气很好，去公园。", "天|气|很|好|去|公|园"),
        ("Python3编程 in一 2024年a年", "Python3|编|程|in|一|2024|年|年"),
        ("人々〇", "人|々|〇"),
        ("日本語のテスト・コード", "日|本|語|の|テ|ス|ト|コ|ー|ド"),
        ("か\u3099ｶﾞ", "か\u3099|ｶ|ﾞ"),  # a mark stays on its letter
        ("กำลังใจ ๒๕๖๗ ฿๕", "ก|ำ|ลั|ง|ใ|จ|๒๕๖๗"),
        ("ที่นี่", "ที่|นี่"),
        ("ພາສາລາວ", "ພ|າ|ສ|າ|ລ|າ|ວ"),
        ("ភាសាខ្មែរ។", "ភា|សា|ខ្|មែ|រ"),
        ("မြန်မာ၊", "မြ|န်|မာ"),
        ("𠮷野家", "𠮷|野|家"),
        ("\u0e31ab\u3099", "ab"),  # marks on nothing
    ],
)
def test_letters_of_scripts_without_blanks_are_words(text, tokens):
    assert re.findall(tfidf.TOKEN, text) == tokens.split("|")


def test_every_letter_of_those_scripts_is_one():
    """Unicode names them so; digits and punctuation are as in other scripts."""
    names = (
        "CJK UNIFIED",
        "CJK COMPAT",
        "HIRAGANA",
        "KATAKANA",
        "HALFWIDTH KATAKANA",
        "THAI",
        "LAO",
        "KHMER",
        "MYANMAR",
    )
    for i in range(0x10000):
        letter, kind = chr(i), unicodedata.category(chr(i))
        inside = kind in ("Lo", "Lm") and unicodedata.name(letter, "").startswith(names)
        one = re.findall(tfidf.TOKEN, letter + letter) == [letter, letter]
        assert one == inside or unicodedata.name(letter).startswith("IDEOGRAPHIC")
    assert re.findall(tfidf.TOKEN, "\U00020000\U0003134a") == ["\U00020000", "\U0003134a"]


@pytest.mark.parametrize("language", TOPICS)
def test_topics_are_told_apart_in_scripts_without_blanks(language):
    """Words come in another order each time.

    To scikit-learn's pattern a sentence is one word, which hardly comes again.
    """
    *topics, shared = [words.split() for words in TOPICS[language]]
    rng = np.random.default_rng(0)

    def sentence(i, kind):
        own, other = (rng.choice(words, 3, replace=False) for words in (topics[kind], shared))
        return "".join(rng.permutation([*own, *other]))

    texts, own = labelled_texts(sentence, 100), own_config(smoke_config(), "tfidf")
    tfidf.check_words([("tfidf", own, 0)], texts)
    row = tfidf.fit(own, texts, 0)
    assert row["test_accuracy"] > 0.9 and row["num_params"] > 100
    if language == "zh":
        with pytest.raises(ValueError, match="no terms remain"):
            TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit(texts.texts)
