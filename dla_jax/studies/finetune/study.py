"""What does fine-tuning an encoder reach on labelled texts, and what do the lab's settings cost?

Every network of the config is the config itself with its own overrides: how texts are written and
padded, what stands for a whole text, which layers are trained. Each first gets its own learning
rate, unless it brings one; then networks x seeds, paired by seed. TF-IDF with logistic regression
stands beside them, on the same splits.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from dla_jax.config.checks import check, check_choice, check_rules, choice, count, number
from dla_jax.config.workdir import Launch
from dla_jax.data import labelled, splits, tokenize
from dla_jax.data.batches import POOL, width_of
from dla_jax.models.bert import POOLINGS, Classifier, Encoder
from dla_jax.models.pretrained import shapes_of
from dla_jax.studies.features.study import FEATURES, configs_of_runs
from dla_jax.studies.study import Description
from dla_jax.tasks import classifier, text_body, text_data, text_encoder, text_scores, tfidf
from dla_jax.tasks.text_restored import TextClassifier, reader
from dla_jax.training.checkpoint import load_variables
from dla_jax.training.mesh import data_mesh
from dla_jax.training.record import Record
from dla_jax.training.task import Baseline, Task
from dla_jax.trials.arms import Arm, Trial, check_arms, check_one_rate, resolve
from dla_jax.trials.grid import Job
from dla_jax.trials.training import jobs_of

MODEL_RULES = {"dropout": number(low=0, below=1), "frozen_layers": count(low=-1)}
MODEL_KEYS = ("name", *MODEL_RULES)


class Loaded(NamedTuple):
    """Labelled texts in the tokens of one encoder."""

    texts: labelled.LabelledTexts
    body: text_body.Body
    encoded: tokenize.Encoded
    mesh: jax.sharding.Mesh


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow.

    It checks keys, then the texts, then weights.
    """
    labelled.check_config(config.data, launch.data_dir, launch.download)
    check_arms(config, functools.partial(check_network, launch=launch))
    tfidf.check_words(configs_of_runs(config), text_data.check_data(config, launch))
    for arm in resolve(config).values():
        own = arm.config
        if own.model.name == "encoder":
            published = text_body.check_published(own.encoder, (Encoder,), launch.download)
            layers = published.n_layer if published else own.encoder.n_layer
            frozen = own.model.frozen_layers
            check(
                frozen <= layers,
                f"networks.{arm.name}: model.frozen_layers: {frozen} of {layers} layers; "
                "give at most that",
            )


def check_network(own, launch: Launch) -> None:
    """Raise ConfigError for the config of a network that cannot be built or trained."""
    check_choice("model.name", own.model.name, ("encoder", "tfidf"))
    text_data.check_config(own, launch)
    if own.model.name == "tfidf":
        tfidf.check_model(own.model)
        check_one_rate(own)
        return
    keys = ", ".join(MODEL_KEYS)
    check(set(own.model.keys()) == set(MODEL_KEYS), f"model: encoder has the keys {keys}")
    check_rules(own.model, MODEL_RULES, prefix="model.")
    check_rules(own.encoder, {"pooling": choice(POOLINGS)}, prefix="encoder.")
    check(
        own.steps_per_call == 1,
        f"steps_per_call: {own.steps_per_call}, but batches of texts differ in width; leave it at "
        "1",
    )
    text_body.check_encoder(own.encoder, own.widths)


def describe(config, launch: Launch) -> Description:
    """Return what identifies the texts and the encoders, and what is to be said of them."""
    texts = text_data.read(config, launch)
    owns = [arm.config for arm in resolve(config).values()]
    encoders = [own.encoder for own in owns if own.model.name == "encoder"]
    return Description(text_data.identity(texts, encoders, launch), splits.remarks(texts))


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    texts, mesh, encoded = text_data.read(config, launch), data_mesh(), {}

    def load(own) -> Loaded:
        encoder = own.encoder
        body = text_body.load_body(encoder, own.compute_dtype, texts.learned_from, launch)
        key = encoder.path, encoder.max_length, own.data.lower
        if key not in encoded:  # networks of one tokenizer share it
            encoded[key] = text_body.encode_all(body, texts.texts, encoder, own.data.lower)
        return Loaded(texts, body, encoded[key], mesh)

    owns = {arm.name: arm.config for arm in arms.values()}
    loaded = {name: load(own) for name, own in owns.items() if own.model.name == "encoder"}

    def make_run(trial: Trial) -> Task | Baseline:
        own = owns[trial.arm]
        if own.model.name == "tfidf":
            return tfidf.make_baseline(own, texts, trial.seed)
        return make_task(own, loaded[trial.arm], trial.seed)

    return jobs_of(make_run, trials, launch.workdir, record)


