"""Makes up the record of a finished study, with effects that are known."""

import numpy as np
from ml_collections import ConfigDict

from dla_jax.evidence.rows import by_run
from dla_jax.evidence.tables import CURVE_KEYS, RUN_KEYS
from dla_jax.studies.study import Finished, Study, select_seeds, summarise
from dla_jax.trials.arms import choose_rates, final_trials, select_trials
from dla_jax.trials.training import identity_of

IMAGES = {"name": "digits", "num_examples": 100, "fingerprint": "0" * 16, "num_classes": 2}
IMAGES |= {"class_names": ["a", "b"], "shape": [8, 8, 1], "mean": [0.3], "std": [0.3]}


def noise(seed: int, size: float = 0.002) -> float:
    """Return what a seed adds to a value: small, different, and of either sign."""
    return size * float(np.sin(7.0 * seed + 1.0))


def finished(study: Study, config: ConfigDict, data: dict, last, rows, workdir) -> Finished:
    """Return a finished study whose record is made up.

    Args:
      last: trial -> what its last row says beside which run it is.
      rows: trial -> the rows before that one.
    """
    arms = study.arms(config, data)
    selected = select_trials(arms, select_seeds(config))
    record = []

    def write(trials):
        for trial in trials:
            own = {"run": trial.name}
            record.extend(own | row for row in rows(trial))
            record.append(own | {"done": True} | identity_of(trial) | last(trial))

    write(selected)
    _, done = by_run(record)
    rates = choose_rates(arms, selected, done, study.tuning.score)
    write(trial._replace(lr=rates[trial.arm]) for trial in final_trials(arms))
    written = {"config": config.to_dict(), "data": data, "launches": []}
    rows, done = by_run(record)
    found = Finished(workdir, written, config, arms, rows, done, summary={})
    found = found._replace(summary=summarise(study, found))
    return found._replace(summary=found.summary | study.more(found))


def classified(accuracy: float, trial, num_params: int = 100) -> dict:
    """Return the last row of a classifier of about that accuracy."""
    accuracy += noise(trial.seed) + noise(3 * trial.seed + len(trial.arm), 0.0005)
    values = dict.fromkeys((*RUN_KEYS, *CURVE_KEYS), 1.0)
    loss = 2.0 * (1.0 - accuracy)
    values |= {"val_accuracy": accuracy - 0.05, "test_accuracy": accuracy, "test_loss": loss}
    values |= {"val_loss": loss, "mean_val_loss": loss, "num_params": num_params}
    values |= {"diverged": False, "diverged_at": None, "best_step": 4, "step": 4}
    values |= {"balanced_accuracy": accuracy - 0.03, "class_counts": [50, 50]}
    kept = {key: value for key, value in values.items() if key not in ("group", "seed", "lr")}
    return kept | {"class_accuracy": [accuracy, accuracy]}


def verdicts_of(found: Finished) -> dict[str, str]:
    """Return {name of a claim: its verdict}."""
    return {claim["name"]: claim["verdict"] for claim in found.summary["claims"]}
