"""Tests the baseline of texts: what it needs of them is known before anything is trained."""

import numpy as np
import pytest
from made_texts import labelled_texts, once, smoke_config

from configs import ag_news, yahoo
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.data import labelled, splits
from dla_jax.studies import find
from dla_jax.studies.features.study import configs_of_runs
from dla_jax.tasks import text_data, tfidf
from dla_jax.trials.arms import own_config

LAUNCH = Launch(workdir=None, from_dir=None, data_dir=None, download=False, quiet=True)


def check_words(found, texts):
    """Check the words of every run of a config."""
    tfidf.check_words(configs_of_runs(found), texts)


def refused(found, texts, check=check_words):
    """Return the message with which a config and texts are refused."""
    with pytest.raises(ConfigError) as caught:
        check(found, texts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def check_study(monkeypatch):
    """Return a function that checks the config of a study whose docstrings are these texts."""

    def check(found, texts):
        monkeypatch.setattr(labelled, "docstrings_of", lambda: texts)
        text_data.read_once.cache_clear()
        find(found.experiment).check(found, LAUNCH)

    yield check
    text_data.read_once.cache_clear()


def test_words_that_come_once_are_refused_and_the_mend_works():
    texts, found = labelled_texts(once), smoke_config()
    message = refused(found, texts)
    assert message == (
        "networks.tfidf: no word stands in 2 of the training texts of seed 0; give more texts, or "
        "--config.networks.tfidf.model.min_texts=1"
    )
    found.networks.tfidf.model.min_texts = 1
    check_words(found, texts)
    row = tfidf.fit(own_config(found, "tfidf"), texts, 0)
    # Of each training text two words and their pair; a bias.
    assert 0 <= row["test_accuracy"] <= 1 and row["num_params"] == 3 * 84 + 1
    assert np.isfinite(row["test_loss"])  # of texts without one known word


def test_a_chosen_name_is_the_one_of_the_message():
    found = smoke_config()
    found.networks.words = found.networks.tfidf.copy_and_resolve_references()
    found.networks.words.model.min_texts = 200
    message = refused(found, labelled_texts(lambda i, kind: f"some words {i}"))
    assert message.startswith("networks.words: no word stands in 200 of")
    assert message.endswith("--config.networks.words.model.min_texts=1")


def test_texts_without_words_are_refused_otherwise():
    found = smoke_config(min_texts=1)
    message = refused(found, labelled_texts(lambda i, kind: "a ? 7 !" + "!" * i))
    assert message.startswith(
        "networks.tfidf: the training texts of seed 0 hold symbols and single letters, but no "
        "words; give other"
    )


def rare(i, kind):
    """Return words of which only `common` comes twice, in the two texts of i = 0."""
    return f"w{i}x{kind}" + " common" * (i < 1)


def test_every_seed_of_a_baseline_is_looked_at(check_study):
    """Only where both texts of the one word are in the training part are there words."""
    texts, found = labelled_texts(rare, 20), smoke_config()
    together = {
        seed: {0, 1} <= set(splits.split(texts, seed, 0.1, 0.2)["train"].tolist())
        for seed in range(30)
    }
    good = [seed for seed, both in together.items() if both]
    bad = [seed for seed, both in together.items() if not both]
    assert len(good) > 3 and len(bad) > 3
    found.batch_size, found.data.num_examples = 16, 0
    found.seeds, found.select_seeds = tuple(good), (100,)
    check_study(found, texts)
    found.seeds = (good[0], bad[0], good[1])
    assert f"of seed {bad[0]};" in refused(found, texts, check_study)
    found.seeds, found.networks.tfidf.seeds = (bad[0],), (good[0],)  # its own
    check_study(found, texts)


def test_a_baseline_has_one_learning_rate(check_study):
    texts, found = labelled_texts(rare, 20), smoke_config()
    found.networks.tfidf.lrs = (1.0, 2.0)
    told = "networks.tfidf: lrs: 2 rates, but tfidf is fitted at once, without one; give one"
    assert refused(found, texts, check_study) == told


def test_other_networks_need_no_words():
    found = smoke_config()
    del found.networks.tfidf
    check_words(found, labelled_texts(lambda i, kind: f"w{i}x{kind}"))


@pytest.mark.parametrize("min_texts", [1, 2, 5, 40])
def test_exactly_as_many_texts_as_asked_for_will_do(min_texts):
    def texts(count):
        return labelled_texts(lambda i, kind: f"w{i}x{kind}" + " common" * (i < count) + " common")

    model = smoke_config(min_texts=min_texts).networks.tfidf.model
    rows = np.arange(0, 2 * min_texts, 2)
    assert tfidf.texts_of_words(texts(0), rows, model) == min_texts
    assert tfidf.texts_of_words(texts(100), rows, model) == min_texts  # twice in a text is once
    assert tfidf.texts_of_words(texts(0), rows[1:], model) == min_texts - 1


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
    labels = np.tile([0, 1], 10_000).astype(np.int32)
    many = labelled.LabelledTexts("made", texts, labels, ("a", "b"), test_start=None)
    found = smoke_config(min_texts=3)
    found.seeds, Watched.read = (0, 1), []
    check_words(found, many)
    assert len(Watched.read) == 6


def test_texts_of_unknown_words_are_scored():
    """They are all of the validation part, and all of the test part except one."""
    known = labelled_texts(lambda i, kind: f"{('cat', 'dog')[kind]} number")
    parts = splits.split(known, 0, 0.1, 0.2)
    texts = np.array(known.texts, object)
    texts[parts["val"]] = "nothing known"
    texts[parts["test"][1:]] = "?"
    row = tfidf.fit(own_config(smoke_config(), "tfidf"), known._replace(texts=tuple(texts)), 0)
    assert row["val_accuracy"] == 0.5 and 0.4 < row["test_accuracy"] < 0.6
    assert np.isfinite(row["val_loss"])


def test_a_vocabulary_may_be_cut_to_one_word():
    texts = labelled_texts(lambda i, kind: f"{('cat', 'dog')[kind]} number w{i}x{kind}")
    found = smoke_config(max_features=1)
    check_words(found, texts)
    assert tfidf.fit(own_config(found, "tfidf"), texts, 0)["num_params"] == 1 + 1


@pytest.mark.parametrize("preset", [yahoo, ag_news])
def test_a_study_asks_before_it_trains(preset, check_study):
    texts, found = labelled_texts(once), smoke_config(preset)
    found.batch_size, found.data.num_examples = 16, 0
    refusal = r"networks.tfidf: no word stands in 2 of the training texts of seed 0; .*min_texts=1"
    with pytest.raises(ConfigError, match=refusal):
        check_study(found, texts)
    found.networks.tfidf.model.min_texts = 1
    check_study(found, texts)


def test_a_rare_class_weighs_more_in_the_baseline_too():
    """One text in ten is of the other class, and hardly differs.

    Unweighted, naming the common class is the best guess.
    """
    rng, kinds = np.random.default_rng(0), np.arange(400) % 10 == 0

    def draw(rare):
        shares = (0.1, 0.2, 0.3, 0.4) if rare else (0.3, 0.3, 0.2, 0.2)
        return " ".join(rng.choice(["sea", "wave", "salt", "storm"], 6, p=shares))

    words, labels = tuple(map(draw, kinds)), kinds.astype(np.int32)
    texts = labelled.LabelledTexts("made", words, labels, ("common", "rare"), test_start=None)
    found = {}
    for how in ("none", "balanced"):
        own = own_config(smoke_config(), "tfidf")
        own.class_weight = how
        found[how] = tfidf.fit(own, texts, 0)["class_accuracy"][1]
    assert found["balanced"] > found["none"] + 0.2
