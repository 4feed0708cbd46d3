"""Which paths carry the gradient: of a net of L blocks, those through exactly k of the branches.

A residual net is a sum of 2^L paths: at every block through the branch or over the skip. Forward
they cannot be told apart, since each block sees the sum of all; backward they can (Veit et al.
2016, arXiv:1605.06431, section 5): the gradient of the loss with respect to what enters the first
block is the sum, over all routes, of what comes back when at every block it goes through the branch
alone (1) or over the skip alone (0). Vectors add up, norms do not.

In a plain net the skip is multiplied by 0: its one path goes through all branches, and the gradient
over every other route is 0. A shortcut without parameters, where a ResNet's shapes change, is a
skip like any other.
"""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis.loss import cross_entropy


def with_route(variables: dict, route: jax.Array) -> dict:
    """Return the variables with the collection "routes", which says where the gradient goes.

    Args:
      route: bool [L], True through the branch alone, False over the skip alone; in the order of the
        network, which is that of the names of its stacks.
    """
    routes, share, begin = {}, jnp.asarray(route, jnp.float32), 0
    for name, stack in sorted(variables["wiring"].items()):
        own = share[begin : begin + len(stack["skip"])]
        routes[name] = {"skip": 1 - own, "branch": own}
        begin += len(own)
    return variables | {"routes": routes}


def first_input(apply: Callable, variables: dict, x: jax.Array) -> jax.Array:
    """Return zeros like what enters the first block, float32 [B, ...]: the nudge "stem"."""
    features = jax.eval_shape(lambda: apply(variables, x, train=False)[1])
    outputs = features[min(variables["wiring"])]  # [blocks, B, ..., width]
    # The first block changes at most the width, and does so where it is a bottleneck.
    width = variables["params"]["stem"]["kernel"].shape[-1]
    return jnp.zeros((*outputs.shape[1:-1], width))


def route_gradient(
    apply: Callable, variables: dict, x: jax.Array, labels: jax.Array, route: jax.Array | None
) -> jax.Array:
    """Differentiate the mean loss with respect to what enters the first block, over one route.

    The loss is the cross-entropy, with BatchNorm in evaluation mode; the pass forward is the net's
    own, whatever the route.

    Args:
      apply: as `model.apply` of our nets with blocks: (variables, x, train=, nudge=) -> (logits,
        features).
      variables: of the net, with its "wiring".
      x: float32 [B, H, W, C]; labels: int32 [B].
      route: bool [L], as `with_route` takes it; None: over all routes at once.

    Returns:
      float32 [B, ...], like what enters the first block.
    """
    routed = variables if route is None else with_route(variables, route)

    def loss(nudge):
        logits, _ = apply(routed, x, train=False, nudge={"stem": nudge})
        return cross_entropy(logits, labels)

    return jax.grad(loss)(first_input(apply, variables, x))


def route_norms(
    apply: Callable,
    variables: dict,
    x: jax.Array,
    labels: jax.Array,
    routes: jax.Array,
    *,
    at_once: int = 16,
) -> jax.Array:
    """Return the L2 norm, over the whole batch, of the gradient over each route: float32 [R].

    Args:
      apply, variables, x, labels: as `route_gradient`.
      routes: bool [R, L].
      at_once: routes whose gradients are computed together; the memory grows with it. The pass
        forward is shared by them.
    """

    def norm(route):
        return jnp.linalg.norm(route_gradient(apply, variables, x, labels, route).ravel())

    return jax.lax.map(norm, routes, batch_size=at_once)


def sample_routes(
    rng: np.random.Generator, num_blocks: int, lengths: tuple[int, ...], num_routes: int
) -> np.ndarray:
    """Return routes through exactly k branches, for each length k: bool [R, num_blocks].

    Of a length that has at most `num_routes` routes these are all of them, once each; of another
    `num_routes` are drawn, independently. The length of a route is its sum.

    Args:
      lengths: each in [0, num_blocks].
    """
    chosen = []
    for length in lengths:
        if math.comb(num_blocks, length) <= num_routes:
            chosen += itertools.combinations(range(num_blocks), length)
        else:
            chosen += [
                rng.choice(num_blocks, length, replace=False, shuffle=False)
                for _ in range(num_routes)
            ]
    routes = np.zeros((len(chosen), num_blocks), bool)
    for route, branches in zip(routes, chosen, strict=True):
        route[list(branches)] = True
    return routes


def mass(norms: np.ndarray, routes: np.ndarray) -> dict[str, np.ndarray]:
    """Return how much gradient the paths of each length carry: their mean norm times their number.

    Args:
      norms: [R], those of `route_norms`.
      routes: bool [R, L], with at most 1029 blocks: C(L, k) of more is no float64.

    Returns:
      "length": int64 [K], ascending, those that `routes` has; "norm": float64 [K], the mean over
      the routes of a length; "mass": float64 [K], the norm times C(L, length).
    """
    length_of, num_blocks = routes.sum(1), routes.shape[1]
    lengths = np.unique(length_of)
    means = np.array([np.mean(norms[length_of == k], dtype=np.float64) for k in lengths])
    counts = np.array([float(math.comb(num_blocks, int(k))) for k in lengths])
    return {"length": lengths, "norm": means, "mass": means * counts}


def effective_length(found: dict[str, np.ndarray]) -> float:
    """Return the mean length of a path, each length weighed by its `mass`."""
    return float(np.average(found["length"], weights=found["mass"]))
