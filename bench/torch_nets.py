"""The networks of the benchmark in PyTorch.

Our parameters can be copied into them: then both sides compute the same function.
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def conv(
    width_in: int, width: int, stride: int = 1, bias: bool = False, padding: int = 1
) -> nn.Conv2d:
    """Return a 3x3 convolution."""
    return nn.Conv2d(width_in, width, 3, stride, padding, bias=bias)


def place_of(leaves: dict, i: int | None) -> dict:
    """Return the leaves of the block number i of several that are stacked; None: of the one."""
    return leaves if i is None else {name: leaf[i] for name, leaf in leaves.items()}


class Perceptron(nn.Module):
    """A perceptron of 784-128-64-10 units."""

    def __init__(self, widths=(784, 128, 64, 10)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)

    def sources(self, params, state):
        """Return (layer, its parameters, its statistics or None) of ours for each layer."""
        names = ["stem", *sorted(name for name in params if name.startswith("layer")), "head"]
        return [(layer, params[name], None) for layer, name in zip(self.layers, names, strict=True)]


class DigitsCNN(nn.Module):
    """The residual net of the study on digits, without norm.

    Stem, max-pool, h + conv(relu(h)), mean, dense.
    """

    def __init__(self, depth=5, width=16):
        super().__init__()
        self.stem = conv(1, width, bias=True)
        self.blocks = nn.ModuleList(conv(width, width, bias=True) for _ in range(depth - 1))
        self.last_conv, self.head = nn.ReLU(), nn.Linear(width, 10)

    def forward(self, x):
        h = F.max_pool2d(self.stem(x), 2)
        for block in self.blocks:
            h = h + block(F.relu(h))
        return self.head(self.last_conv(h).mean((2, 3)))

    def sources(self, params, state):
        stacked, found = params["blocks"]["block"]["Conv_0"], [(self.stem, params["stem"], None)]
        for i, block in enumerate(self.blocks):
            found.append((block, place_of(stacked, i), None))
        return [*found, (self.head, params["head"], None)]


def shortcut(h, width: int, stride: int):
    """Return every `stride`-th pixel of h [B, C, H, W], new channels zero."""
    missing = width - h.shape[1]
    return F.pad(h[:, :, ::stride, ::stride], (0, 0, 0, 0, missing // 2, missing - missing // 2))


class Block(nn.Module):
    """Two convolutions with norm, and a shortcut without parameters.

    Lab B's nets have `pool` instead of a stride.
    """

    def __init__(self, width_in, middle, width, stride=1, pool=None):
        super().__init__()
        self.conv1 = conv(width_in, middle, stride if pool is None else 1)
        self.norm1 = nn.BatchNorm2d(middle)
        self.conv2, self.norm2 = conv(middle, width), nn.BatchNorm2d(width)
        self.width, self.stride, self.pool = width, stride, pool

    def forward(self, h):
        f = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(h)))))
        f = f if self.pool is None else F.max_pool2d(f, *self.pool)
        return F.relu(shortcut(h, self.width, self.stride) + f)


class ResNet20(nn.Module):
    """He et al.'s ResNet-20 for CIFAR-10."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = conv(3, 16), nn.BatchNorm2d(16)
        widths = itertools.pairwise([16, 16, 16, 16, 32, 32, 32, 64, 64, 64])
        self.blocks = nn.ModuleList(Block(a, b, b, 1 + (a != b)) for a, b in widths)
        self.last_conv, self.head = nn.Identity(), nn.Linear(64, 10)

    def forward(self, x):
        h = F.relu(self.stem_norm(self.stem(x)))
        for block in self.blocks:
            h = block(h)
        return self.head(self.last_conv(h).mean((2, 3)))

    def sources(self, params, state):
        found = [
            (self.stem, params["stem"], None),
            (self.stem_norm, params["stem_norm"], state["stem_norm"]),
        ]
        blocks = iter(self.blocks)
        for name in sorted(name for name in params if name.startswith("blocks")):
            single = "single" in params[name]
            kind = "single" if single else "block"  # of which several are stacked
            own, statistics = params[name][kind], state[name][kind]
            for i in [None] if single else range(len(own["norm1"]["bias"])):
                block = next(blocks)
                for layer in ("conv1", "norm1", "conv2", "norm2"):
                    kept = place_of(statistics[layer], i) if layer in statistics else None
                    found.append((getattr(block, layer), place_of(own[layer], i), kept))
        return [*found, (self.head, params["head"], None)]


class LabB(nn.Module):
    """Lab B's residual net of 9 or 17 layers as intended."""

    def __init__(self, depth):
        super().__init__()
        self.stem, blocks, each = conv(3, 64, bias=True, padding=0), [], (depth - 1) // 8
        for width in (64, 128, 256, 512):
            blocks += [Block(width, width, width) for _ in range(each - 1)]
            last = width == 512
            wider, pool = (width, (2, 2)) if last else (2 * width, (3, 2, 1))
            blocks.append(Block(width, width, wider, 2, pool))
        self.blocks = nn.ModuleList(blocks)
        self.last1, self.last2 = nn.Linear(2048, 1024), nn.Linear(1024, 1024)
        self.head = nn.Linear(1024, 10)

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        h = h.permute(0, 2, 3, 1).flatten(1)
        return self.head(F.relu(self.last2(F.relu(self.last1(h)))))

    def sources(self, params, state):
        found = [(self.stem, params["stem"], None)]
        for i, block in enumerate(self.blocks):
            for part, number in (("a", 1), ("b", 2)):
                name = f"layer{i:03}{part}"
                norm = f"{name}_norm"
                found.append((getattr(block, f"conv{number}"), params[name], None))
                found.append((getattr(block, f"norm{number}"), params[norm], state[norm]))
        for name in ("last1", "last2", "head"):
            found.append((getattr(self, name), params[name], None))
        return found


def make(net: str) -> nn.Module:
    """Return the network of that name, in the names of bench.vision."""
    return {
        "mlp": Perceptron,
        "digits_cnn": DigitsCNN,
        "resnet20": ResNet20,
        "cnn9": lambda: LabB(9),
        "cnn17": lambda: LabB(17),
    }[net]()


def tensor(array) -> torch.Tensor:
    """Return an array in float32."""
    return torch.from_numpy(np.array(array, np.float32))


def copy(model: nn.Module, params: dict, state: dict) -> None:
    """Copy our parameters, and statistics of BatchNorm, into the PyTorch network."""
    with torch.no_grad():
        for layer, values, statistics in model.sources(params, state):
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(tensor(values["scale"]))
                layer.bias.copy_(tensor(values["bias"]))
                layer.running_mean.copy_(tensor(statistics["mean"]))
                layer.running_var.copy_(tensor(statistics["var"]))
                continue
            axes = (1, 0) if isinstance(layer, nn.Linear) else (3, 2, 0, 1)
            layer.weight.copy_(tensor(np.transpose(values["kernel"], axes)))
            if layer.bias is not None:
                layer.bias.copy_(tensor(values["bias"]))
