"""Our training step beside PyTorch's best, on the same networks: python -m bench.vision [--nets=mlp,...] [--write]

Every measurement is a process of its own: one side, one network, one setting, warmed up, then timed. First each side's best
setting is found, then the two sides take turns. Ours is the step that the studies run, with its gradient norms layer by
layer; PyTorch's takes its batches by index from a tensor in memory, without a DataLoader.
"""

import argparse
import ctypes
import importlib.util
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import page
from configs import rescnn

ROOT = Path(__file__).resolve().parent.parent


class Net(NamedTuple):
    """What is trained: a preset's model, on images [N, *shape]."""

    model: dict
    depth: int
    shape: tuple[int, int, int]
    batch_size: int
    optimiser: str
    steps_per_call: int


LAB_B = {"name": "lab_b", "norm": "batch", "init": "torch_default", "as_implemented": False}
NETS = {
    "mlp": Net({"name": "perceptron", "norm": "none", "init": "he", "depth": 2, "widths": (128, 64), "dropout": 0.0,
                "dropout_at": "every", "relu_logits": False}, 2, (28, 28, 1), 128, "adam", 32),
    "digits_cnn": Net({"name": "cnn", "norm": "none", "init": "he", "width": 16, "pools": 1}, 5, (8, 8, 1), 64, "adam", 32),
    "cnn9": Net(LAB_B, 9, (32, 32, 3), 128, "sgd", 4),
    "cnn17": Net(LAB_B, 17, (32, 32, 3), 128, "sgd", 4),
    "resnet20": Net(rescnn.resnet(), 20, (32, 32, 3), 128, "sgd", 4),
}  # fmt: skip
MEAN, STD = 0.5, 0.25


def synthetic(net: Net) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [4000, *shape] and labels int32 [4000]."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4000, *net.shape), np.uint8), rng.integers(0, 10, 4000).astype(np.int32)


