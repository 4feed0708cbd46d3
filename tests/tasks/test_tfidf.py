"""The baseline of texts: its words in any script, what it needs of them, and that this is known before anything is trained."""

import re
import unicodedata

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from configs import ag_news, yahoo
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Run
from dla_jax.data import docstrings, labelled, splits
from dla_jax.studies.features import study as features
from dla_jax.studies.finetune import study as finetune
from dla_jax.tasks import text_classifier as text_runs
from dla_jax.tasks import tfidf
from dla_jax.trials.arms import own_config

RUN = Run(None, None, None, False, True)
ENGLISH = [
    "Don't split snake_case, __init__ or x_1; 3.14, 2024 and a1b2 are words; I, a and 7 are not.",
    "Perché no? Ångström's naïve café — e\u0301te\u0301, ß, ﬁn, İstanbul, ΟΔΟΣ.",  # composed or not
    "Привет, мир! हिन्दी में लिखा; العَرَبِيَّة; 한국어 문장은 띄어 쓴다; שָׁלוֹם; 😀 ½ ² ٣٤ ๒๕๖๗",  # other scripts, with marks; digits
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


def made(words, number=60, **changes):
    """Texts of two classes in turns, `words(i, class)` each."""
    texts = tuple(words(i, kind) for i in range(number) for kind in (0, 1))
    return labelled.LabelledTexts(
        "made", texts, np.tile([0, 1], number).astype(np.int32), ("a", "b"), None
    )._replace(**changes)


def config(study=yahoo, **model):
    found = study.get_config("smoke")
    found.networks.tfidf.model.update(model)
    return found


def refused(found, texts):
    with pytest.raises(ConfigError) as caught:
        tfidf.check_words(found, texts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
    assert re.findall(tfidf.TOKEN, text.lower()) == re.findall(
        TfidfVectorizer().token_pattern, text.lower()
    )


def test_features_of_other_scripts_have_the_same_bits():
    texts, model = ENGLISH + list(docstrings.collect()[0][:300]), config().networks.tfidf.model
    ours = tfidf.make_vectoriser(model)
    theirs = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, max_features=1_000_000, sublinear_tf=True, dtype=np.float32
    )
    x, y = ours.fit_transform(texts), theirs.fit_transform(texts)
    assert (
        ours.vocabulary_ == theirs.vocabulary_
        and len(ours.vocabulary_) > 1000
        and x.dtype == y.dtype == np.float32
    )
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
    """Named so by Unicode; digits, and punctuation, are as in other scripts."""
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
        assert (
            re.findall(tfidf.TOKEN, letter + letter) == [letter, letter]
        ) == inside or unicodedata.name(letter).startswith("IDEOGRAPHIC")
    assert re.findall(tfidf.TOKEN, "\U00020000\U0003134a") == ["\U00020000", "\U0003134a"]


@pytest.mark.parametrize("language", TOPICS)
def test_topics_are_told_apart_in_scripts_without_blanks(language):
    """Words in another order each time: to scikit-learn's pattern a sentence is one word, which hardly comes again."""
    *topics, shared = [words.split() for words in TOPICS[language]]
    rng = np.random.default_rng(0)

    def sentence(i, kind):
        return "".join(
            rng.permutation(
                [*rng.choice(topics[kind], 3, replace=False), *rng.choice(shared, 3, replace=False)]
            )
        )

    texts, found = made(sentence, 100), config()
    found.seeds = (0,)
    tfidf.check_words(found, texts)
    row = tfidf.fit(own_config(found, "tfidf"), texts, 0)
    assert row["test_accuracy"] > 0.9 and row["num_params"] > 100
    if language == "zh":
        with pytest.raises(ValueError, match="no terms remain"):
            TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit(texts.texts)


def test_words_that_come_once_are_refused_and_the_mend_works():
    texts, found = made(lambda i, kind: f"w{i}x{kind} v{i}x{kind}"), config()
    message = refused(found, texts)
    assert message == (
        "networks.tfidf: no word stands in 2 of the training texts of seed 0; give more texts, or "
        "--config.networks.tfidf.model.min_texts=1"
    )
    found.networks.tfidf.model.min_texts = 1
    tfidf.check_words(found, texts)
    row = tfidf.fit(own_config(found, "tfidf"), texts, 0)
    assert (
        0 <= row["test_accuracy"] <= 1 and row["num_params"] == 3 * 84 + 1
    )  # training texts: two words and their pair each; a bias
    assert np.isfinite(row["test_loss"])  # of texts without one known word


def test_a_chosen_name_is_the_one_of_the_message():
    found = config()
    found.networks.words = found.networks.tfidf.copy_and_resolve_references()
    found.networks.words.model.min_texts = 200
    message = refused(found, made(lambda i, kind: f"some words {i}"))
    assert message.startswith("networks.words: no word stands in 200 of") and message.endswith(
        "--config.networks.words.model.min_texts=1"
    )


def test_texts_without_words_are_refused_otherwise():
    found = config(min_texts=1)
    message = refused(found, made(lambda i, kind: "a ? 7 !" + "!" * i))
    assert message.startswith(
        "networks.tfidf: the training texts of seed 0 hold symbols and single letters, but no words; give other"
    )


def rare(i, kind):
    return f"w{i}x{kind}" + " common" * (i < 1)  # in two texts


def test_every_seed_of_a_baseline_is_looked_at():
    """Only where both texts of the one word are in the training part are there words."""
    texts, found = made(rare, 20), config()
    together = {
        seed: {0, 1} <= set(splits.split(texts, seed, 0.1, 0.2)["train"].tolist())
        for seed in range(30)
    }
    good, bad = (
        [seed for seed, both in together.items() if both is value] for value in (True, False)
    )
    assert len(good) > 3 and len(bad) > 3
    found.seeds, found.select_seeds = tuple(good), (100,)
    tfidf.check_words(found, texts)
    found.seeds = (good[0], bad[0], good[1])
    assert f"of seed {bad[0]};" in refused(found, texts)
    found.seeds, found.networks.tfidf.seeds = (bad[0],), (good[0],)  # its own
    tfidf.check_words(found, texts)
    found.select_seeds, found.networks.tfidf.lrs = (
        (bad[1],),
        (1.0, 2.0),
    )  # as --config.lrs= makes it: a seed to choose a rate with
    assert f"of seed {bad[1]};" in refused(found, texts)


def test_other_networks_need_no_words():
    found = config()
    del found.networks.tfidf
    tfidf.check_words(found, made(lambda i, kind: f"w{i}x{kind}"))


@pytest.mark.parametrize("min_texts", [1, 2, 5, 40])
def test_exactly_as_many_texts_as_asked_for_will_do(min_texts):
    def texts(count):
        return made(lambda i, kind: f"w{i}x{kind}" + " common" * (i < count) + " common")._replace(
            labels=np.tile([0, 1], 60).astype(np.int32)
        )

    found = config(min_texts=min_texts)
    rows = np.arange(0, 2 * min_texts, 2)
    assert tfidf.texts_of_words(texts(0), rows, found.networks.tfidf.model) == min_texts
    assert (
        tfidf.texts_of_words(texts(100), rows, found.networks.tfidf.model) == min_texts
    )  # twice in a text is one text
    assert tfidf.texts_of_words(texts(0), rows[1:], found.networks.tfidf.model) == min_texts - 1


class Watched(tuple):
    """Texts that remember which were read."""

    read: list = []

    def __getitem__(self, i):
        self.read.append(int(i))
        return super().__getitem__(i)


def test_it_reads_no_further_than_it_must():
    texts = Watched(
        f"one of the many texts {i} that have words in common " * 20 for i in range(20_000)
    )
    many = labelled.LabelledTexts(
        "made", texts, np.tile([0, 1], 10_000).astype(np.int32), ("a", "b"), None
    )
    found = config(min_texts=3)
    found.seeds, Watched.read = (0, 1), []
    tfidf.check_words(found, many)
    assert len(Watched.read) == 6


def test_texts_of_unknown_words_are_scored():
    """All of the validation part, and the test part but one."""
    known = made(lambda i, kind: f"{('cat', 'dog')[kind]} number")
    parts = splits.split(known, 0, 0.1, 0.2)
    texts = np.array(known.texts, object)
    texts[parts["val"]] = "nothing known"
    texts[parts["test"][1:]] = "?"
    row = tfidf.fit(own_config(config(), "tfidf"), known._replace(texts=tuple(texts)), 0)
    assert (
        row["val_accuracy"] == 0.5
        and 0.4 < row["test_accuracy"] < 0.6
        and np.isfinite(row["val_loss"])
    )


def test_a_vocabulary_may_be_cut_to_one_word():
    texts = made(lambda i, kind: f"{('cat', 'dog')[kind]} number w{i}x{kind}")
    found = config(max_features=1)
    tfidf.check_words(found, texts)
    assert tfidf.fit(own_config(found, "tfidf"), texts, 0)["num_params"] == 1 + 1


@pytest.mark.parametrize(("study", "preset"), [(finetune, yahoo), (features, ag_news)])
def test_a_study_asks_before_it_trains(study, preset, monkeypatch):
    monkeypatch.setattr(
        labelled, "docstrings_of", lambda: made(lambda i, kind: f"w{i}x{kind} v{i}x{kind}")
    )
    found = config(preset)
    found.batch_size = 16
    text_runs.read_once.cache_clear()
    with pytest.raises(
        ConfigError,
        match=r"networks.tfidf: no word stands in 2 of the training texts of seed 0; .*min_texts=1",
    ):
        study.check_config(found, RUN)
    found.networks.tfidf.model.min_texts = 1
    study.check_config(found, RUN)
    text_runs.read_once.cache_clear()


def test_a_rare_class_weighs_more_in_the_baseline_too():
    """One text in ten is of the other class, and hardly differs: unweighted, naming the common class is the best guess."""
    rng, kinds = np.random.default_rng(0), np.arange(400) % 10 == 0

    def draw(rare):
        return " ".join(
            rng.choice(
                ["sea", "wave", "salt", "storm"],
                6,
                p=(0.1, 0.2, 0.3, 0.4) if rare else (0.3, 0.3, 0.2, 0.2),
            )
        )

    texts = labelled.LabelledTexts(
        "made", tuple(map(draw, kinds)), kinds.astype(np.int32), ("common", "rare"), None
    )
    found = {}
    for how in ("none", "balanced"):
        own = own_config(config(), "tfidf")
        own.class_weight = how
        found[how] = tfidf.fit(own, texts, 0)["class_accuracy"][1]
    assert found["balanced"] > found["none"] + 0.2
