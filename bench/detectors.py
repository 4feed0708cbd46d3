"""All out-of-distribution detectors of 1,000 images, ours and PyTorch's, on the same networks.

It is a part of bench.vision: from pixels to the scores of nine detectors, which were fitted before.
"""

from typing import NamedTuple

import numpy as np

from bench import processes

NUM_IMAGES = PIECE = 1_000  # of a call
NUM_CLASSES = 10
TRAINED_ON = {16: 1_437, 64: 50_000}  # {features: images}: digits, CIFAR-10
TEMPERATURE, EPSILON = 10.0, 0.002  # of ODIN
GAMMA, K = 0.1, 10  # of GEN, and of nearest neighbours
DETECTORS = (
    "msp",
    "max_logit",
    "energy",
    "gen",
    "odin",
    "mahalanobis",
    "relative_mahalanobis",
    "knn",
    "vim",
)


class Fitted(NamedTuple):
    """What the detectors know of the training images."""

    gaussians: NamedTuple
    bank: np.ndarray
    vim: NamedTuple


def images_of(net) -> np.ndarray:
    """Return images uint8 [NUM_IMAGES, *shape]."""
    return np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, *net.shape), np.uint8)


def fitted_to(kernel: np.ndarray, bias: np.ndarray) -> Fitted:
    """Fit the detectors to random features, as many as the network would have been trained on.

    Args:
      kernel, bias: of the network's head, float [D, NUM_CLASSES] and [NUM_CLASSES].
    """
    from dla_jax.analysis import distances

    rng, dim = np.random.default_rng(0), len(kernel)
    features = np.abs(rng.standard_normal((TRAINED_ON[dim], dim), np.float32))
    labels = rng.integers(0, NUM_CLASSES, len(features))
    found = distances.fit_vim(features, features @ kernel + bias, kernel, bias, dim // 2)
    gaussians = distances.fit_gaussians(features, labels, NUM_CLASSES)
    return Fitted(gaussians, np.array(distances.normalised(features)), found)


def in_batches(scores, images: np.ndarray, batch: int) -> np.ndarray:
    """Return the scores float32 [detectors, N] of images, `batch` at once."""
    return np.concatenate([scores(images[i : i + batch]) for i in range(0, len(images), batch)], 1)


def our_scores(module, variables):
    """Return a function of images uint8 [B, H, W, C] that makes scores float32 [9, B]."""
    import jax
    import jax.numpy as jnp

    from dla_jax.analysis import distances, ood

    head = variables["params"]["head"]
    fitted = jax.device_put(fitted_to(np.asarray(head["kernel"]), np.asarray(head["bias"])))

    @jax.jit
    def scores(variables, fitted, images):
        forward = lambda x: module.apply(variables, x, train=False)
        x = images.astype(jnp.float32) / 255
        logits, pull_back, features = jax.vjp(forward, x, has_aux=True)
        moved = x + EPSILON * ood.odin_direction(logits, pull_back, TEMPERATURE)
        found = ood.pooled(features, "last_conv")
        return jnp.stack(
            [
                ood.max_softmax(logits),
                ood.max_logit(logits),
                ood.energy(logits),
                ood.generalised_entropy(logits, GAMMA),
                ood.max_softmax(forward(moved)[0] / TEMPERATURE),
                distances.mahalanobis(found, fitted.gaussians),
                distances.relative_mahalanobis(found, fitted.gaussians),
                distances.nearest(found, fitted.bank, (K,))[0],
                distances.vim(found, logits, fitted.vim),
            ]
        )

    return lambda images: scores(variables, fitted, images)


def our_work(net, module, variables, setting: dict):
    """Return the calls of our side."""
    images, scores = images_of(net), our_scores(module, variables)
    return processes.repeated(lambda: in_batches(scores, images, setting["batch"]))


def torch_scores(model, setting: dict, mean: float, std: float):
    """Return the same function in PyTorch, with one forward pass for all that it serves.

    Nothing is computed for gradients of the weights.
    """
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(setting["threads"])
    layouts = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
    layout = layouts[setting["layout"]]
    model = model.to(memory_format=layout).requires_grad_(requires_grad=False)
    head, model.head = model.head, torch.nn.Identity()
    known = fitted_to(head.weight.numpy().T, head.bias.numpy())
    gaussians, vim = (
        type(part)(*(torch.from_numpy(np.array(leaf)) for leaf in part))
        for part in (known.gaussians, known.vim)
    )
    bank = torch.from_numpy(known.bank)
    centres = (gaussians.means - gaussians.mean) @ gaussians.whitener

    def of_network(x):
        x.requires_grad_()
        features = model((x - mean) / std)
        logits = head(features)
        surest = F.log_softmax(logits / TEMPERATURE, 1).max(1).values
        (gradient,) = torch.autograd.grad(surest.sum(), x)
        with torch.no_grad():
            moved = head(model((x + EPSILON * gradient.sign() - mean) / std))
        odin = F.softmax(moved / TEMPERATURE, 1).max(1).values
        return odin, logits.detach(), features.detach()

    def entropy_of(logits, log_p, energy, place):
        others = logits.scatter(1, place, -torch.inf).logsumexp(1, keepdim=True)
        log_rest = (-log_p.exp()).log1p().scatter(1, place, others - energy[:, None])
        return (GAMMA * (log_p + log_rest)).exp().sum(1)

    def scores(images):
        x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        odin, logits, features = of_network(x.float() / 255)
        with torch.inference_mode():
            log_p, energy = logits.log_softmax(1), logits.logsumexp(1)
            largest, place = logits.max(1, keepdim=True)
            centred = features - gaussians.mean
            apart = (centred @ gaussians.whitener)[:, None] - centres
            of_classes = apart.square().sum(2).min(1).values
            of_all = (centred @ gaussians.background_whitener).square().sum(1)
            alike = (F.normalize(features, dim=1) @ bank.T).topk(K, 1).values[:, -1]
            residual = ((features - vim.origin) @ vim.basis).norm(dim=1)
            found = (
                log_p.max(1).values.exp(),
                largest[:, 0],
                energy,
                -entropy_of(logits, log_p, energy, place),
                odin,
                -of_classes,
                of_all - of_classes,
                -(2 - 2 * alike).clamp(min=0).sqrt(),
                energy - vim.alpha * residual,
            )
            return torch.stack(found).numpy()

    return scores


def torch_work(net, model, setting: dict, mean: float, std: float):
    """Return the calls of the other side."""
    images, scores = images_of(net), torch_scores(model, setting, mean, std)
    return processes.repeated(lambda: in_batches(scores, images, setting["batch"]))


def settings_of(side: str) -> list[dict]:
    """Return the settings that a side's best is chosen from."""
    batch = (250, 1000)
    if side == "ours":
        return processes.settings(batch=batch)
    layout = ("contiguous", "channels last")
    return processes.settings(threads=(1, processes.cores()), layout=layout, batch=batch)
