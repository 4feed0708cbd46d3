"""Does a small decoder write Dante better than an n-gram, which one is best, when does it over-fit?

Every network of the config is the config itself with its own overrides. Each first gets its own
learning rate, unless it brings one; then networks x seeds, paired by seed. The n-grams are counted
and scored on the same split, and drawn beside.
"""

import functools

from dla_jax.config.workdir import Launch
from dla_jax.evidence.pairs import Measure
from dla_jax.studies.language import report
from dla_jax.studies.language.answer import MARGIN, answer
from dla_jax.studies.study import Description, Study, Tuning, data_facts
from dla_jax.tasks import language_restored, language_task, text_source
from dla_jax.training.mesh import data_mesh
from dla_jax.training.record import Record
from dla_jax.training.task import Task
from dla_jax.trials.arms import Arm, Trial, check_arms, check_one, mean_score, resolve
from dla_jax.trials.grid import Job
from dla_jax.trials.training import jobs_of


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow.

    It reads the text.
    """
    check_arms(config, functools.partial(language_task.check_config, launch=launch))
    for arm in resolve(config).values():
        saved = text_source.tokenizer_path(launch.workdir, arm.name)
        check_one(config, arm.name, functools.partial(language_task.check_text, arm.config, saved))


def describe(config, launch: Launch) -> Description:
    """Return what identifies the text, and what is to be said of it."""
    whole = text_source.read_text(config)
    return Description(whole.identity, [f"text: {whole.name}, {len(whole.text):,} characters"])


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    mesh, on_device, loaded = data_mesh(), {}, {}
    for arm in arms.values():
        source = text_source.prepare_source(arm.config, launch, arm.name)
        if id(source) not in on_device:  # networks of one tokenizer share it
            on_device[id(source)] = text_source.put_tokens(source, mesh)
        loaded[arm.name] = language_task.Loaded(source, on_device[id(source)], mesh)

    def make_task(trial: Trial) -> Task:
        return language_task.make_task(
            arms[trial.arm].config,
            loaded[trial.arm],
            trial.seed,
            compared=trial.stage == "final",
        )

    return jobs_of(make_task, trials, launch.workdir, record)


STUDY = Study(
    check=check_config,
    describe=describe,
    jobs=jobs,
    tuning=Tuning("val_nats_per_char", mean_score("val_nats_per_char", sign=-1.0)),
    unit="tok",
    name=lambda config: "language",
    title=lambda found: f"Language models on {found.written['data']['name']}",
    answer=answer,
    run_of=report.run_of,
    sections=report.sections,
    lines=report.lines,
    head="nats per character [95 % interval]",
    facts=functools.partial(data_facts, counted="characters"),
    measure=Measure("nats_per_char", "nats/char", MARGIN, "nats per character", better="<"),
    restore=language_restored.restore,
)
