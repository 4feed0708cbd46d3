"""DQN: how its target network should move, how far it should look ahead, and what its later inventions add.

Lab C solves LunarLander by DQN. Its code means to copy the target network every so many episodes, but stands in the loop over
steps, so that in each such episode it is copied at every step; here, with ten environments, that is while the number of ended
episodes is a multiple of ten. Papers: Mnih et al. 2015; van Hasselt et al. 2016, arXiv:1509.06461; Wang et al. 2016,
arXiv:1511.06581; Hessel et al. 2018, arXiv:1710.02298.

    python launch.py --config=configs/dqn.py                                         # target rules, CartPole
    python launch.py --config=configs/dqn.py:gamma
    python launch.py --config=configs/dqn.py:extras                                  # double, dueling, n-step, Huber, time limits
    python launch.py --config=configs/dqn.py:one --config.env.name=Acrobot-v1        # one arm, any environment
    python launch.py --config=configs/dqn.py:quick                                   # 50,000 steps, 6 seeds: about a minute
    python launch.py --config=configs/dqn.py:smoke                                   # seconds, to see that it runs

Result of `targets` (523 s of CPU on 2 cores of an AMD EPYC, 8 seeds): in 200,000 steps of CartPole no rule is shown to do better
than no target network (return 350 over training); soft updates (190) and copies every 500 gradient steps (235) do worse, and
copies every 50 (289) are not told apart from it.
"""

from ml_collections import ConfigDict

from configs import agents
from dla_jax.config.arguments import parse_argument
from dla_jax.evidence.claims import answerable, claim, difference

TARGETS = {
    "soft": {"agent": {"tau": 0.005, "period": 1}},
    "hard_50": {},
    "hard_500": {"agent": {"period": 500}},
    "none": {"agent": {"period": 1}},
    "lab_c_10": {"agent": {"period_episodes": 10}},
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
    """The study of a preset; every arm is the config with its own overrides."""
    presets = {
        "targets": targets,
        "gamma": gamma,
        "extras": extras,
        "one": one,
        "quick": quick,
        "smoke": smoke,
    }
    config, preset = agents.base(), parse_argument(argument, tuple(presets)).preset
    config.question = "How should DQN's target network move, how far should it look ahead, and what do its later inventions add?"
    agents.use(config, "dqn")
    config.solved_at = 475.0
    presets[preset](config)
    config.claims = claims(config.arms.keys())
    return config


def targets(config: ConfigDict) -> None:
    """Five rules for the target network."""
    agents.set_arms(config, TARGETS)


def gamma(config: ConfigDict) -> None:
    """Four discount factors."""
    agents.set_arms(config, GAMMAS)


def extras(config: ConfigDict) -> None:
    """One invention at a time."""
    agents.set_arms(config, EXTRAS)


def one(config: ConfigDict) -> None:
    """A single arm."""
    config.solved_at, config.optim.lr = None, 2.5e-4
    agents.set_arms(config, {"dqn": {}})


def quick(config: ConfigDict) -> None:
    """About a minute: three rules and none, 50,000 steps, six seeds, two rates, chosen on two seeds."""
    agents.shorten(config, 50_000)
    config.lrs = (3e-4, 1e-3)
    agents.set_arms(
        config, {name: TARGETS[name] for name in ("soft", "hard_50", "hard_500", "none")}
    )


def smoke(config: ConfigDict) -> None:
    """Seconds."""
    agents.smoke(config)
    config.lrs = (1e-3,)
    config.agent.update(config.arms.dqn.agent.to_dict() | {"epsilon_schedule": "exponential"})
    config.env.name, config.solved_at = "Catch-bsuite", 1.0
    agents.set_arms(
        config,
        {
            "soft": TARGETS["soft"],
            "hard_50": {},
            "extras": {"agent": {"double": True, "dueling": True, "n_step": 3}},
        },
    )


def claims(found) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run. `mean_return`: over all evaluations."""
    matters, hypothesis = (
        '"the choice of discount factor is determinant of convergence"',
        ("hypothesis", "not reported"),
    )

    def helps(what, arm):
        said = f"{what} raises the mean return over training"
        return claim(said, "its paper", "on Atari", difference(arm, "dqn"), **agents.WHOLE)

    every = {
        "a_target_network_helps": claim(
            "A target network helps, soft as well as copied every 50 and every 500 gradient steps",
            "Mnih et al. 2015",
            "on Atari",
            difference("soft", "none"),
            difference("hard_50", "none"),
            difference("hard_500", "none"),
            **agents.WHOLE,
        ),
        "b_soft_beats_hard": claim(
            "Soft updates are better than copies every 500 gradient steps",
            *hypothesis,
            difference("soft", "hard_500"),
            **agents.WHOLE,
        ),
        "c_as_in_lab_c": claim(
            "Copies at every step of each tenth episode, as lab C's code has it, are worse than every 50 "
            "gradient steps",
            *hypothesis,
            difference("lab_c_10", "hard_50"),
            direction="<",
            **agents.WHOLE,
        ),
        "d_99_is_best": claim(
            "Discount .99 is better than .9, .95 and .999",
            agents.LAB_C,
            matters,
            *(difference("gamma_99", f"gamma_{other}") for other in ("9", "95", "999")),
            **agents.WHOLE,
        ),
        "e_double": helps("Double Q-learning", "double"),
        "f_dueling": helps("A dueling network", "dueling"),
        "g_three_steps": helps("A return of three steps", "three_steps"),
        "h_huber": helps("Huber's loss", "huber"),
        "i_limit": claim(
            "Taking a time limit for an end lowers the mean return",
            "Pardo et al. 2018",
            "on other environments",
            difference("limit_is_end", "dqn"),
            direction="<",
            **agents.WHOLE,
        ),
    }
    return answerable(every, found)
