"""Heat maps over images, as pictures and in figures, from plain arrays: images uint8 [H, W, 1 or 3], maps in [-1, 1]."""

import re
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator
from PIL import Image

from dla_jax.plots.style import COLOURS, MARKERS, PAGE, STYLE, plt, save

STRENGTH = 0.8  # how much of a pixel at 1 or -1 is the colour of the map
FOR, AGAINST = (255, 80, 0), (0, 130, 255)  # what speaks for the class, and against it
BARE = STYLE | {"axes.grid": False, "axes.spines.left": False, "axes.spines.bottom": False}


def overlay(image: Image.Image, heat: np.ndarray) -> Image.Image:
    """A picture in RGB with the map over it: orange speaks for the class, blue against it, where the map is 0 it is as it was.

    Args:
      heat: float [h, w] in [-1, 1], resized between the centres of its places.
    """
    warmth = np.asarray(
        Image.fromarray(heat.astype(np.float32)).resize(image.size, Image.Resampling.BILINEAR)
    )
    for colour, part in ((FOR, warmth), (AGAINST, -warmth)):
        mask = Image.fromarray((255 * STRENGTH * part.clip(0, 1)).round().astype(np.uint8))
        image = Image.composite(Image.new("RGB", image.size, colour), image, mask)
    return image


