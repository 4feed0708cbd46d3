"""Heat maps over images, as pictures and in figures, from plain arrays.

Images are uint8 [H, W, 1 or 3], maps float [h, w] in [-1, 1].

What draws a figure returns what it shows, in words.
"""

import re
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator
from PIL import Image

from dla_jax.evidence.formatting import number
from dla_jax.plots import words
from dla_jax.plots.style import COLOURS, MARKERS, PAGE, STYLE, plt, save

STRENGTH = 0.8  # how much of a pixel at 1 or -1 is the colour of the map
FOR, AGAINST = (255, 80, 0), (0, 130, 255)  # what speaks for the class, and against it
BARE = STYLE | {"axes.grid": False, "axes.spines.left": False, "axes.spines.bottom": False}


def overlay(image: Image.Image, heat: np.ndarray) -> Image.Image:
    """Return a picture in RGB with the map over it.

    Orange speaks for the class, blue against it; where the map is 0 the picture is as it was.

    Args:
      heat: float [h, w] in [-1, 1], resized between the centres of its places.
    """
    heat = Image.fromarray(heat.astype(np.float32))
    warmth = np.asarray(heat.resize(image.size, Image.Resampling.BILINEAR))
    for colour, part in ((FOR, warmth), (AGAINST, -warmth)):
        mask = Image.fromarray((255 * STRENGTH * part.clip(0, 1)).round().astype(np.uint8))
        image = Image.composite(Image.new("RGB", image.size, colour), image, mask)
    return image


