"""From the record of the study to its summary and report."""

import numpy as np

from dla_jax.evidence import formatting, stats, tables
from dla_jax.plots.detection import NAMES
from dla_jax.studies.ood.answer import SPOKEN, kinds_of
from dla_jax.studies.ood.figures import draw_figures, sets_shown, values_of
from dla_jax.studies.ood.measure import AS_IMPLEMENTED
from dla_jax.studies.ood.sets import NOISE
from dla_jax.studies.study import Finished

QUESTION = "Does the network know what it does not know?"
HEAD_OF_LINES = "detector, AUROC near and far, % [95 % interval]"
TUNED = ("gen", "odin", AS_IMPLEMENTED, "knn", "vim")  # detectors that have settings
# Lab B's best perturbation of its grid, and its largest, of images in [0, 1].
SMALL, LARGE = 0.005, 0.025
KEYS = ("auroc", "fpr95", "aupr_in", "aupr_out")
CAPTIONS = {
    "detectors": """AUROC of each detector on each strange set: networks (dots), their mean
        (diamond) and its 95 % t-interval (bar). Higher tells more; half is guessing. Settings were
        chosen on none of these sets.""",
    "scores_msp": """The largest softmax of test images and of strange ones, first network.""",
    "scores_knn": """Minus the distance to the k-th nearest training image, first network.""",
    "curves_near": """Near sets together: ROC and precision-recall curves, mean over networks.""",
    "curves_far": """Far sets together: the same.""",
    "coverage": """Error among the test images that are answered, if those that look strangest are
        refused: mean over networks.""",
    "odin": """ODIN at every temperature and perturbation (in images of [0, 1]): framed is the
        setting chosen most often on the tuning sets; a dot marks the best on the set shown, which
        only its own labels could tell.""",
    "classes": """What lab B draws as the detection of strange images: each class told from the
        others, on test images alone. There is no strange image in it.""",
    "surest": """The strange images that the first network is surest about, with the class that it
        takes them for and how surely; a row a set.""",
}


def title(found: Finished) -> str:
    """Return the title of the report."""
    data = found.written["data"]
    return f"Strange images: {data['network']} on {data['name']}"


def facts(found: Finished) -> dict[str, str]:
    """Return what the report says of the networks and their sets."""
    data = found.written["data"]
    said = {
        "networks": f"{formatting.count(data['num_networks'], 'run')} of {data['network']}",
        "data": f"{data['name']}, fingerprint {data['fingerprint']}",
    }
    for kind, names in data["sets"].items():
        said[f"{kind} sets"] = ", ".join(names) or "none"
    return said


