"""Our training step, maps, detectors and attacks beside PyTorch's best, on the same networks.

    python -m bench.vision [--nets=mlp,...] [--write]

Every measurement is a process of its own: one side, one network, one setting, warmed up, then
timed. First each side's best setting is found, then the two sides take turns. Ours is the step that
the studies run, with its gradient norms layer by layer; PyTorch's takes its batches by index from a
tensor in memory, without a DataLoader.
"""

import itertools
from typing import NamedTuple

import numpy as np

from bench import attacks, detectors, maps, page, processes
from configs import rescnn
from configs.image_base import resnet


class Net(NamedTuple):
    """A network that is trained: a preset's model, on images [N, *shape]."""

    model: dict
    depth: int
    shape: tuple[int, int, int]
    batch_size: int
    optimiser: str
    steps_per_call: int


class Job(NamedTuple):
    """The training of one network, or what is done with one: "<network>_maps" and the like."""

    net: str

    def __str__(self):
        return self.net


LAB_B = {"name": "lab_b", "norm": "batch", "init": "torch_default", "as_implemented": False}
PERCEPTRON = {
    "name": "perceptron",
    "norm": "none",
    "init": "he",
    "depth": 2,
    "widths": (128, 64),
    "dropout": 0.0,
    "dropout_at": "every",
    "relu_logits": False,
}
DIGITS_CNN = {"name": "cnn", "norm": "none", "init": "he", "width": 16, "pools": 1}
NETS = {
    "mlp": Net(PERCEPTRON, 2, (28, 28, 1), 128, "adam", 32),
    "digits_cnn": Net(DIGITS_CNN, 5, (8, 8, 1), 64, "adam", 32),
    "cnn9": Net(LAB_B, 9, (32, 32, 3), 128, "sgd", 4),
    "cnn17": Net(LAB_B, 17, (32, 32, 3), 128, "sgd", 4),
    "resnet20": Net(resnet(), 20, (32, 32, 3), 128, "sgd", 4),
}
USES = {"maps": maps, "detectors": detectors, "attacks": attacks}
USED = {f"{net}_{use}": (net, use) for use in USES for net in ("digits_cnn", "resnet20")}
# Use, what is counted, and packages that the page names beside PyTorch.
SHOWN = (
    ("maps", "maps", ["grad-cam"]),
    ("detectors", "images", []),
    ("attacks", "images", ["foolbox"]),
)
MEAN, STD = 0.5, 0.25
CLASSES = tuple("0123456789")


def synthetic(net: Net) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 [4000, *shape] and labels int32 [4000]."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4000, *net.shape), np.uint8)
    return images, rng.integers(0, 10, 4000).astype(np.int32)


def our_config(net: Net):
    """Return the config of a residual run, as the study of this network has it."""
    config = rescnn.base()
    config.model = net.model | {"depth": net.depth, "skip": True}
    config.batch_size, config.steps_per_call = net.batch_size, net.steps_per_call
    config.data.update({"pad": 0, "flip": False})
    config.optim.update({"name": net.optimiser, "schedule": "constant"})
    config.optim.update({"lr": 1e-3, "clip_norm": 0.0})
    config.compute_dtype = processes.dtype()
    return config


def our_module(net: Net):
    """Return the Flax module."""
    from dla_jax.config.info import DataInfo
    from dla_jax.tasks.image_task import make_model

    mean, std = (MEAN,) * net.shape[-1], (STD,) * net.shape[-1]
    return make_model(our_config(net), DataInfo(CLASSES, net.shape, mean, std))


def our_task(net: Net):
    """Return the Task of a residual run, as the study of this network makes it."""
    from dla_jax.data.images import ImageSet
    from dla_jax.tasks import image_data, image_task
    from dla_jax.training.mesh import data_mesh

    images, labels = synthetic(net)
    mean, std, mesh = (MEAN,) * net.shape[-1], (STD,) * net.shape[-1], data_mesh()
    image_set = ImageSet("synthetic", images, labels, CLASSES, mean, std, test_start=3900)
    loaded = image_data.Loaded(image_set, image_data.put_data(image_set, mesh), mesh)
    return image_task.make_task(our_config(net), loaded, seed=0)


def our_steps(net: Net):
    """Return a function of n that takes n steps or a few more."""
    return processes.training(our_task(net), net.steps_per_call, whole=True)


