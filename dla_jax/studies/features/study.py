"""What are the features of a frozen transformer worth? A classifier on them, beside TF-IDF.

Every text is embedded once, by a model that is not trained; the vectors are kept on disk. Then
every network of the config is a small classifier of vectors: the lab's MLP, the same by another
recipe, a linear probe, which is logistic regression solved exactly. The same on TF-IDF stands
beside them, on the same splits.
"""

import functools
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

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
from dla_jax.data import batches, labelled, splits
from dla_jax.evidence.pairs import Measure
from dla_jax.models.bert import Encoder
from dla_jax.models.build import check_even
from dla_jax.models.gpt import GPT
from dla_jax.models.mlp import Perceptron
from dla_jax.models.starts import KERNEL_INITS
from dla_jax.studies.architectures.report import lines
from dla_jax.studies.features import report
from dla_jax.studies.features.embedding import Embedded, embed, make_embedder
from dla_jax.studies.study import Description, Study, Tuning, data_facts
from dla_jax.tasks import (
    classifier,
    logistic,
    text_body,
    text_data,
    text_scores,
    tfidf,
    vector_classifier,
)
from dla_jax.tasks.text_restored import TextClassifier, reader
from dla_jax.training.checkpoint import load_variables, save_model
from dla_jax.training.record import Record
from dla_jax.training.task import Baseline, Task
from dla_jax.trials.arms import (
    Arm,
    Trial,
    check_arms,
    check_one_rate,
    final_trials,
    resolve,
    select_trials,
)
from dla_jax.trials.grid import Job
from dla_jax.trials.training import jobs_of

