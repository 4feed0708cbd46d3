"""Statements of the labs that no config asks, and why: a table for `bench.statements`."""

from typing import NamedTuple


class Unasked(NamedTuple):
    """One statement that no config asks."""

    statement: str
    reported: str
    why: str  # no config asks it


MLPS = "no preset trains MLPs on CIFAR-10; `mlp.py:digits` has digits"
PHOTO = "single images do not say how often; `cam.py --config.image=` draws the map of one's own"

LAB_A = (
    Unasked(
        "On CIFAR-10 an MLP gains nothing from depth",
        "validation: 50.26 % at depth 1, 49.73 % at 5",
        MLPS,
    ),
    Unasked(
        "On CIFAR-10 an MLP with skips gains nothing from depth",
        "validation: 50.97 % at depth 1, 49.87 % at 5",
        MLPS,
    ),
    Unasked(
        "A CNN of depth 5 is better than one of depth 1 on MNIST",
        "validation: 99.20 against 98.43 %",
        "no preset trains CNNs on MNIST",
    ),
    Unasked(
        "In 50 epochs, at ten times the rate, the ResCNN of depth 50 gets much further",
        "about 84.3 against 71.2 % (pictures)",
        "a recipe of its own, for its maps: no preset",
    ),
    Unasked(
        "The gradient of the first convolution collapses in the CNN of depth 50, and not in "
        "the ResCNN",
        "histograms: from ±80 to about 0",
        "`gradients.py` asks it of matched twins, as lab B and lab E say it",
    ),
    Unasked(
        "Maps of one's own photographs show why a class is taken for another",
        "goat as deer .88, macaque as deer .98, vintage car as truck",
        PHOTO,
    ),
)
LAB_B = ()
LAB_C = (
    Unasked(
        "The residual net's epochs are noisier, too",
        "curves of the seconds of an epoch",
        "`resnet34.py` asks whether they take longer; of noise no measure was named",
    ),
    Unasked(
        "Skips change the gradients of the stages, the first among them",
        "means and variances, the two swapped, of ten runs; its first stage has no skips",
        "`gradients.py:lab_c` draws them stage by stage; no number was named",
    ),
    Unasked(
        "A GPT on Dante over-fits after 1,500 of 5,000 steps",
        "curves",
        "`dante.py:gpt` asks it as lab D says it, by its recipe",
    ),
    Unasked(
        "PPO's return on LunarLander grows with its budget, 2,500 to 5,000,000 steps",
        "ten episodes of one run each",
        "`agents.py:budgets` asks it of CartPole; on LunarLander each method has one budget",
    ),
)
LAB_D = (
    Unasked(
        "ResNets are better than VGGs: 34, then 18, then VGG-16 and -19, then -24",
        "validation: 90.5, 90.5, 83, 81 to 83, 80 % (pictures)",
        "VGGs differ from ResNets in everything; `rescnn.py:resnet18` has matched plain twins"
        " in their place",
    ),
    Unasked(
        "In deep VGGs the gradient vanishes, in ResNets it does not",
        "histograms of layers that are not alike",
        "`gradients.py` asks it of matched twins, as lab B and lab E say it",
    ),
    Unasked(
        "A LeNet reaches 60 % on CIFAR-10",
        "test 60.08 %",
        "the net of its attacks and detection: not built yet",
    ),
)
LAB_E = (
    Unasked(
        "Maps of a CIFAR-10 ship and of a photo of a truck show what they are known by",
        "ship .975, truck .998",
        PHOTO,
    ),
)
COURSE = (
    Unasked(
        "The baseline, 16 + 16 hidden units, reaches 94.7 % on MNIST",
        "test 94.7 %",
        "the figure that others are compared with in `mlp.py:mnist`, whose table has this net's",
    ),
)
# By lab, as LABS of bench.statements names them.
UNASKED = {"A": LAB_A, "B": LAB_B, "C": LAB_C, "D": LAB_D, "E": LAB_E, "course": COURSE}
