"""Where the Hugging Face hub has the published sets, and what they have to be.

Sizes, columns and names of classes are checked after reading. Labels are numbered as
tensorflow_datasets numbers them; the examples stand in the order of the hub, which is another.
DREAM is not here: its repository, dataset-org/dream, holds a program, which `datasets` no longer
runs.
"""

import re
from typing import NamedTuple

from dla_jax.config.checks import check

HUB = "hub:"  # what the name of any set of the hub begins with
DIGITS = tuple("0123456789")


class HubSet(NamedTuple):
    """A set of the hub.

    repo: OWNER/NAME.
    config: one of its configurations; "": its only one.
    columns: those that are an image, a text together, or a question.
    label: column of the class; "" where there is none.
    kind: images, texts or questions.
    revision: a commit, or a branch; what it was when it was fetched is kept.
    files: {part: pattern of files}, where the repository has more than is read.
    sizes: {part: examples}; empty: as it comes.
    class_names: as tensorflow_datasets has them; (): those of the set.
    size: pixels that images are resized to; 0: as they come.
    """

    repo: str
    config: str
    columns: tuple[str, ...]
    label: str
    kind: str
    revision: str = "main"
    files: dict[str, str] = {}
    sizes: dict[str, int] = {}
    class_names: tuple[str, ...] = ()
    size: int = 0


CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus "
    "butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch "
    "crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo "
    "keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse "
    "mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy "
    "porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television "
    "tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
FASHION += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
YAHOO = ("Society & Culture", "Science & Mathematics", "Health", "Education & Reference")
YAHOO += ("Computers & Internet", "Sports", "Business & Finance", "Entertainment & Music")
YAHOO += ("Family & Relationships", "Politics & Government")
# What the hub calls a class otherwise: {its name: that of tensorflow_datasets}.
RENAMED = {"cra": "crab", "T - shirt / top": "T-shirt/top"}
QUESTION = ("example_id", "article", "question", "options", "answer")


def race(level: str, train: int, validation: int, test: int) -> HubSet:
    """Return a level of RACE, whose rows are questions."""
    sizes = {"train": train, "validation": validation, "test": test}
    return HubSet("ehovy/race", level, QUESTION, "", "questions", sizes=sizes)


# Commits are pinned where a public page says them in full: fashion_mnist and yahoo_answers_topics.
# Of the others pages show the first digits only, which the hub does not take: cifar10 0b27149,
# cifar100 aadb3af, mnist 77f3279, svhn f9e1717.
SETS = {
    "cifar10": HubSet(
        "uoft-cs/cifar10",
        "plain_text",
        ("img",),
        "label",
        "images",
        sizes={"train": 50_000, "test": 10_000},
        class_names=tuple(CIFAR10.split()),
    ),
    "cifar100": HubSet(
        "uoft-cs/cifar100",
        "cifar100",
        ("img",),
        "fine_label",
        "images",
        sizes={"train": 50_000, "test": 10_000},
        class_names=tuple(CIFAR100.split()),
    ),
    "mnist": HubSet(
        "ylecun/mnist",
        "mnist",
        ("image",),
        "label",
        "images",
        sizes={"train": 60_000, "test": 10_000},
        class_names=DIGITS,
    ),
    "fashion_mnist": HubSet(
        "zalando-datasets/fashion_mnist",
        "fashion_mnist",
        ("image",),
        "label",
        "images",
        revision="531be5e2ccc9dba0c201ad3ae567a4f3d16ecdd2",
        sizes={"train": 60_000, "test": 10_000},
        class_names=FASHION,
    ),
    "svhn_cropped": HubSet(
        "ufldl-stanford/svhn",
        "",  # the files say which
        ("image",),
        "label",
        "images",
        files={"train": "cropped_digits/train-*.parquet", "test": "cropped_digits/test-*.parquet"},
        sizes={"train": 73_257, "test": 26_032},
        class_names=DIGITS,
    ),
    "ag_news_subset": HubSet(
        "fancyzhx/ag_news",
        "default",
        ("text",),  # title and description, joined by a space
        "label",
        "texts",
        sizes={"train": 120_000, "test": 7_600},
        class_names=("World", "Sports", "Business", "Sci/Tech"),
    ),
    "yahoo_answers_topics": HubSet(
        "community-datasets/yahoo_answers_topics",
        "yahoo_answers_topics",
        ("question_title", "question_content", "best_answer"),
        "topic",
        "texts",
        revision="6652a1e7c94f7260a0bfd0c9092dd48e2d536ea1",
        sizes={"train": 1_400_000, "test": 60_000},
        class_names=YAHOO,
    ),
    "race/middle": race("middle", 25_421, 1_436, 1_436),
    "race/high": race("high", 62_445, 3_451, 3_498),
}


def is_hub(name: str) -> bool:
    """Return whether a `data.name` is that of any set of the hub."""
    return name.startswith(HUB)


def named(name: str, *, columns: tuple[str, ...], label: str, kind: str, size: int = 0) -> HubSet:
    """Return the set that `hub:OWNER/NAME`, with `:CONFIG` or `@REVISION` or both, names.

    Raises:
      ConfigError: it is not of that form.
    """
    path, _, revision = name.removeprefix(HUB).partition("@")
    repo, _, config = path.partition(":")
    check(
        re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repo) is not None,
        f"data.name: {name} is not of the form hub:OWNER/NAME, hub:OWNER/NAME:CONFIG or "
        "hub:OWNER/NAME@REVISION, as in hub:ylecun/mnist",
    )
    return HubSet(repo, config, columns, label, kind, revision or "main", size=size)
