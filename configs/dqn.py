"""DQN: how should its target network move, and what else helps?

Lab C solves LunarLander by DQN. Its code means to copy the target network every so many episodes,
but stands in the loop over steps, so that in each such episode it is copied at every step; here,
with ten environments, that is while the number of ended episodes is a multiple of ten. Papers: Mnih
et al. 2015; van Hasselt et al. 2016, arXiv:1509.06461; Wang et al. 2016, arXiv:1511.06581; Hessel
et al. 2018, arXiv:1710.02298.

One arm on any environment of gymnax, or your own (package.module:factory):

    python launch.py --config=configs/dqn.py:one --config.env.name=Acrobot-v1

Result of `targets` (523 s of CPU on 2 cores of an AMD EPYC, 8 seeds): in 200,000 steps of CartPole
no rule is shown to do better than no target network (return 350 over training); soft updates (190)
and copies every 500 gradient steps (235) do worse, and copies every 50 (289) are not told apart
from it. All of it: docs/studies/agents.md.
"""

from ml_collections import ConfigDict

from configs import agents
from configs.claims.dqn import CLAIMS, LUNAR
from configs.methods import LUNAR_DQN
from dla_jax.config.arguments import SECONDS, Preset, parse_argument
from dla_jax.evidence.claims import answerable

TARGETS = {
    "soft": {"agent": {"tau": 0.005, "target_period": 1}},
    "hard_50": {},
    "hard_500": {"agent": {"target_period": 500}},
    "none": {"agent": {"target_period": 1}},
    "lab_c_10": {"agent": {"target_period_episodes": 10}},
}
GAMMAS = {f"gamma_{str(gamma)[2:]}": {"gamma": gamma} for gamma in (0.9, 0.95, 0.99, 0.999)}
EXTRAS = {
    "dqn": {},
    "double": {"agent": {"double": True}},
    "dueling": {"agent": {"dueling": True}},
    "three_steps": {"agent": {"n_step": 3}},
    "huber": {"agent": {"huber": True}},
    "limit_is_end": {"bootstrap": False},
}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every arm is the config with its own overrides."""
    config, preset = agents.base(), parse_argument(argument, PRESETS).preset
    config.question = (
        "How should DQN's target network move, how far should it look ahead, and what do its "
        "later inventions add?"
    )
    agents.use(config, "dqn")
    config.solved_return = 475.0
    PRESETS[preset].apply(config)
    config.claims = answerable(LUNAR if config.env.judge else CLAIMS, config.arms)
    return config


def targets(config: ConfigDict) -> None:
    """Compare five rules for the target network."""
    agents.set_arms(config, TARGETS)


def gamma(config: ConfigDict) -> None:
    """Compare four discount factors."""
    agents.set_arms(config, GAMMAS)


def extras(config: ConfigDict) -> None:
    """Add one invention at a time."""
    agents.set_arms(config, EXTRAS)


def land(config: ConfigDict) -> None:
    """Take LunarLander, 300,000 steps, a gradient step for every four of them."""
    agents.land(config, 300_000)
    config.agent.update(LUNAR_DQN)
    config.lrs, config.model.hidden = (5e-4,), (128, 128)


def lunar_targets(config: ConfigDict) -> None:
    """Compare rules for the target network on LunarLander; judged on Box2D."""
    land(config)
    arms = {
        "soft": TARGETS["soft"],
        "hard_50": {"agent": {"target_period": 50}},
        "hard_500": TARGETS["hard_500"],
        "none": TARGETS["none"],
        "lab_c_10": TARGETS["lab_c_10"],
    }
    agents.set_arms(config, arms)


def lunar_gamma(config: ConfigDict) -> None:
    """Compare four discount factors on LunarLander; judged on Box2D."""
    land(config)
    agents.set_arms(config, GAMMAS)


def one(config: ConfigDict) -> None:
    """Run a single arm."""
    config.solved_return, config.optim.lr = None, 2.5e-4
    agents.set_arms(config, {"dqn": {}})


def quick(config: ConfigDict) -> None:
    """Take three rules and none, 50,000 steps, six seeds, two rates."""
    agents.shorten(config, 50_000)
    config.lrs = (3e-4, 1e-3)
    names = ("soft", "hard_50", "hard_500", "none")
    agents.set_arms(config, {name: TARGETS[name] for name in names})


def smoke(config: ConfigDict) -> None:
    """Take a tiny agent with every invention at once."""
    agents.smoke(config)
    config.lrs = (1e-3,)
    config.agent.update(config.arms.dqn.agent.to_dict() | {"epsilon_schedule": "exponential"})
    config.env.name, config.solved_return = "Catch-bsuite", 1.0
    extras = {"agent": {"double": True, "dueling": True, "n_step": 3}}
    agents.set_arms(config, {"soft": TARGETS["soft"], "hard_50": {}, "extras": extras})


# gamma and extras were timed when two seeds chose the rates; now four do.
PRESETS = {
    "targets": Preset(targets, "CartPole, five rules for the target network", minutes=3.5),
    "gamma": Preset(gamma, "CartPole, four discount factors", minutes=2.3),
    "extras": Preset(extras, "double, dueling, n-step, Huber, limits", minutes=5.5),
    "lunar_targets": Preset(lunar_targets, "LunarLander, rules for the target", minutes=45),
    "lunar_gamma": Preset(lunar_gamma, "LunarLander, four discount factors", minutes=21),
    "one": Preset(one, "one arm, for any environment: --config.env.name=NAME"),
    "quick": Preset(quick, "CartPole, 50,000 steps, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
