"""Which answer is right? Networks and rules that choose among the options of a question.

Every network of the config is the config itself with its own overrides: one that ranks vectors of a
frozen encoder, one that reads passage, question and option together, or a rule without training.
Each seed draws the parts, where the set has none of its own, and shuffles the options.
"""

import functools
from collections.abc import Iterable

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
from dla_jax.data.choices import PARTS, Choices
from dla_jax.models.bert import POOLINGS, Encoder
from dla_jax.models.build import check_even
from dla_jax.models.gpt import GPT
from dla_jax.models.starts import KERNEL_INITS
from dla_jax.studies.architectures.report import lines
from dla_jax.studies.choices import cross, ranker, report, rules
from dla_jax.studies.choices.answering import restore
from dla_jax.studies.choices.drawn import drawn
from dla_jax.studies.choices.vectors import embed_choices
from dla_jax.studies.study import Description, Study, Tuning
from dla_jax.tasks import choice_pairs, choice_ranker, classifier, text_body, text_data
from dla_jax.training.mesh import data_mesh, together
from dla_jax.training.record import Record
from dla_jax.training.task import Baseline, Task
from dla_jax.trials.arms import Arm, Trial, check_arms, resolve
from dla_jax.trials.grid import Job
from dla_jax.trials.training import jobs_of

RANKER_RULES = {
    "features": choice(tuple(choice_ranker.FEATURES)),
    "loss": choice(choice_ranker.LOSSES),
    "margin": number(above=0),
    "dropout": number(low=0, below=1),
    "init": choice(KERNEL_INITS),
}
CROSS_RULES = {
    "num_windows": count(low=0),
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
    asked, arms = read(config, launch), resolve(config)
    for arm in arms.values():
        for one in (*arm.seeds, *config.select_seeds):
            check_batch(arm, drawn(arm.config, asked, one).parts["train"])
        if reads_text(arm.config):
            check_encoder(arm)
            kinds = (Encoder,) if arm.config.model.name == "cross" else (Encoder, GPT)
            text_body.check_published(arm.config.encoder, kinds, launch.download)


def check_batch(arm: Arm, train) -> None:
    """Raise ConfigError for a batch that is larger than the training part."""
    size = arm.config.batch_size
    check(
        arm.config.model.name == "rule" or size <= len(train),
        f"networks.{arm.name}: batch_size: {size} is larger than the training part, {len(train)} "
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
    keys = KEYS[model.name]
    check(set(model.keys()) == set(keys), f"model: {model.name} has the keys {', '.join(keys)}")
    poolings = POOLINGS if model.name == "cross" else FROZEN_POOLINGS
    encoder_rules = {"pooling": choice(poolings), "max_length": count(low=LEAST)}
    check_rules(own.encoder, encoder_rules, prefix="encoder.")
    text_body.check_encoder(own.encoder, own.widths)
    if model.name == "rule":
        check_choice("model.rule", model.rule, rules.RULES)
    elif model.name == "cross":
        check_rules(model, CROSS_RULES, prefix="model.")
        check(
            own.steps_per_call == 1,
            f"steps_per_call: {own.steps_per_call}, but batches of texts differ in width; leave it "
            "at 1",
        )
    else:
        check_rules(model, RANKER_RULES, prefix="model.")
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


def learned_from(asked: Choices) -> Iterable[str]:
    """Return the texts that a tokenizer is learned from: none that only a test part has."""
    if asked.part is None:
        kept = range(len(asked.questions))
    else:
        kept = [i for i, part in enumerate(asked.part) if PARTS[part] != "test"]
    passages = dict.fromkeys(asked.passages[asked.passage[i]] for i in kept)
    return tuple(passages) + tuple(text for i in kept for text in asked.options[i])


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    asked, mesh = read(config, launch), data_mesh()
    owns = {arm.name: arm.config for arm in arms.values()}

    @functools.cache
    def body_of(name: str) -> text_body.Body:
        own = owns[name]
        return text_body.load_body(own.encoder, own.compute_dtype, learned_from(asked), launch)

    loaded, shared = {}, {}
    for name, own in owns.items():
        if reads_text(own):
            key, make = inputs_of(own, asked, body_of(name), mesh, launch)
            if key not in shared:  # networks that read the same share it
                shared[key] = make()
            loaded[name] = shared[key]

    def make_run(trial: Trial) -> Task | Baseline:
        own, given = owns[trial.arm], loaded.get(trial.arm)
        seen = drawn(own, asked, trial.seed)
        explained = trial.stage == "final" and trial.seed == arms[trial.arm].seeds[0]
        if own.model.name == "rule":
            return rules.make_rule(own, seen, given, trial.seed)
        if own.model.name == "ranker":
            return ranker.make_ranker(own, seen, given, mesh, trial.seed, explained)
        body = body_of(trial.arm)
        return cross.make_cross(own, seen, body, given, mesh, trial.seed, explained)

    return jobs_of(make_run, trials, launch.workdir, record)


def inputs_of(own, asked: Choices, body: text_body.Body, mesh, launch: Launch) -> tuple:
    """Return (what tells a network's inputs from others', the function that makes them)."""
    encoder = own.encoder
    if own.model.name == "cross":
        make = functools.partial(
            choice_pairs.make_pairs, body.tokenizer, body.pad_id, asked, own.data.lower
        )
        return ("pairs", encoder.path, own.data.lower), make
    passage = own.model.passage if own.model.name == "ranker" else True
    make = functools.partial(embed_choices, own, body, asked, mesh, launch, passage)
    return ("vectors", encoder.path, encoder.max_length, encoder.pooling, passage), make


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
