"""REINFORCE: what do temperature, baseline and discount do to it?

Lab C's "temperature" p plays the likeliest action with probability p and any action at random
otherwise, though its page says that it samples from the policy; the gradient is that of the policy
all the same. It reports that p = 0.8 and p rising to 0.9 "does not converge at all". Here that
mixture stands beside a true temperature, softmax(logits / T). Papers: Williams 1992; Sutton et al.
1999.

One arm on any environment of gymnax, or your own (package.module:factory):

    python launch.py --config=configs/reinforce.py:one --config.env.name=Acrobot-v1

Result of `temperature` (892 s of CPU on 2 cores of an AMD EPYC, 16 seeds): lab C's mixtures cost
117 and 84 of return over training; on CartPole p = 0.8 is solved on 16 of 16 seeds and p rising on
13. True temperatures of 0.5, and from 2 to 0.5, are not told apart from 1. All of it:
docs/studies/agents.md.
"""

from ml_collections import ConfigDict

from configs import agents
from configs.claims.reinforce import CLAIMS, FAILED, LUNAR
from dla_jax.config.arguments import SECONDS, Preset, parse_argument
from dla_jax.evidence.claims import answerable

# Lab C's network, its normalisation of each episode's returns, and no other baseline; the rate is
# each arm's own.
AS_LAB_C = {"baseline": "none", "normalise": "episode", "ent_coef": 0.0}
TEMPERATURES = {
    "sampled": {},
    "cold": {"agent": {"temperature_start": 0.5, "temperature_end": 0.5}},
    "hot": {"agent": {"temperature_start": 2.0, "temperature_end": 2.0}},
    "annealed": {"agent": {"temperature_start": 2.0, "temperature_end": 0.5}},
    "lab_c_80": {"agent": {"mixture": 1, "greedy_start": 0.8, "greedy_end": 0.8}},
    "lab_c_rising": {"agent": {"mixture": 1, "greedy_end": 0.9}},
}
BASELINES = {
    "none": {"agent": {"baseline": "none", "normalise": "none"}},
    "mean": {"agent": {"baseline": "mean", "normalise": "none"}},
    "value": {"agent": {"normalise": "none"}},
    "value_normalised": {},
    "episode_normalised": {"agent": {"baseline": "none", "normalise": "episode"}},
    "value_no_entropy": {"agent": {"ent_coef": 0.0}},
}
GAMMAS = {f"gamma_{str(gamma)[2:]}": {"gamma": gamma} for gamma in (0.9, 0.95, 0.99, 0.999)}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every arm is the config with its own overrides."""
    config, preset = agents.base(), parse_argument(argument, PRESETS).preset
    config.question = "What do temperature, baseline and discount do to REINFORCE?"
    agents.use(config, "reinforce")
    config.solved_return, config.lrs = 475.0, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    PRESETS[preset].apply(config)
    config.claims = answerable(LUNAR if config.env.judge else CLAIMS, config.arms)
    return config


def as_lab_c(config: ConfigDict) -> None:
    """Leave the baseline out; runs differ much then, so that more of them are compared."""
    config.agent.update(AS_LAB_C)
    config.seeds = tuple(range(16))


def temperature(config: ConfigDict) -> None:
    """Compare four true temperatures and lab C's two mixtures."""
    as_lab_c(config)
    agents.set_arms(
        config,
        TEMPERATURES,
        sampled="about 130 on LunarLander",
        lab_c_80=FAILED,
        lab_c_rising=FAILED,
    )


def baselines(config: ConfigDict) -> None:
    """Compare what is subtracted from the return.

    No arm bootstraps at the time limit, since two have nothing to do it with.
    """
    config.bootstrap = False
    config.lrs = (1e-3, 3e-3, 1e-2, 3e-2)  # a rate less than elsewhere, for four seeds each
    agents.set_arms(config, BASELINES)


def gamma(config: ConfigDict) -> None:
    """Compare four discount factors, as lab C has them."""
    as_lab_c(config)
    agents.set_arms(config, GAMMAS)


def land(config: ConfigDict, total_steps: int) -> None:
    """Take LunarLander, 16 episodes an update, 8 at a time."""
    agents.land(config, total_steps)
    config.agent.num_envs, config.agent.side_by_side = 16, 8
    config.lrs, config.runs_at_once = (3e-3,), 8


def lunar(config: ConfigDict) -> None:
    """Land on the moon, with a value function; judged on Box2D."""
    land(config, 3_000_000)
    agents.set_arms(config, {"value": {}})


def lunar_baseline(config: ConfigDict) -> None:
    """Compare a value function with what lab C does on LunarLander."""
    land(config, 3_000_000)
    agents.set_arms(config, {"value": {}, "lab_c": {"agent": AS_LAB_C}}, lab_c="about 130")


def lunar_temperature(config: ConfigDict) -> None:
    """Compare sampling with lab C's two mixtures on LunarLander, with a value function."""
    land(config, 2_000_000)
    names = ("sampled", "lab_c_80", "lab_c_rising")
    arms = {name: TEMPERATURES[name] for name in names}
    agents.set_arms(config, arms, lab_c_80=FAILED, lab_c_rising=FAILED)


def lunar_gamma(config: ConfigDict) -> None:
    """Compare four discount factors on LunarLander, with a value function."""
    land(config, 2_000_000)
    agents.set_arms(config, GAMMAS)


def one(config: ConfigDict) -> None:
    """Run a single arm."""
    config.solved_return, config.optim.lr = None, 3e-3
    agents.set_arms(config, {"reinforce": {}})


def quick(config: ConfigDict) -> None:
    """Take three of the temperatures, 60,000 steps, six seeds, two rates."""
    as_lab_c(config)
    agents.shorten(config, 60_000)
    config.lrs = (3e-3, 1e-2)
    arms = {name: TEMPERATURES[name] for name in ("sampled", "cold", "lab_c_80")}
    agents.set_arms(config, arms, lab_c_80=FAILED)


def smoke(config: ConfigDict) -> None:
    """Take a tiny agent at three temperatures."""
    agents.smoke(config)
    config.agent.num_envs, config.lrs = 4, (3e-3,)
    names = ("sampled", "annealed", "lab_c_80")
    agents.set_arms(config, {name: TEMPERATURES[name] for name in names})


# baselines and gamma were timed when two seeds chose the rates; now four do.
PRESETS = {
    "temperature": Preset(temperature, "CartPole, true temperatures and lab C's", minutes=7),
    "baselines": Preset(baselines, "CartPole, what is subtracted from the return", minutes=2.9),
    "gamma": Preset(gamma, "CartPole, four discount factors", minutes=2.2),
    "lunar": Preset(lunar, "LunarLander, three million steps, on Box2D", minutes=11.4),
    "lunar_baseline": Preset(lunar_baseline, "LunarLander, value function, lab C", minutes=58),
    "lunar_temperature": Preset(
        lunar_temperature, "LunarLander, sampling and lab C's mixtures", minutes=94
    ),
    "lunar_gamma": Preset(lunar_gamma, "LunarLander, four discount factors", minutes=85),
    "one": Preset(one, "one arm, for any environment: --config.env.name=NAME"),
    "quick": Preset(quick, "CartPole, 60,000 steps, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
