"""What does fine-tuning an encoder reach on labelled texts, and what do the lab's settings cost?

Every network of the config is the config itself with its own overrides: how texts are written and padded, what stands for a whole
text, which layers are trained. Each first gets its own learning rate, unless it brings one; then networks x seeds, paired by
seed. TF-IDF with logistic regression stands beside them, on the same splits.
"""

import functools

import jax
import numpy as np

from dla_jax.config.checks import check, check_choice, check_count, check_number
from dla_jax.config.workdir import Run
from dla_jax.data import labelled, splits
from dla_jax.data.batches import POOL, width_of
from dla_jax.models.bert import POOLINGS, Classifier, Encoder
from dla_jax.studies.features.report import draw as draw
from dla_jax.tasks import logistic, text_classifier, text_encoder, tfidf
from dla_jax.tasks.classifier import better, make_plan, rate_score, run_result, shared_optimiser
from dla_jax.training.loop import no_trace
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import (
    check_networks,
    choose_rates,
    final_cells,
    own_config,
    select_cells,
    undecidable_claims,
)
from dla_jax.trials.grid import Setting, Story, begin, run_grid

MODEL_KEYS = ("name", "dropout", "frozen_layers")


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow: keys, then the texts, then weights."""
    labelled.check_config(config.data, run.data_dir, run.download)
    check_networks(config, functools.partial(check_own, run=run))
    tfidf.check_words(config, text_classifier.check_data(config, run))
    for network in config.networks:
        own = own_config(config, network)
        if own.model.name == "encoder":
            published = text_classifier.check_published(own.encoder, (Encoder,), run.download)
            layers, frozen = (
                published.n_layer if published else own.encoder.n_layer,
                own.model.frozen_layers,
            )
            check(
                frozen <= layers,
                f"networks.{network}: model.frozen_layers: {frozen} of {layers} layers; give at most that",
            )


def check_own(own, run: Run) -> None:
    """Raises ConfigError for the config of a network."""
    check_choice("model.name", own.model.name, ("encoder", "tfidf"))
    text_classifier.check_config(own, run)
    if own.model.name == "tfidf":
        tfidf.check_model(own.model)
        return
    check(
        set(own.model.keys()) == set(MODEL_KEYS),
        f"model: encoder has the keys {', '.join(MODEL_KEYS)}",
    )
    check_number("model.dropout", own.model.dropout, low=0, below=1)
    check_count("model.frozen_layers", own.model.frozen_layers, low=-1)
    check_choice("encoder.pooling", own.encoder.pooling, POOLINGS)
    check(
        own.steps_per_call == 1,
        f"steps_per_call: {own.steps_per_call}, but batches of texts differ in width; leave it at 1",
    )
    text_classifier.check_encoder(own.encoder, own.widths)


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    texts, mesh, encoded = text_classifier.load(config, run), data_mesh(), {}
    owns = [own_config(config, network) for network in config.networks]
    encoders_of = [own.encoder for own in owns if own.model.name == "encoder"]
    begin(
        config,
        run,
        text_classifier.identity(texts, encoders_of, run),
        [*splits.remarks(texts), *undecidable_claims(config)],
    )
    settings = {
        name: prepare(own_config(config, name), texts, encoded, mesh, run)
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
        story_of=lambda cell: make_story(setting_of(cell), cell.seed),
        draw=draw,
        unit="text",
    )


def prepare(config, texts: labelled.LabelledTexts, encoded: dict, mesh, run: Run) -> Setting:
    """The plan of a network's runs, its optimiser, and the texts in tokens. `encoded`: what networks before have made."""
    if config.model.name == "tfidf":
        return logistic.make_setting(config, texts, mesh)
    body = text_classifier.load_body(config.encoder, config.compute_dtype, texts, run)
    key = config.encoder.path, config.encoder.max_length, config.data.lower
    if key not in encoded:
        encoded[key] = text_classifier.encode(body, texts, config.encoder, config.data.lower)
    plan = make_plan(config, len(text_classifier.split(config, texts, config.seeds[0])["train"]))
    tx = shared_optimiser(config.optim, plan.num_steps)
    return Setting(
        config,
        {},
        mesh,
        tx,
        plan,
        no_trace,
        (texts, body, encoded[key]),
        config.batch_size,
        config.accumulate,
    )


def make_model(setting: Setting) -> Classifier:
    """The Flax module of a network."""
    config, (texts, body, _) = setting.config, setting.source
    pooler = body.config.family == "bert" and config.encoder.pooling == "published"
    sizes = body.config._replace(dropout=config.model.dropout, pooler=pooler)
    return Classifier(sizes, len(texts.class_names), config.encoder.pooling)


def make_story(setting: Setting, seed: int) -> Story:
    """What makes a run of one network."""
    config = setting.config
    if config.model.name == "tfidf":
        return tfidf.make_story(setting, seed)
    texts, body, encoded = setting.source
    model, parts, frozen = (
        make_model(setting),
        text_classifier.split(config, texts, seed),
        config.model.frozen_layers,
    )
    widths = text_classifier.widths_of(config)
    batch_at = text_encoder.make_batch_at(
        encoded,
        texts.labels,
        parts["train"],
        seed=seed,
        batch_size=config.batch_size,
        widths=widths,
        alike=len(config.widths) > 0,
    )

    def logits(state, rows):
        params = text_encoder.join_frozen(state.params, state.model_state)
        return text_encoder.vectors(
            model,
            params,
            encoded,
            rows,
            batch_size=config.batch_size,
            widths=widths,
            mesh=setting.mesh,
        )

    num_params = sum(leaf.size for leaf in jax.tree.leaves(text_encoder.shapes_of(model)))
    cut = {
        "truncated": encoded.truncated,
        "max_length": config.encoder.max_length,
        "tokens_per_text": float(encoded.length.mean()),
    }
    return Story(
        init_fn=functools.partial(
            text_encoder.init_classifier, model=model, encoder=body.params, frozen_layers=frozen
        ),
        loss_fn=text_encoder.make_loss(
            model, frozen, config.label_smoothing, splits.class_weights(config.class_weight, texts)
        ),
        batch_at=batch_at,
        evaluate=lambda state: text_classifier.scores(
            logits(state, parts["val"]), texts.labels[parts["val"]], "val"
        ),
        better=better,
        test=text_classifier.test_of(logits, config, texts, parts["test"]),
        result=functools.partial(
            run_result,
            batch_size=config.batch_size,
            num_examples=len(parts["train"]),
            chance=1 / len(texts.class_names),
        ),
        diverged=text_classifier.unscored(texts),
        facts={"num_params": num_params} | cut,
        shapes_at=steps_of_each_width(batch_at, setting.plan.num_steps),
        warm=lambda state: [
            logits(state, row) for row in one_of_each_width(encoded.length, parts["val"], widths)
        ],
    )


def one_of_each_width(
    lengths: np.ndarray, rows: np.ndarray, widths: tuple[int, ...]
) -> list[np.ndarray]:
    """Of the texts at `rows` one, int32 [1], for each of the widths that batches are padded to."""
    first = {}
    for row in rows.tolist():
        first.setdefault(width_of(lengths[row], widths), np.array([row], np.int32))
    return list(first.values())


def steps_of_each_width(batch_at, num_steps: int) -> tuple[int, ...]:
    """Of the first steps one for each width of a batch that comes among them."""
    first = {}
    for step in range(min(num_steps, POOL)):
        first.setdefault(batch_at(step)["token"].shape[1], step)
    return tuple(first.values())
