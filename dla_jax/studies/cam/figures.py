"""The pictures and figures of a study of maps, from the arrays that it kept and its record."""

from pathlib import Path

import numpy as np

from dla_jax.analysis import cam
from dla_jax.evidence import formatting
from dla_jax.plots import maps
from dla_jax.plots.words import listed, ranked

LARGE = 256  # pixels that the sides of small images are shown with
FEW = 5  # images in a figure that shows each many times
MOST_COLOURS = 10  # classes that all have a colour of their own


def bare(image: np.ndarray) -> dict:
    """Return a cell of a grid: an image at a size that one can see."""
    return {"picture": maps.picture(image, LARGE), "title": ""}


def mapped(image: np.ndarray, heat: np.ndarray, title: str = "") -> dict:
    """Return a cell of a grid: an image with a map in [-1, 1] over it."""
    return {"picture": maps.overlay(maps.picture(image, LARGE), heat), "title": title}


def words(names: list[str], p: np.ndarray, label: int) -> str:
    """Return a class and its probability as text, `ship 0.98`."""
    return f"{names[label]} {p[label]:.2f}"


def hottest(heat: np.ndarray) -> str:
    """Return where a map [h, w] is largest: `upper left`, `middle`, `lower right`, ..."""
    place = np.unravel_index(heat.argmax(), heat.shape)
    thirds = [min(2, 3 * at // size) for at, size in zip(place, heat.shape, strict=True)]
    row, column = ("upper", "", "lower")[thirds[0]], ("left", "", "right")[thirds[1]]
    return f"{row} {column}".strip() + (" part" if row or column else "middle")


def alike(maps_a: np.ndarray, maps_b: np.ndarray) -> float:
    """Return the mean correlation of maps [n, h, w] with others, image by image.

    Of maps of two sizes the smaller is resized. It is nan where a map is the same everywhere.
    """
    size = max(maps_a.shape[1:], maps_b.shape[1:])
    maps_a, maps_b = (
        np.asarray(cam.to_pixels(own, size)) if own.shape[1:] != size else own
        for own in (maps_a, maps_b)
    )
    pairs = zip(maps_a.reshape(len(maps_a), -1), maps_b.reshape(len(maps_b), -1), strict=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))


def write_overlays(shown: dict, wrong: np.ndarray, names: list[str], folder: Path) -> None:
    """Write a picture of each image, `right/{index}-{predicted}.png` or `wrong/...`."""
    for i, predicted in enumerate(shown["p"].argmax(-1)):
        name = f"{shown['index'][i]}-{maps.slug(names[predicted])}.png"
        cell = mapped(shown["image"][i], cam.scaled(shown["maps"][i, 0]))
        maps.save_picture(cell["picture"], folder / ("wrong" if wrong[i] else "right") / name)


def draw_right(shown: dict, chosen: np.ndarray, names: list[str], path: Path) -> str:
    """Draw image and map, four pairs a row."""
    cells = []
    for i in np.flatnonzero(chosen):
        image, p = shown["image"][i], shown["p"][i]
        heat = cam.scaled(shown["maps"][i, 0])
        cells += [bare(image), mapped(image, heat, words(names, p, p.argmax()))]
    maps.grid([cells[k : k + 8] for k in range(0, len(cells), 8)], path)
    told = [
        f"{words(names, shown['p'][i], shown['p'][i].argmax())} by its "
        f"{hottest(shown['maps'][i, 0])}"
        for i in np.flatnonzero(chosen)
    ]
    return f"Rightly classified, with what the map marks most: {listed(told)}."


def draw_wrong(shown: dict, chosen: np.ndarray, names: list[str], path: Path) -> str:
    """Draw image, map of the predicted class and map of the true one; two triples a row."""
    cells = []
    for i in np.flatnonzero(chosen):
        image, p, label = shown["image"][i], shown["p"][i], shown["label"][i]
        taken_for, true = together(shown["maps"][i, [0, -1]])
        cells += [
            bare(image),
            mapped(image, taken_for, f"taken for: {words(names, p, p.argmax())}"),
            mapped(image, true, f"is: {words(names, p, label)}"),
        ]
    maps.grid([cells[k : k + 6] for k in range(0, len(cells), 6)], path)
    told = []
    for i in np.flatnonzero(chosen):
        p, label = shown["p"][i], shown["label"][i]
        told.append(f"taken for {words(names, p, p.argmax())}, is {words(names, p, label)}")
    return f"Wrongly classified: {listed(told, '; ')}."


def together(heats: np.ndarray) -> np.ndarray:
    """Return maps [n, h, w] in [-1, 1] with one scale."""
    return cam.scaled(heats.reshape(1, -1)).reshape(heats.shape)


def draw_classes(shown: dict, names: list[str], path: Path) -> str:
    """Draw maps of the most probable classes of a few images.

    They are in the order of the classes, with one scale for each image.
    """
    rows = []
    for i, image in enumerate(shown["image"][:FEW]):
        p, classes = shown["p"][i], shown["classes"][i]
        order = np.argsort(classes[:-1])
        heats = together(shown["maps"][i][order])
        cells = [bare(image)]
        for heat, label in zip(heats, classes[order], strict=True):
            cells.append(mapped(image, heat, words(names, p, label)))
        rows.append(cells)
    maps.grid(rows, path)
    told = [listed([words(names, p, label) for label in np.argsort(-p)[:2]]) for p in shown["p"]]
    return f"The two most probable classes of each image: {listed(told[:FEW], '; ')}."


def draw_methods(methods: tuple[str, ...], shown: dict, path: Path) -> str:
    """Draw what each method marks in a few images."""
    rows = []
    for i, image in enumerate(shown["image"][:FEW]):
        heats = [cam.scaled(shown[f"method_{method}"][i]) for method in methods]
        rows.append([bare(image), *(mapped(image, heat) for heat in heats)])
    maps.grid(rows, path, ["", *methods])
    first = shown[f"method_{methods[0]}"][:FEW]
    likeness = {
        method.replace("_", " "): alike(first, shown[f"method_{method}"][:FEW])
        for method in methods[1:]
    }
    ranking = ranked(likeness, lambda value: formatting.number(value, 2))
    name = methods[0].replace("_", " ")
    return f"Correlation with the maps of {name}, the most alike first: {ranking or 'no other'}."


def draw_cascade(shown: dict, path: Path) -> str:
    """Draw the maps of a few images as the network forgets, at most eight steps of it."""
    last = shown["cascade"].shape[1] - 1
    steps = np.unique(np.linspace(0, last, min(last, 7) + 1).round().astype(int))
    few = zip(shown["image"][:FEW], shown["cascade"][:FEW], strict=True)
    rows = [[mapped(image, cam.scaled(heats[k])) for k in steps] for image, heats in few]
    maps.grid(rows, path, ["trained", *(f"{k} of {last} forgotten" for k in steps[1:])])
    kept = alike(shown["cascade"][:FEW, 0], shown["cascade"][:FEW, last])
    likeness = formatting.number(kept, 2)
    return (
        f"Correlation of the trained network's maps with those when all is forgotten: {likeness}."
    )


def draw_faithfulness(methods: tuple[str, ...], rows: dict[str, list[dict]], path: Path) -> str:
    """Draw insertion, deletion and forgetting.

    Args:
      rows: the last rows of each method.
    """

    def values_of(key: str) -> dict[str, np.ndarray]:
        return {method: np.array([row[key] for row in rows[method]]) for method in methods}

    curves = {"insertion": values_of("insertion_curve"), "deletion": values_of("deletion_curve")}
    another = values_of("likeness_another")[methods[0]]
    counts = rows[methods[0]][0]["counts"]
    shares = np.array(counts) / counts[-1]
    beside = None if None in another else float(np.mean(another))
    return maps.faithfulness(curves, shares, values_of("likeness_curve"), beside, path)


def draw_aucs(rows: dict[str, list[dict]], path: Path) -> str:
    """Draw the areas of each network.

    Args:
      rows: the last rows of each method.
    """
    shown = []
    for method, runs in rows.items():
        areas = {name: [run[f"{name}_auc"] for run in runs] for name in ("insertion", "deletion")}
        shown.append({"label": method} | areas)
    return maps.aucs(shown, path)


def draw_canvas(found: dict, names: list[str], path: Path) -> str:
    """Draw the canvas, and the heat map of the class that stands on it most often.

    Of many classes only those on the canvas have a colour.
    """
    p, side = found["probabilities"], int(found["side"])
    is_right = found["labels"] == found["there"]
    if len(names) <= MOST_COLOURS:
        coloured = np.arange(len(names))
    else:
        coloured = np.unique(found["labels"])[:18]
    place_of = np.full(len(names), -1)
    place_of[coloured] = np.arange(len(coloured))
    label = int(np.bincount(found["labels"]).argmax())
    return maps.canvas(
        found["image"],
        [(*corner, side, ok) for corner, ok in zip(found["corners"], is_right, strict=True)],
        int(found["step"]),
        p[..., label],
        names[label],
        place_of[p.argmax(-1)],
        p.max(-1),
        [names[i] for i in coloured],
        path,
    )


def draw_photos(done: list[dict], arrays: list[dict], folder: Path) -> list[dict]:
    """Draw the photos with their maps and most probable classes, six a figure.

    Returns:
      {"path", "alt"} of each.
    """
    rows, drawn = [], []
    for row, found in zip(done, arrays, strict=True):
        picture = maps.picture(found["image"], 1)
        # A name may hold what is no character.
        name = Path(row["image"]).name.encode(errors="replace").decode()
        rows.append(
            {
                "picture": picture,
                "overlay": maps.overlay(picture, found["heat"]),
                "name": name,
                "top": list(row["top"].items()),
            }
        )
    for k in range(0, len(rows), 6):
        path = folder / f"photos{k // 6:02}.png"
        drawn.append({"path": path, "alt": maps.photos(rows[k : k + 6], path)})
    return drawn
