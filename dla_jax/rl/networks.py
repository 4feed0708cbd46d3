"""Policies and value functions: small networks on vectors (MLP) or on 10x10 images (CNN), with the heads that each method needs.

The only module of `rl/` that knows Flax; the others see `init` and `apply`.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

ACTIVATIONS = {"tanh": nn.tanh, "relu": nn.relu}
TORSOS = ("mlp", "cnn")
LOG_2PI = math.log(2 * math.pi)


def dense(width: int, scale: float, name: str | None = None) -> nn.Dense:
    """Orthogonal weights and no bias at the start (Andrychowicz et al. 2021, arXiv:2006.05990)."""
    return nn.Dense(width, kernel_init=nn.initializers.orthogonal(scale), name=name)


class Torso(nn.Module):
    """Observations float32 [..., obs] -> features float32 [..., hidden[-1]].

    `cnn`: a 3x3 convolution of 16 channels and dense layers, the network of MinAtar (Young and Tian 2019, arXiv:1903.03176),
    the convolution as one product with the image's windows, since XLA's is slow on CPU inside a loop.
    """

    kind: str
    hidden: Sequence[int]
    activation: str
    layer_norm: bool

    @nn.compact
    def __call__(self, obs):
        act, h = ACTIVATIONS[self.activation], obs
        if self.kind == "cnn":
            rows, columns = obs.shape[-3] - 2, obs.shape[-2] - 2
            windows = [
                obs[..., i : i + rows, j : j + columns, :] for i in range(3) for j in range(3)
            ]
            h = act(dense(16, math.sqrt(2))(jnp.concatenate(windows, -1)))
            h = h.reshape(*h.shape[:-3], -1)
        for width in self.hidden:
            h = dense(width, math.sqrt(2))(h)
            h = act(nn.LayerNorm()(h) if self.layer_norm else h)
        return h


class QNetwork(nn.Module):
    """Action values [..., A]; `dueling`: V + (advantage - its mean), equation 9 of Wang et al. 2016, arXiv:1511.06581."""

    torso: Callable
    num_actions: int
    dueling: bool

    @nn.compact
    def __call__(self, obs):
        h = self.torso()(obs)
        if not self.dueling:
            return dense(self.num_actions, 1.0)(h)
        advantage, value = dense(self.num_actions, 1.0, "advantage")(h), dense(1, 1.0, "value")(h)
        return value + advantage - advantage.mean(-1, keepdims=True)


class ActorCritic(nn.Module):
    """A policy, and a value function beside it: float32 [...]; `shared`: on one torso.

    `outputs`: logits of a discrete policy, or means of a Gaussian one, whose logarithmic standard deviations do not depend on the
    observation.
    """

    torso: Callable
    outputs: int
    continuous: bool
    shared: bool

    def setup(self):
        self.actor_torso = self.torso()
        self.critic_torso = self.actor_torso if self.shared else self.torso()
        self.actor, self.critic = dense(self.outputs, 0.01), dense(1, 1.0)
        if self.continuous:
            self.log_std = self.param("log_std", nn.initializers.zeros, (self.outputs,))

    def policy(self, obs):
        """A `Categorical` or a `Gaussian` for each observation."""
        outputs = self.actor(self.actor_torso(obs))
        return Gaussian(outputs, self.log_std) if self.continuous else Categorical(outputs)

    def value(self, obs):
        """float32 [...]."""
        return self.critic(self.critic_torso(obs))[..., 0]

    def __call__(self, obs):
        return self.policy(obs), self.value(obs)


class Categorical(NamedTuple):
    """Distributions over A actions."""

    logits: jax.Array  # float32 [..., A]

    def sample(self, noise):
        """Actions int32 [...] from `draw_noise` (Gumbel's trick: Maddison et al. 2014, arXiv:1411.0030)."""
        return jnp.argmax(self.logits + noise, -1)

    def mode(self):
        """The likeliest actions: int32 [...]."""
        return jnp.argmax(self.logits, -1)

    def log_prob(self, action):
        """float32 [...]."""
        return jnp.take_along_axis(jax.nn.log_softmax(self.logits), action[..., None], -1)[..., 0]

    def entropy(self):
        """In nats: float32 [...]."""
        log_p = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_p) * log_p, -1)


class Gaussian(NamedTuple):
    """Independent normal distributions of A numbers."""

    mean: jax.Array  # float32 [..., A]
    log_std: jax.Array  # float32 [A]

    def sample(self, noise):
        """Actions float32 [..., A] from `draw_noise`; not clipped, so that `log_prob` is that of what was drawn."""
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self):
        """float32 [..., A]."""
        return self.mean

    def log_prob(self, action):
        """float32 [...]."""
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return jnp.sum(-0.5 * (z**2 + LOG_2PI) - self.log_std, -1)

    def entropy(self):
        """In nats: float32 [...]."""
        each = 0.5 * (1 + LOG_2PI) + self.log_std
        return jnp.broadcast_to(jnp.sum(each), self.mean.shape[:-1])


def draw_noise(key: jax.Array, shape: tuple[int, ...], continuous: bool) -> jax.Array:
    """What `sample` of a `Gaussian` or a `Categorical` takes: float32 of the shape, whose last axis is A."""
    return jax.random.normal(key, shape) if continuous else jax.random.gumbel(key, shape)


def make_torso(model) -> Callable:
    """The torso of `config.model`: a function that makes one."""
    return lambda: Torso(model.name, tuple(model.hidden), model.activation, model.layer_norm)
