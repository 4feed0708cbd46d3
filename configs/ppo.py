"""PPO: what is bootstrapping at the time limit worth?

Most implementations take an episode that a time limit cuts off for one that is over, and so teach
the value function that a pole which has stood for 500 steps is worth nothing more. Papers: Schulman
et al. 2017, arXiv:1707.06347; Pardo et al. 2018, arXiv:1712.00378; Huang et al. 2022.

One arm on any environment of gymnax, or your own (package.module:factory):

    python launch.py --config=configs/ppo.py:one --config.env.name=Reacher-misc

Results (2 cores of an Intel Xeon): CartPole in 78 s, 16 seeds at 500 with and without
bootstrapping, though the value loss is a millionth with it and near 100 without; Acrobot -83.4
[-85.9, -81.9] in 37 s, Pendulum -189.6 [-221.3, -173.5] in 92 s, 8 seeds each; Breakout 7.0 [6.5,
17.5] in 9 minutes, 4 seeds, random actions 0.4. The preset for a GPU has not been run:
docs/studies/agents.md.
"""

from ml_collections import ConfigDict

from configs import agents
from configs.claims.ppo import CLAIMS, LUNAR
from configs.methods import LUNAR_PPO
from dla_jax.config.arguments import SECONDS, Preset, parse_argument
from dla_jax.evidence.claims import answerable

CUT = {"ppo": {}, "ppo_limit_is_end": {"bootstrap": False}}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every arm is the config with its own overrides."""
    config, preset = agents.base(), parse_argument(argument, PRESETS).preset
    config.question = (
        "What does PPO reach, on how many seeds, and what is bootstrapping at the time limit worth?"
    )
    agents.use(config, "ppo")
    PRESETS[preset].apply(config)
    config.claims = answerable(LUNAR if config.env.judge else CLAIMS, config.arms)
    return config


def cartpole(config: ConfigDict) -> None:
    """Compare with and without bootstrapping at the limit of 500 steps, on 16 seeds."""
    config.total_steps, config.num_evaluations = 500_000, 100
    config.seeds, config.solved_return = tuple(range(16)), 475.0
    # few, for four seeds each: one rate's differ by 5 or 6 (sd), the best two by 4 or 6
    config.lrs = (1e-3, 2e-3, 4e-3)
    agents.set_arms(config, CUT)


def acrobot(config: ConfigDict) -> None:
    """Swing up two links."""
    config.env.name, config.total_steps, config.solved_return = "Acrobot-v1", 500_000, -100.0
    config.agent.num_envs, config.optim.lr = 16, 1e-3
    agents.set_arms(config, {"ppo": {}})


def pendulum(config: ConfigDict) -> None:
    """Take continuous actions, in an environment that never ends by itself."""
    config.env.name, config.total_steps, config.gamma = "Pendulum-v1", 1_000_000, 0.9
    config.agent.update(
        {
            "num_envs": 16,
            "update_epochs": 10,
            "num_minibatches": 32,
            "ent_coef": 0.0,
            "normalise_obs": True,
            "normalise_reward": True,
        }
    )
    config.optim.lr, config.solved_return = 1e-3, -250.0
    agents.set_arms(config, {"ppo": {}})


def breakout(config: ConfigDict) -> None:
    """Play MinAtar's Breakout without sticky actions.

    Episodes have 1000 steps at most; the original has no limit.
    """
    config.env.name, config.total_steps = "Breakout-MinAtar", 1_000_000
    config.seeds, config.runs_at_once = (0, 1, 2, 3), 2
    # few: whole episodes of up to 1,000 steps through a convolution; nothing here counts as solved
    config.num_evaluations = 20
    config.agent.update({"num_envs": 64, "num_steps": 32, "num_minibatches": 8})
    config.model.update({"name": "cnn", "hidden": (128,), "activation": "relu", "shared": True})
    config.optim.lr = 1e-3
    agents.set_arms(config, {"ppo": {}})


def breakout_gpu(config: ConfigDict) -> None:
    """Play Breakout for 1e7 steps."""
    breakout(config)
    config.total_steps, config.runs_at_once = 10_000_000, 4
    config.agent.num_envs, config.optim.lr = 256, 5e-4
    config.checkpoint_every_evaluations = 5


def lunar(config: ConfigDict) -> None:
    """Land on the moon, with values that move freely and with clipped ones; judged on Box2D."""
    agents.land(config, 1_000_000)
    config.question = "What does PPO reach, on how many seeds, and what do clipped values cost?"
    config.seeds, config.test_episodes, config.gamma = tuple(range(10, 26)), 100, 0.999
    config.agent.update(LUNAR_PPO)
    config.lrs = (5e-4,)
    arms = {"ppo": {}, "ppo_values_clipped": {"agent": {"clip_vloss": True}}}
    agents.set_arms(config, arms, ppo="242.1 in SB3's zoo")


def one(config: ConfigDict) -> None:
    """Run a single arm."""
    config.optim.lr = 1e-3
    agents.set_arms(config, {"ppo": {}})


def quick(config: ConfigDict) -> None:
    """Take CartPole for 100,000 steps, six seeds, two rates."""
    cartpole(config)
    agents.shorten(config, 100_000)
    config.lrs = (1e-3, 2e-3)


def smoke(config: ConfigDict) -> None:
    """Take a tiny agent, with continuous actions and everything normalised."""
    agents.smoke(config)
    config.lrs = (1e-3,)
    config.env.name, config.solved_return, config.model.layer_norm = "Pendulum-v1", -100.0, True
    config.agent.update(
        {
            "num_envs": 4,
            "num_steps": 16,
            "num_minibatches": 2,
            "update_epochs": 2,
            "normalise_obs": True,
            "normalise_reward": True,
        }
    )
    agents.set_arms(config, CUT)


PRESETS = {
    "cartpole": Preset(cartpole, "CartPole, with and without bootstrapping", minutes=1.5),
    "acrobot": Preset(acrobot, "Acrobot, two links that swing up, one arm", minutes=0.6),
    "pendulum": Preset(pendulum, "Pendulum, continuous actions, one arm", minutes=1.5),
    "breakout": Preset(breakout, "MinAtar's Breakout, a million steps, one arm", minutes=9),
    "breakout_gpu": Preset(breakout_gpu, "Breakout for ten million steps", gpu=True),
    "lunar": Preset(lunar, "LunarLander, a million steps, judged on Box2D", minutes=24),
    "one": Preset(one, "one arm, for any environment: --config.env.name=NAME"),
    "quick": Preset(quick, "CartPole, 100,000 steps, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
