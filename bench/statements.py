"""Every statement of the labs with its verdict, or why there is none: docs/statements.md.

It is put together from the claims of all configs, the verdicts of docs/results.md, and two tables
below, in seconds:

    python -m bench.statements --write
"""

import argparse
import importlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from bench.page import ROOT, markdown
from dla_jax.config.checks import ConfigError
from dla_jax.evidence import verdicts

PAGE, RESULTS = ROOT / "docs" / "statements.md", ROOT / "docs" / "results.md"
LABS = {letter: f"Lab {letter}" for letter in "ABCDE"} | {"course": "The course"}
SHORTENED = ("quick", "smoke")  # presets that say nothing that others do not
IMPLEMENTED = ",as_implemented=true"
COMMAND = r" {4}python launch\.py --config=configs/(\w+\.py)(?::(\S+))?"

ON_CIFAR = "needs CIFAR-10 and a GPU: not run at that size"
WHY = {  # why a preset, or a kind of data, has no verdict on docs/results.md
    "cifar10": ON_CIFAR,
    "mlp.py:mnist,as_implemented=true": "the labs' own recipes on MNIST, of up to 150 epochs: not run",
    "dante.py:gpt": "10.8 million parameters on Dante's Inferno, for a GPU: not run",
    "dante.py:llama": "15.6 million parameters on Dante's Inferno, for a GPU: not run",
    "dante.py:small": "needs Dante's Inferno, or another text: not asked of the run there is",
    "dante.py:gpt2": "needs GPT-2's tokenizer: not run",
    "yahoo.py:distilroberta": "needs DistilRoBERTa's weights, Yahoo Answers and a GPU: not run",
    "ag_news.py:gpt2": "needs GPT-2's weights and AG News: not run",
    "cam.py:cam": "asked of the networks of another study, given with `--from`",
}
OOD = "not built yet: detection of what is out of distribution"
ATTACK = "not built yet: adversarial attacks and training"
LUNAR = "LunarLander is not in gymnax"
MLPS = "no preset trains MLPs on CIFAR-10; `mlp.py:digits` has digits"
PHOTO = "single images do not say how often; `cam.py --config.image=` draws the map of one's own"
UNASKED = (  # (lab, statement, what was reported, why no config asks it)
    (
        "A",
        "On CIFAR-10 an MLP gains nothing from depth",
        "validation: 50.26 % at depth 1, 49.73 % at 5",
        MLPS,
    ),
    (
        "A",
        "On CIFAR-10 an MLP with skips gains nothing from depth",
        "validation: 50.97 % at depth 1, 49.87 % at 5",
        MLPS,
    ),
    (
        "A",
        "A CNN of depth 5 is better than one of depth 1 on MNIST",
        "validation: 99.20 against 98.43 %",
        "no preset trains CNNs on MNIST",
    ),
    (
        "A",
        "In 50 epochs, at ten times the rate, the ResCNN of depth 50 gets much further",
        "about 84.3 against 71.2 % (pictures)",
        "a recipe of its own, for its maps: no preset",
    ),
    (
        "A",
        "The gradient of the first convolution collapses in the CNN of depth 50, and not in the ResCNN",
        "histograms: from ±80 to about 0",
        "`gradients.py` asks it of matched twins, as lab B and lab E say it",
    ),
    (
        "A",
        "Maps of one's own photographs show why a class is taken for another",
        "goat as deer .88, macaque as deer .98, vintage car as truck",
        PHOTO,
    ),
    (
        "B",
        "Max softmax tells CIFAR-10 from Gaussian noise",
        "AUROC .783, TNR at 95 % TPR .442",
        OOD,
    ),
    ("B", "A temperature alone helps it", "AUROC .897 at T = 10, .907 at T = 1000", OOD),
    (
        "B",
        "ODIN is best at T = 1000 and eps .01",
        "AUROC .9814, TNR .9159, chosen on the images it is scored on",
        OOD,
    ),
    ("B", "Larger steps of ODIN hurt", "AUROC .871 at T = 1000, eps .05", OOD),
    (
        "B",
        "FGSM takes the accuracy of a standard net",
        "46 % at eps 0, 10.8 % at .1 (pictures; images are clamped, wrongly, at eps 0 too)",
        ATTACK,
    ),
    (
        "B",
        "A net trained with FGSM is more robust",
        "74.2 % clean; 42 % at eps 0 of the attack, 19 % at .1 (pictures)",
        ATTACK,
    ),
    (
        "C",
        "The residual net's epochs are noisier, too",
        "curves of the seconds of an epoch",
        "`resnet34.py` asks whether they take longer; of noise no measure was named",
    ),
    (
        "C",
        "Skips change the gradients of the stages, the first among them",
        "means and variances, the two swapped, of ten runs; its first stage has no skips",
        "`gradients.py:lab_c` draws them stage by stage; no number was named",
    ),
    (
        "C",
        "RACE can be answered from frozen features",
        "about 38 %, chance 25 % (a tie counts as right)",
        "not built yet: questions with several answers",
    ),
    (
        "C",
        "A GPT on Dante over-fits after 1,500 of 5,000 steps",
        "curves",
        "`dante.py:gpt` asks it as lab D says it, by its recipe",
    ),
    (
        "C",
        "REINFORCE reaches about 130 on LunarLander in 30,000 episodes",
        "about 130 (one run)",
        LUNAR,
    ),
    (
        "C",
        "Mixtures that are greedy four times in five, or ever more, never converge on LunarLander",
        "one run each",
        f"{LUNAR}; `reinforce.py` asks about them on CartPole",
    ),
    ("C", "DQN solves LunarLander", "curves (one run)", f"{LUNAR}; `dqn.py` plays CartPole"),
    (
        "C",
        "PPO's return on LunarLander grows with its budget, 2,500 to 5,000,000 steps",
        "ten episodes of one run each",
        f"{LUNAR}; `agents.py:budgets` asks it of CartPole",
    ),
    (
        "D",
        "ResNets are better than VGGs: 34, then 18, then VGG-16 and -19, then -24",
        "validation: 90.5, 90.5, 83, 81 to 83, 80 % (pictures)",
        "VGGs differ from ResNets in everything; `rescnn.py:resnet18` has matched plain twins in their place",
    ),
    (
        "D",
        "In deep VGGs the gradient vanishes, in ResNets it does not",
        "histograms of layers that are not alike",
        "`gradients.py` asks it of matched twins, as lab B and lab E say it",
    ),
    (
        "D",
        "A LeNet reaches 60 % on CIFAR-10",
        "test 60.08 %",
        "the net of its attacks and detection: not built yet",
    ),
    (
        "D",
        "Max softmax tells CIFAR-10 from four classes of CIFAR-100",
        "AUROC .63, AP .89 (chance .833)",
        OOD,
    ),
    ("D", "Training with FGSM helps it", "AUROC .65, AP .90", OOD),
    (
        "D",
        "FGSM takes the accuracy of a standard net, less of one that is trained with it",
        "30 % at eps 0, 9 % at .3; 44.5 and 35 % (60 % clean: images are clamped, wrongly, at eps 0 too)",
        ATTACK,
    ),
    (
        "D",
        "A targeted attack takes it as well",
        "to horse: 30 % at eps 0, 35 % at .3; trained with FGSM 45 and 43 % (its sign is the wrong one)",
        ATTACK,
    ),
    (
        "E",
        "Maps of a CIFAR-10 ship and of a photo of a truck show what they are known by",
        "ship .975, truck .998",
        PHOTO,
    ),
    (
        "course",
        "The baseline, 16 + 16 hidden units, reaches 94.7 % on MNIST",
        "test 94.7 %",
        "the figure that others are compared with in `mlp.py:mnist`, whose table has this net's",
    ),
)


