"""REINFORCE, DQN and PPO: which learns an environment, and how soon?

Lab C trains REINFORCE with its own code and PPO with Stable-Baselines3 on LunarLander, one seed
each, and says that PPO is better in time and in return. Here each method has its own learning rate,
the same budget and the same seeds, and a time limit is not taken for an end. Papers: Williams 1992;
Mnih et al. 2015; Schulman et al. 2017, arXiv:1707.06347; Agarwal et al. 2021, arXiv:2108.13264.

Any other environment of gymnax:

    python launch.py --config=configs/agents.py --config.env.name=Acrobot-v1 \\
        --config.solved_return=-100

Your own is --config.env.name=package.module:factory: docs/studies/agents.md.

Result (737 s of CPU on 2 cores of an AMD EPYC, 16 seeds): all three are solved on all seeds, in the
median after 15,330 to 20,185 (REINFORCE), 113,500 to 118,500 (DQN) and 5,120 to 10,240 steps (PPO);
that PPO has the higher return than REINFORCE does not hold on CartPole, and which of them is sooner
is not decided. All of it: docs/studies/agents.md.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs.claims.agents import BUDGETS, CLAIMS, LUNAR, arm_of
from configs.methods import LUNAR_ARMS, METHODS, ppo, reinforce
from configs.optimisers import optim
from dla_jax.config.arguments import SECONDS, Preset, parse_argument
from dla_jax.evidence.claims import answerable


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every arm is the config with its own overrides."""
    config, preset = base(), parse_argument(argument, PRESETS).preset
    config.question = (
        "Which method learns the environment, in how many steps, and on how many seeds?"
    )
    PRESETS[preset].apply(config)
    config.claims = answerable(LUNAR if config.env.judge else CLAIMS, config.arms)
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    # Spread within a rate: in dqn.py one rate's runs differ by 12 to 67 of return (standard
    # deviation), and the best rate's mean is 7 to 64 above the next. So four seeds choose, where
    # two would often choose by chance, among few rates a factor of 2 or 3 apart.
    config = ConfigDict()
    config.experiment = "agents"  # the kind of study; leave it
    config.question = ""  # what the report asks
    # Of the runs that are compared; each fixes initial weights, environments and exploration.
    config.seeds = tuple(range(8))
    config.lrs = ()  # learning rates of which arms that bring none get their own
    config.select_seeds = (100, 101, 102, 103)  # choose the rates; none of them is compared
    config.order = ()  # of arms in tables; others are compared with the first

    config.env = ConfigDict(
        {
            "name": "CartPole-v1",  # any environment of gymnax, or your own: package.module:factory
            "sticky": 0.0,  # probability that the last action is played again
            "max_steps": 0,  # steps of an episode at most; 0: the environment's own limit
            # Also play final policies on this environment of gymnasium, for as many steps at most,
            # as LunarLander-v3, which needs requirements-box2d.txt; "": on none.
            "judge": "",
        }
    )
    config.total_steps = 200_000  # environment steps of a run
    config.gamma = 0.99  # discount of a reward, a step
    # Whether a time limit is no end: the value of the state there counts; false: it is an end.
    config.bootstrap = True
    # Evaluations of a run; "solved" is known up to the interval between two.
    config.num_evaluations = 40
    config.eval_episodes = 20  # episodes of an evaluation
    config.test_episodes = 100  # fresh episodes, at the end of a run
    config.solved_return = placeholder(float)  # mean return that counts as solved, if any does

    config.agent = ppo()
    config.model = ConfigDict(
        {
            "name": "mlp",  # mlp, or cnn for images
            "hidden": (64, 64),  # widths of the hidden layers, in units
            "activation": "tanh",  # tanh or relu
            "layer_norm": False,  # whether hidden layers have LayerNorm
            "shared": False,  # whether policy and value have their hidden layers in common
        }
    )
    config.optim = optim(schedule="linear", milestones=(), eps=1e-5, clip_norm=0.5)

    config.checkpoint_every_evaluations = 0  # between saved states; 0: only when interrupted
    config.runs_at_once = 4  # runs in one compiled call
    config.cells_at_a_time = 0  # calls side by side; 0: one a core on a CPU, else one
    return config


def set_arms(config: ConfigDict, arms: dict[str, dict], **reported: str) -> None:
    """Put the arms into the config, with what was reported of each."""
    config.arms = ConfigDict(arms)  # what is compared: each is this config with its own overrides
    config.order = tuple(arms)
    # What was reported of each arm, in words.
    config.reported = ConfigDict({name: reported.get(name, "not in the labs") for name in arms})


def use(config: ConfigDict, method: str) -> None:
    """Make a method that of every arm which brings none."""
    for key, value in METHODS[method].items():
        if key == "agent":
            config.agent = ConfigDict(value)
        elif isinstance(value, dict):
            config[key].update(value)
        else:
            config[key] = value


