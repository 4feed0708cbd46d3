"""What a finished sweep says: the best of its arms, and which pairs of them differ.

A `study` is a `study.Study`, `found` a finished study with its runs summed up.
"""

from dla_jax.evidence import pairs


def summary(study, found) -> dict:
    """Return what the summary of a sweep has beside that of another study."""
    judged = pairs.judge(found.config.compared, found.summary["runs"], study.measure)
    told = {"compared": [pairs.as_json(pair) for pair in judged]}
    return told | {"answer": answer(study, found, judged)}


def lines(study, found) -> list[str]:
    """Return the pairs for the screen; none of another study."""
    judged = judged_pairs(found)
    return ["compared", *pairs.lines(judged, study.measure.unit)] if judged else []


def judged_pairs(found) -> list[pairs.Judged]:
    """Return the pairs of arms that a sweep compares, as its summary has them; or none."""
    kept = found.summary.get("compared", [])
    return [pairs.of_json(pair) for pair in kept]


def section(study, found) -> list[dict]:
    """Return the section of a report on the pairs that a sweep compares; none of another study."""
    judged = judged_pairs(found)
    return [pairs.section(judged, study.measure)] if judged else []


def answer(study, found, judged: list[pairs.Judged]) -> str:
    """Return the sentence that answers a sweep: its best arm, and which pairs differ."""

    def score(name: str):
        return study.tuning.score(found.last_rows(name))

    best = max(found.arms, key=score)
    reached = pairs.best_words(found.runs_of(best), study.measure)
    # What an agent is chosen by is what it is compared by.
    chosen = "" if study.tuning.value == study.measure.value else "on validation "
    return pairs.answer(judged, best, f"{chosen}({reached})", len(found.arms), study.measure)
