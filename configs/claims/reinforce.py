"""What lab C, the papers and we say of REINFORCE's temperature, discount and baseline.

Values of a run: eval_return, mean_return and judged_return, as in configs/claims/agents.py.
"""

from configs.claims.agents import LAB_C, best_policy, judged, on_box2d, over_training
from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import alone, difference

FAILED = '"does not converge at all", on LunarLander'

TEMPERATURE = {
    "a_sampling_beats_mixture": over_training(
        "Sampling from the policy is better than lab C's mixtures",
        LAB_C,
        '"the best performance are provided by the version that always samples"',
        difference("sampled", "lab_c_80"),
        difference("sampled", "lab_c_rising"),
        example={"sampled": 400, "lab_c_80": 250, "lab_c_rising": 300},
    ),
    "a_mixtures_fail": best_policy(
        "With either of lab C's mixtures the best policy of the median run stays below 475 of 500",
        LAB_C,
        FAILED,
        alone("lab_c_80"),
        alone("lab_c_rising"),
        direction="<",
        threshold=475.0,
        example={"lab_c_80": 100, "lab_c_rising": 150},
    ),
    "b_not_for_being_greedy": over_training(
        "A true temperature of 0.5 is worse than 1",
        HYPOTHESIS,
        "not reported",
        difference("cold", "sampled"),
        direction="<",
        example={"cold": 350, "sampled": 400},
    ),
    "c_annealing_helps": over_training(
        "Annealing the true temperature from 2 to 0.5 is better than 1",
        HYPOTHESIS,
        "not reported",
        difference("annealed", "sampled"),
        example={"annealed": 430, "sampled": 400},
    ),
}
DISCOUNT = {
    "d_99_is_best": over_training(
        "Discount .99 is better than .9, .95 and .999",
        LAB_C,
        '"determinant of convergence"',
        difference("gamma_99", "gamma_9"),
        difference("gamma_99", "gamma_95"),
        difference("gamma_99", "gamma_999"),
        example={"gamma_9": 200, "gamma_95": 300, "gamma_99": 400, "gamma_999": 350},
    ),
}
BASELINE = {
    "e_baseline_helps": over_training(
        "The batch's mean helps, and so does a value function",
        "Williams 1992",
        "lower variance",
        difference("mean", "none"),
        difference("value", "none"),
        example={"mean": 350, "value": 400, "none": 250},
    ),
    "f_value_beats_mean": over_training(
        "A value function is a better baseline than the batch's mean",
        "Sutton et al. 1999",
        "lower variance",
        difference("value", "mean"),
        example={"value": 400, "mean": 350},
    ),
    "g_entropy_helps": over_training(
        "An entropy bonus helps",
        HYPOTHESIS,
        "not reported",
        difference("value_normalised", "value_no_entropy"),
        example={"value_normalised": 430, "value_no_entropy": 400},
    ),
}
CLAIMS = TEMPERATURE | DISCOUNT | BASELINE
LUNAR = (
    {
        "a_lab_c_reaches_100": judged(
            "Without a baseline, returns normalised by episode as in lab C, the median run returns "
            "more than 100 on LunarLander",
            LAB_C,
            "about 130, after 30,000 episodes",
            alone("lab_c"),
            threshold=100.0,
            figures={"lab_c": 130},
        ),
        "b_value_reaches_130": judged(
            "With a value function the median run returns more than lab C's 130 on LunarLander",
            HYPOTHESIS,
            "not reported",
            alone("value"),
            threshold=130.0,
            example={"value": 180},
        ),
        "c_value_helps": judged(
            "A value function as baseline raises the return on LunarLander",
            HYPOTHESIS,
            "not reported",
            difference("value", "lab_c"),
            example={"value": 180, "lab_c": 100},
        ),
        "d_mixtures_fail": judged(
            "With either of lab C's mixtures, beside a value function, the median run returns less "
            "than 100 on LunarLander",
            LAB_C,
            FAILED,
            alone("lab_c_80"),
            alone("lab_c_rising"),
            direction="<",
            threshold=100.0,
            example={"lab_c_80": -100, "lab_c_rising": 0},
        ),
    }
    | on_box2d({"e_sampling_beats_mixture": TEMPERATURE["a_sampling_beats_mixture"]})
    | on_box2d({"f_99_is_best": DISCOUNT["d_99_is_best"]})
)