def make_model(config, body: text_body.Body, num_classes: int) -> Classifier:
    """Return the Flax module of a network."""
    pooler = body.config.family == "bert" and config.encoder.pooling == "published"
    sizes = body.config._replace(dropout=config.model.dropout, pooler=pooler)
    return Classifier(sizes, num_classes, config.encoder.pooling)


def make_task(config, loaded: Loaded, seed: int) -> Task:
    """Return the Task of one run. `config`: of the network."""
    texts, encoded, labels = loaded.texts, loaded.encoded, loaded.texts.labels
    num_classes, frozen = len(texts.class_names), config.model.frozen_layers
    model = make_model(config, loaded.body, num_classes)
    parts, widths = text_data.split(config, texts, seed), text_body.widths_of(config)
    plan = classifier.make_plan(config, len(parts["train"]))
    logits = logits_of(config, loaded, model)
    batch_at = text_encoder.make_batch_at(
        encoded,
        labels,
        parts["train"],
        seed=seed,
        batch_size=config.batch_size,
        widths=widths,
        alike=len(config.widths) > 0,
    )

    def evaluate(state) -> dict:
        return text_scores.scores(logits(state, parts["val"]), labels[parts["val"]], "val")

    def warm(state) -> None:
        for row in one_of_each_width(encoded.length, parts["val"], widths):
            logits(state, row)

    weights = splits.class_weights(config.class_weight, texts)
    return Task(
        init_fn=functools.partial(
            text_encoder.init_classifier,
            model=model,
            encoder=loaded.body.params,
            frozen_layers=frozen,
        ),
        loss_fn=text_encoder.make_loss(model, frozen, config.label_smoothing, weights),
        tx=classifier.shared_optimiser(config.optim, plan.num_steps),
        batch_at=batch_at,
        evaluate=evaluate,
        better=classifier.better,
        plan=plan,
        data={},
        mesh=loaded.mesh,
        batch_size=config.batch_size,
        test=text_scores.make_test(logits, texts, parts["test"]),
        result=classifier.result_of(config, len(parts["train"]), num_classes),
        diverged=text_scores.guessing(texts),
        facts=facts_of(config, encoded, model),
        accumulate=config.accumulate,
        parallel=config.parallel,
        units_per_step=config.batch_size,
        shapes_at=steps_of_each_width(batch_at, plan.num_steps),
        warm=warm,
    )


def logits_of(config, loaded: Loaded, model: Classifier) -> Callable:
    """Return the function (state, rows) -> logits float32 [len(rows), C] of the texts at `rows`."""
    widths = text_body.widths_of(config)

    def logits(state, rows: np.ndarray) -> np.ndarray:
        return text_encoder.vectors(
            model,
            text_encoder.join_frozen(state.params, state.model_state),
            loaded.encoded,
            rows,
            batch_size=config.batch_size,
            widths=widths,
            mesh=loaded.mesh,
        )

    return logits


def facts_of(config, encoded: tokenize.Encoded, model: Classifier) -> dict:
    """Return what the last row says of the network and its tokens."""
    shapes = jax.tree.leaves(shapes_of(model))
    num_params = {"num_params": sum(leaf.size for leaf in shapes)}
    return num_params | text_body.facts_of(encoded, config.encoder)


def one_of_each_width(
    lengths: np.ndarray, rows: np.ndarray, widths: tuple[int, ...]
) -> list[np.ndarray]:
    """Return one text, int32 [1], for each width that batches are padded to.

    Args:
      lengths: int32 [N], of all texts, in tokens.
      rows: int32 [n], the texts to choose from.
    """
    first = {}
    for row in rows.tolist():
        first.setdefault(width_of(lengths[row], widths), np.array([row], np.int32))
    return list(first.values())


def steps_of_each_width(batch_at, num_steps: int) -> tuple[int, ...]:
    """Return one early step for each width of a batch that is found among the first steps."""
    first = {}
    for step in range(min(num_steps, POOL)):
        first.setdefault(batch_at(step)["token"].shape[1], step)
    return tuple(first.values())


def restore(
    folder: Path, config, data: dict, *, launch: Launch, mesh, at_most: int
) -> TextClassifier:
    """Return the trained classifier of a finished run (arguments: `text_restored.reader`)."""
    read = reader(config, data, launch, mesh, at_most)
    model = make_model(config, read.body, len(data["class_names"]))
    shapes = text_encoder.split_frozen(shapes_of(model), config.model.frozen_layers)
    found = load_variables(folder, *shapes)
    params = text_encoder.join_frozen(found["params"], found["model_state"])
    logits = functools.partial(read.vectors, model, params)
    return TextClassifier(logits, tuple(data["class_names"]), read.body, model, params)


STUDY = FEATURES._replace(check=check_config, describe=describe, jobs=jobs, restore=restore)
