"""From what was measured of maps, and the arrays that were kept, to pictures, figures and report."""

import functools
import os
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import check
from dla_jax.config.workdir import read_config
from dla_jax.evidence import formatting, records, report, stats, verdicts
from dla_jax.evidence.rows import read_rows
from dla_jax.studies.cam import figures
from dla_jax.studies.cam.figures import of_method
from dla_jax.studies.cam.measure import BLIND

HEAD = [
    "method",
    "insertion %",
    "deletion %",
    "insertion minus random's [95 % interval]",
    "deletion minus random's",
    "like its map, all forgotten",
    "the same with the sign",
    "like another net's",
]
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
    "another_image": "“Another image” is CAM on the features of another image, as lab C's code has it.",
}
SAME = "At the last layer before a mean Grad-CAM and HiResCAM are CAM without what speaks against the class."
CAPTIONS = {
    "right": """Test images that are classified rightly, and the {first} map of their class: orange speaks for it, blue against
        it. Every map is in overlays/, named by its image's place in the data and its predicted class.""",
    "wrong": """Wrongly classified, chosen on purpose: image, map of the predicted class, map of the true one, both with one
        scale.""",
    "classes": "A row an image, a column a class, one scale for each row: what speaks for each class, and where.",
    "faithfulness": """Mean over images and networks; bands: range of the networks. {told} Right: how alike two maps look, colours
        aside; what knows no network stays as it is by construction.""",
    "areas": "A dot a network, a diamond their mean.",
    "methods": "Maps of the predicted class.",
    "forgetting": "The {first} map as the network forgets, from the head down to its first layer.",
    "canvas": """Left: what was put where, in orange what the network takes for another class. Middle and right: each point is
        the class of the window around it, the paler the less sure. Between the images the network has to name a class too: it
        has none for nothing.""",
}


def write_arrays(path: Path, arrays: dict) -> None:
    """Writes arrays to a file, atomically."""
    temporary = path.with_name(path.name + ".tmp")
    path.parent.mkdir(exist_ok=True)
    with open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(temporary, path)


def read_arrays(path: Path) -> dict:
    """What `write_arrays` wrote."""
    with np.load(path) as file:
        return dict(file)


def draw(workdir: Path) -> None:
    """Writes pictures, figures, `summary.json` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, rows = read_config(workdir), read_rows(workdir / "metrics.jsonl")
    config, data, done = (
        ConfigDict(written["config"]),
        written["data"],
        [row for row in rows if row.get("done")],
    )
    expected = len(data["photos"]) if config.image else len(config.methods) * data["num_networks"]
    check(
        len(done) == expected,
        f"the study in {workdir} is not finished; go on with: {records.resume_command(written, workdir)}",
    )
    if config.image:
        summary, sections = (
            {"study": "cam", "runs": [], "photos": done, "claims": []},
            [photo_section(done, workdir)],
        )
        lines, head = (
            [f"{row['label']:<14} {row['probability']:.3f}   {row['overlay']}" for row in done],
            "photos",
        )
    else:
        summary = summarise(config, done)
        sections, head = study_sections(config, data, summary, done, workdir), ", ".join(HEAD[:4])
        lines = [f"{row[0]:<14} {row[1]:>6} {row[2]:>6}   {row[3]}" for row in table(config, done)]
    records.write_summary(workdir, summary)
    report.render(
        workdir / "report.html",
        title=f"Class activation maps: {data['network']} on {data['name']}, {config.layer}",
        question="Where does the network look, and is the map right?",
        command=written["launches"][0]["command"],
        claims=summary["claims"],
        sections=sections,
        facts={
            "networks": f"{formatting.count(data['num_networks'], 'run')} of {data['network']}",
            "data": f"{data['name']}, fingerprint {data['fingerprint']}",
        }
        | records.launch_facts(written)
        | records.config_facts(written),
    )
    records.print_lines(lines, summary["claims"], workdir, head, also=("overlays",))


def summarise(config, done: list[dict]) -> dict:
    """The finished rows -> {"study", "runs", "claims"}."""
    runs = [
        {
            key: value
            for key, value in row.items()
            if key not in ("run", "done", "stage", "step", *SERIES)
        }
        for row in done
    ]
    runs.sort(key=lambda run: (list(config.methods).index(run["group"]), run["seed"]))
    claims = [
        {"name": name} | verdicts.weigh(claim, runs)
        for name, claim in config.claims.to_dict().items()
    ]
    return {"study": "cam", "runs": runs, "claims": claims}


def against_random(done: list[dict], method: str, score: str) -> str:
    """A score's area minus that of noise, with its interval over networks, or over the images of a single one."""
    own, noise = of_method(done, method), of_method(done, "random")
    if not noise or method == "random":
        return "–"
    key = f"{score}_auc" if len(own) > 1 else f"{score}_aucs"
    differences = np.ravel([np.subtract(a[key], b[key]) for a, b in zip(own, noise, strict=True)])
    return formatting.points(np.mean(differences)) + formatting.interval(
        *stats.t_interval(differences, bounds=(-1.0, 1.0))
    )


