"""A network of one's own, data of one's own, and plain optax: trained by the loop of the studies.

python -m docs.examples.own_data    # two moons, 300 points to train on; seconds
"""

import optax
from flax import linen as nn
from sklearn.datasets import make_moons

from dla_jax.training.loop import fit
from dla_jax.training.task import Plan, Task

x, y = make_moons(1000, noise=0.2, random_state=0)
train, val, test = slice(0, 300), slice(300, 500), slice(500, 1000)
network = nn.Sequential([nn.Dense(32), nn.relu, nn.Dense(2)])


def init_network(key):
    return network.init(
        key, x[:1]
    ), {}  # {}: a place for what is no parameter, as BatchNorm's means


def loss(params, model_state, batch, key):  # key: for dropout and the like
    logits = network.apply(params, batch["x"])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"])
    return losses.mean(), (model_state, {})  # {}: further numbers for the rows


def evaluate(state):  # the parameters with the smallest "val_loss" are kept
    return {"val_loss": float(loss(state.params, {}, {"x": x[val], "y": y[val]}, None)[0])}


plan = Plan(num_steps=300, eval_steps=range(20, 301, 20))
data = {"x": x[train], "y": y[train]}
task = Task(init_network, loss, tx=optax.adam(1e-2), plan=plan, data=data, evaluate=evaluate)
state, rows = fit(task, seed=0)
accuracy = (network.apply(state.params, x[test]).argmax(-1) == y[test]).mean()
print(f"test accuracy {accuracy:.1%}")
