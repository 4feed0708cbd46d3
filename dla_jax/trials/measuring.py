"""The jobs of a study that trains nothing: all that is compared at a seed is measured together."""

from collections.abc import Callable

from dla_jax.training.record import Record
from dla_jax.trials.arms import Trial
from dla_jax.trials.grid import Job
from dla_jax.trials.training import identity_of


def jobs_by_seed(trials: list[Trial], record: Record, measure: Callable) -> list[Job]:
    """Return a job for each seed, in the order of the trials.

    Args:
      measure: (seed, whether it is the first one) -> {arm: what its last row says beside the run}.
    """
    seeds = tuple(dict.fromkeys(trial.seed for trial in trials))

    def job_of(seed: int) -> Job:
        def run(given: list[Trial], progress) -> None:
            found = measure(seed, seed == seeds[0])
            for trial in given:
                if trial.name in record.done:  # written before a crash
                    continue
                record.resume(trial.name, -1)
                row = {"run": trial.name, "done": True} | identity_of(trial)
                record.append(row | found[trial.arm])
            progress.update(1)

        own = [trial for trial in trials if trial.seed == seed]
        return Job(own, units=1, program=None, compile=lambda: None, run=run)

    return [job_of(seed) for seed in seeds]