def cartpole(config: ConfigDict) -> None:
    """Compare the three methods, 5e5 steps each, on 16 seeds."""
    config.solved_return = 475.0
    config.total_steps = 500_000
    config.num_evaluations = 100
    config.seeds = tuple(range(16))
    dqn = METHODS["dqn"] | {"agent": METHODS["dqn"]["agent"] | {"epsilon_fraction": 0.2}}
    set_arms(
        config,
        METHODS | {"dqn": dqn},
        reinforce="about 130, on LunarLander",
        ppo="better, on LunarLander",
    )


def budgets(config: ConfigDict) -> None:
    """Compare fresh runs for each budget, as lab C does for PPO.

    What is annealed ends with the budget, and each has its own rate. REINFORCE plays four episodes
    an update here: it stops where another might not fit, up to 2,000 steps before the end.
    """
    # an update of REINFORCE is up to 2,000 steps, and nothing here counts as solved
    config.num_evaluations = 20
    methods = {name: dict(arm) for name, arm in METHODS.items()}
    methods["reinforce"]["agent"] = reinforce(num_envs=4).to_dict()
    # fewer rates, for more seeds each
    methods["reinforce"]["lrs"] = (3e-3, 1e-2, 3e-2)
    methods["ppo"]["lrs"] = (1e-3, 2e-3, 4e-3)
    arms = {
        arm_of(name, steps): arm | {"total_steps": steps}
        for steps in BUDGETS
        for name, arm in methods.items()
    }
    set_arms(config, arms)


def land(config: ConfigDict, total_steps: int) -> None:
    """Train in our copy of LunarLander, and judge on gymnasium's, in 20 episodes a policy.

    "Solved" is gymnasium's 200. Rates are fixed: they were tried on seeds 0 to 3, which are not
    compared here.
    """
    config.env.update({"name": "LunarLanderJax-v0", "judge": "LunarLander-v3"})
    config.total_steps, config.solved_return = total_steps, 200.0
    config.seeds = tuple(range(10, 18))
    # few: an evaluation takes up to 1,000 steps of each of its episodes
    config.num_evaluations, config.test_episodes = 20, 20


def lunar(config: ConfigDict) -> None:
    """Compare the three methods on LunarLander, 500,000 steps each."""
    land(config, 500_000)
    arms = {name: METHODS[name] | arm for name, arm in LUNAR_ARMS.items()}
    set_arms(config, arms, reinforce="about 130, in 30,000 episodes", ppo="better")


def quick(config: ConfigDict) -> None:
    """Take a fifth of the steps, six seeds, two rates each, chosen on two seeds."""
    cartpole(config)
    shorten(config, 100_000)
    for arm in config.arms.values():
        arm.lrs = tuple(arm.lrs[1:3])


def shorten(config: ConfigDict, total_steps: int) -> None:
    """Take fewer steps, evaluations and seeds, but enough seeds for a verdict.

    Two seeds to choose a rate are too few to rely on.
    """
    config.total_steps, config.num_evaluations = total_steps, 20
    config.seeds, config.select_seeds = tuple(range(6)), (100, 101)


def smoke(config: ConfigDict) -> None:
    """Take tiny agents, 3,000 steps of short episodes."""
    config.seeds, config.select_seeds, config.runs_at_once = (0, 1), (100,), 2
    config.solved_return, config.env.max_steps = 29.0, 30
    config.total_steps, config.num_evaluations = 3000, 10
    config.checkpoint_every_evaluations = 2
    config.eval_episodes, config.test_episodes = 4, 6
    config.model.hidden = (16,)
    small = {
        "reinforce": {"num_envs": 4},
        "dqn": {
            "num_envs": 4,
            "block": 20,
            "buffer_size": 400,
            "learning_starts": 80,
            "batch_size": 16,
        },
        "ppo": {"num_envs": 4, "num_steps": 16, "num_minibatches": 2, "update_epochs": 2},
    }
    rates = {"ppo": (1e-3, 3e-3), "dqn": (1e-3,), "reinforce": (1e-3,)}
    arms = {}
    for name, arm in METHODS.items():
        arms[name] = arm | {"agent": arm["agent"] | small[name], "lrs": rates[name]}
        arms[name].pop("model", None)
    set_arms(config, arms)


PRESETS = {
    "cartpole": Preset(cartpole, "CartPole, 500,000 steps, 16 seeds", minutes=5),
    "budgets": Preset(budgets, "CartPole, fresh runs of 25,000 to 400,000 steps", minutes=5.4),
    "lunar": Preset(lunar, "LunarLander, 500,000 steps, judged on Box2D", minutes=13),
    "quick": Preset(quick, "CartPole, 100,000 steps, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