HEAD = ["statement", "reported", "asked in", "verdict, or why there is none"]


class Asked(NamedTuple):
    """A claim of one config and argument."""

    lab: str  # a key of LABS
    address: str  # where that lab is public, or ""
    statement: str
    reported: str
    config: str  # `rescnn.py`
    argument: str  # what is behind the colon: a preset, perhaps with options
    data: str  # the name of its data, "" where it has none


class Found(NamedTuple):
    """A row of a table of claims of docs/results.md."""

    verdict: str
    statement: str
    heading: str
    config: str
    argument: str


def configs() -> list[str]:
    """Return the names of all configs, without `.py`."""
    return sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


def presets(name: str) -> list[str]:
    """Return the presets of a config, its default first: what it names when asked for another."""
    try:
        importlib.import_module(f"configs.{name}").get_config("?")
    except ConfigError as error:
        return str(error).split("known: ")[1].split(", ")
    raise AssertionError(f"configs/{name}.py takes any preset")


def labs_of(source: str) -> list[tuple[str, str]]:
    """Return who a claim's source names: [(key of LABS, address)], or [] for a paper, a hypothesis."""
    if source.startswith("the course"):
        return [("course", "")]
    return re.findall(r"(?:^|; )lab ([A-E])\b(?:, (https://[^\s;]+))?", source)


