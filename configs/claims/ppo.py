"""What Pardo et al. and we say of bootstrapping at a time limit, and others of LunarLander.

Values of a run: late_return, the mean over the second half of its evaluations; log2_solved and
judged_return, as in configs/claims/agents.py.
"""

from configs.claims.agents import faster, judged, log2_of
from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import alone, claim, difference

CLAIMS = {
    "a_bootstrap_steadies": claim(
        "Bootstrapping at the time limit raises the return of late training",
        "Pardo et al. 2018",
        "on other environments",
        difference("ppo", "ppo_limit_is_end"),
        value="late_return",
        unit="return",
        margin=2.0,
        example={"ppo": 499, "ppo_limit_is_end": 490},
    ),
    "b_bootstrap_is_faster": faster(
        "With bootstrapping it is solved in fewer steps",
        HYPOTHESIS,
        "not reported",
        difference("ppo", "ppo_limit_is_end"),
        example=log2_of(ppo=10_000, ppo_limit_is_end=20_000),
    ),
}
LUNAR = {
    "a_reaches_200": judged(
        "After 1,000,000 steps the median run returns more than 200 on LunarLander",
        "the table of rl-baselines3-zoo",
        "242.1, trained there, on LunarLander-v2",
        alone("ppo"),
        threshold=200.0,
        figures={"ppo": 242.1},
    ),
    "b_clipped_values_cost": judged(
        "Values that may move by no more than 0.2 an update cost return where returns are hundreds",
        "Andrychowicz et al. 2021, arXiv:2006.05990",
        '"hurts the performance regardless of the clipping threshold", on other environments',
        difference("ppo", "ppo_values_clipped"),
        example={"ppo": 250, "ppo_values_clipped": 180},
    ),
}
