"""Our encoders beside PyTorch's best, embedding texts and fine-tuned.

    python -m bench.encoders [--nets=minilm,...] [--write]

Every measurement is a process of its own, as in `bench.language`. Both sides get the same padded
batches of synthetic texts, few, from short to long, again and again; PyTorch's encoders are those
of `transformers`. Embedding takes the mean of a text's hidden states, fine-tuning is the step that
the study runs, with dropout; both in texts a second.
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
from dla_jax.tasks import text_encoder


class Net(NamedTuple):
    """An encoder's sizes, with its fine-tuning's dropout, and how many texts it embeds at once."""

    sizes: BertConfig
    embedded: int


class Job(NamedTuple):
    """One measurement of an encoder."""

    task: str  # "embed" or "finetune"
    net: str
    cores: int  # that the process may use

    def __str__(self):
        return f"{self.task} {self.net}, {self.cores} cores"


MINILM = BertConfig("bert", 30522, 512, 6, 12, 384, 1536, type_vocab=2, dropout=0.1)
BASE = BertConfig(
    "roberta", 50265, 514, 6, 12, 768, 3072, type_vocab=1, pad_id=1, eps=1e-5, dropout=0.1
)
NETS = {"minilm": Net(MINILM, 64), "base": Net(BASE, 32)}
TEXTS, CLASSES, WIDTHS = 1024, 4, (32, 64, 128)
TRAINED, RATE = 16, 1e-3  # texts of a step, learning rate
FEW = 4  # batches that come again and again


def synthetic(sizes: BertConfig) -> tuple[Encoded, np.ndarray]:
    """Return texts about as long as brief news, and their labels int32 [TEXTS].

    They have 53 tokens on average.
    """
    rng = np.random.default_rng(0)
    length = rng.lognormal(np.log(53) - 0.45**2 / 2, 0.45, TEXTS)
    length = length.clip(8, WIDTHS[-1]).astype(np.int32)
    tokens = rng.integers(sizes.pad_id + 1, sizes.vocab_size, (TEXTS, WIDTHS[-1])).astype(np.int32)
    tokens[np.arange(WIDTHS[-1]) >= length[:, None]] = sizes.pad_id
    return Encoded(tokens, length, 0, sizes.pad_id), np.arange(TEXTS, dtype=np.int32) % CLASSES


def few(found: list) -> list:
    """Return FEW of many, evenly from the first to the last."""
    return found[len(found) // FEW // 2 :: len(found) // FEW]


def embedded_rows(net: Net) -> list[np.ndarray]:
    """Return which texts each batch to embed has, int [embedded], the shortest first."""
    return few(batches_by_length(synthetic(net.sizes)[0].length, net.embedded))


def embedded_batches(net: Net) -> list[dict]:
    """Return the batches that are embedded, as `text_encoder.vectors` pads them."""
    encoded, _ = synthetic(net.sizes)
    return [text_encoder.gather(encoded, rows, WIDTHS) for rows in embedded_rows(net)]


def trained_batches(net: Net) -> list[dict]:
    """Return the batches of fine-tuning, as the study pads them, the shortest first."""
    order = {"seed": 0, "batch_size": TRAINED, "widths": WIDTHS, "alike": True}
    batch_at = text_encoder.make_batch_at(*synthetic(net.sizes), np.arange(TEXTS), **order)
    return few(sorted(map(batch_at, range(POOL)), key=lambda batch: batch["length"].max()))


def our_config(net: Net):
    """Return the config of a run, as the study has it."""
    config = yahoo.get_config("minilm")
    config.update({"batch_size": TRAINED, "widths": WIDTHS[:-1]})
    config.model.dropout = net.sizes.dropout
    config.optim.update({"schedule": "constant", "warmup_fraction": 0.0})
    return config


def our_task(net: Net):
    """Return the Task of a run as the study makes it, except the batches."""
    from dla_jax.studies.finetune.study import Loaded, make_task
    from dla_jax.tasks.text_body import Body
    from dla_jax.training.mesh import data_mesh

    (encoded, labels), batches = synthetic(net.sizes), trained_batches(net)
    classes, test_start = tuple(map(str, range(CLASSES))), TEXTS * 3 // 4
    labelled = LabelledTexts("synthetic", (), labels, classes, test_start)
    sizes = net.sizes._replace(dtype=processes.dtype())
    body = Body(sizes, params=None, tokenizer=None, pad_id=sizes.pad_id)
    loaded = Loaded(labelled, body, encoded, data_mesh())
    task = make_task(our_config(net), loaded, seed=0)
    return task._replace(batch_at=lambda step: batches[step % FEW])


def our_steps(net: Net):
    """Return a function of n that takes a step on each of the batches n times."""
    take = processes.training(our_task(net), rows=1)
    return lambda n: take(n * FEW) // FEW


def our_vectors(net: Net, params: dict | None = None):
    """Return a function that embeds the texts: float32 [N, D].

    Without `params` it does so by random parameters.
    """
    import jax

    from dla_jax.training.mesh import data_mesh, put, replicated

    model, mesh = Encoder(net.sizes._replace(dtype=processes.dtype())), data_mesh()
    encoded, _ = synthetic(net.sizes)
    params = put(
        params or text_encoder.init_encoder(jax.random.key(0), model=model), replicated(mesh)
    )
    rows = np.concatenate(embedded_rows(net))
    how = {"batch_size": net.embedded, "widths": WIDTHS, "mesh": mesh, "pooling": "mean"}
    return lambda: text_encoder.vectors(model, params, encoded, rows, **how)


def torch_task(job: Job, setting: dict):
    """Return the work of `our_steps` or `our_vectors` for PyTorch."""
    import torch

    from bench import torch_encoders

    torch.set_num_threads(setting["threads"])
    net, place = NETS[job.net], "cuda" if torch.cuda.is_available() else "cpu"
    if job.task == "finetune":
        model = torch_encoders.Classifier(net.sizes, CLASSES, setting["attention"])
        batches, optim = trained_batches(net), yahoo.base().optim
        compiled = setting["compiled"]
        step = torch_encoders.trainer(model, batches, place, RATE, optim, compiled)
        once = lambda: [step() for _ in range(FEW)]
    else:
        model = torch_encoders.Embedder(net.sizes, setting["attention"])
        once = torch_encoders.embedder(model, embedded_batches(net), place, setting["compiled"])
    return processes.repeated(once, torch.cuda.synchronize if place == "cuda" else None)


def work_of(side: str, job: Job, setting: dict):
    """Return what `processes` measures: the batches, each once."""
    processes.keep_to(job.cores)
    if side == "torch":
        return torch_task(job, setting)
    if job.task == "finetune":
        return our_steps(NETS[job.net])
    return processes.repeated(our_vectors(NETS[job.net]))


def units_of(job: Job) -> int:
    """Return how many texts the batches have."""
    return FEW * (TRAINED if job.task == "finetune" else NETS[job.net].embedded)


def settings_of(side: str, job: Job) -> list[dict]:
    """Return the settings that a side's best is chosen from."""
    if side == "ours":
        return processes.settings()
    compiled = (False, True) if shutil.which(os.environ.get("CXX", "g++")) else (False,)
    threads, attention = (job.cores, 1), ("sdpa", "eager")
    return processes.settings(threads=threads, attention=attention, compiled=compiled)


def table(results: list[dict]) -> str:
    """Return the comparisons as a table in Markdown."""
    return page.table(["task", "network", "cores"], tuple, results, "texts", "batches")


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    if processes.answered(Job, work_of, units_of):
        return
    given = page.arguments_with_torch("encoders", __doc__, NETS, 3, 4.0, "transformers")
    tasks = itertools.product(("embed", "finetune"), given.nets, processes.core_counts())
    spent = given.rounds, given.seconds
    results = [processes.compare("encoders", Job(*task), settings_of, *spent) for task in tasks]
    page.show("encoders", table(results), given.write, "torch", "transformers")


if __name__ == "__main__":
    main()
