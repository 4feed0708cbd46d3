"""From what was measured of maps, and the arrays that were kept, to pictures and report."""

from collections.abc import Callable

import numpy as np

from dla_jax.evidence import formatting, stats
from dla_jax.studies.cam import figures
from dla_jax.studies.cam.arrays import read_arrays
from dla_jax.studies.cam.network_maps import BLIND
from dla_jax.studies.study import Finished

QUESTION = "Where does the network look, and is the map right?"
HEAD = (
    "method",
    "insertion %",
    "deletion %",
    "insertion minus random's [95 % interval]",
    "deletion minus random's",
    "like its map, all forgotten",
    "the same with the sign",
    "like another net's",
)
SERIES = (
    "insertion_curve",
    "deletion_curve",
    "likeness_curve",
    "insertion_aucs",
    "deletion_aucs",
    "counts",
)
TOLD = {  # of methods, where they are shown
    "random": "“Random” is noise of the map's size.",
    "random_cam": "“Random cam” is the features weighted at random.",
    "edges": "“Edges” is Sobel's filter.",
    "another_image": (
        "“Another image” is CAM on the features of another image, as lab C's code has it."
    ),
}
SAME = (
    "At the last layer before a mean Grad-CAM and HiResCAM are CAM without what speaks against the "
    "class."
)
CAPTIONS = {
    "right": (
        "Test images that are classified rightly, and the {first} map of their class: orange "
        "speaks for it, blue against it. Every map is in overlays/, named by its image's place in "
        "the data and its predicted class."
    ),
    "wrong": (
        "Wrongly classified, chosen on purpose: image, map of the predicted class, map of the true "
        "one, both with one scale."
    ),
    "classes": (
        "A row an image, a column a class, one scale for each row: what speaks for each class, and "
        "where."
    ),
    "faithfulness": (
        "Mean over images and networks; bands: range of the networks. {told} Right: how alike two "
        "maps look, colours aside; what knows no network stays as it is by construction."
    ),
    "areas": "A dot a network, a diamond their mean.",
    "methods": "Maps of the predicted class.",
    "forgetting": (
        "The {first} map as the network forgets, from the head down to its first layer."
    ),
    "canvas": (
        "Left: what was put where, in orange what the network takes for another class. Middle and "
        "right: each point is the class of the window around it, the paler the less sure. Between "
        "the images the network has to name a class too: it has none for nothing."
    ),
}
# What the summary leaves out of a row.
LEFT_OUT = ("run", "done", "stage", "step", *SERIES)


def title(found: Finished) -> str:
    """Return the title of the report."""
    data = found.written["data"]
    layer = found.config.layer
    return f"Class activation maps: {data['network']} on {data['name']}, {layer}"


def facts(found: Finished) -> dict[str, str]:
    """Return what the report says of the networks and their images."""
    return data_facts(found.written["data"])


