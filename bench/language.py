"""Our decoders beside PyTorch's best, training and writing: python -m bench.language [--nets=gpt,...] [--write]

Every measurement is a process of its own: one side, one network, one number of cores, warmed up, then timed. First each
side's best setting is found, then the two sides take turns. Training is the step that the study runs, in tokens a second;
writing is one text at a time, with cached keys and values, in tokens a second with the prompt's reading.
"""

import itertools
import os
import shutil
from typing import NamedTuple

import numpy as np

from bench import page, processes
from configs import dante


class Net(NamedTuple):
    """What is trained: a preset's model. `writes`: the context with which it writes; 0: it does not."""

    model: dict
    batch_size: int
    writes: int


class Job(NamedTuple):
    """`task` is "train" or "write"; `cores`: how many the process may use."""

    task: str
    net: str
    cores: int

    def __str__(self):
        return f"{self.task} {self.net}, {self.cores} cores"


NETS = {
    "gpt": Net(dante.gpt(6, 6, 384, 128), 8, 256 + 16),
    "tiny_llama": Net(dante.get_config("tiny").model.to_dict(), 8, 0),
    "small_llama": Net(
        dante.llama(4, 4, 128, 128, n_kv_head=4, intermediate=344, tied=True), 16, 128
    ),
}
ALPHABET = "".join(map(chr, range(48, 48 + 65)))
PROMPT, WRITTEN = np.arange(8, dtype=np.int32), 256


def synthetic() -> np.ndarray:
    """A text of 60,000 tokens: int32."""
    return np.random.default_rng(0).integers(0, len(ALPHABET), 60_000).astype(np.int32)


def our_setting(net: Net):
    """(setting, story of a run) as the study makes them."""
    from dla_jax.data import text, tokenize
    from dla_jax.tasks import language_runs
    from dla_jax.training.mesh import data_mesh
    from dla_jax.trials.arms import Cell

    config = dante.base()
    config.update(
        {
            "batch_size": net.batch_size,
            "compute_dtype": processes.dtype(),
            "ngram_order": 1,
            "target_order": 1,
        }
    )
    config.model, config.num_steps, config.eval_every_steps, config.log_every_steps = (
        net.model,
        10**6,
        10**6,
        0,
    )
    config.optim.schedule = "constant"
    tokenizer = tokenize.Characters(ALPHABET)
    parts = text.split(
        tokenizer.decode(synthetic()), config.data.val_fraction, config.data.test_fraction
    )
    source = language_runs.Source(
        parts, len(ALPHABET), tokenizer, text.encode_parts(parts, tokenizer.encode)
    )
    mesh = data_mesh()
    setting = language_runs.prepare(config, source, language_runs.put_tokens(source, mesh), mesh)
    return setting, language_runs.make_story(setting, Cell("final", "net", 0, 1e-3))


def our_module(net: Net, block_size: int):
    """The Flax module for contexts of `block_size`."""
    from ml_collections import ConfigDict

    from dla_jax.models import decoders

    return decoders.build(
        ConfigDict(net.model | {"block_size": block_size}), len(ALPHABET), processes.dtype()
    )


def our_steps(net: Net):
    """A function of n that takes n steps."""
    setting, story = our_setting(net)
    return processes.training(setting, story, setting.plan.steps_per_call)


def our_texts(net: Net):
    """A function of n that writes n texts."""
    import jax

    from dla_jax.tasks import language_model as language
    from dla_jax.tasks import sampling

    model = our_module(net, net.writes)
    params, keys = (
        language.init_params(jax.random.key(0), model=model),
        map(jax.random.key, itertools.count()),
    )
    once = lambda: sampling.sample(
        model, params, PROMPT, length_of(net), 1, next(keys), sampling.Sampler(1.0)
    )
    return processes.repeated(once)


def torch_task(job: Job, setting: dict):
    """The same as `our_steps` or `our_texts` for PyTorch."""
    import torch

    from bench import torch_decoders
    from dla_jax.models.gpt import GPTConfig
    from dla_jax.models.llama import LlamaConfig

    torch.set_num_threads(setting["threads"])
    net, place = NETS[job.net], "cuda" if torch.cuda.is_available() else "cpu"
    context = net.writes if job.task == "write" else net.model["block_size"]
    sizes = {name: value for name, value in net.model.items() if name != "name"} | {
        "block_size": context
    }
    config = {"gpt": GPTConfig, "llama": LlamaConfig}[net.model["name"]](
        vocab_size=len(ALPHABET), **sizes
    )
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
    """Tokens of a text that a net writes: none past its context."""
    return min(WRITTEN, net.writes - len(PROMPT))


def work_of(side: str, job: Job, setting: dict):
    """What `processes` measures: steps or texts."""
    processes.keep_to(job.cores)
    ours = our_steps if job.task == "train" else our_texts
    return ours(NETS[job.net]) if side == "ours" else torch_task(job, setting)


def units_of(job: Job) -> int:
    """Tokens of a step or a text."""
    net = NETS[job.net]
    return net.batch_size * net.model["block_size"] if job.task == "train" else length_of(net)


def settings_of(side: str, job: Job) -> list[dict]:
    """What to choose a side's best from."""
    if side == "ours":
        return processes.settings()
    compiled = (
        (False, True)
        if job.task == "train" and shutil.which(os.environ.get("CXX", "g++"))
        else (False,)
    )
    return processes.settings(threads=(job.cores, 1), compiled=compiled)


def jobs_of(nets: list[str]) -> list[Job]:
    """Every task of the nets, with all cores and with one where a process can be kept to one core."""
    jobs = itertools.product(("train", "write"), nets, processes.core_counts())
    return [Job(*job) for job in jobs if job[0] == "train" or NETS[job[1]].writes]


def table(results: list[dict]) -> str:
    """Markdown."""
    return page.table(["task", "network", "cores"], tuple, results, "tokens", "step or text")


def main() -> None:
    if processes.answered(Job, work_of, units_of):
        return
    given = page.arguments_with_torch("language", __doc__, NETS, rounds=3, seconds=4.0)
    jobs = jobs_of(given.nets)
    results = [
        processes.compare("language", job, settings_of, given.rounds, given.seconds) for job in jobs
    ]
    page.show("language", table(results), given.write, "torch")


if __name__ == "__main__":
    main()