def picture(image: np.ndarray, side: int) -> Image.Image:
    """An image uint8 [H, W, 1 or 3] as a picture in RGB, its pixels repeated until it is about `side` pixels long."""
    height, width, _ = image.shape
    factor = max(1, side // max(height, width))
    whole = Image.fromarray(np.ascontiguousarray(np.broadcast_to(image, (height, width, 3))))
    return whole.resize((factor * width, factor * height), Image.Resampling.NEAREST)


def save_picture(image: Image.Image, path: Path) -> None:
    """Writes a picture in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **({"quality": 92} if path.suffix == ".jpg" else {}))


def slug(text: str) -> str:
    """A part of a name that every file system takes."""
    return re.sub(r"[^\w.]+", "-", text).encode()[:60].decode(errors="ignore") or "photo"


def grid(rows: list[list[dict]], path: Path, columns: list[str] | None = None) -> None:
    """Pictures in rows and columns.

    Args:
      rows: of {"picture", "title": text}.
      columns: their names, above the first row.
    """
    across = max(map(len, rows))
    titled = any(cell["title"] for row in rows for cell in row)
    side = min(PAGE / across, 1.25)
    with plt.rc_context(BARE):
        size = (side * across, (side + 0.2 * titled) * len(rows) + 0.2)
        figure, axes = plt.subplots(len(rows), across, figsize=size, squeeze=False)
        for axis in axes.flat:
            axis.set_xticks([])
            axis.set_yticks([])
        for line, cells in zip(axes, rows, strict=True):
            for axis, cell in zip(line, cells, strict=False):
                axis.imshow(cell["picture"], interpolation="nearest")
                axis.set_title(cell["title"], fontsize=6, pad=2, parse_math=False)
        for axis, name in zip(axes[0], columns or (), strict=False):
            axis.set_title(name.replace("_", " "), fontsize=6, pad=3)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
        save(figure, path)


def faithfulness(
    curves: dict[str, dict[str, np.ndarray]],
    shares: np.ndarray,
    forgotten: dict[str, np.ndarray],
    another: float | None,
    path: Path,
) -> None:
    """Insertion, deletion, and how like its map a method stays as the network forgets.

    Args:
      curves: {"insertion", "deletion": {method: probability, float [S, points]}} over the share of pixels exchanged.
      shares: float [points].
      forgotten: {method: rank correlation, float [S, layers + 1]}.
      another: the mean rank correlation of the first method's map with that of another trained network.
    """
    first, num_layers = next(iter(forgotten)), next(iter(forgotten.values())).shape[1] - 1
    look = {
        method: {
            "color": COLOURS[i % 7],
            "marker": MARKERS[i % 7],
            "markersize": 3,
            "label": method.replace("_", " "),
            "linewidth": 3.5 if method == first else 1,
        }
        for i, method in enumerate(forgotten)
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(PAGE, 2.8))
        for axis, (title, methods) in zip(axes, curves.items(), strict=False):
            for method, values in methods.items():
                axis.plot(
                    shares, values.mean(0), **look[method], markevery=max(1, len(shares) // 6)
                )
                if method in (first, "random"):
                    axis.fill_between(
                        shares,
                        values.min(0),
                        values.max(0),
                        color=look[method]["color"],
                        alpha=0.15,
                        linewidth=0,
                    )
            axis.set_xlabel("share of pixels, hottest first")
            axis.set_ylabel("probability of the predicted class")
            axis.set_ylim(0, 1.02)
            axis.set_title(
                f"{title}: {'higher' if title == 'insertion' else 'lower'} is better", loc="left"
            )
        for method, values in forgotten.items():
            axes[2].plot(range(num_layers + 1), values.mean(0), **look[method])
        if another is not None:
            axes[2].axhline(another, color="0.4", linestyle="--", linewidth=0.9)
            axes[2].annotate(
                "another trained net",
                (num_layers, another),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                fontsize=6,
                color="0.3",
                bbox={"color": "white", "alpha": 0.8, "pad": 0.5},
            )
        axes[2].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[2].set_xlabel("layers forgotten, the head first")
        axes[2].set_ylabel("rank correlation, sign aside")
        axes[2].set_title("forgetting: should fall", loc="left")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=7)
        save(figure, path)


def aucs(rows: list[dict], path: Path) -> None:
    """Areas under insertion and deletion curves. rows: {"label", "insertion", "deletion": values of networks}."""
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
) -> None:
    """A canvas, how probable one class is at each place, and the most probable class there, the paler the less sure.

    Args:
      image: uint8 [H, W, 1 or 3].
      boxes: (top, left, side, right or not) in pixels, of what was put there.
      step: pixels between two places.
      probability: float [h, w], of the class called `label`.
      predicted: int [h, w], places in `names`, or -1: not named. sureness: float [h, w] in [0, 1].
    """
    height, width = image.shape[:2]
    edge = (boxes[0][2] - 1 - step) / 2  # of the cell around the centre of the first window
    extent = (edge, width - 1 - edge, height - 1 - edge, edge)
    with plt.rc_context(BARE):
        figure, axes = plt.subplots(1, 3, figsize=(PAGE, 0.4 + PAGE / 3.4 * height / width))
        for axis in axes:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.imshow(
                np.broadcast_to(image, (height, width, 3)),
                interpolation="nearest",
                alpha=1 if axis is axes[0] else 0.5,
            )
        for top, left, side, right in boxes:
            axes[0].add_patch(
                plt.Rectangle(
                    (left - 0.5, top - 0.5),
                    side,
                    side,
                    fill=False,
                    linewidth=0.8,
                    edgecolor="#56B4E9" if right else "#D55E00",
                )
            )
        axes[0].set_title("the canvas", loc="left")
        heat = axes[1].imshow(probability, extent=extent, cmap="inferno", vmin=0, vmax=1, alpha=0.7)
        axes[1].set_title(f"probability of {label}", loc="left", parse_math=False)
        figure.colorbar(heat, ax=axes[1], shrink=0.8, pad=0.01)
        few, many = (matplotlib.colormaps[name].colors for name in ("tab10", "tab20"))
        grey = lambda colour: max(colour) == min(colour)  # noqa: E731 - which is what has no colour here
        distinct = (
            ["black" if grey(c) else c for c in few]
            if len(names) <= 10
            else [c for c in many if not grey(c)]
        )
        colours = ListedColormap(distinct[: len(names)]).with_extremes(under="0.5")
        best = axes[2].imshow(
            predicted,
            extent=extent,
            cmap=colours,
            vmin=-0.5,
            vmax=len(names) - 0.5,
            interpolation="nearest",
            alpha=sureness**2,
        )
        axes[2].set_title("most probable class", loc="left")
        bar = figure.colorbar(
            matplotlib.cm.ScalarMappable(best.norm, colours), ax=axes[2], shrink=0.9, pad=0.01
        )
        bar.set_ticks(range(len(names)), labels=names, fontsize=5, parse_math=False)
        for axis in axes:
            axis.set_xlim(-0.5, width - 0.5)
            axis.set_ylim(height - 0.5, -0.5)
        save(figure, path)


def photos(rows: list[dict], path: Path) -> None:
    """Photos, the maps of what they are taken for, and the most probable classes.

    Args:
      rows: {"picture", "overlay", "name", "top": [(class, probability), ...]}.
    """
    with plt.rc_context(BARE):
        figure, axes = plt.subplots(
            len(rows), 3, figsize=(PAGE, 1.7 * len(rows)), squeeze=False, width_ratios=(1, 1, 0.8)
        )
        for line, row in zip(axes, rows, strict=True):
            for axis, shown, title in zip(
                line,
                (row["picture"], row["overlay"]),
                (row["name"], row["top"][0][0]),
                strict=False,
            ):
                axis.imshow(shown)
                axis.set_xticks([])
                axis.set_yticks([])
                axis.set_title(title, loc="left", fontsize=7, parse_math=False)
            names, values = zip(*row["top"], strict=True)
            line[2].barh(range(len(names)), values, color=COLOURS[1], height=0.6)
            line[2].set_yticks(range(len(names)), names, parse_math=False)
            line[2].invert_yaxis()
            line[2].set_xlim(0, 1.15)
            line[2].set_xticks([])
            for i, value in enumerate(values):
                line[2].text(value + 0.02, i, f"{value:.3f}", va="center", fontsize=6)
        save(figure, path)
