"""The sentence that answers a study of language models: the best one beside the best n-gram."""

import numpy as np

from dla_jax.evidence import answers
from dla_jax.studies.language.figures import NAMES
from dla_jax.studies.language.report import nats_words
from dla_jax.studies.study import Finished

MARGIN = 0.01  # nats per character


def answer(found: Finished) -> str:
    """Return how the network that is best on validation compares with the n-gram that is."""
    best = best_network(found)
    runs = found.runs_of(best)
    order = runs[0]["best_ngram_order"]
    ngram = runs[0]["ngram_nats_per_char"][str(order)]
    values = [run["nats_per_char"] for run in runs]
    counted = answers.counted(runs, counts="count as guessing")
    remark = ", best on validation," if len(found.arms) > 1 else ""
    better = answers.contrast(
        found.summary,
        ((-1.0, best),),
        value="above_ngram",
        unit="nats/char",
        margin=MARGIN,
    )
    ending = answers.shown(
        better,
        more="its median run is {size} better",
        less="its median run is {size} worse",
        asked="whether its median run is better",
    )
    return (
        f"{best}{remark} needs {nats_words(values)} nats per character of the "
        f"{NAMES[runs[0]['scored_on']]}, the best n-gram, of order {order}, {ngram:.3f} "
        f"({counted}): {ending}."
    )


def best_network(found: Finished) -> str:
    """Return the network with the lowest mean loss on validation.

    That of a run that diverged is the loss of guessing.
    """

    def loss(network: str) -> float:
        return float(np.mean([run["val_nats_per_char"] for run in found.runs_of(network)]))

    return min(found.arms, key=loss)
