"""How the learning rates of a study are chosen, by a full grid or by halving, in its summary."""

from collections.abc import Callable

from dla_jax.trials import halving
from dla_jax.trials.arms import Arm, Trial, best_rate, choose_rates
from dla_jax.trials.training import identity_of


def chosen_rates(
    config, score: Callable, arms: dict[str, Arm], selected: list[Trial], done: dict[str, dict]
) -> dict[str, float]:
    """Return {arm: the learning rate of its final runs}, as the config's `selection` chooses it.

    Arguments: `arms.choose_rates`.
    """
    pick = halving.chosen_rate if halving.halves(config) else best_rate
    return choose_rates(arms, selected, done, score, pick)


def selection_rows(found, selected: list[Trial], tuning, labels: Callable) -> list[dict]:
    """Return what each run that chooses a learning rate reached, and if its rate was chosen.

    By halving that is what it had reached when its rate was compared last, and "compared_at" says
    after which share of its steps.

    Args:
      found: a `study.Finished`.
      tuning: a `study.Tuning`.
      labels: arm -> what the summary adds to each run of it.
    """
    rates = chosen_rates(found.config, tuning.score, found.arms, selected, found.done)
    compared = compared_rows(found, selected, tuning)
    rows = []
    for trial in selected:
        last, at = compared[trial]
        reached = {key: last[key] for key in (tuning.value, "diverged")}
        chosen = {"chosen": rates[trial.arm] == trial.lr}
        rows.append(identity_of(trial) | labels(found.arms[trial.arm]) | chosen | reached | at)
    return rows


def compared_rows(found, selected: list[Trial], tuning) -> dict[Trial, tuple[dict, dict]]:
    """Return {run: (what it is compared by, {"compared_at"}, or {} of a full grid)}."""
    if not halving.halves(found.config):
        return {trial: (found.done[trial.name], {}) for trial in selected}
    compared = {}
    for arm in dict.fromkeys(trial.arm for trial in selected):
        own = [trial for trial in selected if trial.arm == arm]
        rows = {}
        for trial in own:
            rows.setdefault(trial.lr, []).append(found.done[trial.name])
        last_cut = halving.race_of(rows, tuning.score).last_cut
        shares = shares_of([row for each in rows.values() for row in each])
        for trial in own:
            cut = last_cut[trial.lr]
            result = halving.at_cut(found.done[trial.name]["cuts"], cut)
            diverged = {"diverged": result["diverged_at"] is not None}
            compared[trial] = result | diverged, {"compared_at": shares[cut]}
    return compared


def shares_of(rows: list[dict]) -> list[float]:
    """Return the share of a whole run that lies before each cut, from the last rows of an arm."""
    cuts = max(len(row["cuts"]) for row in rows)
    return [
        max(halving.at_cut(row["cuts"], cut)["step"] / row["whole_steps"] for row in rows)
        for cut in range(cuts)
    ]


def halving_facts(found) -> dict[str, str]:
    """Return what the report says of the steps that halving took; nothing of a full grid."""
    rows = [row for row in found.done.values() if row["stage"] == "select"]
    if not halving.halves(found.config) or not rows:
        return {}
    taken, whole = (sum(row[key] for row in rows) for key in ("step", "whole_steps"))
    went_on = sum(len(row["cuts"]) > 1 for row in rows)
    words = f"by successive halving: {len(rows)} runs began, {went_on} went on from the first cut, "
    saved = f"{100 * (1 - taken / whole):.0f} % of their steps saved"
    return {"learning rates": f"{words}none to its end; {taken:,} of {whole:,} steps, {saved}"}
