"""The figures of the study, from its record and the arrays that it kept of its first seed."""

import math

import numpy as np
from PIL import Image

from dla_jax.evidence import stats
from dla_jax.plots import attacks, maps
from dla_jax.plots.attack_training import LINES, while_trained
from dla_jax.studies.cam.arrays import read_arrays
from dla_jax.studies.study import Finished

SIDE = 128  # pixels that small images are shown with
FEW = 5  # images in a figure
MOST = 6  # networks that are drawn image by image


def draw_figures(found: Finished) -> dict[str, dict]:
    """Draw the figures that there is something for: {name: {"path", "alt"}}."""
    arrays, drawn = read_arrays(found.workdir / "attacked.npz"), {}

    def keep(name: str, plot, *what) -> None:
        path = found.figures / f"{name}.png"
        drawn[name] = {"path": path, "alt": plot(*what, path)}

    keep("attacks", attacks.by_attack, *attack_data(found))
    keep("curves", attacks.accuracy_curves, intended(found))
    if all(row["pgd_target_curve"] for name in found.arms for row in found.last_rows(name)):
        keep("as_implemented", attacks.accuracy_curves, as_implemented(found))
        path = found.figures / "targeted.png"
        alt = attacks.accuracy_curves(targeted(found), path, y="share of images")
        drawn["targeted"] = {"path": path, "alt": alt}
    if len(found.arms) > 1:
        keep("transfer", attacks.transfer, *transfer_data(found))
    along = training_data(found)
    if along:
        keep("training", while_trained, along)
    keep("strips", draw_strips, found, arrays)
    keep("saliency", draw_saliency, found, arrays)
    return drawn


def shown_attacks(found: Finished) -> list[str]:
    """Return the columns of the main figure: clean, each attack, and the worst of all."""
    return ["clean", *found.config.attacks, "worst"]


def attack_data(found: Finished) -> tuple[dict, dict, list[str]]:
    """Return the accuracy of each network under each attack, with intervals."""
    names = shown_attacks(found)
    rows = {
        network: {
            name: np.array([row[f"{name}_accuracy"] for row in found.last_rows(network)])
            for name in names
        }
        for network in found.arms
    }
    intervals = {
        network: {name: stats.accuracy_interval(values) for name, values in own.items()}
        for network, own in rows.items()
    }
    return rows, intervals, names


def curve(found: Finished, network: str, key: str) -> np.ndarray:
    """Return a curve against epsilon of each run of a network: float [S, E]."""
    return np.array([row[key] for row in found.last_rows(network)])


def panel(found: Finished, title: str, curves: dict[str, np.ndarray], dashed: set = frozenset()):
    """Return a panel of curves against epsilon."""
    epsilons = np.array(found.config.epsilons)
    return {"title": title, "epsilon": epsilons, "curves": curves, "dashed": set(dashed)}


def intended(found: Finished) -> list[dict]:
    """Return accuracy against epsilon under FGSM and PGD, a line a network."""
    return [
        panel(found, title, {name: curve(found, name, f"{key}_curve") for name in found.arms})
        for key, title in (("fgsm", "under FGSM"), ("pgd", "under PGD"))
    ]


def first_of(found: Finished) -> str:
    """Return the network of standard training, or the first there is."""
    return "standard" if "standard" in found.arms else next(iter(found.arms))


def as_implemented(found: Finished) -> list[dict]:
    """Return lab B's FGSM and lab D's targeted one as implemented, beside as intended."""
    first, told = first_of(found), "as implemented"
    lab_b = {
        "as intended": curve(found, first, "fgsm_curve"),
        told: curve(found, first, "lab_b_curve"),
    }
    lab_d = {
        "as intended": curve(found, first, "fgsm_targeted_curve"),
        told: curve(found, first, "lab_d_targeted_curve"),
    }
    return [
        panel(found, "lab B's FGSM: accuracy", lab_b, {told}),
        panel(found, "lab D's targeted FGSM: accuracy", lab_d, {told}),
    ]


def targeted(found: Finished) -> list[dict]:
    """Return the share of images that are taken for the target, a line a network."""
    titles = {"fgsm": "FGSM: taken for the target", "pgd": "PGD: taken for the target"}
    titles["lab_d"] = "lab D's, as implemented: taken for the target"
    return [
        panel(
            found, title, {name: curve(found, name, f"{key}_target_curve") for name in found.arms}
        )
        for key, title in titles.items()
    ]


