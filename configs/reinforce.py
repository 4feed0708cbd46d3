"""REINFORCE: baselines, temperature, discount.

Lab C's "temperature" p plays the likeliest action with probability p and any action at random otherwise, though its page says
that it samples from the policy; the gradient is that of the policy all the same. It reports that p = 0.8 and p rising to 0.9
"does not converge at all". Here that mixture stands beside a true temperature, softmax(logits / T). Papers: Williams 1992;
Sutton et al. 1999.

    python launch.py --config=configs/reinforce.py                                   # temperature, CartPole
    python launch.py --config=configs/reinforce.py:baselines
    python launch.py --config=configs/reinforce.py:gamma
    python launch.py --config=configs/reinforce.py:one --config.env.name=Acrobot-v1  # one arm, any environment
    python launch.py --config=configs/reinforce.py:quick                             # 60,000 steps, 6 seeds: about a minute
    python launch.py --config=configs/reinforce.py:smoke                             # seconds, to see that it runs

Result of `temperature` (892 s of CPU on 2 cores of an AMD EPYC, 16 seeds): lab C's mixtures cost 117 and 84 of return over
training; on CartPole p = 0.8 is solved on 16 of 16 seeds and p rising on 13. True temperatures of 0.5, and from 2 to 0.5, are
not told apart from 1.
"""

from ml_collections import ConfigDict

from configs import agents
from dla_jax.config.arguments import parse_argument
from dla_jax.evidence.claims import alone, answerable, claim, difference

FAILED = '"does not converge at all", on LunarLander'
# Lab C's network, its normalisation of each episode's returns, and no baseline else; the rate is each arm's own.
AS_LAB_C = {"baseline": "none", "normalise": "episode", "entropy": 0.0}
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
    "value_no_entropy": {"agent": {"entropy": 0.0}},
}
GAMMAS = {f"gamma_{str(gamma)[2:]}": {"gamma": gamma} for gamma in (0.9, 0.95, 0.99, 0.999)}


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset; every arm is the config with its own overrides."""
    presets = {
        "temperature": temperature,
        "baselines": baselines,
        "gamma": gamma,
        "one": one,
        "quick": quick,
        "smoke": smoke,
    }
    config, preset = agents.base(), parse_argument(argument, tuple(presets)).preset
    config.question = "What do temperature, baseline and discount do to REINFORCE?"
    agents.use(config, "reinforce")
    config.solved_at, config.lrs = 475.0, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    presets[preset](config)
    config.claims = claims(config.arms.keys())
    return config


def as_lab_c(config: ConfigDict) -> None:
    """Without a baseline; runs differ much then, so that more of them are compared."""
    config.agent.update(AS_LAB_C)
    config.seeds = tuple(range(16))


def temperature(config: ConfigDict) -> None:
    """Four true temperatures and lab C's two mixtures."""
    as_lab_c(config)
    agents.set_arms(
        config,
        TEMPERATURES,
        sampled="about 130 on LunarLander",
        lab_c_80=FAILED,
        lab_c_rising=FAILED,
    )


def baselines(config: ConfigDict) -> None:
    """What is subtracted from the return. No arm bootstraps at the time limit, since two have nothing to do it with."""
    config.bootstrap, config.lrs = (
        False,
        (1e-3, 3e-3, 1e-2, 3e-2),
    )  # a rate less than elsewhere, for four seeds each
    agents.set_arms(config, BASELINES)


def gamma(config: ConfigDict) -> None:
    """Four discount factors, as lab C has them."""
    as_lab_c(config)
    agents.set_arms(config, GAMMAS)


def one(config: ConfigDict) -> None:
    """A single arm."""
    config.solved_at, config.optim.lr = None, 3e-3
    agents.set_arms(config, {"reinforce": {}})


def quick(config: ConfigDict) -> None:
    """About a minute: three of the temperatures, 60,000 steps, six seeds, two rates, chosen on two seeds."""
    as_lab_c(config)
    agents.shorten(config, 60_000)
    config.lrs = (3e-3, 1e-2)
    agents.set_arms(
        config,
        {name: TEMPERATURES[name] for name in ("sampled", "cold", "lab_c_80")},
        lab_c_80=FAILED,
    )


def smoke(config: ConfigDict) -> None:
    """Seconds."""
    agents.smoke(config)
    config.agent.num_envs, config.lrs = 4, (3e-3,)
    agents.set_arms(
        config, {name: TEMPERATURES[name] for name in ("sampled", "annealed", "lab_c_80")}
    )


def claims(found) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run. `mean_return`: over all evaluations."""
    sampling, matters = (
        '"the best performance are provided by the version that always samples"',
        '"determinant of convergence"',
    )

    def beats(what, who, said, arm, *others, **more):
        return claim(
            what, who, said, *(difference(arm, other) for other in others), **(agents.WHOLE | more)
        )

    every = {
        "a_sampling_beats_mixture": beats(
            "Sampling from the policy is better than lab C's mixtures",
            agents.LAB_C,
            sampling,
            "sampled",
            "lab_c_80",
            "lab_c_rising",
        ),
        "a_mixtures_fail": claim(
            "With either of lab C's mixtures the best policy of the median run stays below 475 of 500",
            agents.LAB_C,
            FAILED,
            alone("lab_c_80"),
            alone("lab_c_rising"),
            direction="<",
            threshold=475.0,
            **agents.RETURN,
        ),
        "b_not_for_being_greedy": beats(
            "A true temperature of 0.5 is worse than 1",
            "hypothesis",
            "not reported",
            "cold",
            "sampled",
            direction="<",
        ),
        "c_annealing_helps": beats(
            "Annealing the true temperature from 2 to 0.5 is better than 1",
            "hypothesis",
            "not reported",
            "annealed",
            "sampled",
        ),
        "d_99_is_best": beats(
            "Discount .99 is better than .9, .95 and .999",
            agents.LAB_C,
            matters,
            "gamma_99",
            "gamma_9",
            "gamma_95",
            "gamma_999",
        ),
        "e_baseline_helps": beats(
            "The batch's mean helps, and so does a value function",
            "Williams 1992",
            "lower variance",
            "mean",
            "none",
        )
        | {"contrasts": (difference("mean", "none"), difference("value", "none"))},
        "f_value_beats_mean": beats(
            "A value function is a better baseline than the batch's mean",
            "Sutton et al. 1999",
            "lower variance",
            "value",
            "mean",
        ),
        "g_entropy_helps": beats(
            "An entropy bonus helps",
            "hypothesis",
            "not reported",
            "value_normalised",
            "value_no_entropy",
        ),
    }
    return answerable(every, found)
