"""Why do skips help? Lesions, paths, shattered gradients, the landscape, curvature, and remedies.

Networks of one depth (configs/why.py) are trained side by side, plain and residual twins of the
same seed among them, or those of a finished study are read. Of each that is `diagnosed` the last
row of its run holds what `diagnostics.diagnose` measures; while it trains its rows hold the largest
eigenvalue of the Hessian. What is asked before training (`shattered`) needs no data.
"""

import functools

import jax
from ml_collections import ConfigDict

from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.studies.architectures.study import ARCHITECTURES
from dla_jax.studies.image_networks import load
from dla_jax.studies.study import Description, restore
from dla_jax.studies.why import checks, diagnostics, report, shattered, source
from dla_jax.studies.why.answer import answer
from dla_jax.tasks import image_data, image_task
from dla_jax.training.record import Record
from dla_jax.training.task import Task
from dla_jax.trials.arms import Arm, Trial, resolve
from dla_jax.trials.grid import Job
from dla_jax.trials.training import identity_of, jobs_of


def describe(config, launch: Launch) -> Description:
    """Return what identifies the images, and the networks where those of `--from` are read."""
    if not launch.from_dir:
        return ARCHITECTURES.describe(config, launch)
    twins = source.read_twins(launch.from_dir, tuple(config.pair))
    remarks = [f"{' and '.join(twins.names)} of {launch.from_dir}, {len(twins.seeds)} seeds"]
    if twins.left_out:
        seeds = ", ".join(map(str, twins.left_out))
        remarks.append(f"seeds {seeds} are left out: one of the twins diverged")
    return Description(source.identity(launch.from_dir, twins), remarks)


def arms_of(config, data: dict) -> dict[str, Arm]:
    """Return the networks of the config, or the twins that were read."""
    return source.arms_of(config, data) if "models" in data else resolve(config)


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    if launch.from_dir:
        return reading_jobs(config, launch, arms, trials, record)
    loaded = image_data.load(config, launch)

    def make_task(trial: Trial) -> Task:
        return make_diagnosed(config, arms[trial.arm], loaded, trial.seed)

    return jobs_of(make_task, trials, launch.workdir, record)


def measures_of(config, arm: Arm, model, samples: dict, variables: dict, seed: int) -> dict:
    """Return what the last row of a run holds beside its scores."""
    found = {}
    if arm.name in config.diagnosed:
        found |= diagnostics.diagnose(config, model, variables, samples, seed)
    if arm.name in config.shattered:
        found |= shattered.walks(config, arm.config.model, seed)
    return found


def variables_of(state) -> dict:
    """Return the variables of the network of a training state."""
    return {"params": state.params, **state.model_state}


def make_diagnosed(config, arm: Arm, loaded: image_data.Loaded, seed: int) -> Task:
    """Return the Task of a run whose network is diagnosed, as far as the config asks for it."""
    own, loaded = arm.config, image_data.load_seen(arm.config, loaded, seed)
    diagnosed = arm.name in config.diagnosed
    every = config.probe_every_steps if diagnosed else 0
    task = image_task.make_task(own, loaded, seed, probe_every_steps=every)
    image_set = loaded.image_set
    # The start is in the parameters already: networks that differ in it share their programs.
    model = image_task.make_model(own, image_data.info_of(image_set), init="he")
    parts = image_data.split(own, image_set, seed)
    samples = diagnostics.samples_of(image_set, parts, config.num_images, seed)

    def test(state) -> dict:
        found = measures_of(config, arm, model, samples, variables_of(state), seed)
        return task.test(state) | found

    def warm(state) -> None:
        """Compile what two runs side by side would both compile, by doing it once."""
        task.evaluate(state)
        diagnostics.diagnose(config, model, variables_of(state), samples, seed)

    if not diagnosed:
        return task._replace(test=test)
    probe = functools.partial(
        diagnostics.probe_curvature,
        config=config,
        model=model,
        sample=diagnostics.curved(config, samples["train"]),
        key=jax.random.key(seed),
    )
    return task._replace(test=test, warm=warm, probe=probe)


def reading_jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each trained network of `--from`, which is diagnosed as it is."""
    workdir = launch.from_dir
    twins = source.read_twins(workdir, tuple(config.pair))
    image_set, theirs = load(workdir, launch), ConfigDict(read_config(workdir)["config"])

    def job_of(trial: Trial) -> Job:
        arm, row = arms[trial.arm], twins.rows[trial.arm, trial.seed]

        def run(given: list[Trial], progress) -> None:
            network = restore(workdir, row)
            seen = image_data.seen(theirs, image_set, trial.seed)
            parts = image_data.split(theirs, seen, trial.seed)
            samples = diagnostics.samples_of(seen, parts, config.num_images, trial.seed)
            model = network.model.clone(init_scheme="he")
            found = measures_of(config, arm, model, samples, network.variables, trial.seed)
            record.resume(trial.name, -1)
            last = row | {"run": trial.name} | identity_of(trial) | {"lr": row["lr"]}
            record.append(last | {"network": row["group"]} | found)
            progress.update(1)

        return Job([trial], units=1, program=None, compile=lambda: None, run=run)

    return [job_of(trial) for trial in trials]


STUDY = ARCHITECTURES._replace(
    measure=None,  # its report is about the pair
    check=checks.check_config,
    describe=describe,
    arms=arms_of,
    jobs=jobs,
    name=lambda config: "why skips help",
    title=report.title,
    answer=answer,
    run_of=report.run_of,
    sections=report.sections,
    facts=report.facts,
)
