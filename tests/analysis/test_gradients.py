import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.analysis.gradients import layer_norms
from dla_jax.metrics import cross_entropy
from dla_jax.models.cnn import CNN
from dla_jax.models.mlp import MLP

X, LABELS = jax.random.uniform(jax.random.key(0), (6, 8, 8, 1)), jnp.arange(6)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("kind", [CNN, MLP])
def test_layer_norms_equal_the_gradient_of_each_layer_alone(kind, depth, norm):
    extra = {"pools": 1} if kind is CNN else {}
    model = kind(
        depth=depth, width=5, num_classes=10, mean=(0.0,), std=(1.0,), norm=norm, init_scheme="he", dtype="float32", **extra
    )
    variables = model.init(jax.random.key(1), X, train=False)
    params, rest = variables["params"], {name: value for name, value in variables.items() if name != "params"}

    def loss(params):
        logits, _ = model.apply({"params": params, **rest}, X, train=False)
        return cross_entropy(logits, LABELS).mean()

    def norm_of(replace, part):
        grads = jax.grad(lambda part: loss(params | replace(part)))(part)
        return np.sqrt(sum(np.sum(np.square(leaf, dtype=np.float64)) for leaf in jax.tree.leaves(grads)))

    expected = [norm_of(lambda part: {"stem": part}, params["stem"])]
    for i in range(depth - 1):  # a gradient with respect to the parameters of block i alone
        put = lambda part, i=i: {"blocks": jax.tree.map(lambda all, one: all.at[i].set(one), params["blocks"], part)}  # noqa: E731
        expected.append(norm_of(put, jax.tree.map(lambda leaf, i=i: leaf[i], params["blocks"])))
    last = {name: params[name] for name in ("head", "norm") if name in params}
    expected.append(norm_of(lambda part: part, last))

    found = layer_norms(jax.grad(loss)(params))
    assert found.shape == (depth + 1,)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    total = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(jax.grad(loss)(params))))
    np.testing.assert_allclose(np.sqrt(np.sum(np.square(found))), total, rtol=1e-5)
