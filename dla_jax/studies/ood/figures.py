"""The figures of the study, from its record and the arrays that it kept of its first network."""

import numpy as np

from dla_jax.analysis.detection import threshold
from dla_jax.evidence import stats
from dla_jax.plots import detection, maps, strange
from dla_jax.studies.cam.arrays import read_arrays
from dla_jax.studies.ood.answer import KINDS, kinds_of
from dla_jax.studies.ood.measure import AS_IMPLEMENTED
from dla_jax.studies.ood.sets import NOISE
from dla_jax.studies.study import Finished

SIDE = 128  # pixels that small images are shown with


def sets_shown(found: Finished) -> list[str]:
    """Return the sets that are reported, the near ones first, lab B's noise last."""
    sets = found.written["data"]["sets"]
    return list(dict.fromkeys((*sets["near"], *sets["far"], NOISE)))


def detectors_shown(found: Finished) -> list[str]:
    """Return the detectors without the one whose setting was chosen on what is reported."""
    return [name for name in found.arms if name != AS_IMPLEMENTED]


def values_of(found: Finished, name: str, place: str, key: str = "auroc") -> list[float]:
    """Return a score of a detector on a set, network by network."""
    return [row["sets"][place][key] for row in found.last_rows(name)]


def draw_figures(found: Finished) -> dict[str, dict]:
    """Draw the figures that there is something for: {name: {"path", "alt"}}."""
    arrays = read_arrays(found.workdir / "scores.npz")
    folder, drawn = found.figures, {}

    def keep(name: str, plot, *what) -> None:
        path = folder / f"{name}.png"
        drawn[name] = {"path": path, "alt": plot(*what, path)}

    keep("detectors", detection.table, *table_data(found))
    for name in histograms_of(found):
        keep(f"scores_{name}", strange.histograms, panels(found, arrays, name), name)
    for kind in kinds_of(found):
        roc, recall = curve_data(found, kind)
        chance = familiar_share(found, arrays, kind)
        path = folder / f"curves_{kind}.png"
        alt = detection.curves(roc, recall, path, familiar=chance)
        drawn[f"curves_{kind}"] = {"path": path, "alt": alt}
    keep("coverage", detection.coverage, coverage_data(found))
    if "odin" in found.arms:
        keep("odin", strange.grid, *grid_data(found))
    if "msp" in found.arms:
        keep("classes", detection.class_rocs, class_data(found))
    keep("surest", draw_surest, found, arrays)
    return drawn


def histograms_of(found: Finished) -> list[str]:
    """Return the detectors whose scores are drawn: the softmax, or the first, and neighbours."""
    names = detectors_shown(found)
    first = "msp" if "msp" in names else names[0]
    return list(dict.fromkeys([first, *(name for name in ("knn",) if name in names)]))


def table_data(found: Finished) -> tuple[dict, dict, list[str]]:
    """Return AUROC of each detector on each set, with its intervals."""
    places = sets_shown(found)
    rows = {
        name: {place: np.array(values_of(found, name, place)) for place in places}
        for name in detectors_shown(found)
    }
    intervals = {
        name: {place: stats.accuracy_interval(values) for place, values in own.items()}
        for name, own in rows.items()
    }
    return rows, intervals, places


def panels(found: Finished, arrays: dict, name: str) -> list[dict]:
    """Return both populations of a detector's scores, set by set, of the first network."""
    first = found.last_rows(name)[0]["sets"]
    return [
        {
            "title": place.replace("_", " "),
            "familiar": arrays[f"{name}/test"],
            "strange": arrays[f"{name}/{place}"],
            "auroc": first[place]["auroc"],
            "threshold": threshold(arrays[f"{name}/test"]),
        }
        for place in sets_shown(found)
    ]


def curve_data(found: Finished, kind: str) -> tuple[dict, dict]:
    """Return ROC and precision-recall curves of each detector on the sets of a kind together."""

    def stacked(name: str, key: str, along: str, across: str) -> dict:
        rows = [row[f"{kind}_{key}"] for row in found.last_rows(name)]
        return {along: np.array(rows[0][along]), across: np.array([row[across] for row in rows])}

    names = detectors_shown(found)
    roc = {name: stacked(name, "roc", "fpr", "tpr") for name in names}
    recall = {name: stacked(name, "precision_recall", "recall", "precision") for name in names}
    return roc, recall


def familiar_share(found: Finished, arrays: dict, kind: str) -> float:
    """Return the share of test images beside the strange ones of a kind, of the first network."""
    name = detectors_shown(found)[0]
    strange = sum(len(arrays[f"{name}/{at}"]) for at in found.written["data"]["sets"][kind])
    familiar = len(arrays[f"{name}/test"])
    return familiar / (familiar + strange)


def coverage_data(found: Finished) -> dict[str, dict]:
    """Return the error among the test images that are answered, by their share."""
    drawn = {}
    for name in detectors_shown(found):
        rows = [row["risk_coverage"] for row in found.last_rows(name)]
        risk = np.array([row["risk"] for row in rows])
        drawn[name] = {"coverage": np.array(rows[0]["coverage"]), "risk": risk}
    return drawn


def grid_data(found: Finished) -> tuple:
    """Return the AUROC of ODIN over its settings, of the near sets, the far ones and noise."""
    own, sets = found.config.settings, found.written["data"]["sets"]
    shape = len(own.temperatures), len(own.epsilons)
    rows = [row["grid"] for row in found.last_rows("odin")]

    def mean(places) -> np.ndarray:
        values = np.mean([[row[place] for place in places] for row in rows], axis=(0, 1))
        return values.reshape(shape)

    values = {KINDS[kind]: mean(sets[kind]) for kind in kinds_of(found)}
    values["lab B's noise"] = mean([NOISE])
    settings = [row["setting"] for row in found.last_rows("odin")]
    chosen = [
        (own.temperatures.index(one["temperature"]), own.epsilons.index(one["epsilon"]))
        for one in settings
    ]
    often = max(dict.fromkeys(chosen), key=chosen.count)
    title = "AUROC of ODIN, mean over networks"
    return values, own.temperatures, own.epsilons, often, title


def class_data(found: Finished) -> dict[str, dict]:
    """Return the ROC curves of the classes of the first network, one against the others."""
    curves = found.last_rows("msp")[0]["classes"]
    names = found.written["data"]["class_names"]
    grid = np.linspace(0, 1, len(next(iter(curves.values()))["tpr"]))
    return {
        names[int(label)]: {"fpr": grid, "tpr": np.array(one["tpr"]), "auroc": one["auroc"]}
        for label, one in curves.items()
    }


def draw_surest(found: Finished, arrays: dict, path) -> str:
    """Draw the strange images that the first network is surest about, a row a set."""
    names, rows, told = found.written["data"]["class_names"], [], []
    for place in sets_shown(found):
        images, labels, p = (arrays[f"{part}/{place}"] for part in ("surest", "label", "p"))
        cells = [
            {"picture": maps.picture(image, SIDE), "title": f"{names[label]} {value:.3f}"}
            for image, label, value in zip(images, labels, p, strict=True)
        ]
        cells[0]["title"] = f"{place.replace('_', ' ')}: {cells[0]['title']}"
        rows.append(cells)
        told.append(f"{place.replace('_', ' ')} for {names[labels[0]]} with {p[0]:.3f}")
    maps.grid(rows, path)
    return f"The strange image of each set that is taken most surely: {'; '.join(told)}."
