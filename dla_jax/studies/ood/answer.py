"""The sentence that answers the study: which detector knows strange images, and by how much."""

from dla_jax.evidence import answers
from dla_jax.studies.study import Finished

MARGIN = 0.01  # of AUROC
# The first that a study has is named.
DISTANCES = ("knn", "vim", "mahalanobis", "relative_mahalanobis")
SPOKEN = {
    "msp": "the softmax",
    "max_logit": "the largest logit",
    "energy": "energy",
    "gen": "generalised entropy",
    "odin": "ODIN",
    "mahalanobis": "Mahalanobis' distance",
    "relative_mahalanobis": "the relative Mahalanobis distance",
    "knn": "the distance to neighbours",
    "vim": "ViM",
}
KINDS = {"near": "near sets", "far": "far sets"}


def kinds_of(found: Finished) -> list[str]:
    """Return which kinds of sets the study has, "near" and "far"."""
    return [kind for kind in KINDS if found.written["data"]["sets"][kind]]


def auroc_words(found: Finished, name: str, kind: str) -> str:
    """Return the mean AUROC of a detector over networks with its interval, `.94 [.93, .95]`."""
    runs = found.runs_of(name)
    return answers.fraction(runs, f"{kind}_auroc").replace(" %", "", 1)


def compared(found: Finished, first: str, second: str, kind: str) -> str:
    """Return how one detector compares with another on a kind of sets, in words."""
    difference = answers.contrast(
        found.summary, ((1.0, first), (-1.0, second)), value=f"{kind}_auroc", margin=MARGIN
    )
    told = answers.shown(
        difference,
        more=f"{SPOKEN[first]} is {{size}} better",
        less=f"{SPOKEN[first]} is {{size}} worse",
        asked=f"whether {SPOKEN[first]} is better",
    )
    return told.replace("the difference is", f"for {SPOKEN[first]} the difference is")


def answer(found: Finished) -> str:
    """Return how the softmax does, and how ODIN and a distance compare with it.

    Which distance was fixed before: the best of several on what is reported would flatter.
    """
    names = [name for name in found.config.detectors if name in found.arms]
    first = "msp" if "msp" in names else names[0]
    parts = []
    for kind in kinds_of(found):
        told = [f"{SPOKEN[first]} has an AUROC of {auroc_words(found, first, kind)} %"]
        distance = [name for name in DISTANCES if name in names][:1]
        others = [name for name in ("odin", *distance) if name in names and name != first]
        told += [compared(found, name, first, kind) for name in others]
        parts.append(f"on {KINDS[kind]} {told[0]}" + "".join(f"; {words}" for words in told[1:]))
    counted = answers.counted(found.runs_of(first), thing="network")
    words = ". ".join(f"{part[0].upper()}{part[1:]}" for part in parts)
    return f"{words} ({counted})."
