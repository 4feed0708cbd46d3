"""What lab C, the papers and we say of DQN's target rules, discount and later inventions.

They compare mean_return, those of LunarLander judged_return, as in configs/claims/agents.py.
"""

from configs.claims.agents import LAB_C, on_box2d, over_training
from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import difference


def invention(name: str, arm: str) -> dict:
    """Return the claim that an invention raises the mean return of plain DQN."""
    return over_training(
        f"{name} raises the mean return over training",
        "its paper",
        "on Atari",
        difference(arm, "dqn"),
        example={arm: 350, "dqn": 300},
    )


TARGETS = {
    "a_target_network_helps": over_training(
        "A target network helps, soft as well as copied every 50 and every 500 gradient steps",
        "Mnih et al. 2015",
        "on Atari",
        difference("soft", "none"),
        difference("hard_50", "none"),
        difference("hard_500", "none"),
        example={"soft": 350, "hard_50": 340, "hard_500": 330, "none": 250},
    ),
    "b_soft_beats_hard": over_training(
        "Soft updates are better than copies every 500 gradient steps",
        HYPOTHESIS,
        "not reported",
        difference("soft", "hard_500"),
        example={"soft": 350, "hard_500": 300},
    ),
    "c_as_in_lab_c": over_training(
        "Copies at every step of each tenth episode, as lab C's code has it, are worse than every "
        "50 gradient steps",
        HYPOTHESIS,
        "not reported",
        difference("lab_c_10", "hard_50"),
        direction="<",
        example={"lab_c_10": 250, "hard_50": 300},
    ),
}
DISCOUNT = {
    "d_99_is_best": over_training(
        "Discount .99 is better than .9, .95 and .999",
        LAB_C,
        '"the choice of discount factor is determinant of convergence"',
        difference("gamma_99", "gamma_9"),
        difference("gamma_99", "gamma_95"),
        difference("gamma_99", "gamma_999"),
        example={"gamma_9": 100, "gamma_95": 200, "gamma_99": 350, "gamma_999": 250},
    ),
}
EXTRAS = {
    "e_double": invention("Double Q-learning", "double"),
    "f_dueling": invention("A dueling network", "dueling"),
    "g_three_steps": invention("A return of three steps", "three_steps"),
    "h_huber": invention("Huber's loss", "huber"),
    "i_limit": over_training(
        "Taking a time limit for an end lowers the mean return",
        "Pardo et al. 2018",
        "on other environments",
        difference("limit_is_end", "dqn"),
        direction="<",
        example={"limit_is_end": 250, "dqn": 300},
    ),
}
CLAIMS = TARGETS | DISCOUNT | EXTRAS
LUNAR = on_box2d(TARGETS | DISCOUNT)
