"""Makes up finished studies of agents."""

from pathlib import Path

from dla_jax.evidence.rows import by_run
from dla_jax.studies.agents.study import STUDY
from dla_jax.studies.begun import Finished
from dla_jax.studies.study import summarise


def recorded(config, rows):
    """Return a study with this record; its summary is empty."""
    arms, (seen, done) = STUDY.arms(config, {}), by_run(rows)
    return Finished(Path(), written={}, config=config, arms=arms, rows=seen, done=done, summary={})


def summarised(config, rows):
    """Return a study with these last rows, all at one learning rate, and their summary."""
    config.select_seeds, config.lrs = (), (1e-3,)
    found = recorded(config, rows)
    return found._replace(summary=summarise(STUDY, found))


def last_row(arm, seed, **values):
    """Return the last row of a run that did not diverge."""
    run = {"run": f"final/{arm}/seed{seed}", "done": True, "stage": "final"}
    return run | {"group": arm, "seed": seed, "lr": 1e-3, "diverged": False} | values
