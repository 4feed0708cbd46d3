"""Grad-CAM of 100 images for 10 classes each, ours and pytorch-grad-cam's, on the same networks.

It is a part of bench.vision.
"""

import numpy as np

from bench import processes

NUM_IMAGES, NUM_CLASSES = 100, 10
PIECE = NUM_IMAGES * NUM_CLASSES  # maps of a call
METHOD = "grad_cam"


def images_of(net) -> np.ndarray:
    """Return images float32 [NUM_IMAGES, *shape] in [0, 1]."""
    return np.random.default_rng(0).random((NUM_IMAGES, *net.shape), np.float32)


def our_maps(module, variables):
    """Return a function of images float32 [B, H, W, C] that makes maps float32 [B, 10, H, W].

    Each map is scaled to [0, 1], as pytorch-grad-cam's are.
    """
    import jax
    import jax.numpy as jnp

    from dla_jax.analysis import cam
    from dla_jax.studies.cam.network_maps import maps_of

    @jax.jit
    def maps(variables, x):
        classes = jnp.broadcast_to(jnp.arange(NUM_CLASSES), (len(x), NUM_CLASSES))
        how = {"model": module, "layer": "last_conv", "methods": (METHOD,)}
        _, found = maps_of(variables, x, classes, jax.random.key(0), **how)
        found = cam.to_pixels(found[METHOD], x.shape[1:3])
        found = found - found.min((2, 3), keepdims=True)
        return found / (1e-7 + found.max((2, 3), keepdims=True))

    return lambda x: np.asarray(maps(variables, x))


def our_work(net, module, variables, setting: dict):
    """Return the calls of our side, which has no settings of its own."""
    del setting
    x, maps = images_of(net), our_maps(module, variables)
    return processes.repeated(lambda: maps(x))


def torch_maps(model, setting: dict, mean: float, std: float):
    """Return the same function with pytorch-grad-cam, class by class or all in one batch.

    The weights before the layer are frozen, so that nothing is computed for them.
    """
    import torch
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    torch.set_num_threads(setting["threads"])
    layouts = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
    layout = layouts[setting["layout"]]
    model = model.to(memory_format=layout)
    model.requires_grad_(requires_grad=False)
    for layer in (model.blocks[-1], model.head):
        layer.requires_grad_(requires_grad=True)
    explain = GradCAM(model=model, target_layers=[model.last_conv])

    def maps(x):
        x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        x, targets = (x - mean) / std, [ClassifierOutputTarget(k) for k in range(NUM_CLASSES)]
        if setting["classes"] == "in one batch":
            found = explain(x.repeat_interleave(NUM_CLASSES, 0), targets * len(x))
            return found.reshape(len(x), NUM_CLASSES, *x.shape[2:])
        return np.stack([explain(x, [target] * len(x)) for target in targets], 1)

    return maps


def torch_work(net, model, setting: dict, mean: float, std: float):
    """Return the calls of the other side."""
    x, maps = images_of(net), torch_maps(model, setting, mean, std)
    return processes.repeated(lambda: maps(x))


def settings_of(side: str) -> list[dict]:
    """Return the settings that a side's best is chosen from."""
    if side == "ours":
        return processes.settings()
    layout, classes = ("contiguous", "channels last"), ("in turn", "in one batch")
    return processes.settings(threads=(1, processes.cores()), layout=layout, classes=classes)