def keep_heap() -> None:
    """Tells glibc to keep freed memory instead of giving it back and fetching it again in every step."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-8, 1), libc.mallopt(-4, 0), libc.mallopt(-1, 2**31 - 1)


def our_module(net: Net, setting):
    """The Flax module."""
    from dla_jax.models.build import build

    return build(setting.config.model, depth=net.depth, skip=True, norm=net.model["norm"], init_scheme=net.model["init"],
                 num_classes=10, mean=setting.source.mean, std=setting.source.std,
                 dtype=setting.config.compute_dtype)  # fmt: skip


def our_setting(net: Net):
    """(setting, story of a residual run) as the study that trains this network makes them."""
    import functools

    from dla_jax.data.images import ImageSet
    from dla_jax.experiments import depth_study, image_runs
    from dla_jax.experiments.depth_grid import Arm
    from dla_jax.mesh import data_mesh

    images, labels = synthetic(net)
    config = rescnn.base()
    config.model = net.model
    config.batch_size, config.steps_per_call = net.batch_size, net.steps_per_call
    config.data.update({"pad": 0, "flip": False})
    config.optim.update({"name": net.optimiser, "schedule": "constant", "lr": 1e-3, "clip_norm": 0.0})
    config.compute_dtype = "float32" if device() == "cpu" else "bfloat16"
    mean, std, mesh = (MEAN,) * net.shape[-1], (STD,) * net.shape[-1], data_mesh()
    image_set = ImageSet("synthetic", images, labels, tuple("0123456789"), mean, std, test_start=3900)
    setting = image_runs.prepare(config, image_set, image_runs.put_data(image_set, mesh), mesh)
    model, arm = our_module(net, setting), Arm(True, False, net.model["norm"], net.model["init"], False)
    init_fn = functools.partial(depth_study.init_arm, model=model, shape=net.shape, arm=arm)
    return setting, image_runs.make_story(setting, model, model, init_fn, 0)


def our_steps(net: Net):
    """A function of n that takes about n steps, done when it returns, and says how many it took."""
    import jax

    from dla_jax.experiments import image_runs
    from dla_jax.steps import init_state, run_steps
    from dla_jax.train import stack_batches

    setting, story = our_setting(net)
    state, key = init_state(story.init_fn, setting.tx, seed=0, lr=1e-3, mesh=setting.mesh)
    taken = 0

    def take(n):
        nonlocal state, taken
        calls = -(-n // net.steps_per_call)
        for _ in range(calls):
            batches = stack_batches(story.batch_at, taken, taken + net.steps_per_call, net.steps_per_call)
            state, _, _ = run_steps(state, setting.data, batches, net.steps_per_call, key, loss_fn=story.loss_fn,
                                    tx=setting.tx, trace=image_runs.trace_norms, mesh=setting.mesh)  # fmt: skip
            taken += net.steps_per_call
        jax.block_until_ready(state)
        return calls * net.steps_per_call

    return take


def torch_steps(net: Net, name: str, threads: int, channels_last: bool):
    """The same for PyTorch."""
    import torch
    import torch.nn.functional as F

    from bench import torch_nets

    torch.set_num_threads(threads)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    images, labels = synthetic(net)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout).to(place)
    y = torch.from_numpy(labels).long().to(place)
    model = torch_nets.make(name).to(place, memory_format=layout)
    kinds = {"adam": lambda p: torch.optim.Adam(p, 1e-3, fused=True), "sgd": lambda p: torch.optim.SGD(p, 1e-3, 0.9, fused=True)}
    optimiser, apply = kinds[net.optimiser](model.parameters()), model
    if place == "cuda":
        torch.backends.cudnn.benchmark = True
        apply = torch.compile(model, mode="max-autotune")
    order = torch.randperm(len(x), device=place)

    def take(n):
        for i in range(n):
            at = (i * net.batch_size) % (len(x) - net.batch_size)
            rows = order[at : at + net.batch_size]
            with torch.autocast(place, torch.bfloat16, enabled=place == "cuda"):
                loss = F.cross_entropy(apply((x[rows].float() / 255 - MEAN) / STD), y[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        if place == "cuda":
            torch.cuda.synchronize()
        return n

    return take


def device() -> str:
    """ "cpu", "gpu" or "tpu": where JAX runs."""
    import jax

    return jax.default_backend()


def measure(side: str, name: str, setting: dict, seconds: float) -> dict:
    """In this process: images per second of wall time and of CPU time, seconds before the first step was done, GiB at most."""
    if setting["heap"] == "keep":
        keep_heap()
    net, start = NETS[name], time.perf_counter()
    take = our_steps(net) if side == "ours" else torch_steps(net, name, setting["threads"], setting["layout"] == "channels last")
    take(1)
    first = time.perf_counter() - start
    begin, taken = time.perf_counter(), 0
    while (lasted := time.perf_counter() - begin) < seconds / 4:  # warm-up
        taken += take(taken + 1)
    steps = max(1, round(taken * seconds / lasted))
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    took = take(steps)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": took * net.batch_size / wall, "cpu": took * net.batch_size / cpu, "first": first,
            "gib": after.ru_maxrss / 2**20 / (1024 if sys.platform == "darwin" else 1)}  # fmt: skip


def run_once(side: str, name: str, setting: dict, seconds: float) -> dict:
    """`measure` in a process of its own."""
    words = ["-m", "bench.vision", "--measure", json.dumps([side, name, setting, seconds])]
    result = subprocess.run((sys.executable, *words), cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"bench.vision: {side} {name} {setting} failed: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout.splitlines()[-1])


def settings_of(side: str, name: str) -> list[dict]:
    """What to choose a side's best from."""
    heaps = ("default", "keep") if sys.platform == "linux" else ("default",)
    if side == "ours":
        return [{"heap": heap} for heap in heaps]
    layouts = ("contiguous",) if name == "mlp" else ("contiguous", "channels last")
    threads = dict.fromkeys((1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
    return [{"heap": h, "layout": la, "threads": t} for h, la, t in itertools.product(heaps, layouts, threads)]


def compare(name: str, rounds: int, seconds: float) -> dict:
    """Best settings, then `rounds` pairs of runs that take turns."""
    best = {}
    for side in ("ours", "torch"):
        found = [(run_once(side, name, setting, seconds / 3)["wall"], i) for i, setting in enumerate(settings_of(side, name))]
        best[side] = settings_of(side, name)[max(found)[1]]
    pairs = []
    for i in range(rounds):
        order = ("ours", "torch") if i % 2 == 0 else ("torch", "ours")
        pairs.append({side: run_once(side, name, best[side], seconds) for side in order})
        print(f"{name}: round {i + 1}: {pairs[-1]['ours']['wall'] / pairs[-1]['torch']['wall']:.2f}", file=sys.stderr)
    return {"net": name, "best": best, "pairs": pairs}


def spread(values: list[float], form: str = ".2f") -> str:
    """Median with the smallest and largest."""
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table(results: list[dict]) -> str:
    """Markdown."""
    head = ["network", "batch", "ours, images/s", "PyTorch, images/s", "ratio", "ratio per CPU-second", "first step",
            "memory", "best settings"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for result in results:
        column = lambda side, key: [pair[side][key] for pair in result["pairs"]]  # noqa: E731, B023
        ratios = {key: [pair["ours"][key] / pair["torch"][key] for pair in result["pairs"]] for key in ("wall", "cpu")}
        settings = "; ".join(
            f"{side}: " + ", ".join(f"{k} {v}" for k, v in found.items()) for side, found in result["best"].items()
        )
        lines.append([result["net"], str(NETS[result["net"]].batch_size), spread(column("ours", "wall"), ",.0f"),
                      spread(column("torch", "wall"), ",.0f"), spread(ratios["wall"]), spread(ratios["cpu"]),
                      " / ".join(f"{np.median(column(side, 'first')):.1f} s" for side in result["best"]),
                      " / ".join(f"{np.median(column(side, 'gib')):.1f} GiB" for side in result["best"]), settings])  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.vision", description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS), help="which networks: " + ",".join(NETS))
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs")
    parser.add_argument("--seconds", type=float, default=6.0, help="that each run is timed for")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(*json.loads(given.measure))))
        return
    unknown = [name for name in given.nets.split(",") if name not in NETS]
    if unknown or given.rounds < 1 or given.seconds <= 0:
        parser.error(f"--nets={given.nets} --rounds={given.rounds} --seconds={given.seconds}: nets are {', '.join(NETS)}, the "
                     "numbers positive")  # fmt: skip
    if importlib.util.find_spec("torch") is None:
        parser.exit(2, "bench.vision: PyTorch is missing; pip install -r requirements-bench.txt\n")
    results = [compare(name, given.rounds, given.seconds) for name in given.nets.split(",")]
    text = table(results)
    where = page.machine("torch")
    print(f"{where}\n\n{text}")
    if given.write:
        page.put("vision", "bench.vision", where, text)


if __name__ == "__main__":
    main()
