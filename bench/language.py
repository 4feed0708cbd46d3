"""Our decoders beside PyTorch's best, training and writing.

    python -m bench.language [--nets=gpt,...] [--write]

Every measurement is a process of its own: one side, one network, one number of cores, warmed up,
then timed. First each side's best setting is found, then the two sides take turns. Training is the
step that the study runs, in tokens a second; writing is one text at a time, with cached keys and
values, in tokens a second with the prompt's reading.
"""

import itertools
import os
import shutil
from typing import NamedTuple

import numpy as np

from bench import page, processes
from configs import dante


class Net(NamedTuple):
    """A network that is trained: a preset's model."""

    model: dict
    batch_size: int
    writes: int  # the context with which it writes; 0: it does not


class Job(NamedTuple):
    """One measurement of a decoder."""

    task: str  # "train" or "write"
    net: str
    cores: int  # that the process may use

    def __str__(self):
        return f"{self.task} {self.net}, {self.cores} cores"


SMALL_LLAMA = dante.llama(4, 4, 128, 128, n_kv_head=4, intermediate=344, tied=True)
NETS = {
    "gpt": Net(dante.gpt(6, 6, 384, 128), batch_size=8, writes=256 + 16),
    "tiny_llama": Net(dante.get_config("tiny").model.to_dict(), batch_size=8, writes=0),
    "small_llama": Net(SMALL_LLAMA, batch_size=16, writes=128),
}
ALPHABET = "".join(map(chr, range(48, 48 + 65)))
PROMPT, WRITTEN = np.arange(8, dtype=np.int32), 256


def synthetic() -> np.ndarray:
    """Return a text of 60,000 tokens: int32."""
    return np.random.default_rng(0).integers(0, len(ALPHABET), 60_000).astype(np.int32)


def our_config(net: Net):
    """Return the config of a run, as the study has it."""
    config = dante.base()
    config.update({"batch_size": net.batch_size, "compute_dtype": processes.dtype()})
    config.update({"ngram_order": 1, "target_order": 1})
    config.update({"num_steps": 10**6, "eval_every_steps": 10**6, "log_every_steps": 0})
    config.model = net.model
    config.optim.schedule = "constant"
    return config


def our_task(net: Net):
    """Return the Task of a run, as the study makes it."""
    from dla_jax.data import text, tokenize
    from dla_jax.tasks.language_task import Loaded, make_task
    from dla_jax.tasks.text_source import Source, put_tokens
    from dla_jax.training.mesh import data_mesh

    config, tokenizer = our_config(net), tokenize.Characters(ALPHABET)
    fractions = config.data.val_fraction, config.data.test_fraction
    parts = text.split(tokenizer.decode(synthetic()), *fractions)
    tokens = text.encode_parts(parts, tokenizer.encode)
    source, mesh = Source(parts, len(ALPHABET), tokenizer, tokens), data_mesh()
    loaded = Loaded(source, put_tokens(source, mesh), mesh)
    return make_task(config, loaded, seed=0, compared=True)


def our_module(net: Net, block_size: int):
    """Return the Flax module for contexts of `block_size`."""
    from ml_collections import ConfigDict

    from dla_jax.models import decoders

    sizes = ConfigDict(net.model | {"block_size": block_size})
    return decoders.build(sizes, len(ALPHABET), processes.dtype())


def our_steps(net: Net):
    """Return a function of n that takes n steps."""
    task = our_task(net)
    return processes.training(task, task.plan.steps_per_call)


def our_texts(net: Net):
    """Return a function of n that writes n texts."""
    import jax

    from dla_jax.tasks import language_model, sampling

    model = our_module(net, net.writes)
    params = language_model.init_params(jax.random.key(0), model=model)
    keys, sampler = map(jax.random.key, itertools.count()), sampling.Sampler(1.0)
    length = length_of(net)
    once = lambda: sampling.sample(model, params, PROMPT, length, 1, next(keys), sampler)
    return processes.repeated(once)


def torch_task(job: Job, setting: dict):
    """Return the work of `our_steps` or `our_texts` for PyTorch."""
    import torch

    from bench import torch_decoders
    from dla_jax.models.gpt import GPTConfig
    from dla_jax.models.llama import LlamaConfig

    torch.set_num_threads(setting["threads"])
    net, place = NETS[job.net], "cuda" if torch.cuda.is_available() else "cpu"
    context = net.writes if job.task == "write" else net.model["block_size"]
    sizes = net.model | {"block_size": context, "vocab_size": len(ALPHABET)}
    config = {"gpt": GPTConfig, "llama": LlamaConfig}[sizes.pop("name")](**sizes)
    model = torch_decoders.make(config).to(place)
    if job.task == "train":
        tokens = torch.from_numpy(synthetic()).long().to(place)
        once = torch_decoders.trainer(model, tokens, net.batch_size, setting["compiled"])
    else:
        model.to(torch.bfloat16 if place == "cuda" else torch.float32)
        prompt = torch.from_numpy(PROMPT).long().to(place)
        once = lambda: torch_decoders.write(model, prompt, length_of(net), 1.0).cpu()
    return processes.repeated(once, torch.cuda.synchronize if place == "cuda" else None)


def length_of(net: Net) -> int:
    """Return how many tokens a net writes of a text: none past its context."""
    return min(WRITTEN, net.writes - len(PROMPT))


def work_of(side: str, job: Job, setting: dict):
    """Return what `processes` measures: steps or texts."""
    processes.keep_to(job.cores)
    ours = our_steps if job.task == "train" else our_texts
    return ours(NETS[job.net]) if side == "ours" else torch_task(job, setting)


def units_of(job: Job) -> int:
    """Return how many tokens a step or a text has."""
    net = NETS[job.net]
    return net.batch_size * net.model["block_size"] if job.task == "train" else length_of(net)


def settings_of(side: str, job: Job) -> list[dict]:
    """Return the settings that a side's best is chosen from."""
    if side == "ours":
        return processes.settings()
    compiles = job.task == "train" and shutil.which(os.environ.get("CXX", "g++"))
    compiled = (False, True) if compiles else (False,)
    return processes.settings(threads=(job.cores, 1), compiled=compiled)


def jobs_of(nets: list[str]) -> list[Job]:
    """Return every task of the nets, with all cores and, where that can be, with one."""
    jobs = itertools.product(("train", "write"), nets, processes.core_counts())
    return [Job(*job) for job in jobs if job[0] == "train" or NETS[job[1]].writes]


def table(results: list[dict]) -> str:
    """Return the comparisons as a table in Markdown."""
    return page.table(["task", "network", "cores"], tuple, results, "tokens", "step or text")


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    if processes.answered(Job, work_of, units_of):
        return
    given = page.arguments_with_torch("language", __doc__, NETS, rounds=3, seconds=4.0)
    jobs, spent = jobs_of(given.nets), (given.rounds, given.seconds)
    results = [processes.compare("language", job, settings_of, *spent) for job in jobs]
    page.show("language", table(results), given.write, "torch")


if __name__ == "__main__":
    main()
