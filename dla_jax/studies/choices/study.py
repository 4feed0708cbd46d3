"""Which answer is right? Networks and rules that choose among the options of a question.

Every network of the config is the config itself with its own overrides: one that ranks vectors of a
frozen encoder, one that reads passage, question and option together, or a rule without training.
Each seed draws the parts, where the set has none of its own, and shuffles the options.
"""

import functools

import jax
from ml_collections import FrozenConfigDict

from dla_jax.config.checks import (
    check,
    check_choice,
    check_count,
    check_rules,
    choice,
    count,
    number,
    seed,
)
from dla_jax.config.workdir import Launch
from dla_jax.data import choices
from dla_jax.data.choices import Choices
from dla_jax.models.bert import POOLINGS, Encoder
from dla_jax.models.build import check_even
from dla_jax.models.gpt import GPT
from dla_jax.models.starts import KERNEL_INITS
from dla_jax.studies.architectures.report import lines
from dla_jax.studies.choices import cross, ranker, report, rules
from dla_jax.studies.choices.answering import restore
from dla_jax.studies.choices.drawn import drawn, parts_of
from dla_jax.studies.choices.inputs import Inputs
from dla_jax.studies.study import Description, Study, Tuning
from dla_jax.tasks import choice_ranker, classifier, text_body, text_data
from dla_jax.training.mesh import data_mesh, together
from dla_jax.training.record import Record
from dla_jax.training.task import Baseline, Task
from dla_jax.trials.arms import Arm, Trial, check_arms, check_one_rate, resolve
from dla_jax.trials.grid import Job
from dla_jax.trials.training import jobs_of

