"""Our encoders beside PyTorch's best, embedding texts and fine-tuned: python -m bench.encoders [--nets=minilm,...] [--write]

Every measurement is a process of its own, as in `bench.language`. Both sides get the same padded batches of synthetic texts, few,
from short to long, again and again; PyTorch's encoders are those of `transformers`. Embedding takes the mean of a text's hidden
states, fine-tuning is the step that the study runs, with dropout; both in texts a second.
"""

import itertools
import os
import shutil
from typing import NamedTuple

import numpy as np

from bench import page, processes
from configs import yahoo
from dla_jax.data.batches import POOL, batches_by_length
from dla_jax.data.labelled import LabelledTexts
from dla_jax.data.tokenize import Encoded
from dla_jax.models.bert import BertConfig, Encoder
from dla_jax.tasks import text_encoder as texts


class Net(NamedTuple):
    """An encoder's sizes, with the dropout of its fine-tuning, and how many texts are embedded at a time."""

    sizes: BertConfig
    embedded: int


class Job(NamedTuple):
    """`task` is "embed" or "finetune"; `cores`: how many the process may use."""

    task: str
    net: str
    cores: int

    def __str__(self):
        return f"{self.task} {self.net}, {self.cores} cores"


NETS = {
    "minilm": Net(BertConfig("bert", 30522, 512, 6, 12, 384, 1536, type_vocab=2, dropout=0.1), 64),
    "base": Net(
        BertConfig(
            "roberta", 50265, 514, 6, 12, 768, 3072, type_vocab=1, pad_id=1, eps=1e-5, dropout=0.1
        ),
        32,
    ),
}
TEXTS, CLASSES, WIDTHS = 1024, 4, (32, 64, 128)
TRAINED, FEW, RATE = (
    16,
    4,
    1e-3,
)  # texts of a step, batches that come again and again, learning rate


def synthetic(sizes: BertConfig) -> tuple[Encoded, np.ndarray]:
    """Texts about as long as brief news, 53 tokens on average, and their labels int32 [TEXTS]."""
    rng = np.random.default_rng(0)
    length = (
        rng.lognormal(np.log(53) - 0.45**2 / 2, 0.45, TEXTS).clip(8, WIDTHS[-1]).astype(np.int32)
    )
    tokens = rng.integers(sizes.pad_id + 1, sizes.vocab_size, (TEXTS, WIDTHS[-1])).astype(np.int32)
    tokens[np.arange(WIDTHS[-1]) >= length[:, None]] = sizes.pad_id
    return Encoded(tokens, length, 0, sizes.pad_id), np.arange(TEXTS, dtype=np.int32) % CLASSES