MODEL_KEYS = ("name", "widths", "dropout", "standardise", "init")
PROBE_KEYS = ("name", "standardise", *logistic.KEYS)
POOLINGS = ("mean", "mean_padded", "first", "last", "published")


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow.

    It checks keys, then the texts, then weights.
    """
    labelled.check_config(config.data, launch.data_dir, launch.download)
    check_arms(config, functools.partial(check_network, launch=launch))
    check_rules(
        config,
        {"encoder.pooling": choice(POOLINGS), "encoder.seed": seed(), "embed_batch_size": count()},
    )
    text_body.check_encoder(config.encoder, config.widths)
    devices = jax.device_count()
    check(
        config.embed_batch_size % devices == 0,
        f"embed_batch_size: {config.embed_batch_size} is not divisible by {devices} devices",
    )
    tfidf.check_words(configs_of_runs(config), text_data.check_data(config, launch))
    published = text_body.check_published(config.encoder, (Encoder, GPT), launch.download)
    check(
        config.encoder.pooling != "published" or getattr(published, "family", "") == "bert",
        f"encoder.pooling: {config.encoder.path or 'an encoder from scratch'} has no pooler; "
        "give another",
    )


def configs_of_runs(config) -> Iterator[tuple[str, ConfigDict, int]]:
    """Yield (network, its config, seed), once for each network and seed that is run."""
    arms = resolve(config)
    trials = [*select_trials(arms, config.select_seeds), *final_trials(arms)]
    for name, own_seed in dict.fromkeys((trial.arm, trial.seed) for trial in trials):
        yield name, arms[name].config, own_seed


def check_network(own, launch: Launch) -> None:
    """Raise ConfigError for the config of a network that cannot be built or trained."""
    model = own.model
    check_choice("model.name", model.name, ("perceptron", "logistic", "tfidf"))
    text_data.check_config(own, launch)
    if model.name != "perceptron":
        check_one_rate(own)
    if model.name == "tfidf":
        tfidf.check_model(model)
        return
    keys = PROBE_KEYS if model.name == "logistic" else MODEL_KEYS
    check(set(model.keys()) == set(keys), f"model: {model.name} has the keys {', '.join(keys)}")
    if model.name == "logistic":
        logistic.check_model(model)
        return
    for width in model.widths:
        check_count("model.widths", width)
    rules = {"init": choice(KERNEL_INITS), "dropout": number(low=0, below=1)}
    check_rules(model, rules, prefix="model.")
    check_even(model, model.init)


def describe(config, launch: Launch) -> Description:
    """Return what identifies the texts and the encoder, and what is to be said of them."""
    texts = text_data.read(config, launch)
    identity = text_data.identity(texts, [config.encoder], launch)
    return Description(identity, splits.remarks(texts))


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    embedded = embed(config, text_data.read(config, launch), launch)

    def make_run(trial: Trial) -> Task | Baseline:
        own = arms[trial.arm].config
        if own.model.name == "tfidf":
            return tfidf.make_baseline(own, embedded.texts, trial.seed)
        if own.model.name == "logistic":
            folder = launch.workdir / "checkpoints" / trial.name / "model"
            return make_probe(own, embedded, trial, folder)
        return make_task(own, embedded, trial.seed)

    return jobs_of(make_run, trials, launch.workdir, record)


def make_model(config, num_classes: int) -> Perceptron:
    """Return the Flax module of a network.

    Without widths, as logistic regression is read back, it is a linear one.
    """
    model = ConfigDict({"widths": (), "dropout": 0.0, "init": "he"} | config.model.to_dict())
    return Perceptron(
        widths=tuple(model.widths),
        dropout=model.dropout,
        dropout_at="every",
        relu_logits=False,
        num_classes=num_classes,
        mean=(0.0,),
        std=(1.0,),
        init_scheme=model.init,
        dtype="float32",
    )


def make_probe(config, embedded: Embedded, trial: Trial, folder: Path) -> Baseline:
    """Return logistic regression on the vectors; a compared one is saved in `folder`."""

    def fit() -> dict:
        return solve_probe(config, embedded, trial, folder)

    return Baseline(fit=fit, facts={"num_params": 0} | embedded.facts)


def solve_probe(config, embedded: Embedded, trial: Trial, folder: Path) -> dict:
    """Solve logistic regression on the vectors, and return what its last row says.

    A compared one is saved, as `make_model` has it. Its steps are those of the solver, so that a
    reader knows that it left a model.
    """
    started, texts = time.perf_counter(), embedded.texts
    parts = text_data.split(config, texts, trial.seed)
    scale = vector_classifier.scale_of(embedded.vectors[parts["train"]], config.model.standardise)
    x = {
        part: (embedded.vectors[rows] - scale["mean"]) / scale["std"]
        for part, rows in parts.items()
    }
    solution, row = logistic.fit(config, texts, parts, x, started)
    if trial.stage == "final":
        kernel, bias = solution.kernel.astype(np.float32), solution.bias.astype(np.float32)
        params = {"head": {"kernel": kernel, "bias": bias}}
        save_model(folder, {"params": params, "model_state": {"scale": scale}})
    return row | {"best_step": solution.steps, "step": row["solver_steps"]}


def make_task(config, embedded: Embedded, seed: int) -> Task:
    """Return the Task of one run. `config`: of the network."""
    texts, labels = embedded.texts, embedded.texts.labels
    num_classes = len(texts.class_names)
    model, parts = make_model(config, num_classes), text_data.split(config, texts, seed)
    train = parts["train"]
    plan = classifier.make_plan(config, len(train))
    scale = vector_classifier.scale_of(embedded.vectors[train], config.model.standardise)
    init_fn = functools.partial(vector_classifier.init_model, model=model, scale=scale)
    shapes = jax.tree.leaves(jax.eval_shape(init_fn, jax.random.key(seed))[0])
    num_params = {"num_params": sum(leaf.size for leaf in shapes)}
    weights = splits.class_weights(config.class_weight, texts)

    def batch_at(step: int) -> dict:
        positions = batches.batch_positions(seed, step, config.batch_size, len(train))
        return {"index": train[positions]}

    def logits(state, rows: np.ndarray) -> np.ndarray:
        x = embedded.data["vector"]
        return np.asarray(
            vector_classifier.evaluate(state.params, state.model_state, x, rows, model=model)
        )

    def evaluate(state) -> dict:
        return text_scores.scores(logits(state, parts["val"]), labels[parts["val"]], "val")

    return Task(
        init_fn=init_fn,
        loss_fn=vector_classifier.make_loss(model, config.label_smoothing, weights),
        tx=classifier.shared_optimiser(config.optim, plan.num_steps),
        batch_at=batch_at,
        evaluate=evaluate,
        better=classifier.better,
        plan=plan,
        data=embedded.data,
        mesh=embedded.mesh,
        batch_size=config.batch_size,
        test=text_scores.make_test(logits, texts, parts["test"]),
        result=classifier.result_of(config, len(train), num_classes),
        diverged=text_scores.guessing(texts),
        facts=num_params | embedded.facts,
        accumulate=config.accumulate,
        parallel=config.parallel,
        units_per_step=config.batch_size,
    )


def restore(
    folder: Path, config, data: dict, *, launch: Launch, mesh, at_most: int
) -> TextClassifier:
    """Return the trained classifier of a finished run (arguments: `text_restored.reader`)."""
    read = reader(config, data, launch, mesh, at_most)
    under, under_params = make_embedder(config, read.body)
    model = make_model(config, len(data["class_names"]))
    scale = vector_classifier.scale_of(
        np.zeros((1, read.body.config.n_embd), np.float32), standardise=True
    )
    init_fn = functools.partial(vector_classifier.init_model, model=model, scale=scale)
    shapes = jax.eval_shape(lambda seed: init_fn(jax.random.key(seed)), 0)
    found = load_variables(folder, *shapes)

    def logits(texts: list[str]) -> np.ndarray:
        x = read.vectors(under, under_params, texts, pooling=config.encoder.pooling)
        params, state, rows = found["params"], found["model_state"], np.arange(len(x))
        return np.asarray(vector_classifier.evaluate(params, state, x, rows, model=model))

    return TextClassifier(logits, tuple(data["class_names"]), read.body)


FEATURES = STUDY = Study(
    check=check_config,
    describe=describe,
    labels=lambda arm: {"arm": arm.name},
    jobs=jobs,
    tuning=Tuning("val_accuracy", classifier.rate_score),
    unit="text",
    name=lambda config: f"{config.experiment} on {config.data.name}",
    title=lambda found: f"Classifiers of texts on {found.written['data']['name']}",
    answer=report.answer,
    run_of=report.run_of,
    sections=report.sections,
    lines=lines,
    head="test accuracy, % [95 % interval]",
    facts=functools.partial(data_facts, counted="texts"),
    measure=Measure("test_accuracy", "points", margin=0.005, words="test accuracy"),
    restore=restore,
)
