"""What lab C and we say of REINFORCE, DQN and PPO, and what all claims about agents compare.

Values of a run:

- eval_return: the return of its best policy, on fresh episodes;
- mean_return: the mean over all evaluations, the area under the learning curve;
- judged_return: the return of its best policy on gymnasium's own environment, greedy, whole
  episodes; LunarLander's claims, whose runs are trained in a copy of it, are about that;
- log2_solved: the binary logarithm of the environment steps until it is solved, so that -1 is twice
  as fast. It is the middle between the first evaluation that counts as solved and the one before,
  known up to half of what they lie apart, by which the interval is widened. For a run without such
  an evaluation it is that of the whole budget, a lower bound.
"""

import functools
import math

from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import alone, claim, difference

LAB_C = "lab C, https://github.com/simogiovannini/DLA-lab3"
BUDGETS = (25_000, 50_000, 100_000, 200_000, 400_000)  # environment steps
BETTER = '"PPO overperforms Reinforce both in time and in reached reward", on LunarLander'

best_policy = functools.partial(claim, value="eval_return", unit="return", margin=10.0)
judged = functools.partial(claim, value="judged_return", unit="return", margin=10.0)
over_training = functools.partial(claim, value="mean_return", unit="return", margin=10.0)
faster = functools.partial(claim, value="log2_solved", unit="doublings", margin=0.5, direction="<")


def log2_of(**steps: int) -> dict[str, float]:
    """Return environment steps as `log2_solved` has them."""
    return {group: math.log2(number) for group, number in steps.items()}


def on_box2d(claims: dict[str, dict]) -> dict[str, dict]:
    """Return claims about returns as claims about returns on gymnasium's own environment."""
    return {name: entry | {"value": "judged_return"} for name, entry in claims.items()}


def arm_of(method: str, steps: int) -> str:
    """Return the name of the arm that is a method with a budget: `ppo_25k`."""
    return f"{method}_{steps // 1000}k"


METHODS = {
    "a_ppo_beats_reinforce": over_training(
        "PPO has a higher mean return over training than REINFORCE",
        LAB_C,
        BETTER,
        difference("ppo", "reinforce"),
        example={"ppo": 450, "reinforce": 300},
    ),
    "b_ppo_faster_than_reinforce": faster(
        "PPO is solved in fewer steps than REINFORCE",
        LAB_C,
        BETTER,
        difference("ppo", "reinforce"),
        example=log2_of(ppo=10_000, reinforce=80_000),
    ),
    "c_ppo_beats_dqn": over_training(
        "PPO has a higher mean return over training than DQN",
        HYPOTHESIS,
        "not reported",
        difference("ppo", "dqn"),
        example={"ppo": 450, "dqn": 350},
    ),
    "d_ppo_faster_than_dqn": faster(
        "PPO is solved in fewer steps than DQN",
        HYPOTHESIS,
        "not reported",
        difference("ppo", "dqn"),
        example=log2_of(ppo=10_000, dqn=100_000),
    ),
}
AT_BUDGETS = {
    "e_always_better": best_policy(
        "At every budget PPO reaches a higher return than REINFORCE",
        LAB_C,
        BETTER,
        *(difference(arm_of("ppo", steps), arm_of("reinforce", steps)) for steps in BUDGETS),
        example={arm_of("ppo", steps): 400 for steps in BUDGETS}
        | {arm_of("reinforce", steps): 300 for steps in BUDGETS},
    ),
    "f_more_is_better": best_policy(
        "Sixteen times the budget gives PPO a higher return",
        LAB_C,
        "its curve over 2,500 to 5,000,000 steps",
        difference("ppo_400k", "ppo_25k"),
        example={"ppo_400k": 490, "ppo_25k": 200},
    ),
}
CLAIMS = METHODS | AT_BUDGETS
LUNAR = {
    "a_ppo_beats_reinforce": judged(
        "PPO reaches a higher return on LunarLander than REINFORCE in the same number of steps",
        LAB_C,
        BETTER,
        difference("ppo", "reinforce"),
        example={"ppo": 240, "reinforce": 130},
    ),
    "b_ppo_faster_than_reinforce": faster(
        "PPO solves LunarLander, in our copy of it, in fewer steps than REINFORCE",
        LAB_C,
        BETTER,
        difference("ppo", "reinforce"),
        example=log2_of(ppo=200_000, reinforce=500_000),
    ),
    "c_ppo_beats_dqn": judged(
        "PPO reaches a higher return on LunarLander than DQN in the same number of steps",
        HYPOTHESIS,
        "not reported: rl-baselines3-zoo has 242.1 in 1,000,000 steps, and 154.4 in 100,000",
        difference("ppo", "dqn"),
        example={"ppo": 240, "dqn": 200},
    ),
    "d_ppo_faster_than_dqn": faster(
        "PPO solves LunarLander, in our copy of it, in fewer steps than DQN",
        HYPOTHESIS,
        "not reported",
        difference("ppo", "dqn"),
        example=log2_of(ppo=200_000, dqn=400_000),
    ),
    "e_dqn_learns": judged(
        "The median run of DQN returns more than 150",
        "the table of rl-baselines3-zoo",
        "154.4 in 100,000 steps, on LunarLander-v2",
        alone("dqn"),
        threshold=150.0,
        figures={"dqn": 154.4},
    ),
}
