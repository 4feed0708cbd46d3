"""From the record of the study to its summary and report."""

import numpy as np

from dla_jax.evidence import formatting, tables
from dla_jax.plots.attacks import NAMES, TRAININGS, in_a_list, in_both_units
from dla_jax.studies.adversarial.attacking import OTHER_BALLS
from dla_jax.studies.adversarial.figures import draw_figures, shown_attacks
from dla_jax.studies.study import Finished

QUESTION = "How little has to change until a network is wrong, and does training against it help?"
HEAD_OF_LINES = "network: clean accuracy, worst of all attacks, % [95 % interval]"
MASKED = 0.02  # of accuracy: what a blind attack finds beyond those that see gradients
LEFT_OUT = ("run", "done", "stage", "step", "transfer")
CAPTIONS = {
    "attacks": """Accuracy on the attacked test images at one epsilon: networks (dots), mean and
        95 % interval. The last counts an image that any attack turns; L2, another ball, is not in
        it.""",
    "curves": """Accuracy against epsilon, as it is meant: mean over networks.""",
    "as_implemented": """The attacks of labs B and D, as implemented (dashed) and as intended, on
        the network of standard training. The clamp of normalised images to [0, 1] costs accuracy at
        epsilon 0; the wrong sign moves away from the target.""",
    "targeted": """The share of images of other classes that are taken for the target.""",
    "training": """Accuracy on validation images while networks were trained against attacks, at
        the epsilon of training. Where PGD's falls away from FGSM's a network overfits to its own
        attack.""",
    "transfer": """Accuracy of the network in each row on the images that PGD made for the one in
        each column; framed: its own.""",
    "strips": """Image, what PGD changes (enlarged as said), and the result, with what the network
        sees; first seed.""",
    "saliency": """Which pixels the loss follows: gradient by each pixel, orange where more light
        raises the loss, blue where it lowers it; first seed.""",
}


def title(found: Finished) -> str:
    """Return the title of the report."""
    return f"Adversarial images: {found.written['data']['name']}"