def torch_steps(job: Job, setting: dict):
    """Return the work of `our_steps` for PyTorch."""
    import torch
    import torch.nn.functional as F

    from bench import torch_nets

    torch.set_num_threads(setting["threads"])
    net, place = NETS[job.net], "cuda" if torch.cuda.is_available() else "cpu"
    images, labels = synthetic(net)
    layouts = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
    layout = layouts[setting["layout"]]
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout).to(place)
    y = torch.from_numpy(labels).long().to(place)
    model = torch_nets.make(job.net).to(place, memory_format=layout)
    kinds = {
        "adam": lambda p: torch.optim.Adam(p, 1e-3, fused=True),
        "sgd": lambda p: torch.optim.SGD(p, 1e-3, 0.9, fused=True),
    }
    optimiser, apply = kinds[net.optimiser](model.parameters()), model
    if place == "cuda":
        torch.backends.cudnn.benchmark = True
        apply = torch.compile(model, mode="max-autotune")
    order, steps = torch.randperm(len(x), device=place), itertools.count()

    def once():
        at = (next(steps) * net.batch_size) % (len(x) - net.batch_size)
        rows = order[at : at + net.batch_size]
        with torch.autocast(place, torch.bfloat16, enabled=place == "cuda"):
            loss = F.cross_entropy(apply((x[rows].float() / 255 - MEAN) / STD), y[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return processes.repeated(once, torch.cuda.synchronize if place == "cuda" else None)


def use_of(side: str, job: Job, setting: dict):
    """Return the work of one side for maps, detectors or attacks: calls."""
    name, use = USED[job.net]
    net = NETS[name]
    if side == "ours":
        import jax

        if jax.default_backend() != "cpu":
            page.refuse("vision", f"{use} are compared on a CPU; start it with JAX_PLATFORMS=cpu")
        params, model_state = our_task(net).init_fn(jax.random.key(0))
        variables = {"params": params, **model_state}
        return USES[use].our_work(net, our_module(net), variables, setting)
    from bench import torch_nets

    return USES[use].torch_work(net, torch_nets.make(name).eval(), setting, MEAN, STD)


def work_of(side: str, job: Job, setting: dict):
    """Return what `processes` measures: steps, or calls."""
    if job.net in USED:
        return use_of(side, job, setting)
    return our_steps(NETS[job.net]) if side == "ours" else torch_steps(job, setting)


def units_of(job: Job) -> int:
    """Return how many images a step has, or maps or images a call."""
    return USES[USED[job.net][1]].PIECE if job.net in USED else NETS[job.net].batch_size


def settings_of(side: str, job: Job) -> list[dict]:
    """Return the settings that a side's best is chosen from."""
    if job.net in USED:
        return USES[USED[job.net][1]].settings_of(side)
    if side == "ours":
        return processes.settings()
    layouts = ("contiguous",) if job.net == "mlp" else ("contiguous", "channels last")
    return processes.settings(layout=layouts, threads=(1, processes.cores()))


def table(results: list[dict], unit: str = "images", piece: str = "step") -> str:
    """Return the comparisons as a table in Markdown."""

    def own(job):
        used = job.net in USED
        return job.net, USES[USED[job.net][1]].NUM_IMAGES if used else NETS[job.net].batch_size

    return page.table(["network", "batch"], own, results, unit, piece)


def main() -> None:
    """Measure what the command line asks for, and show the tables."""
    if processes.answered(Job, work_of, units_of):
        return
    given = page.arguments_with_torch("vision", __doc__, (*NETS, *USED), rounds=5, seconds=6.0)
    asked = {use: [net for net in given.nets if USED.get(net, ("", ""))[1] == use] for use in USES}
    for use, package in (("maps", "pytorch_grad_cam"), ("attacks", "foolbox")):
        if asked[use]:
            page.need("vision", package)
    spent = given.rounds, given.seconds
    compare = lambda net: processes.compare("vision", Job(net), settings_of, *spent)
    results = {net: compare(net) for net in given.nets}
    trained = [results[net] for net in given.nets if net in NETS]
    if trained:
        page.show("vision", table(trained), given.write, "torch")
    for use, unit, packages in SHOWN:
        if asked[use]:
            text = table([results[net] for net in asked[use]], unit=unit, piece="call")
            page.show("vision", text, given.write, "torch", *packages, section=use)


if __name__ == "__main__":
    main()
