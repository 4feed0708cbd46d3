"""A network of one's own, data of one's own, and plain optax: trained by the loop of the studies.

    python -m docs.examples.own_data

The data are two moons, with 300 points to train on; it takes seconds.
"""

import jax
import optax
from flax import linen as nn
from sklearn.datasets import make_moons

from dla_jax.training.loop import fit
from dla_jax.training.task import Plan, Task

x, y = make_moons(900, noise=0.2, random_state=0)
train, val, test = ({"x": x[i::3], "y": y[i::3]} for i in range(3))
network = nn.Sequential([nn.Dense(32), nn.relu, nn.Dense(2)])


def init(key):
    return jax.jit(network.init)(key, x[:1]), {}  # {}: for what is no parameter, as BatchNorm's


@jax.jit
def loss(params, model_state, batch, key):  # key: for dropout and the like
    logits = network.apply(params, batch["x"])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"])
    return losses.mean(), (model_state, {})  # {}: further numbers for the rows


def evaluate(state):  # the parameters with the smallest "val_loss" are kept
    return {"val_loss": float(loss(state.params, {}, val, None)[0])}


plan = Plan(num_steps=300, eval_steps=range(20, 301, 20))
state, rows = fit(Task(init, loss, optax.adam(1e-2), plan, train, evaluate=evaluate), seed=0)
accuracy = (network.apply(state.params, test["x"]).argmax(-1) == test["y"]).mean()
print(f"test accuracy {accuracy:.1%}")