MOST_WINDOWS = 16
RANKER_RULES = {
    "features": choice(tuple(choice_ranker.FEATURES)),
    "loss": choice(choice_ranker.LOSSES),
    "margin": number(above=0),
    "dropout": number(low=0, below=1),
    "init": choice(KERNEL_INITS),
}
CROSS_RULES = {
    "num_windows": number(low=0, high=MOST_WINDOWS),
    "dropout": number(low=0, below=1),
    "frozen_layers": count(low=-1),
}
KEYS = {
    "ranker": ("name", "passage", "widths", "standardise", *RANKER_RULES),
    "cross": ("name", *CROSS_RULES),
    "rule": ("name", "rule"),
}
LEAST = 16  # tokens: special ones, and some of passage and question
FROZEN_POOLINGS = ("mean", "first", "last", "published")


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow.

    It checks keys, then the questions, then weights.
    """
    choices.check_config(config.data, launch.data_dir, launch.download)
    check_arms(config, functools.partial(check_network, launch=launch))
    check_rules(config, {"encoder.seed": seed(), "embed_batch_size": count()})
    devices = jax.device_count()
    check(
        config.embed_batch_size % devices == 0,
        f"embed_batch_size: {config.embed_batch_size} is not divisible by {devices} devices",
    )
    arms = resolve(config)
    for arm in arms.values():
        if reads_text(arm.config):
            check_encoder(arm)
            kinds = (Encoder,) if arm.config.model.name == "cross" else (Encoder, GPT)
            text_body.check_published(arm.config.encoder, kinds, launch.download)
    asked, sizes = read(config, launch), {}
    for arm in arms.values():
        for one in (*arm.seeds, *config.select_seeds):
            key = one, arm.config.data.num_train
            if key not in sizes:
                sizes[key] = len(parts_of(arm.config, asked, one)["train"])
            check_batch(arm, sizes[key])


def check_batch(arm: Arm, num_train: int) -> None:
    """Raise ConfigError for a batch that is larger than the training part."""
    size = arm.config.batch_size
    check(
        arm.config.model.name == "rule" or size <= num_train,
        f"networks.{arm.name}: batch_size: {size} is larger than the training part, {num_train} "
        "questions; give a smaller one",
    )


def check_encoder(arm: Arm) -> None:
    """Raise ConfigError for layers that are not there, or for what an encoder cannot give."""
    own = arm.config
    if own.model.name == "cross" and not own.encoder.path:
        frozen, layers = own.model.frozen_layers, own.encoder.n_layer
        check(
            frozen <= layers,
            f"networks.{arm.name}: model.frozen_layers: {frozen} of {layers} layers; give at most "
            "that",
        )


def check_network(own, launch: Launch) -> None:
    """Raise ConfigError for the config of a network that cannot be built or trained."""
    model = own.model
    check_choice("model.name", model.name, tuple(KEYS))
    text_data.check_config(own, launch)
    check(
        own.class_weight == "none",
        f"class_weight: {own.class_weight}, but options have no classes; leave it at none",
    )
    keys = KEYS[model.name]
    check(set(model.keys()) == set(keys), f"model: {model.name} has the keys {', '.join(keys)}")
    poolings = POOLINGS if model.name == "cross" else FROZEN_POOLINGS
    encoder_rules = {"pooling": choice(poolings), "max_length": count(low=LEAST)}
    check_rules(own.encoder, encoder_rules, prefix="encoder.")
    text_body.check_encoder(own.encoder, own.widths)
    if model.name == "rule":
        check_choice("model.rule", model.rule, rules.RULES)
        check_one_rate(own)
    elif model.name == "cross":
        check_rules(model, CROSS_RULES, prefix="model.")
        check(
            own.steps_per_call == 1,
            f"steps_per_call: {own.steps_per_call}, but batches of texts differ in width; leave it "
            "at 1",
        )
    else:
        check_rules(model, RANKER_RULES, prefix="model.")
        check(
            model.loss == "softmax" or own.label_smoothing == 0,
            f"label_smoothing: {own.label_smoothing}, but the margin loss has none; give 0",
        )
        for width in model.widths:
            check_count("model.widths", width)
        check_even(model, model.init)


def reads_text(own) -> bool:
    """Return whether a network needs an encoder."""
    return own.model.name != "rule" or own.model.rule == "cosine"


def read(config, launch: Launch) -> Choices:
    """Return the questions; of several processes the first prepares them first."""

    def read_it() -> Choices:
        data = FrozenConfigDict(config.data.to_dict())
        return choices.load(data, launch.data_dir, launch.download)

    first = together(read_it if launch.first else lambda: None, "read the data")
    return together(lambda: first or read_it(), "read the data")


def describe(config, launch: Launch) -> Description:
    """Return what identifies the questions and the encoders, and what is to be said of them."""
    encoders = [arm.config.encoder for arm in resolve(config).values() if reads_text(arm.config)]
    return Description(text_data.identity(read(config, launch), encoders, launch), [])


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    asked, mesh = read(config, launch), data_mesh()
    owns = {arm.name: arm.config for arm in arms.values()}
    inputs = Inputs(asked, mesh, launch)
    given = {name: inputs.of(own) for name, own in owns.items() if reads_text(own)}

    def make_run(trial: Trial) -> Task | Baseline:
        own, seen = owns[trial.arm], drawn(owns[trial.arm], asked, trial.seed)
        explained = trial.stage == "final" and trial.seed == arms[trial.arm].seeds[0]
        if own.model.name == "rule":
            return rules.make_rule(own, seen, given.get(trial.arm), trial.seed)
        if own.model.name == "ranker":
            return ranker.make_ranker(own, seen, given[trial.arm], mesh, trial.seed, explained)
        return cross.make_cross(own, seen, *given[trial.arm], mesh, trial.seed, explained)

    return jobs_of(make_run, trials, launch.workdir, record)


STUDY = Study(
    check=check_config,
    describe=describe,
    labels=lambda arm: {"arm": arm.name},
    jobs=jobs,
    tuning=Tuning("val_accuracy", classifier.rate_score),
    unit="question",
    name=lambda config: f"{config.experiment} on {config.data.name}",
    title=report.title,
    answer=report.answer,
    run_of=report.run_of,
    sections=report.sections,
    lines=lines,
    head="test accuracy, % [95 % interval]",
    facts=report.facts,
    restore=restore,
)