def asked() -> Iterator[Asked]:
    """Yield what the labs say, claim by claim, of all configs and presets but the shortened ones."""
    for name in configs():
        arguments = [preset + option for preset in presets(name) for option in ("", IMPLEMENTED)]
        for argument in (argument for argument in arguments if not argument.startswith(SHORTENED)):
            try:
                config = importlib.import_module(f"configs.{name}").get_config(argument).to_dict()
            except ConfigError:
                continue  # a preset that has no version as implemented
            place = f"{name}.py", argument, config.get("data", {}).get("name", "")
            for claim in config.get("claims", {}).values():
                for lab in labs_of(claim["source"]):
                    yield Asked(*lab, claim["statement"], claim["reported"], *place)


def results() -> list[Found]:
    """Return the rows of the tables of claims of docs/results.md, with the study above them."""
    known = (verdicts.HOLDS, verdicts.FAILS, verdicts.OPEN, verdicts.NOT_RUN)
    first = {f"{name}.py": presets(name)[0] for name in configs()}
    rows, heading, config, argument = [], "", "", ""
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"#+ (.*)", line):
            heading, config, argument = found[1], "", ""
        elif found := re.match(COMMAND, line):
            config, argument = found[1], found[2] or first[found[1]]
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and len(cells) == 3 and cells[0] in known:
            rows.append(Found(cells[0], cells[1], heading, config, argument))
    return rows


def anchor(heading: str) -> str:
    """Return the address of a heading within its page, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def places(claims: list[Asked]) -> str:
    """Return where a statement is asked: `rescnn.py`: cifar10, digits."""
    by_config: dict[str, list[str]] = {}
    for claim in claims:
        by_config.setdefault(claim.config, []).append(claim.argument)
    return "<br>".join(
        f"`{config}`: {', '.join(arguments)}" for config, arguments in by_config.items()
    )


def why(claim: Asked) -> str:
    """Return why a claim has no verdict."""
    place = f"{claim.config}:{claim.argument}"
    return WHY.get(place) or WHY.get(claim.data) or f"`{place}`: no row on the page of results"


def verdict_words(claims: list[Asked], rows: list[Found]) -> str:
    """Return the verdicts of a lab's statement, with where they stand; without one, why."""
    where = {(claim.config, claim.argument) for claim in claims}
    same = [row for row in rows if row.statement == claims[0].statement]
    found = [row for row in same if (row.config, row.argument) in where]
    words = [f"{row.verdict} ([{row.heading}](results.md#{anchor(row.heading)}))" for row in found]
    return "<br>".join(words or dict.fromkeys(map(why, claims)))


def page() -> str:
    """Return docs/statements.md."""
    groups: dict[tuple[str, str], list[Asked]] = {}
    for claim in asked():
        groups.setdefault((claim.lab, claim.statement), []).append(claim)
    rows = results()
    said = {key: verdict_words(claims, rows) for key, claims in groups.items()}
    judged = sum("](results.md#" in words for words in said.values())
    parts = [
        "# What the labs state, and what came of it",
        "    python -m bench.statements --write",
        f"Every statement of the labs: {len(said)} that a config asks, {judged} of them with a verdict "
        f"on [the page of results](results.md), and {len(UNASKED)} that none asks. A verdict is that of "
        "the study under whose heading it stands, on data of that size: of a lab's own nets at full "
        "size it says nothing. A statement that two labs make stands under both. The contrasts behind "
        "the words are in the configs.",
    ]
    for lab, title in LABS.items():
        own = {key: claims for key, claims in groups.items() if key[0] == lab}
        addresses = sorted({claim.address for claims in own.values() for claim in claims} - {""})
        parts += [f"## {title}", *(["  \n".join(addresses)] if addresses else [])]
        table = [
            [
                key[1],
                "<br>".join(dict.fromkeys(claim.reported for claim in claims)),
                places(claims),
                said[key],
            ]
            for key, claims in own.items()
        ]
        table += [
            [statement, reported, "–", reason]
            for who, statement, reported, reason in UNASKED
            if who == lab
        ]
        parts.append(markdown(HEAD, table))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.statements", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--write", action="store_true", help="put it into docs/statements.md")
    text = page()
    if parser.parse_args().write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
