"""What Pardo et al. and we say of bootstrapping at a time limit.

Values of a run: late_return, the mean over the second half of its evaluations; log2_solved, as in
configs/claims/agents.py.
"""

from configs.claims.agents import faster, log2_of
from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import claim, difference

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
