"""The sentence that answers a study of maps: are the pixels that a map marks those that count?"""

from dla_jax.evidence import answers
from dla_jax.studies.study import Finished

MARGIN = 0.01  # of area
SHOWN = 5  # classes of photos that are named


def answer(found: Finished) -> str:
    """Return how soon the first method's pixels bring the class back, beside those of noise."""
    method, names = found.config.methods[0], found.config.methods
    runs, shown = found.runs_of(method), method.replace("_", " ")
    areas = f"{answers.fraction(runs, 'insertion_auc')} in the order of {shown}"
    noise = found.runs_of("random") if "random" in names else []
    if noise:
        areas += f" and {answers.fraction(noise, 'insertion_auc')} in the order of noise"
    told = (
        "As the pixels of test images are put back, the area under the probability of the "
        f"predicted class is {areas} ({answers.counted(runs, thing='network')})"
    )
    if not noise:
        return f"{told}: there is no noise among the methods to compare it with."
    difference = answers.contrast(
        found.summary,
        ((1.0, method), (-1.0, "random")),
        value="insertion_auc",
        margin=MARGIN,
    )
    ending = answers.shown(
        difference,
        more="the map finds what the networks use, by {size} of area",
        less="the map is worse than noise, by {size} of area",
        asked="whether the map finds what the networks use",
    )
    return f"{told}: {ending}."


def photos_answer(done: list[dict]) -> str:
    """Return what photos are taken for.

    Args:
      done: the last row of each, {"image", "label", "probability"}.
    """
    surest = max(done, key=lambda row: row["probability"])
    named = f"{surest['label']}, with probability {surest['probability']:.2f}"
    if len(done) == 1:
        return f"The photo is taken for {named}."
    labels = [row["label"] for row in done]
    often = sorted(set(labels), key=lambda label: (-labels.count(label), label))
    counts = [f"{labels.count(label)} for {label}" for label in often[:SHOWN]]
    if often[SHOWN:]:
        counts.append(f"{sum(map(labels.count, often[SHOWN:]))} for others")
    return f"Of {len(done)} photos are taken {', '.join(counts)}; the surest is {named}."
