"""The trained networks of a finished workdir: which one, and how it is read back."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import check, check_choice
from dla_jax.config.workdir import Run, read_config
from dla_jax.evidence import records
from dla_jax.evidence.rows import read_rows
from dla_jax.tasks import vector_classifier as vectors
from dla_jax.training.checkpoint import load_model
from dla_jax.trials.arms import own_config

BATCH = 64  # texts that are classified together
IMAGES, TEXTS = ("depth", "depth_study", "architectures", "gradients"), ("finetune", "features")


def made_run(run: Run) -> Run:
    """What the study that a preset makes first is given."""
    return run._replace(workdir=run.workdir / "study")


def workdir_of(config, run: Run, study: Callable) -> Path:
    """The workdir to read a model from: that of `--from`, or of `config.made`, which `study(config, run)` makes first."""
    if not config.made:
        return run.from_dir
    made = made_run(run)
    made.workdir.mkdir(parents=True, exist_ok=True)
    study(config.made, made)
    return made.workdir


def finished_runs(workdir: Path, network: str, experiments: Iterable[str], what: str) -> list[dict]:
    """The last rows of the runs that left a model, of one network or of all.

    Args:
      network: as the report names it; "": any.
      experiments: that make such a model.
      what: they make, in words.

    Raises:
      ConfigError: no such study there, not finished, or without such a network.
    """
    written = read_config(workdir)
    found = written["config"]["experiment"]
    check(
        found in experiments,
        f"--from: {workdir} holds no {what}, but {found}; give a workdir of {', '.join(experiments)}",
    )
    check(
        (workdir / "summary.json").is_file(),
        f"the study in {workdir} is not finished; go on with: "
        f"{records.resume_command(written, workdir)}",
    )
    rows = [
        row
        for row in read_rows(workdir / "metrics.jsonl")
        if row.get("done") and row["stage"] == "final"
    ]
    rows = [row for row in rows if row["step"]]  # a baseline, which takes none, leaves no model
    check(
        len(rows) > 0, f"--from: the study in {workdir} has but a baseline, which leaves no model"
    )
    if network:
        check_choice("network", network, tuple(dict.fromkeys(row["group"] for row in rows)))
    rows = [row for row in rows if network in ("", row["group"]) and not row["diverged"]]
    check(
        len(rows) > 0,
        f"--from: every run of {network or 'the study'} in {workdir} diverged; there is no model",
    )
    return rows


def choose_run(
    workdir: Path, network: str, experiments: Iterable[str], what: str, score: Callable
) -> dict:
    """That of the `finished_runs` with the largest score(last row)."""
    return max(finished_runs(workdir, network, experiments, what), key=score)


def choose_classifier(workdir: Path, network: str) -> dict:
    """`choose_run` of a classifier of images or texts."""
    return choose_run(
        workdir, network, (*IMAGES, *TEXTS), "classifier", lambda row: row["val_accuracy"]
    )


class ImageClassifier(NamedTuple):
    """A network for images float32 [B, *shape] in [0, 1], its variables, and what its classes are called."""

    model: object
    variables: dict
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]


class _Facts(NamedTuple):
    """What `make_model` needs to know of the images a network was trained on."""

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_image_classifier(workdir: Path, row: dict) -> ImageClassifier:
    """The network of a run.

    Raises:
      ConfigError: the workdir does not say what its images were, or the model is missing or damaged.
    """
    from dla_jax.studies.architectures import study as architectures
    from dla_jax.studies.depth import study as depth_study
    from dla_jax.trials.grid import Setting

    written = read_config(workdir)
    config, data = ConfigDict(written["config"]), written["data"]
    check(
        "shape" in data,
        f"{workdir} was made by an earlier version, which did not keep the names of its classes; train it again",
    )
    facts, shape = (
        _Facts(tuple(data["class_names"]), tuple(data["mean"]), tuple(data["std"])),
        tuple(data["shape"]),
    )
    if config.experiment in ("depth", "depth_study"):
        arm = depth_study.arm_of(config, row["arm"])
        model = depth_study.make_model(
            Setting(config, {}, None, None, None, None, facts), row["depth"], arm
        )
    else:
        config = own_config(config, row["group"])
        model = architectures.make_model(Setting(config, {}, None, None, None, None, facts))
    init = lambda seed: model.init(jax.random.key(seed), jnp.zeros((1, *shape)), train=False)
    model_state = dict(jax.eval_shape(init, 0))
    params = model_state.pop("params")
    if config.freeze_norm_after_epochs:
        model_state["steps"] = {"taken": jnp.float32(0)}
    found = read_variables(workdir, row, params, model_state)
    return ImageClassifier(
        model, {"params": found["params"], **found["model_state"]}, shape, facts.class_names
    )


def read_variables(workdir: Path, row: dict, params: dict, model_state: dict) -> dict:
    """{"params", "model_state"} of a run whose arrays have the shapes of these."""
    like = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
        {"params": params, "model_state": model_state},
    )
    return load_model(workdir / "checkpoints" / row["run"] / "model", like)


class TextClassifier(NamedTuple):
    """What reads texts: `logits` is (texts) -> float32 [N, C]; `model` and `params` of a fine-tuned one, None where features
    are frozen."""

    logits: Callable
    class_names: tuple[str, ...]
    body: object
    model: object = None
    params: dict | None = None


def read_text_classifier(
    workdir: Path, row: dict, run: Run, mesh, at_most: int = 1
) -> TextClassifier:
    """The classifier of a run, with its tokenizer. `at_most`: texts that it will be given at once.

    Raises:
      ConfigError: the model, or the published one that it stands on, is missing or damaged.
    """
    from dla_jax.studies.features import study as features
    from dla_jax.studies.finetune import study as finetune
    from dla_jax.tasks import text_classifier as text_runs
    from dla_jax.tasks import text_encoder as encoders
    from dla_jax.trials.grid import Setting

    written = read_config(workdir)
    config = own_config(ConfigDict(written["config"]), row["group"])
    data, class_names = written["data"], tuple(written["data"]["class_names"])
    path = config.encoder.path
    check(
        not path
        or data["encoders"][path] == text_runs.fingerprint(text_runs.find(path, run.download)),
        f"--from: {path} has other weights, or another tokenizer, than when {workdir} was made; train again",
    )
    body = text_runs.load_body(
        config.encoder, config.compute_dtype, None, run._replace(workdir=workdir, first=False)
    )
    widths = text_runs.widths_of(config)

    def encode(texts):
        words = [text.lower() for text in texts] if config.data.lower else texts
        encoded = body.tokenizer.encode_all(words, config.encoder.max_length, body.pad_id)
        if encoded.truncated:
            print(
                f"{encoded.truncated} of {len(texts)} texts were cut to {config.encoder.max_length} tokens",
                file=sys.stderr,
            )
        return encoded

    def through(model, params, texts, **options):
        size = min(BATCH, 1 << (at_most - 1).bit_length())  # a power of two, for few shapes
        return encoders.vectors(
            model,
            params,
            encode(texts),
            np.arange(len(texts)),
            batch_size=size,
            widths=widths,
            mesh=mesh,
            **options,
        )

    if config.experiment == "finetune":
        names = text_runs.ClassNames(class_names)
        model = finetune.make_model(
            Setting(config, {}, mesh, None, None, None, (names, body, None))
        )
        found = read_variables(
            workdir,
            row,
            *encoders.split_frozen(encoders.shapes_of(model), config.model.frozen_layers),
        )
        params = encoders.join_frozen(found["params"], found["model_state"])
        return TextClassifier(
            lambda texts: through(model, params, texts), class_names, body, model, params
        )

    under, params = features.make_embedder(config, body)
    model = features.make_model(config, len(class_names))
    scale = vectors.scale_of(np.zeros((1, body.config.n_embd), np.float32), True)
    init = lambda seed: vectors.init_model(jax.random.key(seed), model=model, scale=scale)
    found = read_variables(workdir, row, *jax.eval_shape(init, 0))

    def logits(texts):
        x = through(under, params, texts, pooling=config.encoder.pooling)
        return np.asarray(
            vectors.evaluate(
                found["params"], found["model_state"], x, np.arange(len(x)), model=model
            )
        )

    return TextClassifier(logits, class_names, body)