def training_data(found: Finished) -> dict[str, dict]:
    """Return accuracy along training of the networks that were trained against an attack."""
    panels = {}
    for name in found.arms:
        rows = [row for row in found.last_rows(name) if "trained_step_curve" in row]
        steps = max((row["trained_step_curve"] for row in rows), key=len, default=[])
        if steps:
            panels[name] = {"step": np.array(steps)} | {
                key: np.array([padded(row[f"trained_{key}_curve"], len(steps)) for row in rows])
                for key in LINES
            }
    return panels


def padded(values: list[float | None], length: int) -> np.ndarray:
    """Return a curve as float [length], with nan after the end of a run that stopped earlier."""
    found = np.full(length, math.nan)
    found[: len(values)] = np.array(values, float)
    return found


def transfer_data(found: Finished) -> tuple[np.ndarray, list[str]]:
    """Return the accuracy of each network on the images made for each, mean over seeds."""
    names = list(found.arms)
    rows = [
        [
            np.nanmean([row["transfer"].get(other, math.nan) for row in found.last_rows(name)])
            for other in names
        ]
        for name in names
    ]
    return np.array(rows), names


def amplified(change: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a perturbation as an image around grey, and how many times it was enlarged.

    Args:
      change: float [H, W, C], in image units.

    Returns:
      uint8 [H, W, C], and the factor, which brings the largest change to black or white.
    """
    largest = float(np.abs(change).max())
    times = 0.5 / largest if largest else 1.0
    return np.rint(255 * (0.5 + times * change)).clip(0, 255).astype(np.uint8), round(times, 2)


def networks_drawn(found: Finished, arrays: dict) -> list[str]:
    """Return the networks of the first seed that are drawn."""
    return [name for name in found.arms if f"{name}/fooled" in arrays][:MOST]


def draw_strips(found: Finished, arrays: dict, path) -> str:
    """Draw images, what PGD changes for each network, enlarged, and what they become."""
    names, rows, told = found.written["data"]["class_names"], [], []
    for network in networks_drawn(found, arrays):
        for i, image in enumerate(arrays["image"][:2]):
            fooled, before = arrays[f"{network}/fooled"][i], arrays[f"{network}/clean_p"][i]
            after = arrays[f"{network}/fooled_p"][i]
            change, times = amplified(fooled - image / np.float32(255))
            shown = np.rint(255 * fooled).astype(np.uint8)
            rows.append(
                [
                    cell(image, f"{network}: {words(names, before)}"),
                    cell(change, f"change, {times:g} times"),
                    cell(shown, words(names, after)),
                ]
            )
            told.append(f"{network} {words(names, before)}, then {words(names, after)}")
    half = -(-len(rows) // 2)
    lines = [left + right for left, right in zip(rows[:half], [*rows[half:], []], strict=False)]
    maps.grid(lines, path)
    return f"Images before and after PGD, with what each network sees: {'; '.join(told)}."


def cell(image: np.ndarray, title: str) -> dict:
    """Return a cell of a grid of pictures."""
    picture = image if isinstance(image, Image.Image) else maps.picture(image, SIDE)
    return {"picture": picture, "title": title}


def words(names: list[str], p: np.ndarray) -> str:
    """Return the most probable class and its probability, `ship 0.98`."""
    return f"{names[int(p.argmax())]} {p.max():.2f}"


def draw_saliency(found: Finished, arrays: dict, path) -> str:
    """Draw which pixels the loss of each network follows, image by image."""
    networks = networks_drawn(found, arrays)
    rows = [
        [cell(image, "")]
        + [
            cell(attacks.signed(arrays[f"{network}/saliency"][i]), "" if i else network)
            for network in networks
        ]
        for i, image in enumerate(arrays["image"][:FEW])
    ]
    maps.grid(rows, path)
    alike = {}
    for network in networks:
        pairs = zip(arrays[f"{network}/saliency"], arrays["image"], strict=True)
        alike[network] = float(np.mean([likeness(a, b) for a, b in pairs]))
    told = ", ".join(f"{name} {value:.2f}" for name, value in alike.items())
    return (
        "Gradient of the loss by each pixel; correlation of its size with the brightness of the "
        f"image: {told}."
    )


def likeness(saliency: np.ndarray, image: np.ndarray) -> float:
    """Return the correlation of the size of a gradient with the brightness of its image."""
    pair = np.abs(saliency).sum(-1).ravel(), image.astype(float).sum(-1).ravel()
    if min(np.std(values) for values in pair) == 0:
        return 0.0
    return float(np.corrcoef(*pair)[0, 1])