def table(config, done: list[dict]) -> list[list[str]]:
    """The table of the methods, as text."""
    rows = []
    for method in config.methods:
        runs = of_method(done, method)
        mean = lambda key, runs=runs: np.mean([run[key] for run in runs])
        number = functools.partial(formatting.number, digits=2)
        others = [run["likeness_another"] for run in runs if run["likeness_another"] is not None]
        likeness = [
            number(mean("likeness_forgotten")),
            number(mean("signed_likeness_forgotten")),
            number(np.mean(others)) if others else "none to compare",
        ]
        rows.append(
            [
                method.replace("_", " "),
                f"{100 * mean('insertion_auc'):.1f}",
                f"{100 * mean('deletion_auc'):.1f}",
                against_random(done, method, "insertion"),
                against_random(done, method, "deletion"),
                *(["by construction"] * 3 if method in BLIND else likeness),
            ]
        )
    return rows


def study_sections(
    config, data: dict, summary: dict, done: list[dict], workdir: Path
) -> list[dict]:
    """The sections of the report on test images, with their pictures and figures drawn."""
    shown, names, folder, methods = (
        read_arrays(workdir / "examples.npz"),
        data["class_names"],
        workdir / "figures",
        config.methods,
    )
    told = " ".join(
        [
            *(words for method, words in TOLD.items() if method in methods),
            *([SAME] if "cam" in methods else []),
        ]
    )
    captions = {
        name: caption.format(first=methods[0].replace("_", " "), told=told)
        for name, caption in CAPTIONS.items()
    }
    figure = lambda name, draw, *what: {
        "path": draw(*what, folder / f"{name}.png"),
        "caption": captions[name],
    }
    wrong, best = (
        shown["p"].argmax(-1) != shown["label"],
        max(done, key=lambda row: row["val_accuracy"]),
    )
    figures.write_overlays(shown, wrong, names, workdir / "overlays")
    pictures = [figure("classes", figures.draw_classes, shown, names)]
    if wrong.any():
        pictures.insert(0, figure("wrong", figures.draw_wrong, shown, wrong, names))
    if not wrong.all():
        pictures.insert(0, figure("right", figures.draw_right, shown, ~wrong, names))
    return [
        {
            "title": "Test images",
            "text": f"{len(wrong)} images of the test part of the network that is best on validation, "
            f"{wrong.sum()} of them wrong; of the whole part {100 * best['test_accuracy']:.1f} % are right.",
            "figures": pictures,
        },
        {
            "title": "Is the map right?",
            "text": right_words(done, data["num_networks"]),
            "figures": [
                figure("faithfulness", figures.draw_faithfulness, methods, done),
                figure("areas", figures.draw_aucs, methods, done),
                figure("methods", figures.draw_methods, methods, shown),
                figure("forgetting", figures.draw_cascade, shown),
            ],
            "table": {"head": HEAD, "rows": table(config, done)},
        },
        {
            "title": "On a canvas",
            "text": canvas_words(of_method(done, methods[0])),
            "figures": [
                figure("canvas", figures.draw_canvas, read_arrays(workdir / "canvas.npz"), names)
            ],
        },
    ]


def right_words(done: list[dict], num_networks: int) -> str:
    """How it was found out whether the maps are right."""
    over = "networks" if num_networks > 1 else "the images of the one network"
    return f"""Insertion: the pixels of a test image are put back into its blurred copy, the hottest first; deletion: they become
        the mean colour of the training images. Percentages are areas under the curve of the predicted class's probability, over
        {formatting.count(len(done[0]["insertion_aucs"]), "test image")} of each of {formatting.count(num_networks, "network")};
        intervals are over {over}. Forgetting: layers get fresh random weights, from the head down; a map that stays as it was
        does not depend on them. Two maps are as like as their ranks correlate (Spearman), by absolute values: a fresh head has
        either sign as often. Another net's maps are compared on images that neither was trained on."""


def canvas_words(runs: list[dict]) -> str:
    """What the network makes of images that are not alone."""
    alone, grey, black = (
        100 * np.mean([run[f"{name}_accuracy"] for run in runs])
        for name in ("alone", "canvas", "black_canvas")
    )
    return f"""The same weights, applied at every place of a larger image. When each image is alone {alone:.1f} % are right; at
        their places on a canvas {grey:.1f} % where the canvas has the mean colour, {black:.1f} % where it is black. The mean
        colour is 0 for the first convolution, as is what it sees beyond the edge of an image that is alone; deeper layers see
        what it makes of grey, and of the neighbours."""


def photo_section(done: list[dict], workdir: Path) -> dict:
    """The section of the report on photos, with its figures drawn."""
    arrays = [read_arrays(workdir / "photos" / f"{i:03}.npz") for i in range(len(done))]
    paths = figures.draw_photos(done, arrays, workdir / "figures")
    caption = "The photo, the map of the class that it is taken for, and the most probable classes."
    return {
        "title": "Photos",
        "figures": [{"path": path, "caption": caption} for path in paths],
        "text": "Overlays at the photos' own resolution are in overlays/.",
    }
