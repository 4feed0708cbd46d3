"""What are the features of a frozen transformer worth? A classifier on top of them, beside TF-IDF.

Every text is embedded once, by a model that is not trained; the vectors are kept on disk. Then every network of the config is a
small classifier of vectors: the lab's MLP, the same by another recipe, a linear probe, which is logistic regression solved
exactly. The same on TF-IDF stands beside them, on the same splits.
"""

import functools
import sys
import time
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import check, check_choice, check_count, check_number, check_seed
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Run
from dla_jax.data import batches, embeddings, labelled, splits
from dla_jax.models.bert import BertConfig, Encoder
from dla_jax.models.gpt import GPT
from dla_jax.models.layers import INITS
from dla_jax.models.mlp import Perceptron
from dla_jax.studies.features.report import draw as draw
from dla_jax.tasks import logistic, text_classifier, text_encoder, tfidf, vector_classifier
from dla_jax.tasks.classifier import better, make_plan, rate_score, run_result, shared_optimiser
from dla_jax.training.checkpoint import save_model
from dla_jax.training.loop import no_trace
from dla_jax.training.mesh import data_mesh, on_any_process, put, replicated
from dla_jax.training.record import progress_line
from dla_jax.trials.arms import (
    Cell,
    check_networks,
    choose_rates,
    final_cells,
    own_config,
    select_cells,
    undecidable_claims,
)
from dla_jax.trials.grid import Setting, Story, begin, run_grid

MODEL_KEYS = ("name", "widths", "dropout", "standardise", "init")
PROBE_KEYS = ("name", "standardise", *logistic.KEYS)
POOLINGS = ("mean", "mean_padded", "first", "last", "published")


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow: keys, then the texts, then weights."""
    labelled.check_config(config.data, run.data_dir, run.download)
    check_networks(config, functools.partial(check_own, run=run))
    check_choice("encoder.pooling", config.encoder.pooling, POOLINGS)
    check_seed("encoder.seed", config.encoder.seed)
    text_classifier.check_encoder(config.encoder, config.widths)
    check_count("embed_batch_size", config.embed_batch_size)
    check(
        config.embed_batch_size % jax.device_count() == 0,
        f"embed_batch_size: {config.embed_batch_size} is not divisible by {jax.device_count()} devices",
    )
    tfidf.check_words(config, text_classifier.check_data(config, run))
    published = text_classifier.check_published(config.encoder, (Encoder, GPT), run.download)
    check(
        config.encoder.pooling != "published" or getattr(published, "family", "") == "bert",
        f"encoder.pooling: {config.encoder.path or 'an encoder from scratch'} has no pooler; give another",
    )


def check_own(own, run: Run) -> None:
    """Raises ConfigError for the config of a network."""
    check_choice("model.name", own.model.name, ("perceptron", "logistic", "tfidf"))
    text_classifier.check_config(own, run)
    if own.model.name == "tfidf":
        tfidf.check_model(own.model)
        return
    if own.model.name == "logistic":
        check(
            set(own.model.keys()) == set(PROBE_KEYS),
            f"model: logistic has the keys {', '.join(PROBE_KEYS)}",
        )
        logistic.check_model(own.model)
        return
    check(
        set(own.model.keys()) == set(MODEL_KEYS),
        f"model: perceptron has the keys {', '.join(MODEL_KEYS)}",
    )
    for width in own.model.widths:
        check_count("model.widths", width)
    check_choice("model.init", own.model.init, INITS)
    check_number("model.dropout", own.model.dropout, low=0, below=1)


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    texts, mesh = text_classifier.load(config, run), data_mesh()
    begin(
        config,
        run,
        text_classifier.identity(texts, [config.encoder], run),
        [*splits.remarks(texts), *undecidable_claims(config)],
    )
    found, facts = embed(config, texts, mesh, run)
    data = put({"vector": found, "label": texts.labels}, replicated(mesh))
    settings = {
        name: prepare(own_config(config, name), texts, data, (found, facts), mesh)
        for name in config.networks
    }
    setting_of = lambda cell: settings[cell.group]
    run_grid(
        config,
        run,
        select=select_cells(config),
        final=final_cells(config),
        choose_rates=functools.partial(choose_rates, config, score=rate_score),
        setting_of=setting_of,
        story_of=lambda cell: make_story(setting_of(cell), cell, run.workdir),
        draw=draw,
        unit="text",
    )


def make_embedder(config, body: text_classifier.Body) -> tuple[Encoder | GPT, dict]:
    """The model that embeds texts and its parameters, random where none are published."""
    model = Encoder(body.config) if isinstance(body.config, BertConfig) else GPT(body.config)
    return model, body.params or text_encoder.init_encoder(
        jax.random.key(config.encoder.seed), model=model
    )


def embed(config, texts: labelled.LabelledTexts, mesh, run: Run) -> tuple[np.ndarray, dict]:
    """One vector a text, float32 [N, D], from the disk where they were computed before; and what the report says of them."""
    encoder, body = (
        config.encoder,
        text_classifier.load_body(config.encoder, config.compute_dtype, texts, run),
    )
    encoded = text_classifier.encode(body, texts, encoder, config.data.lower)
    model, params = make_embedder(config, body)
    widths = text_classifier.widths_of(config)
    settings = (
        repr(body.config),
        encoder.pooling,
        widths if encoder.pooling == "mean_padded" else "",
        jax.default_backend(),
    )
    key = embeddings.key_of(params, encoded, settings)
    held = embeddings.read(key)
    facts = {
        "truncated": encoded.truncated,
        "max_length": encoder.max_length,
        "tokens_per_text": float(encoded.length.mean()),
    }
    if not on_any_process(held is None):
        print("the vectors were computed before", file=sys.stderr)
        return held, facts
    params, started = put(params, replicated(mesh)), time.perf_counter()
    with progress_line(len(texts.texts), run.quiet, "text") as progress:

        def done(count):
            if on_any_process(stop_requested.is_set()):
                raise Interrupted  # nothing is lost but time: the vectors are kept when all are there
            progress.update(count)

        found = text_encoder.vectors(
            model,
            params,
            encoded,
            np.arange(len(texts.texts)),
            batch_size=config.embed_batch_size,
            widths=widths,
            mesh=mesh,
            pooling=encoder.pooling,
            done=done,
        )
    seconds = time.perf_counter() - started
    print(f"embedded in {seconds:.0f} s, {len(found) / seconds:,.0f} texts/s", file=sys.stderr)
    if run.first:
        kept = embeddings.write(key, found)
        print(
            f"vectors are kept in {kept}, {found.nbytes / 2**20:.0f} MiB"
            if kept
            else "vectors cannot be kept",
            file=sys.stderr,
        )
    return found, facts


def prepare(
    config, texts: labelled.LabelledTexts, data: dict, embedded: tuple[np.ndarray, dict], mesh
) -> Setting:
    """The plan of a network's runs, and its optimiser."""
    if config.model.name == "tfidf":
        return logistic.make_setting(config, texts, mesh)
    if config.model.name == "logistic":
        return logistic.make_setting(config, (texts, *embedded), mesh)
    plan = make_plan(config, len(text_classifier.split(config, texts, config.seeds[0])["train"]))
    tx = shared_optimiser(config.optim, plan.num_steps)
    return Setting(
        config,
        data,
        mesh,
        tx,
        plan,
        no_trace,
        (texts, *embedded),
        config.batch_size,
        config.accumulate,
    )


