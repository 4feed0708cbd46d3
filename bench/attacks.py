"""PGD of 20 steps on 200 images, ours and PyTorch's at its best, on the same networks.

It is a part of bench.vision: from images in memory to adversarial images in a NumPy array. The
other side is a loop written out, or foolbox, whichever is faster.
"""

import numpy as np

from bench import processes

NUM_IMAGES = PIECE = 200  # of a call
NUM_CLASSES = 10
NUM_STEPS, EPSILON, STEP_SIZE = 20, 8 / 255, 2 / 255


def images_of(net) -> tuple[np.ndarray, np.ndarray]:
    """Return images float32 [NUM_IMAGES, *shape] in [0, 1] and labels int32 [NUM_IMAGES]."""
    rng = np.random.default_rng(0)
    images = rng.random((NUM_IMAGES, *net.shape), np.float32)
    return images, rng.integers(0, NUM_CLASSES, NUM_IMAGES).astype(np.int32)


def in_batches(attack, x: np.ndarray, labels: np.ndarray, batch: int) -> np.ndarray:
    """Return the adversarial images of all images, `batch` at once."""
    places = range(0, len(x), batch)
    return np.concatenate([attack(x[i : i + batch], labels[i : i + batch]) for i in places])


def our_attack(module, variables, random_start: bool = True):
    """Return a function of images float32 [B, H, W, C] and labels that attacks the images."""
    import jax

    from dla_jax.analysis import attacks

    @jax.jit
    def attack(variables, x, labels, key, epsilon, step_size, num_steps):
        forward = lambda x: module.apply(variables, x, train=False)[0]
        how = epsilon, step_size, num_steps
        return attacks.pgd(forward, x, labels, key, *how, random_start=random_start)

    variables, key = jax.device_put(variables), jax.random.key(0)
    how = EPSILON, STEP_SIZE, NUM_STEPS
    return lambda x, labels: np.asarray(attack(variables, x, labels, key, *how))


def our_work(net, module, variables, setting: dict):
    """Return the calls of our side."""
    (x, labels), attack = images_of(net), our_attack(module, variables)
    return processes.repeated(lambda: in_batches(attack, x, labels, setting["batch"]))


def torch_loop(model, random_start: bool):
    """Return PGD of tensors as a loop that computes nothing for gradients of the weights."""
    import torch
    import torch.nn.functional as F

    def attack(x, labels):
        low, high = (x - EPSILON).clamp_(min=0), (x + EPSILON).clamp_(max=1)
        at = x.clone()
        if random_start:
            at = at.add_(torch.empty_like(x).uniform_(-EPSILON, EPSILON)).clamp_(0, 1)
        for _ in range(NUM_STEPS):
            at.requires_grad_()
            loss = F.cross_entropy(model(at), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, at)
            at = at.detach().add_(gradient.sign_(), alpha=STEP_SIZE)
            at = torch.minimum(torch.maximum(at, low), high)
        return at

    return attack


def foolbox_attack(model, random_start: bool):
    """Return PGD of tensors by foolbox."""
    import foolbox

    attack = foolbox.attacks.LinfPGD(
        abs_stepsize=STEP_SIZE, steps=NUM_STEPS, random_start=random_start
    )
    attacked = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return lambda x, labels: attack(attacked, x, labels, epsilons=EPSILON)[1]


def torch_attack(model, setting: dict, mean: float, std: float, random_start: bool = True):
    """Return the same function in PyTorch."""
    import torch

    torch.set_num_threads(setting["threads"])
    layouts = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
    layout = layouts[setting["layout"]]
    model = model.to(memory_format=layout).requires_grad_(requires_grad=False)

    class Normalised(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model((x - mean) / std)

    make = {"loop": torch_loop, "foolbox": foolbox_attack}[setting["by"]]
    attack = make(Normalised().eval(), random_start)

    def attacked(x, labels):
        x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        return attack(x, torch.from_numpy(labels).long()).permute(0, 2, 3, 1).numpy()

    return attacked


def torch_work(net, model, setting: dict, mean: float, std: float):
    """Return the calls of the other side."""
    (x, labels), attack = images_of(net), torch_attack(model, setting, mean, std)
    return processes.repeated(lambda: in_batches(attack, x, labels, setting["batch"]))


def settings_of(side: str) -> list[dict]:
    """Return the settings that a side's best is chosen from."""
    batch = (NUM_IMAGES // 4, NUM_IMAGES)
    if side == "ours":
        return processes.settings(batch=batch)
    layout, threads = ("contiguous", "channels last"), (1, processes.cores())
    return processes.settings(threads=threads, layout=layout, batch=batch, by=("loop", "foolbox"))
