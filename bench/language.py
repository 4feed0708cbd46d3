"""Our decoders beside PyTorch's best, training and writing: python -m bench.language [--nets=gpt,...] [--write]

Every measurement is a process of its own: one side, one network, one number of cores, warmed up, then timed. First each
side's best setting is found, then the two sides take turns. Training is the step that the study runs, in tokens a second;
writing is one text at a time, with cached keys and values, in tokens a second with the prompt's reading.
"""

import argparse
import importlib.util
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np

from bench import page
from bench.vision import ROOT, device, keep_heap, spread
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


NETS = {
    "gpt": Net(dante.gpt(6, 6, 384, 128), 8, 256 + 16),
    "tiny_llama": Net(dante.get_config("tiny").model.to_dict(), 8, 0),
    "small_llama": Net(dante.llama(4, 4, 128, 128, n_kv_head=4, intermediate=344, tied=True), 16, 128),
}
ALPHABET = "".join(map(chr, range(48, 48 + 65)))
PROMPT, WRITTEN = np.arange(8, dtype=np.int32), 256


def synthetic() -> np.ndarray:
    """A text of 60,000 tokens: int32."""
    return np.random.default_rng(0).integers(0, len(ALPHABET), 60_000).astype(np.int32)


def our_setting(net: Net):
    """(setting, story of a run) as the study makes them."""
    from dla_jax.data import text, tokenize
    from dla_jax.experiments import language_runs
    from dla_jax.experiments.networks import Cell
    from dla_jax.mesh import data_mesh

    config = dante.base()
    config.update({"batch_size": net.batch_size, "compute_dtype": dtype(), "ngram_order": 1, "target_order": 1})
    config.model, config.num_steps, config.eval_every_steps, config.log_every_steps = net.model, 10**6, 10**6, 0
    config.optim.schedule = "constant"
    tokenizer = tokenize.Characters(ALPHABET)
    parts = text.split(tokenizer.decode(synthetic()), config.data.val_fraction, config.data.test_fraction)
    source = language_runs.Source(parts, len(ALPHABET), tokenizer, text.encode_parts(parts, tokenizer.encode))
    mesh = data_mesh()
    setting = language_runs.prepare(config, source, language_runs.put_tokens(source, mesh), mesh)
    return setting, language_runs.make_story(setting, Cell("final", "net", 0, 1e-3))


def our_module(net: Net, block_size: int):
    """The Flax module for contexts of `block_size`."""
    from ml_collections import ConfigDict

    from dla_jax.models import decoders

    return decoders.build(ConfigDict(net.model | {"block_size": block_size}), len(ALPHABET), dtype())


def dtype() -> str:
    """What both sides compute in."""
    return "float32" if device() == "cpu" else "bfloat16"


