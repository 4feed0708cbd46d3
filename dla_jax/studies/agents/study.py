"""Which method learns an environment, how fast, how surely, and what its choices do to it.

Every arm of the config is the config itself with its own overrides: a method, or a change of it.
Each first gets its own learning rate, unless it brings one; then arms x seeds, paired by seed. Runs
of one structure are rows of one compiled program.
"""

import jax

from dla_jax.config.checks import check
from dla_jax.config.elsewhere import is_own
from dla_jax.config.workdir import Launch
from dla_jax.evidence.pairs import Measure
from dla_jax.rl import own_environment
from dla_jax.rl.drawers import can_draw
from dla_jax.rl.lander_picture import CRASHED, LANDED
from dla_jax.studies.agents import checks, judging, report
from dla_jax.studies.agents.answer import MARGIN, answer
from dla_jax.studies.agents.programs import Batch, batches_of, budget_of, points_of, programs_of
from dla_jax.studies.agents.training import compile_batch, train_batch
from dla_jax.studies.study import Description, Finished, Study, Tuning
from dla_jax.training.record import Record
from dla_jax.trials.arms import Arm, Trial, check_arms, mean_score, resolve
from dla_jax.trials.grid import Job


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow."""
    check(launch.from_dir is None, "--from: this study trains its own agents; leave it out")
    check(
        jax.process_count() == 1, "--multihost: agents run on the devices of one host; leave it out"
    )
    check(
        sorted(config.order) == sorted(config.arms),
        f"order: {', '.join(config.order)} is no order of the arms; give each once: "
        f"{', '.join(config.arms)}",
    )
    check_arms(config, checks.check_config)


def describe(config, launch: Launch) -> Description:
    """Return what identifies the environments: names, and fingerprints of the code of one's own."""
    played = {arm.config.env.name for arm in resolve(config).values()}
    own = sorted(filter(is_own, played))
    identity = {"name": config.env.name}
    for name in own:
        identity |= own_environment.load(name).codes
    return Description(identity, remarks=judging.remarks(config))


def facts(found: Finished) -> dict[str, str]:
    """Return what the report says of the environments: fingerprints of the code of one's own."""
    return {key: value for key, value in found.written["data"].items() if key != "name"}


def arms_of(config, data: dict) -> dict[str, Arm]:
    """Return the arms in the order of tables, in which others are compared with the first."""
    arms = resolve(config)
    return {name: arms[name] for name in config.order}


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each batch of runs that are rows of one program."""
    alone = len(trials) == 1

    def job_of(batch: Batch) -> Job:
        def run(given: list[Trial], progress) -> None:
            at_rates = batch._replace(trials=given)
            watched = watched_in(config, batch)
            train_batch(arms, at_rates, launch.workdir, record, progress, watched, alone)

        return Job(
            trials=batch.trials,
            units=len(batch.trials) * budget_of(batch.program),
            program=id(batch.program),
            compile=lambda: compile_batch(arms, batch),
            run=run,
        )

    return [job_of(batch) for batch in batches_of(trials, programs_of(arms))]


def watched_in(config, batch: Batch):
    """Return the function (trial, env_steps) -> the ending of which an episode is kept, or None.

    Of each arm's first seed one is kept at the start, in the middle and at the end. Where an
    episode can be a crash or a landing, the first is one and the last the other, if there is one.
    """
    points, env = points_of(batch.program), batch.program.env
    wanted = {points[0].env_steps: CRASHED, points[len(points) // 2].env_steps: ""}
    wanted[points[-1].env_steps] = LANDED
    drawable = can_draw(env.name, env.scene_shape)

    def watched(trial: Trial, env_steps: int) -> str | None:
        first = trial.stage == "final" and trial.seed == config.seeds[0]
        return wanted.get(env_steps) if first and drawable else None

    return watched


STUDY = Study(
    check=check_config,
    describe=describe,
    arms=arms_of,
    jobs=jobs,
    tuning=Tuning("mean_return", mean_score("mean_return")),
    unit="step",
    name=lambda config: "agents",
    title=report.title,
    answer=answer,
    run_of=report.run_of,
    sections=report.sections,
    lines=report.lines,
    head="return on fresh episodes, interquartile mean [95 % interval]",
    facts=facts,
    measure=Measure("mean_return", "return", MARGIN, words="mean return over training"),
)