def few(found: list) -> list:
    """FEW of many, evenly from the first to the last."""
    return found[len(found) // FEW // 2 :: len(found) // FEW]


def embedded_rows(net: Net) -> list[np.ndarray]:
    """Which texts each batch has that is embedded, the shortest first."""
    return few(batches_by_length(synthetic(net.sizes)[0].length, net.embedded))


def embedded_batches(net: Net) -> list[dict]:
    """These batches, as `texts.vectors` pads them."""
    encoded, _ = synthetic(net.sizes)
    return [texts.gather(encoded, rows, WIDTHS) for rows in embedded_rows(net)]


def trained_batches(net: Net) -> list[dict]:
    """The batches of fine-tuning, as the study pads them, the shortest first."""
    batch_at = texts.make_batch_at(
        *synthetic(net.sizes),
        np.arange(TEXTS),
        seed=0,
        batch_size=TRAINED,
        widths=WIDTHS,
        alike=True,
    )
    return few(sorted(map(batch_at, range(POOL)), key=lambda batch: batch["length"].max()))


def our_setting(net: Net):
    """(setting, story of a run) as the study makes them, but for the batches."""
    from dla_jax.studies.finetune import study as finetune
    from dla_jax.tasks import text_classifier as text_runs
    from dla_jax.tasks.classifier import make_plan, shared_optimiser
    from dla_jax.training.loop import no_trace
    from dla_jax.training.mesh import data_mesh
    from dla_jax.trials.grid import Setting

    config, (encoded, labels), batches = (
        yahoo.get_config("minilm"),
        synthetic(net.sizes),
        trained_batches(net),
    )
    config.batch_size, config.widths, config.model.dropout = TRAINED, WIDTHS[:-1], net.sizes.dropout
    config.optim.schedule, config.optim.warmup_fraction = "constant", 0.0
    labelled = LabelledTexts(
        "synthetic", (), labels, tuple(map(str, range(CLASSES))), TEXTS * 3 // 4
    )
    body = text_runs.Body(net.sizes._replace(dtype=processes.dtype()), None, None, net.sizes.pad_id)
    plan, mesh = make_plan(config, TEXTS), data_mesh()
    tx = shared_optimiser(config.optim, plan.num_steps)
    setting = Setting(config, {}, mesh, tx, plan, no_trace, (labelled, body, encoded))
    return setting, finetune.make_story(setting, seed=0)._replace(
        batch_at=lambda step: batches[step % FEW]
    )


def our_steps(net: Net):
    """A function of n that takes a step on each of the batches n times."""
    take = processes.training(*our_setting(net), rows=1)
    return lambda n: take(n * FEW) // FEW


def our_vectors(net: Net, params: dict | None = None):
    """A function that embeds the texts: float32 [N, D]; by random parameters if none are given."""
    import jax

    from dla_jax.training.mesh import data_mesh, put, replicated

    model, mesh, (encoded, _) = (
        Encoder(net.sizes._replace(dtype=processes.dtype())),
        data_mesh(),
        synthetic(net.sizes),
    )
    params = put(params or texts.init_encoder(jax.random.key(0), model=model), replicated(mesh))
    rows = np.concatenate(embedded_rows(net))
    return lambda: texts.vectors(
        model,
        params,
        encoded,
        rows,
        batch_size=net.embedded,
        widths=WIDTHS,
        mesh=mesh,
        pooling="mean",
    )


def torch_task(job: Job, setting: dict):
    """The same as `our_steps` or `our_vectors` for PyTorch."""
    import torch

    from bench import torch_encoders

    torch.set_num_threads(setting["threads"])
    net, place = NETS[job.net], "cuda" if torch.cuda.is_available() else "cpu"
    if job.task == "finetune":
        model = torch_encoders.Classifier(net.sizes, CLASSES, setting["attention"])
        step = torch_encoders.trainer(
            model, trained_batches(net), place, RATE, yahoo.base().optim, setting["compiled"]
        )
        once = lambda: [step() for _ in range(FEW)]
    else:
        model = torch_encoders.Embedder(net.sizes, setting["attention"])
        once = torch_encoders.embedder(model, embedded_batches(net), place, setting["compiled"])
    return processes.repeated(once, torch.cuda.synchronize if place == "cuda" else None)


def work_of(side: str, job: Job, setting: dict):
    """What `processes` measures: the batches, each once."""
    processes.keep_to(job.cores)
    if side == "torch":
        return torch_task(job, setting)
    return (
        our_steps(NETS[job.net])
        if job.task == "finetune"
        else processes.repeated(our_vectors(NETS[job.net]))
    )


def units_of(job: Job) -> int:
    """Texts of the batches."""
    return FEW * (TRAINED if job.task == "finetune" else NETS[job.net].embedded)


def settings_of(side: str, job: Job) -> list[dict]:
    """What to choose a side's best from."""
    if side == "ours":
        return processes.settings()
    compiled = (False, True) if shutil.which(os.environ.get("CXX", "g++")) else (False,)
    return processes.settings(
        threads=(job.cores, 1), attention=("sdpa", "eager"), compiled=compiled
    )


def table(results: list[dict]) -> str:
    """Markdown."""
    return page.table(["task", "network", "cores"], tuple, results, "texts", "batches")


def main() -> None:
    if processes.answered(Job, work_of, units_of):
        return
    given = page.arguments_with_torch("encoders", __doc__, NETS, 3, 4.0, "transformers")
    jobs = [
        Job(*job)
        for job in itertools.product(("embed", "finetune"), given.nets, processes.core_counts())
    ]
    results = [
        processes.compare("encoders", job, settings_of, given.rounds, given.seconds) for job in jobs
    ]
    page.show("encoders", table(results), given.write, "torch", "transformers")


if __name__ == "__main__":
    main()
