"""Accuracy under attack is that of a loop in PyTorch, and of foolbox."""

import jax
import numpy as np
import pytest
from attacked import (
    HEAD,
    HIDDEN,
    L2_OF_EPSILON,
    LABELS,
    X,
    accuracy,
    drawn,
    fgsm,
    net,
    pgd,
)


def torch_net(torch):
    hidden, head = torch.from_numpy(HIDDEN), torch.from_numpy(HEAD)
    return lambda x: torch.tanh((x.permute(0, 2, 3, 1).flatten(1) - 0.3) @ hidden) @ head


def test_accuracy_under_fgsm_and_pgd_is_that_of_a_loop_in_pytorch():
    torch = pytest.importorskip("torch")
    forward, epsilons = torch_net(torch), (0.02, 0.06, 0.1)
    x, labels = torch.from_numpy(X).permute(0, 3, 1, 2), torch.from_numpy(LABELS).long()

    def theirs(start, epsilon, step_size, steps):
        at = start
        for _ in range(steps):
            at = at.detach().requires_grad_()
            loss = torch.nn.functional.cross_entropy(forward(at), labels, reduction="sum")
            (slope,) = torch.autograd.grad(loss, at)
            at = x + (at + step_size * slope.sign() - x).clamp(-epsilon, epsilon)
            at = at.clamp(0, 1)
        return at.detach().permute(0, 2, 3, 1).numpy()

    for epsilon in epsilons:
        key, size = jax.random.key(7), epsilon / 4
        start = torch.from_numpy(np.array(drawn(key, X, epsilon))).permute(0, 3, 1, 2)
        pairs = (
            (fgsm(net, X, LABELS, epsilon), theirs(x, epsilon, epsilon, 1)),
            (pgd(net, X, LABELS, key, epsilon, size, 10), theirs(start, epsilon, size, 10)),
        )
        for ours, other in pairs:
            assert accuracy(ours) == accuracy(other) < accuracy(X)
            assert np.mean(np.abs(np.asarray(ours) - other) > 1e-5) < 0.01


def test_accuracy_under_fgsm_and_pgd_is_that_of_foolbox():
    torch, foolbox = pytest.importorskip("torch"), pytest.importorskip("foolbox")

    class Net(torch.nn.Module):
        def forward(self, x):
            return torch_net(torch)(x)

    model = foolbox.PyTorchModel(Net().eval(), bounds=(0, 1), device="cpu")
    x, labels = torch.from_numpy(X).permute(0, 3, 1, 2), torch.from_numpy(LABELS).long()
    theirs = {
        "fgsm": foolbox.attacks.FGSM(random_start=False),
        "pgd": foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=10, random_start=False),
        "pgd_l2": foolbox.attacks.L2PGD(rel_stepsize=0.25, steps=10, random_start=False),
    }
    key, how = jax.random.key(0), {"random_start": False}
    for epsilon in (0.02, 0.06, 0.1):
        long = L2_OF_EPSILON * epsilon
        ours = {
            "fgsm": fgsm(net, X, LABELS, epsilon),
            "pgd": pgd(net, X, LABELS, key, epsilon, epsilon / 4, 10, **how),
            "pgd_l2": pgd(net, X, LABELS, key, long, long / 4, 10, norm="l2", **how),
        }
        for name, attack in theirs.items():
            size = long if name == "pgd_l2" else epsilon
            _, found, _ = attack(model, x, labels, epsilons=size)
            found = found.permute(0, 2, 3, 1).numpy()
            assert abs(accuracy(ours[name]) - accuracy(found)) <= 1 / len(X), name
            assert np.mean(np.abs(np.asarray(ours[name]) - found) > 1e-4) < 0.02, name
