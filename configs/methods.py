"""REINFORCE, DQN and PPO: the groups of keys of each, and their settings."""

from ml_collections import ConfigDict


def ppo(**changes) -> ConfigDict:
    """Return the group `agent` of PPO with the settings of Huang et al. 2022."""
    return ConfigDict(
        {
            "name": "ppo",  # the method: ppo, dqn or reinforce, each with keys of its own
            "num_envs": 4,  # environments that are played side by side
            "num_steps": 128,  # of each environment, between two updates
            "update_epochs": 4,  # passes over these steps in an update
            "num_minibatches": 4,  # parts that a pass is cut into
            "gae_lambda": 0.95,  # of advantages; 0: one step ahead, 1: to the end
            "clip_eps": 0.2,  # how far the probability ratio may move in an update
            "clip_vloss": True,  # whether values may move no further either
            "ent_coef": 0.01,  # weight of the entropy bonus
            "vf_coef": 0.5,  # weight of the value loss
            "normalise_obs": False,  # whether observations are scaled by what was seen so far
            "normalise_reward": False,  # whether rewards are divided by the spread of returns
        }
        | changes
    )


def dqn(**changes) -> ConfigDict:
    """Return the group `agent` of DQN.

    The target network is copied every 50 gradient steps, 500 environment steps.
    """
    return ConfigDict(
        {
            "name": "dqn",
            "num_envs": 10,
            "steps_per_gradient": 1,  # of each environment, between two gradient steps
            "block": 50,  # gradient steps of one compiled update
            "buffer_size": 10_000,  # environment steps that are remembered
            "learning_starts": 1_000,  # random environment steps before the first gradient step
            "batch_size": 128,  # remembered steps a gradient step
            "double": False,  # whether the online network chooses the action that is valued
            "dueling": False,  # whether value and advantages have heads of their own
            "huber": False,  # whether the loss is Huber's, not the squared one
            "n_step": 1,  # rewards that are summed before bootstrapping
            "tau": 1.0,  # how far the target network moves, of the way; 1: it is copied
            "target_period": 50,  # gradient steps between two moves
            "target_period_episodes": 0,  # lab C's rule, in ended episodes; 0: target_period
            "epsilon_start": 1.0,  # probability of a random action at the start
            "epsilon_end": 0.05,  # the same at the end of its decay
            "epsilon_fraction": 0.5,  # of the run, which the decay takes
            "epsilon_schedule": "linear",  # of the decay: linear or exponential
        }
        | changes
    )


def reinforce(**changes) -> ConfigDict:
    """Return the group `agent` of REINFORCE with a value function as baseline."""
    return ConfigDict(
        {
            "name": "reinforce",
            "num_envs": 8,
            # Episodes of an update that are played side by side, the others after them, and learned
            # from in blocks: quicker where lengths differ much; 0: all at once.
            "side_by_side": 0,
            "baseline": "value",  # what is subtracted from returns: value, mean or none
            "normalise": "batch",  # advantages over the batch, or each episode; or none
            "ent_coef": 0.01,
            "value_steps": 4,  # gradient steps of the value function an update
            "temperature_start": 1.0,  # logits are divided by it, at the start
            "temperature_end": 1.0,  # the same at the end of the run
            "greedy_start": 0.0,  # probability of the likeliest action in lab C's mixture
            "greedy_end": 0.0,  # the same at the end of the run
            "mixture": 0,  # 1: acts by lab C's mixture, and not by the softmax
        }
        | changes
    )


CONSTANT = {"schedule": "constant"}
METHODS = {
    "reinforce": {
        "agent": reinforce().to_dict(),
        "optim": CONSTANT,
        "lrs": (1e-3, 3e-3, 1e-2, 3e-2),
    },
    "dqn": {
        "agent": dqn().to_dict(),
        "optim": CONSTANT | {"clip_norm": 10.0},
        "lrs": (1e-4, 3e-4, 1e-3),
        "model": {"hidden": (120, 84), "activation": "relu"},
    },
    "ppo": {"agent": ppo().to_dict(), "lrs": (5e-4, 1e-3, 2e-3, 4e-3)},
}


# On LunarLander. Its returns are hundreds: PPO's values must be free to move by more than 0.2.
LUNAR_PPO = {
    "num_envs": 16,
    "num_minibatches": 32,
    "gae_lambda": 0.98,
    "clip_vloss": False,
}
LUNAR_DQN = {
    "num_envs": 4,
    "block": 250,
    "buffer_size": 100_000,
    "learning_starts": 5_000,
    "batch_size": 64,
    "target_period": 250,
    "epsilon_fraction": 0.2,
}
LUNAR_ARMS = {
    "reinforce": {
        "agent": reinforce(num_envs=16, side_by_side=8).to_dict(),
        "optim": CONSTANT,
        "lrs": (3e-3,),
    },
    "dqn": {
        "agent": dqn(**LUNAR_DQN).to_dict(),
        "optim": CONSTANT | {"clip_norm": 10.0},
        "lrs": (5e-4,),
        "model": {"hidden": (128, 128), "activation": "relu"},
    },
    "ppo": {"agent": ppo(**LUNAR_PPO).to_dict(), "lrs": (5e-4,), "gamma": 0.999},
}