def data_facts(data: dict) -> dict[str, str]:
    """Return what a report says of the networks and their images.

    Args:
      data: of `config.json`.
    """
    runs = formatting.count(data["num_networks"], "run")
    return {
        "networks": f"{runs} of {data['network']}",
        "data": f"{data['name']}, fingerprint {data['fingerprint']}",
    }


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a method and a network."""
    return {key: value for key, value in row.items() if key not in LEFT_OUT}


def rows_by_method(found: Finished) -> dict[str, list[dict]]:
    """Return {method: its last rows, seed by seed}."""
    rows = {method: [] for method in found.config.methods}
    for row in found.done.values():
        rows[row["group"]].append(row)
    return {method: sorted(own, key=lambda row: row["seed"]) for method, own in rows.items()}


def lines(found: Finished) -> list[str]:
    """Return the short table on the screen."""
    return [f"{row[0]:<14} {row[1]:>6} {row[2]:>6}   {row[3]}" for row in method_rows(found)]


def against_random(rows: dict[str, list[dict]], method: str, score: str) -> str:
    """Return a score's area minus that of noise, with its interval.

    The interval is over networks, or over the images of a single one.
    """
    own, noise = rows[method], rows.get("random", [])
    if not noise or method == "random":
        return "–"
    key = f"{score}_auc" if len(own) > 1 else f"{score}_aucs"
    differences = np.ravel([np.subtract(a[key], b[key]) for a, b in zip(own, noise, strict=True)])
    low, high = stats.t_interval(differences, bounds=(-1.0, 1.0))
    return formatting.points(np.mean(differences)) + formatting.interval(low, high)


def method_rows(found: Finished) -> list[list[str]]:
    """Return the table of the methods, as text."""
    rows, table = rows_by_method(found), []
    for method, runs in rows.items():

        def mean(key: str, runs=runs) -> float:
            return np.mean([run[key] for run in runs])

        others = [run["likeness_another"] for run in runs if run["likeness_another"] is not None]
        likeness = [
            formatting.number(mean("likeness_forgotten"), 2),
            formatting.number(mean("signed_likeness_forgotten"), 2),
            formatting.number(np.mean(others), 2) if others else "none to compare",
        ]
        table.append(
            [
                method.replace("_", " "),
                f"{100 * mean('insertion_auc'):.1f}",
                f"{100 * mean('deletion_auc'):.1f}",
                against_random(rows, method, "insertion"),
                against_random(rows, method, "deletion"),
                *(["by construction"] * 3 if method in BLIND else likeness),
            ]
        )
    return table


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their pictures and figures drawn."""
    methods, rows = found.config.methods, rows_by_method(found)
    names, shown = found.written["data"]["class_names"], read_arrays(found.workdir / "examples.npz")
    told = [words for method, words in TOLD.items() if method in methods]
    told = " ".join([*told, *([SAME] if "cam" in methods else [])])

    def drawn(name: str, draw: Callable, *what) -> dict:
        first = methods[0].replace("_", " ")
        path = found.figures / f"{name}.png"
        caption = CAPTIONS[name].format(first=first, told=told)
        main = name == "faithfulness"
        return {"path": path, "alt": draw(*what, path), "caption": caption, "main": main}

    wrong = shown["p"].argmax(-1) != shown["label"]
    figures.write_overlays(shown, wrong, names, found.workdir / "overlays")
    pictures = [drawn("classes", figures.draw_classes, shown, names)]
    if wrong.any():
        pictures.insert(0, drawn("wrong", figures.draw_wrong, shown, wrong, names))
    if not wrong.all():
        pictures.insert(0, drawn("right", figures.draw_right, shown, ~wrong, names))
    canvas = read_arrays(found.workdir / "canvas.npz")
    best = max(rows[methods[0]], key=lambda row: row["val_accuracy"])
    return [
        {"title": "Test images", "text": test_words(wrong, best), "figures": pictures},
        {
            "title": "Is the map right?",
            "text": right_words(rows[methods[0]]),
            "figures": [
                drawn("faithfulness", figures.draw_faithfulness, methods, rows),
                drawn("areas", figures.draw_aucs, rows),
                drawn("methods", figures.draw_methods, methods, shown),
                drawn("forgetting", figures.draw_cascade, shown),
            ],
            "table": {"head": HEAD, "rows": method_rows(found)},
        },
        {
            "title": "On a canvas",
            "text": canvas_words(rows[methods[0]]),
            "figures": [drawn("canvas", figures.draw_canvas, canvas, names)],
        },
    ]


def test_words(wrong: np.ndarray, best: dict) -> str:
    """Return the sentence on which test images are shown.

    Args:
      wrong: bool [n], which of them are wrongly classified.
      best: the last row of the network they are of.
    """
    return (
        f"{len(wrong)} images of the test part of the network that is best on validation, "
        f"{wrong.sum()} of them wrong; of the whole part {100 * best['test_accuracy']:.1f} % are "
        "right."
    )


def right_words(rows: list[dict]) -> str:
    """Return the text on how it was found out whether the maps are right.

    Args:
      rows: of one method.
    """
    over = "networks" if len(rows) > 1 else "the images of the one network"
    images = formatting.count(len(rows[0]["insertion_aucs"]), "test image")
    networks = formatting.count(len(rows), "network")
    return (
        "Insertion: the pixels of a test image are put back into its blurred copy, the hottest "
        "first; deletion: they become the mean colour of the training images. Percentages are "
        "areas under the curve of the predicted class's probability, over "
        f"{images} of each of {networks}; intervals are over {over}. Forgetting: layers get fresh "
        "random weights, from the head down; a map that stays as it was does not depend on them. "
        "Two maps are as like as their ranks correlate (Spearman), by absolute values: a fresh "
        "head has either sign as often. Another net's maps are compared on images that neither was "
        "trained on."
    )


def canvas_words(rows: list[dict]) -> str:
    """Return the text on what the networks make of images that are not alone.

    Args:
      rows: of one method.
    """

    def mean(name: str) -> float:
        return 100 * np.mean([row[f"{name}_accuracy"] for row in rows])

    return (
        "The same weights, applied at every place of a larger image. When each image is alone "
        f"{mean('alone'):.1f} % are right; at their places on a canvas {mean('canvas'):.1f} % "
        f"where the canvas has the mean colour, {mean('black_canvas'):.1f} % where it is black. "
        "The mean colour is 0 for the first convolution, as is what it sees beyond the edge of an "
        "image that is alone; deeper layers see what it makes of grey, and of the neighbours."
    )