LEFT_OUT = ("run", "done", "stage", "step", "grid", "classes", "risk_coverage")


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a detector and a network, and what claims compare."""
    kept = {
        key: value
        for key, value in row.items()
        if key not in LEFT_OUT and not key.endswith(("_roc", "_precision_recall"))
    }
    near, far = row["near_auroc"], row["far_auroc"]
    kept["far_minus_near"] = None if near is None or far is None else far - near
    gap = None
    if "strangeness_noise" in row:
        gap = row["strangeness_noise"] - row["strangeness_test"]
    return kept | {"strangeness_gap": gap} | grid_measures(found, row)


def grid_measures(found: Finished, row: dict) -> dict[str, float | None]:
    """Return what temperature and perturbation do for ODIN on lab B's noise.

    The gain of the highest temperature over 1, without perturbation, and what a perturbation of
    `LARGE` costs at the highest temperature beside one of `SMALL`. None of other detectors, and
    where the grid has not both.
    """
    if "grid" not in row:
        return {"temperature_gain": None, "step_cost": None}
    own = found.config.settings
    shape = len(own.temperatures), len(own.epsilons)
    grid = np.reshape(row["grid"][NOISE], shape)
    at = {
        (temperature, epsilon): float(grid[i, j])
        for i, temperature in enumerate(own.temperatures)
        for j, epsilon in enumerate(own.epsilons)
    }
    hot = max(own.temperatures)

    def less(one: tuple, other: tuple) -> float | None:
        return at[one] - at[other] if one in at and other in at and one != other else None

    return {
        "temperature_gain": less((hot, 0.0), (1.0, 0.0)),
        "step_cost": less((hot, SMALL), (hot, LARGE)),
    }


def lines(found: Finished) -> list[str]:
    """Return the short table on the screen."""
    shown = []
    for name in found.arms:
        words = [mean_words(found.runs_of(name), f"{kind}_auroc") for kind in kinds_of(found)]
        shown.append(f"{NAMES.get(name, name):<24} {'   '.join(words)}")
    return shown


def mean_words(runs: list[dict], key: str) -> str:
    """Return the mean of a score of one over networks with its interval, in per cent."""
    return tables.accuracy_words(tables.known(runs, key))


def set_rows(found: Finished, key: str) -> list[list[str]]:
    """Return the table of one score, detector by set, as text."""
    rows = []
    for name in found.arms:
        cells = [tables.accuracy_words(values_of(found, name, at, key)) for at in sets_shown(found)]
        rows.append([NAMES.get(name, name.replace("_", " ")), *cells])
    return rows


def kind_rows(found: Finished) -> list[list[str]]:
    """Return the table of all scores, means over the sets of a kind, as text."""
    rows = []
    for name in found.arms:
        runs, cells = found.runs_of(name), []
        for kind in kinds_of(found):
            for key in KEYS:
                cells.append(tables.percent(np.mean(tables.known(runs, f"{kind}_{key}"))))
        area = formatting.number(100 * float(np.mean([run["aurc"] for run in runs])), 2)
        rows.append([NAMES.get(name, name.replace("_", " ")), *cells, area])
    return rows


def kind_head(found: Finished) -> list[str]:
    """Return the head of `kind_rows`."""
    words = {"auroc": "AUROC", "fpr95": "FPR at 95 % TPR", "aupr_in": "AUPR in"}
    words |= {"aupr_out": "AUPR out"}
    columns = [f"{kind}: {words[key]} %" for kind in kinds_of(found) for key in KEYS]
    return ["detector", *columns, "area under risk %"]


def setting_rows(found: Finished) -> list[list[str]]:
    """Return which settings were chosen, and how often, as text."""
    rows = []
    for name in found.arms:
        if name not in TUNED:
            continue
        chosen = [setting_words(row["setting"]) for row in found.last_rows(name)]
        counts = {words: chosen.count(words) for words in chosen}
        often = sorted(counts, key=lambda words: -counts[words])
        told = [f"{words} ({counts[words]})" for words in often]
        rows.append([NAMES.get(name, name.replace("_", " ")), ", ".join(told)])
    return rows


def setting_words(setting: dict) -> str:
    """Return a setting as text, `temperature 1000, epsilon 0.01`."""
    return ", ".join(f"{key} {value:g}" for key, value in setting.items())


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    figures = draw_figures(found)

    def shown(*names: str) -> list[dict]:
        return [
            figures[name] | {"caption": caption(name), "main": name == "detectors"}
            for name in names
            if name in figures
        ]

    head = ["detector", *(place.replace("_", " ") for place in sets_shown(found))]
    first = [name for name in figures if name.startswith("scores_")]
    return [
        {
            "title": "AUROC, set by set",
            "text": "In per cent, mean over networks [95 % interval].",
            "figures": shown("detectors"),
            "table": {"head": head, "rows": set_rows(found, "auroc")},
        },
        {
            "title": "ODIN, as implemented and as intended",
            "text": odin_words(found),
            "figures": shown("odin"),
        },
        {"title": "Both populations", "figures": shown(*first)},
        {"title": "Every threshold", "figures": shown("curves_near", "curves_far")},
        {
            "title": "What is gained by refusing to answer",
            "text": coverage_words(found),
            "figures": shown("coverage"),
        },
        {"title": "What the network is surest about", "figures": shown("surest")},
        {
            "title": "Lab B's curves",
            "text": summed_words(found),
            "figures": shown("classes"),
        },
        {
            "title": "All scores, near and far",
            "text": "Means over the sets of a kind and over networks; test images are the positive "
            "class, except for AUPR out.",
            "table": {"head": kind_head(found), "rows": kind_rows(found)},
        },
        {
            "title": "FPR at 95 % TPR, set by set",
            "text": "The share of strange images that pass where 95 % of test images do, in per "
            "cent.",
            "table": {"head": head, "rows": set_rows(found, "fpr95")},
        },
        {
            "title": "Settings",
            "text": f"Chosen on {', '.join(found.written['data']['sets']['tuning'])}, in brackets "
            "by how many networks; that of ODIN “as implemented” on lab B's noise and the test "
            "images.",
            "table": {"head": ["detector", "setting"], "rows": setting_rows(found)},
        },
    ]


def caption(name: str) -> str:
    """Return the caption of a figure."""
    if name.startswith("scores_") and name not in CAPTIONS:
        return "Scores of test images and of strange ones, first network."
    return CAPTIONS[name]


def odin_words(found: Finished) -> str:
    """Return how ODIN does on lab B's noise, and elsewhere with the setting that is best on it."""
    if "odin" not in found.arms or "msp" not in found.arms:
        return ""

    def words(name: str, key: str) -> str:
        return mean_words(found.runs_of(name), key)

    told = (
        f"On lab B's noise the softmax has an AUROC of {words('msp', 'noise_auroc')} %; ODIN with "
        "the setting that is best on this very noise and these test images has "
        f"{words(AS_IMPLEMENTED, 'noise_auroc')} %, and with the setting chosen on other sets "
        f"{words('odin', 'noise_auroc')} %."
    )
    kinds = kinds_of(found)
    if not kinds:
        return told
    elsewhere = [
        f"{words(AS_IMPLEMENTED, f'{kind}_auroc')} % on {kind} sets (softmax "
        f"{words('msp', f'{kind}_auroc')} %)"
        for kind in kinds
    ]
    return f"{told} The setting that is best on noise has {' and '.join(elsewhere)}."