def facts(found: Finished) -> dict[str, str]:
    """Return what the report says of the networks, the attacks and the sets."""
    data, config = found.written["data"], found.config
    said = {
        "networks": f"{formatting.count(data['num_networks'], 'run')} of {data['network']}",
        "data": f"{data['name']}, fingerprint {data['fingerprint']}",
        "epsilon": f"{in_both_units(config.epsilon)}, of images in [0, 1], before normalisation, "
        "which is part of the networks",
        "epsilon, L2": formatting.digits(config.epsilon_l2),
        "networks while attacked": "in evaluation mode: BatchNorm has the statistics of training",
    }
    for kind, names in data["sets"].items():
        said[f"{kind} sets"] = ", ".join(names) or "none"
    return said


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a network, and what claims compare."""
    kept = {
        key: value
        for key, value in row.items()
        if key not in LEFT_OUT and not key.endswith("_curve")
    }
    clean, epsilons = row["clean_accuracy"], np.array(found.config.epsilons)
    least, most = int(epsilons.argmin()), int(epsilons.argmax())
    fgsm = row.get("fgsm_accuracy")
    unchanged = epsilons[least] == 0
    away, aimed = row["lab_d_targeted_curve"], row["pgd_target_curve"]
    return kept | {
        "fgsm_cost": None if fgsm is None else clean - fgsm,
        "clamp_cost": clean - row["lab_b_curve"][least] if unchanged else None,
        "targeted_rise": None if away is None else away[most] - away[least],
        "target_share": None if aimed is None else aimed[most],
    }


def lines(found: Finished) -> list[str]:
    """Return the short table on the screen."""
    return [
        f"{name:<24} {words(found, name, 'clean_accuracy')}   "
        f"{words(found, name, 'worst_accuracy')}"
        for name in found.arms
    ]


def words(found: Finished, name: str, key: str) -> str:
    """Return the mean of a fraction over the runs of a network with its interval, in per cent."""
    values = tables.known(found.runs_of(name), key)
    return tables.accuracy_words(values) if values else "not measured"


def spoken(name: str) -> str:
    """Return the name of a network as people read it."""
    return TRAININGS.get(name, name.replace("_", " "))


def attack_rows(found: Finished) -> list[list[str]]:
    """Return the table of accuracies, network by attack, as text."""
    names = shown_attacks(found)
    return [
        [spoken(network), words(found, network, "test_accuracy")]
        + [words(found, network, f"{name}_accuracy") for name in names]
        for network in found.arms
    ]


def strange_rows(found: Finished) -> list[list[str]]:
    """Return the table of how well strange images are told, as text."""
    keys = ("near_auroc", "near_auroc_knn", "far_auroc", "far_auroc_knn")
    return [
        [spoken(network), *(words(found, network, key) for key in keys)] for network in found.arms
    ]


def masked_words(found: Finished) -> str:
    """Return where the blind attack beats those that see gradients: gradients are masked there."""
    told = []
    for network in found.arms:
        values = tables.known(found.runs_of(network), "masking")
        masked = sum(value > MASKED for value in values)
        if masked:
            told.append(f"{masked} of {len(values)} runs of {spoken(network)}")
    if told:
        return (
            f" Gradients are masked: Square, which sees none, finds more than all others in this "
            f"norm for {', '.join(told)}."
        )
    if not any(tables.known(found.runs_of(name), "masking") for name in found.arms):
        return ""
    queries = found.config.num_queries
    return (
        f" Square with {queries} queries finds nothing that the others together miss: no sign that "
        f"gradients are masked, and no proof.{weaker_words(found)}"
    )


def weaker_words(found: Finished) -> str:
    """Return which attacks that see gradients the blind one beats, each compared alone."""
    told = []
    for attack in found.config.attacks:
        gaps = {
            name: np.subtract(
                *(tables.known(found.runs_of(name), f"{of}_accuracy") for of in (attack, "square"))
            ).mean()
            for name in found.arms
        }
        beaten = [in_a_list(name) for name, gap in gaps.items() if gap > MASKED]
        if beaten and attack not in OTHER_BALLS:
            told.append(f"{in_a_list(attack)} (of {', '.join(beaten)})")
    return f" Alone it finds more than {'; '.join(told)}." if told else ""


def overfitted_words(found: Finished) -> str:
    """Return which trainings overfitted to their own attack, where their study recorded it."""
    known = [run for run in found.summary["runs"] if "overfitted_at" in run]
    told = []
    for name in found.arms:
        own = [run for run in known if run["group"] == name]
        gone = sum(run["overfitted_at"] is not None for run in own)
        if gone:
            told.append(f"{gone} of {len(own)} runs of {spoken(name)}")
    named = ", ".join(told) or "no run"
    return (
        "Catastrophic overfitting in training (on validation images PGD's accuracy falls by 20 "
        f"points or more while FGSM's does not): {named}. The state that is kept is the best under "
        "PGD there."
    )


def training_section(found: Finished, names: list[str], figures: list[dict]) -> dict:
    """Return the section on how the networks that are named were trained against attacks."""
    return {
        "title": "While they were trained",
        "text": overfitted_words(found),
        "figures": figures,
        "table": {
            "head": ["network", "PGD at the end, validation %", "below its best, points"],
            "rows": [
                [spoken(name), *(words(found, name, key) for key in ("pgd_last", "pgd_lost"))]
                for name in names
            ],
        },
    }


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    figures = draw_figures(found)

    def shown(*names: str) -> list[dict]:
        return [
            figures[name] | {"caption": CAPTIONS[name], "main": name == "attacks"}
            for name in names
            if name in figures
        ]

    transferred = shown("transfer")
    head = ["network", "whole test part %"]
    head += [f"{NAMES.get(name, name)} %" for name in shown_attacks(found)]
    trained = [name for name in found.arms if tables.known(found.runs_of(name), "pgd_last")]
    epsilon = in_both_units(found.config.epsilon)
    target = found.config.target or "the first class that each seed knows"
    return [
        {
            "title": "Every attack",
            "text": f"At epsilon {epsilon}; accuracy in per cent [95 % interval]."
            + masked_words(found),
            "figures": shown("attacks"),
            "table": {"head": head, "rows": attack_rows(found)},
        },
        {"title": "Accuracy against epsilon", "figures": shown("curves")},
        {
            "title": "The labs' attacks, as implemented and as intended",
            "figures": shown("as_implemented"),
        },
        {
            "title": "Towards a target",
            "text": f"The target is {target}.",
            "figures": shown("targeted"),
        },
        *([training_section(found, trained, shown("training"))] if trained else []),
        *(
            [{"title": "Attacks that were made for another network", "figures": transferred}]
            if transferred
            else []
        ),
        {"title": "To look at", "figures": shown("strips")},
        {"title": "What the loss follows", "figures": shown("saliency")},
        {
            "title": "Strange images",
            "text": "AUROC in per cent of the softmax and of the distance to the tenth nearest "
            "neighbour.",
            "table": {
                "head": ["network", "near: softmax", "near: kNN", "far: softmax", "far: kNN"],
                "rows": strange_rows(found),
            },
        },
    ]