def make_model(config, num_classes: int) -> Perceptron:
    """The Flax module of a network; without widths, as logistic regression is read back, a linear one."""
    model = ConfigDict({"widths": (), "dropout": 0.0, "init": "he"} | config.model.to_dict())
    return Perceptron(
        tuple(model.widths),
        model.dropout,
        "every",
        False,
        num_classes,
        (0.0,),
        (1.0,),
        model.init,
        "float32",
    )


def solve_probe(setting: Setting, cell: Cell, workdir: Path) -> dict:
    """Return what the last row says of logistic regression on the vectors; a compared one is saved, as `make_model` has it.

    Its steps are those of the solver, so that a reader knows that it left a model.
    """
    started, config, (texts, found, _) = time.perf_counter(), setting.config, setting.source
    parts = text_classifier.split(config, texts, cell.seed)
    scale = vector_classifier.scale_of(found[parts["train"]], config.model.standardise)
    x = {part: (found[rows] - scale["mean"]) / scale["std"] for part, rows in parts.items()}
    solution, row = logistic.fit(config, texts, parts, x, started)
    if cell.stage == "final":
        head = {
            "kernel": solution.kernel.astype(np.float32),
            "bias": solution.bias.astype(np.float32),
        }
        save_model(
            workdir / "checkpoints" / cell.name / "model",
            {"params": {"head": head}, "model_state": {"scale": scale}},
        )
    return row | {"best_step": solution.steps, "step": row["solver_steps"]}


def make_story(setting: Setting, cell: Cell, workdir: Path) -> Story:
    """What makes a run of one network."""
    config, seed = setting.config, cell.seed
    if config.model.name == "tfidf":
        return tfidf.make_story(setting, seed)
    if config.model.name == "logistic":
        return logistic.make_story(
            functools.partial(solve_probe, setting, cell, workdir), setting.source[2]
        )
    (texts, found, facts), data = setting.source, setting.data
    model, parts = (
        make_model(config, len(texts.class_names)),
        text_classifier.split(config, texts, seed),
    )
    train = parts["train"]

    def logits(state, rows):
        return np.asarray(
            vector_classifier.evaluate(
                state.params, state.model_state, data["vector"], rows, model=model
            )
        )

    scale = vector_classifier.scale_of(found[train], config.model.standardise)
    init_fn = functools.partial(vector_classifier.init_model, model=model, scale=scale)
    shapes = jax.eval_shape(init_fn, jax.random.key(seed))[0]
    return Story(
        init_fn=init_fn,
        loss_fn=vector_classifier.make_loss(
            model, config.label_smoothing, splits.class_weights(config.class_weight, texts)
        ),
        batch_at=lambda step: {
            "index": train[batches.batch_positions(seed, step, config.batch_size, len(train))]
        },
        evaluate=lambda state: text_classifier.scores(
            logits(state, parts["val"]), texts.labels[parts["val"]], "val"
        ),
        better=better,
        test=text_classifier.test_of(logits, config, texts, parts["test"]),
        result=functools.partial(
            run_result,
            batch_size=config.batch_size,
            num_examples=len(train),
            chance=1 / len(texts.class_names),
        ),
        diverged=text_classifier.unscored(texts),
        facts={"num_params": sum(leaf.size for leaf in jax.tree.leaves(shapes))} | facts,
    )