def coverage_words(found: Finished) -> str:
    """Return how the error falls where a fifth of the test images is not answered."""
    name = "msp" if "msp" in found.arms else next(iter(found.arms))
    rows = [row["risk_coverage"] for row in found.last_rows(name)]
    all_of_them = [row["risk"][-1] for row in rows]
    most = [float(np.interp(0.8, row["coverage"], row["risk"])) for row in rows]
    return (
        f"The networks take {tables.accuracy_words(all_of_them)} % of the test images for another "
        f"class. Where {SPOKEN[name]} refuses the fifth that looks strangest, it is "
        f"{tables.accuracy_words(most)} % of the others. Only images of known classes are in it."
    )


def summed_words(found: Finished) -> str:
    """Return lab B's first measure: the mean of 1 - softmax of test images and of noise."""
    runs = found.runs_of("msp") if "msp" in found.arms else []
    if not runs:
        return ""
    test, noise = (
        stats_words([run[f"strangeness_{part}"] for run in runs]) for part in ("test", "noise")
    )
    return (
        "Lab B first adds up 1 - softmax over the images: the mean is "
        f"{test} of test images and {noise} of its noise (reported: .17 and .40). A sum says "
        "nothing of a single image. Then it draws the curves below."
    )


def stats_words(values: list[float]) -> str:
    """Return the mean of fractions with its interval, `0.17 [0.15, 0.19]`."""
    low, high = stats.accuracy_interval(values)
    words = formatting.number(float(np.mean(values)), 2)
    if not np.isfinite(low):
        return words
    return f"{words} [{formatting.number(low, 2)}, {formatting.number(high, 2)}]"