def our_steps(net: Net):
    """A function of n that takes n steps, done when it returns."""
    import jax

    from dla_jax.steps import init_state, run_steps
    from dla_jax.train import stack_batches

    setting, story = our_setting(net)
    state, key = init_state(story.init_fn, setting.tx, seed=0, lr=1e-3, mesh=setting.mesh)
    most, taken = setting.plan.steps_per_call, 0

    def take(n):
        nonlocal state, taken
        for count in (*[most] * (n // most), n % most):
            if count:
                batches = stack_batches(story.batch_at, taken, taken + count, most)
                state, _, _ = run_steps(state, setting.data, batches, count, key, loss_fn=story.loss_fn, tx=setting.tx,
                                        trace=setting.trace, mesh=setting.mesh)  # fmt: skip
                taken += count
        jax.block_until_ready(state)

    return take


def our_texts(net: Net):
    """A function of n that writes n texts."""
    import jax

    from dla_jax import language, sampling

    model = our_module(net, net.writes)
    params, keys = language.init_params(jax.random.key(0), model=model), map(jax.random.key, itertools.count())

    def take(n):
        for key in itertools.islice(keys, n):
            sampling.sample(model, params, PROMPT, length_of(net), 1, key, sampling.Sampler(1.0))

    return take


def torch_task(job: Job, setting: dict):
    """The same as `our_steps` or `our_texts` for PyTorch."""
    import torch

    from bench import torch_decoders
    from dla_jax.models.gpt import GPTConfig
    from dla_jax.models.llama import LlamaConfig

    torch.set_num_threads(setting["threads"])
    net, place = NETS[job.net], "cuda" if torch.cuda.is_available() else "cpu"
    context = net.writes if job.task == "write" else net.model["block_size"]
    sizes = {name: value for name, value in net.model.items() if name != "name"} | {"block_size": context}
    config = {"gpt": GPTConfig, "llama": LlamaConfig}[net.model["name"]](vocab_size=len(ALPHABET), **sizes)
    model = torch_decoders.make(config).to(place)
    if job.task == "train":
        tokens = torch.from_numpy(synthetic()).long().to(place)
        once = torch_decoders.trainer(model, tokens, net.batch_size, setting["compiled"])
    else:
        model.to(torch.bfloat16 if place == "cuda" else torch.float32)
        prompt = torch.from_numpy(PROMPT).long().to(place)
        once = lambda: torch_decoders.write(model, prompt, length_of(net), 1.0).cpu()  # noqa: E731

    def take(n):
        for _ in range(n):
            once()
        if place == "cuda":
            torch.cuda.synchronize()

    return take


def length_of(net: Net) -> int:
    """Tokens of a text that a net writes: none past its context."""
    return min(WRITTEN, net.writes - len(PROMPT))


def measure(side: str, job: Job, setting: dict, seconds: float) -> dict:
    """In this process: tokens per second of wall time and of CPU time, seconds before the first piece of work was done, GiB at
    most. A piece is a step or a text."""
    if hasattr(os, "sched_setaffinity"):  # XLA has as many threads as there are cores here
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    if setting["heap"] == "keep":
        keep_heap()
    net, start = NETS[job.net], time.perf_counter()
    ours = our_steps if job.task == "train" else our_texts
    take = ours(net) if side == "ours" else torch_task(job, setting)
    take(1)
    first = time.perf_counter() - start
    begin, taken = time.perf_counter(), 0
    while (lasted := time.perf_counter() - begin) < seconds / 4:  # warm-up
        take(taken + 1)
        taken += taken + 1
    pieces = max(1, round(taken * seconds / lasted))
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    take(pieces)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    tokens = pieces * (net.batch_size * net.model["block_size"] if job.task == "train" else length_of(net))
    return {"wall": tokens / wall, "cpu": tokens / cpu, "first": first,
            "gib": after.ru_maxrss / 2**20 / (1024 if sys.platform == "darwin" else 1)}  # fmt: skip


def run_once(side: str, job: Job, setting: dict, seconds: float) -> dict:
    """`measure` in a process of its own."""
    words = ["-m", "bench.language", "--measure", json.dumps([side, job, setting, seconds])]
    result = subprocess.run((sys.executable, *words), cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"bench.language: {side} {job} {setting} failed: {(result.stderr.strip().splitlines() or ['killed'])[-1]}")
    return json.loads(result.stdout.splitlines()[-1])


def settings_of(side: str, job: Job) -> list[dict]:
    """What to choose a side's best from."""
    heaps = ("default", "keep") if sys.platform == "linux" else ("default",)
    if side == "ours":
        return [{"heap": heap} for heap in heaps]
    compiled = (False, True) if job.task == "train" and shutil.which(os.environ.get("CXX", "g++")) else (False,)
    found = itertools.product(heaps, dict.fromkeys((job.cores, 1)), compiled)
    return [{"heap": heap, "threads": threads, "compiled": compiled} for heap, threads, compiled in found]


def compare(job: Job, rounds: int, seconds: float) -> dict:
    """Best settings, then `rounds` pairs of runs that take turns."""
    best = {}
    for side in ("ours", "torch"):
        found = [(run_once(side, job, setting, seconds / 3)["wall"], i) for i, setting in enumerate(settings_of(side, job))]
        best[side] = settings_of(side, job)[max(found)[1]]
    pairs = []
    for i in range(rounds):
        order = ("ours", "torch") if i % 2 == 0 else ("torch", "ours")
        pairs.append({side: run_once(side, job, best[side], seconds) for side in order})
        ratio = pairs[-1]["ours"]["wall"] / pairs[-1]["torch"]["wall"]
        print(f"{job.task} {job.net}, {job.cores} cores: round {i + 1}: {ratio:.2f}", file=sys.stderr)
    return {"job": job, "best": best, "pairs": pairs}


def jobs_of(nets: list[str]) -> list[Job]:
    """Every task of the nets, with all cores and with one where a process can be kept to one core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    numbers = dict.fromkeys((cores, 1) if hasattr(os, "sched_setaffinity") else (cores,))
    jobs = itertools.product(("train", "write"), nets, numbers)
    return [Job(*job) for job in jobs if job[0] == "train" or NETS[job[1]].writes]


def table(results: list[dict]) -> str:
    """Markdown."""
    head = ["task", "network", "cores", "ours, tokens/s", "PyTorch, tokens/s", "ratio", "ratio per CPU-second",
            "first step or text", "memory", "best settings"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for result in results:
        column = lambda side, key: [pair[side][key] for pair in result["pairs"]]  # noqa: E731, B023
        ratios = {key: [pair["ours"][key] / pair["torch"][key] for pair in result["pairs"]] for key in ("wall", "cpu")}
        settings = "; ".join(
            f"{side}: " + ", ".join(f"{k} {v}" for k, v in found.items()) for side, found in result["best"].items()
        )
        lines.append([*map(str, result["job"]), spread(column("ours", "wall"), ",.0f"), spread(column("torch", "wall"), ",.0f"),
                      spread(ratios["wall"]), spread(ratios["cpu"]),
                      " / ".join(f"{np.median(column(side, 'first')):.1f} s" for side in result["best"]),
                      " / ".join(f"{np.median(column(side, 'gib')):.1f} GiB" for side in result["best"]), settings])  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.language", description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS), help="which networks: " + ",".join(NETS))
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs")
    parser.add_argument("--seconds", type=float, default=4.0, help="that each run is timed for")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        side, job, setting, seconds = json.loads(given.measure)
        print(json.dumps(measure(side, Job(*job), setting, seconds)))
        return
    nets = given.nets.split(",")
    if set(nets) - NETS.keys() or given.rounds < 1 or given.seconds <= 0:
        parser.exit(2, f"bench.language: --nets={given.nets} --rounds={given.rounds} --seconds={given.seconds}: nets are "
                       f"{', '.join(NETS)}, the numbers positive\n")  # fmt: skip
    if importlib.util.find_spec("torch") is None:
        parser.exit(2, "bench.language: PyTorch is missing; pip install -r requirements-bench.txt\n")
    text = table([compare(job, given.rounds, given.seconds) for job in jobs_of(nets)])
    where = page.machine("torch")
    print(f"{where}\n\n{text}")
    if given.write:
        page.put("language", "bench.language", where, text)


if __name__ == "__main__":
    main()
