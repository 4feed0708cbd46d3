"""Policies and value functions: small networks on vectors (MLP) or on 10x10 images (CNN).

Each has the heads that its method needs. This is the only module of `rl/` that knows Flax; the
others see `init` and `apply`.
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
    """Return a dense layer that starts with orthogonal weights times `scale`, and no bias.

    As Andrychowicz et al. 2021, arXiv:2006.05990, advise.
    """
    return nn.Dense(width, kernel_init=nn.initializers.orthogonal(scale), name=name)


class Torso(nn.Module):
    """Observations float32 [..., obs] -> features float32 [..., hidden[-1]].

    `cnn`: a 3x3 convolution of 16 channels and dense layers, the network of MinAtar (Young and Tian
    2019, arXiv:1903.03176). The convolution is one product with the image's windows, since XLA's is
    slow on CPU inside a loop.
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
    """Action values float32 [..., A] of observations float32 [..., obs].

    `dueling`: V + (advantage - its mean), equation 9 of Wang et al. 2016, arXiv:1511.06581.
    """

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

    `outputs`: logits of a discrete policy, or means of a Gaussian one, whose logarithmic standard
    deviations do not depend on the observation.
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
        """Return a `Categorical` or a `Gaussian` for each observation [..., obs]."""
        outputs = self.actor(self.actor_torso(obs))
        return Gaussian(outputs, self.log_std) if self.continuous else Categorical(outputs)

    def value(self, obs):
        """Return the values of observations [..., obs]: float32 [...]."""
        return self.critic(self.critic_torso(obs))[..., 0]

    def __call__(self, obs):
        return self.policy(obs), self.value(obs)


class Categorical(NamedTuple):
    """Distributions over A actions."""

    logits: jax.Array  # float32 [..., A]

    def tempered(self, temperature):
        """Return the distributions softmax(logits / temperature)."""
        return Categorical(self.logits / temperature)

    def sample(self, noise):
        """Return actions int32 [...] from `draw_noise`.

        Gumbel's trick: Maddison et al. 2014, arXiv:1411.0030.
        """
        return jnp.argmax(self.logits + noise, -1)

    def mode(self):
        """Return the likeliest actions: int32 [...]."""
        return jnp.argmax(self.logits, -1)

    def log_prob(self, action):
        """Return the logarithms of the actions' probabilities: float32 [...]."""
        return jnp.take_along_axis(jax.nn.log_softmax(self.logits), action[..., None], -1)[..., 0]

    def entropy(self):
        """Return the entropies in nats: float32 [...]."""
        log_p = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_p) * log_p, -1)


class Gaussian(NamedTuple):
    """Independent normal distributions of A numbers."""

    mean: jax.Array  # float32 [..., A]
    log_std: jax.Array  # float32 [A]

    def tempered(self, temperature):
        """Return the distributions as they are: a temperature is for discrete actions."""
        return self

    def sample(self, noise):
        """Return actions float32 [..., A] from `draw_noise`.

        They are not clipped, so that `log_prob` is that of what was drawn.
        """
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self):
        """Return the likeliest actions: float32 [..., A]."""
        return self.mean

    def log_prob(self, action):
        """Return the logarithms of the actions' densities: float32 [...]."""
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return jnp.sum(-0.5 * (z**2 + LOG_2PI) - self.log_std, -1)

    def entropy(self):
        """Return the entropies in nats: float32 [...]."""
        each = 0.5 * (1 + LOG_2PI) + self.log_std
        return jnp.broadcast_to(jnp.sum(each), self.mean.shape[:-1])


def draw_noise(key: jax.Array, shape: tuple[int, ...], continuous: bool) -> jax.Array:
    """Draw what `sample` of a `Gaussian` or a `Categorical` takes: float32 [..., A], the shape."""
    return jax.random.normal(key, shape) if continuous else jax.random.gumbel(key, shape)


def make_torso(model) -> Callable:
    """Return a function that makes the torso of `config.model`."""
    return lambda: Torso(model.name, tuple(model.hidden), model.activation, model.layer_norm)


def make_actor_critic(model, outputs: int, continuous: bool) -> ActorCritic:
    """Return the actor and critic of `config.model`, for a policy of so many logits or means."""
    return ActorCritic(make_torso(model), outputs, continuous, model.shared)