def picture(image: np.ndarray, side: int) -> Image.Image:
    """Return an image uint8 [H, W, 1 or 3] as a picture in RGB.

    Its pixels are repeated until it is about `side` pixels long.
    """
    height, width, _ = image.shape
    factor = max(1, side // max(height, width))
    whole = Image.fromarray(np.ascontiguousarray(np.broadcast_to(image, (height, width, 3))))
    return whole.resize((factor * width, factor * height), Image.Resampling.NEAREST)


def save_picture(image: Image.Image, path: Path) -> None:
    """Write a picture in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **({"quality": 92} if path.suffix == ".jpg" else {}))


def slug(text: str) -> str:
    """Return a text as a part of a name that every file system takes."""
    return re.sub(r"[^\w.]+", "-", text).encode()[:60].decode(errors="ignore") or "photo"


def _without_ticks(axis) -> None:
    axis.set_xticks([])
    axis.set_yticks([])


def grid(rows: list[list[dict]], path: Path, columns: list[str] | None = None) -> None:
    """Draw pictures in rows and columns.

    Args:
      rows: of {"picture", "title": text}.
      columns: their names, above the first row.
    """
    across = max(map(len, rows))
    titled = any(cell["title"] for row in rows for cell in row)
    side = min(PAGE / across, 1.25)
    size = (side * across, (side + 0.2 * titled) * len(rows) + 0.2)
    with plt.rc_context(BARE):
        figure, axes = plt.subplots(len(rows), across, figsize=size, squeeze=False)
        for axis in axes.flat:
            _without_ticks(axis)
        for line, cells in zip(axes, rows, strict=True):
            for axis, cell in zip(line, cells, strict=False):
                axis.imshow(cell["picture"], interpolation="nearest")
                axis.set_title(cell["title"], fontsize=6, pad=2, parse_math=False)
        for axis, name in zip(axes[0], columns or (), strict=False):
            axis.set_title(name.replace("_", " "), fontsize=6, pad=3)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
        save(figure, path)


def _exchange(axis, shares: np.ndarray, methods: dict, looks: dict, shaded: tuple) -> None:
    """Draw the probability as pixels are exchanged; of the shaded methods the range, too."""
    for method, values in methods.items():
        every = max(1, len(shares) // 6)
        axis.plot(shares, values.mean(0), **looks[method], markevery=every)
        if method in shaded:
            colour, low, high = looks[method]["color"], values.min(0), values.max(0)
            axis.fill_between(shares, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.set_xlabel("share of pixels, hottest first")
    axis.set_ylabel("probability of the predicted class")
    axis.set_ylim(0, 1.02)


def _forgetting(axis, forgotten: dict, looks: dict, another: float | None) -> None:
    """Draw how like its map a method stays; `another`: the level of another trained network."""
    last = next(iter(forgotten.values())).shape[1] - 1
    for method, values in forgotten.items():
        axis.plot(range(last + 1), values.mean(0), **looks[method])
    if another is not None:
        axis.axhline(another, color="0.4", linestyle="--", linewidth=0.9)
        place = {"xytext": (0, 3), "textcoords": "offset points", "ha": "right"}
        box = {"color": "white", "alpha": 0.8, "pad": 0.5}
        text = "another trained net"
        axis.annotate(text, (last, another), fontsize=6, color="0.3", bbox=box, **place)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("layers forgotten, the head first")
    axis.set_ylabel("rank correlation, sign aside")
    axis.set_title("forgetting: should fall", loc="left")


def faithfulness(
    curves: dict[str, dict[str, np.ndarray]],
    shares: np.ndarray,
    forgotten: dict[str, np.ndarray],
    another: float | None,
    path: Path,
) -> str:
    """Draw insertion, deletion, and how like its map a method stays as the network forgets.

    Args:
      curves: {"insertion", "deletion": {method: probability, float [S, points]}} over the share of
        pixels exchanged.
      shares: float [points].
      forgotten: {method: rank correlation, float [S, layers + 1]}.
      another: the mean rank correlation of the first method's map with that of another trained
        network.
    """
    first = next(iter(forgotten))
    looks = {
        method: {
            "color": COLOURS[i % 7],
            "marker": MARKERS[i % 7],
            "markersize": 3,
            "label": method.replace("_", " "),
            "linewidth": 3.5 if method == first else 1,
        }
        for i, method in enumerate(forgotten)
    }
    better = {"insertion": "higher", "deletion": "lower"}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(PAGE, 2.8))
        for axis, (title, methods) in zip(axes, curves.items(), strict=False):
            _exchange(axis, shares, methods, looks, shaded=(first, "random"))
            axis.set_title(f"{title}: {better[title]} is better", loc="left")
        _forgetting(axes[2], forgotten, looks, another)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=7)
        save(figure, path)
    told = []
    for title, methods in curves.items():
        areas = {
            name.replace("_", " "): float(np.trapezoid(values.mean(0), shares))
            for name, values in methods.items()
        }
        ranking = words.ranked(areas, words.percent, smallest=title == "deletion")
        told.append(f"Area under the {title} curve, the {better[title]} the better: {ranking}.")
    kept = number(float(forgotten[first][:, -1].mean()), 2)
    name = first.replace("_", " ")
    return " ".join([*told, f"Likeness of {name} to itself, all forgotten: {kept}."])


def aucs(rows: list[dict], path: Path) -> str:
    """Draw areas under insertion and deletion curves, the first row on top.

    `rows`: {"label", "insertion", "deletion": values of networks}.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(PAGE, 0.8 + 0.22 * len(rows)), sharey=True)
        for axis, key in zip(axes, ("insertion", "deletion"), strict=True):
            for i, row in enumerate(rows):
                axis.plot(row[key], np.full(len(row[key]), i), ".", color=COLOURS[i % 7], alpha=0.6)
                axis.plot(np.mean(row[key]), i, "D", color=COLOURS[i % 7])
            axis.set_xlabel(f"area under the {key} curve")
        axes[0].set_yticks(range(len(rows)), [row["label"].replace("_", " ") for row in rows])
        axes[0].invert_yaxis()
        save(figure, path)
    told = []
    for key, smallest in (("insertion", False), ("deletion", True)):
        means = {row["label"].replace("_", " "): float(np.mean(row[key])) for row in rows}
        ranking = words.ranked(means, words.percent, smallest=smallest)
        told.append(f"Area under the {key} curve, the best first: {ranking}.")
    return " ".join(told)


