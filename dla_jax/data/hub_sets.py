"""Where the Hugging Face hub has the published sets, and what they have to be.

Sizes, columns and names of classes are checked after reading. Labels are numbered as
tensorflow_datasets numbers them; the examples stand in the order of the hub, which is another.
"""

import re
from typing import NamedTuple

from dla_jax.config.checks import check, check_count

HUB = "hub:"  # what the name of any set of the hub begins with
# The branch on which the hub keeps its own copy of a set, in Parquet files: also of one whose
# repository holds a program instead of data. A configuration is a folder there.
CONVERTED = "refs/convert/parquet"
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
    shape: height, width and channels of images as they come; (): not known.
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
    shape: tuple[int, ...] = ()


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
GREY, COLOUR = (28, 28, 1), (32, 32, 3)
QUESTION = ("example_id", "article", "question", "options", "answer")
DIALOGUE = ("dialogue_id", "dialogue", "question", "choice", "answer")


def race(level: str, train: int, validation: int, test: int) -> HubSet:
    """Return a level of RACE, whose rows are questions."""
    sizes = {"train": train, "validation": validation, "test": test}
    commit = "2fec9fd81f1dc971569a9b729c43f2f0e6436637"
    return HubSet("ehovy/race", level, QUESTION, "", "questions", commit, sizes=sizes)


# Commits are those that public programs name, two or more of them each, and where the files lie
# by their words. DREAM's is one of the branch `CONVERTED`.
SETS = {
    "cifar10": HubSet(
        "uoft-cs/cifar10",
        "plain_text",
        ("img",),
        "label",
        "images",
        revision="0b2714987fa478483af9968de7c934580d0bb9a2",
        sizes={"train": 50_000, "test": 10_000},
        class_names=tuple(CIFAR10.split()),
        shape=COLOUR,
    ),
    "cifar100": HubSet(
        "uoft-cs/cifar100",
        "cifar100",
        ("img",),
        "fine_label",
        "images",
        revision="aadb3af77e9048adbea6b47c21a81e47dd092ae5",
        sizes={"train": 50_000, "test": 10_000},
        class_names=tuple(CIFAR100.split()),
        shape=COLOUR,
    ),
    "mnist": HubSet(
        "ylecun/mnist",
        "mnist",
        ("image",),
        "label",
        "images",
        revision="77f3279092a1c1579b2250db8eafed0ad422088c",
        sizes={"train": 60_000, "test": 10_000},
        class_names=DIGITS,
        shape=GREY,
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
        shape=GREY,
    ),
    "svhn_cropped": HubSet(
        "ufldl-stanford/svhn",
        "",  # the files say which
        ("image",),
        "label",
        "images",
        revision="f9e1717d73324ebbc1ece84267ccd80d0aca0690",
        files={"train": "cropped_digits/train-*.parquet", "test": "cropped_digits/test-*.parquet"},
        sizes={"train": 73_257, "test": 26_032},
        class_names=DIGITS,
        shape=COLOUR,
    ),
    "ag_news_subset": HubSet(
        "fancyzhx/ag_news",
        "default",
        ("text",),  # title and description, joined by a space
        "label",
        "texts",
        revision="eb185aade064a813bc0b7f42de02595523103ca4",
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
    "dream": HubSet(
        "dataset-org/dream",
        "",
        DIALOGUE,
        "",
        "questions",
        revision="ca4c45feaf089ecfc37579eb2c594375f70dbfd5",
        files={part: f"plain_text/{part}/*.parquet" for part in ("train", "validation", "test")},
        sizes={"train": 6_116, "validation": 2_040, "test": 2_041},
    ),
}


def size_of(name: str) -> int | None:
    """Return how many examples a published set of that name has; None where it is not known."""
    sizes = SETS[name].sizes if name in SETS else {}
    return sum(sizes.values()) or None


def is_hub(name: str) -> bool:
    """Return whether a `data.name` is that of any set of the hub."""
    return name.startswith(HUB)


def is_commit(revision: object) -> bool:
    """Return whether a revision is a commit, and no branch or tag."""
    return isinstance(revision, str) and re.fullmatch("[0-9a-f]{40}", revision) is not None


def of_data(data) -> HubSet:
    """Return the set that a group `data` names, of images or of texts.

    Raises:
      ConfigError: a key of it is wrong.
    """
    if "image_column" in data:
        check_count("data.size", data.size)
        columns = {"columns": (data.image_column,), "label": data.label_column}
        return named(data.name, **columns, kind="images", size=data.size)
    check(len(data.text_columns) > 0, "data.text_columns is empty; give at least one")
    columns, label = tuple(map(str, data.text_columns)), str(data.label_column)
    return named(data.name, columns=columns, label=label, kind="texts")


def named(name: str, *, columns: tuple[str, ...], label: str, kind: str, size: int = 0) -> HubSet:
    """Return the set that `hub:OWNER/NAME`, with `:CONFIG` or `@REVISION` or both, names.

    Raises:
      ConfigError: it is not of that form.
    """
    path, _, revision = name.removeprefix(HUB).partition("@")
    repo, _, config = path.partition(":")
    check(
        re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repo, re.ASCII) is not None,
        f"data.name: {name} is not of the form hub:OWNER/NAME, hub:OWNER/NAME:CONFIG or "
        "hub:OWNER/NAME@REVISION, as in hub:ylecun/mnist",
    )
    return HubSet(repo, config, columns, label, kind, revision or "main", size=size)