def photos(rows: list[dict], path: Path) -> str:
    """Draw photos, the maps of what they are taken for, and the most probable classes.

    Args:
      rows: {"picture", "overlay", "name", "top": [(class, probability), ...]}.
    """
    size, shape = (PAGE, 1.7 * len(rows)), {"squeeze": False, "width_ratios": (1, 1, 0.8)}
    with plt.rc_context(BARE):
        figure, axes = plt.subplots(len(rows), 3, figsize=size, **shape)
        for (photo, mapped, bars), row in zip(axes, rows, strict=True):
            for axis, shown, title in (
                (photo, row["picture"], row["name"]),
                (mapped, row["overlay"], row["top"][0][0]),
            ):
                axis.imshow(shown)
                _without_ticks(axis)
                axis.set_title(title, loc="left", fontsize=7, parse_math=False)
            names, values = zip(*row["top"], strict=True)
            bars.barh(range(len(names)), values, color=COLOURS[1], height=0.6)
            bars.set_yticks(range(len(names)), names, parse_math=False)
            bars.invert_yaxis()
            bars.set_xlim(0, 1.15)
            bars.set_xticks([])
            for i, value in enumerate(values):
                bars.text(value + 0.02, i, f"{value:.3f}", va="center", fontsize=6)
        save(figure, path)
    told = [f"{row['name']}: {row['top'][0][0]} {row['top'][0][1]:.2f}" for row in rows]
    return f"Photos and what they are taken for: {words.listed(told, '; ')}."


def _class_colours(count: int) -> ListedColormap:
    """Return a colour for each of so many classes, none of them grey: that means not named."""
    few, many = (matplotlib.colormaps[name].colors for name in ("tab10", "tab20"))
    grey = lambda colour: max(colour) == min(colour)
    if count <= 10:
        distinct = ["black" if grey(colour) else colour for colour in few]
    else:
        distinct = [colour for colour in many if not grey(colour)]
    return ListedColormap(distinct[:count]).with_extremes(under="0.5")


def _most_probable(figure, axis, predicted, sureness, names: list[str], place: dict) -> None:
    """Draw the class of each place as `canvas` has it, with a bar of their names beside it."""
    colours = _class_colours(len(names))
    look = {"cmap": colours, "vmin": -0.5, "vmax": len(names) - 0.5, "interpolation": "nearest"}
    image = axis.imshow(predicted, alpha=sureness**2, **look, **place)
    strong = matplotlib.cm.ScalarMappable(image.norm, colours)
    bar = figure.colorbar(strong, ax=axis, shrink=0.9, pad=0.01)
    bar.set_ticks(range(len(names)), labels=names, fontsize=5, parse_math=False)


def canvas(
    image: np.ndarray,
    boxes: list[tuple],
    step: int,
    probability: np.ndarray,
    label: str,
    predicted: np.ndarray,
    sureness: np.ndarray,
    names: list[str],
    path: Path,
) -> str:
    """Draw a canvas, how probable one class is at each place, and the most probable class there.

    The less sure the paler.

    Args:
      image: uint8 [H, W, 1 or 3].
      boxes: (top, left, side, right or not) in pixels, of what was put there.
      step: pixels between two places.
      probability: float [h, w], of the class called `label`.
      predicted: int [h, w], places in `names`, or -1: not named.
      sureness: float [h, w] in [0, 1].
    """
    height, width = image.shape[:2]
    edge = (boxes[0][2] - 1 - step) / 2  # of the cell around the centre of the first window
    place = {"extent": (edge, width - 1 - edge, height - 1 - edge, edge)}
    size = (PAGE, 0.4 + PAGE / 3.4 * height / width)
    with plt.rc_context(BARE):
        figure, (plain, warm, named) = plt.subplots(1, 3, figsize=size)
        for axis in (plain, warm, named):
            _without_ticks(axis)
            shown, alpha = np.broadcast_to(image, (height, width, 3)), 1 if axis is plain else 0.5
            axis.imshow(shown, interpolation="nearest", alpha=alpha)
        for top, left, side, right in boxes:
            look = {"fill": False, "linewidth": 0.8, "edgecolor": COLOURS[5 if right else 0]}
            plain.add_patch(plt.Rectangle((left - 0.5, top - 0.5), side, side, **look))
        plain.set_title("the canvas", loc="left")
        heat = warm.imshow(probability, cmap="inferno", vmin=0, vmax=1, alpha=0.7, **place)
        warm.set_title(f"probability of {label}", loc="left", parse_math=False)
        figure.colorbar(heat, ax=warm, shrink=0.8, pad=0.01)
        _most_probable(figure, named, predicted, sureness, names, place)
        named.set_title("most probable class", loc="left")
        for axis in (plain, warm, named):
            axis.set_xlim(-0.5, width - 0.5)
            axis.set_ylim(height - 0.5, -0.5)
        save(figure, path)
    right = sum(bool(right) for *_, right in boxes)
    return f"{right} of {len(boxes)} images are taken for their class where they stand."
