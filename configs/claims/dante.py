"""What the labs and we say of small decoders, of their heads, and of n-grams.

`above_ngram` is nats per character minus those of the n-gram whose order is best on validation;
`log2_steps` the binary logarithm of the steps to the validation score of the n-gram of
`target_order`, or of all steps for a run that never gets there, so that -1 is twice as fast;
`nats_risen` the rise of validation from its best to the end; `best_kilosteps` the step of the best,
in thousands. N-grams are constants: what varies is the run.
"""

import functools
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_B, LAB_D_LABS
from dla_jax.evidence.claims import alone, answerable, claim, difference

QUICKLY = '"we can easily see how quickly this architecture overfit"'
DEGRADED = '"degradation after 3000 iterations"'
RISE = 0.01  # nats a character; less is nothing that one would call over-fitting
EPOCHS = "best after 40 and 62 epochs against 144; here: steps to the score of an n-gram"

nats = functools.partial(claim, unit="nats/char", margin=0.01)


def beats_ngrams(name: str, source: str, network: str) -> dict:
    """Return the claim that a network, called `name`, beats all n-grams."""
    return nats(
        f"{name} is better than the best n-gram",
        source,
        "not reported: no lab has a baseline",
        alone(network),
        direction="<",
        value="above_ngram",
        example={network: 1.5 - 1.6},
    )


def over_fits(name: str, source: str, reported: str, network: str) -> dict:
    """Return the claim that a network, called `name`, over-fits."""
    return nats(
        f"{name} over-fits: validation rises by more than 0.01 before the end",
        source,
        reported,
        alone(network),
        value="nats_risen",
        threshold=RISE,
        example={network: 0.2},
    )


CLAIMS = {
    "a_gpt_beats_ngrams": beats_ngrams("The GPT", LAB_D_LABS, "gpt"),
    "b_llama_beats_ngrams": beats_ngrams("The Llama of 4 heads", LAB_B, "llama_4_heads"),
    "e_llama_beats_gpt": nats(
        "The Llama is better than the GPT",
        HYPOTHESIS,
        "not reported",
        difference("llama_4_heads", "gpt"),
        direction="<",
        value="nats_per_char",
        example={"llama_4_heads": 1.5, "gpt": 1.9},
    ),
    "h_best_by_3000": claim(
        "By lab D's recipe validation is best before step 3000",
        LAB_D_LABS,
        DEGRADED,
        alone("gpt_lab_d"),
        direction="<",
        value="best_kilosteps",
        threshold=3.0,
        unit="thousand steps",
        margin=0.25,
        example={"gpt_lab_d": 2.5},
    ),
    "i_recipe_helps": nats(
        "The usual recipe (higher rate, warm-up, cosine, clipping) is better than lab D's",
        HYPOTHESIS,
        "not reported",
        difference("gpt", "gpt_lab_d"),
        direction="<",
        value="nats_per_char",
        example={"gpt": 1.5, "gpt_lab_d": 1.6},
    ),
    "j_shakespeare_beats_ngrams": beats_ngrams("nanoGPT's model", "nanoGPT", "gpt_shakespeare"),
}
# Of presets that see their text many times.
OVER_FITTING = {
    "f_gpt_over_fits": over_fits("Lab D's GPT", LAB_D_LABS, DEGRADED, "gpt_lab_d"),
    "g_llama_over_fits": over_fits("The Llama of 4 heads", LAB_B, QUICKLY, "llama_4_heads"),
}


def claims(networks: Iterable[str], sees_it_often: bool, n_embd: int) -> ConfigDict:
    """Return who claimed what, and the one contrast that decides it, fixed before the run.

    Args:
      networks: those that are there.
      sees_it_often: whether the text is seen so often that a model may over-fit.
      n_embd: what the heads share.
    """
    found = CLAIMS | heads_claims(n_embd // 16)
    if sees_it_often:
        found |= OVER_FITTING
    return answerable(found, networks)


def heads_claims(width: int) -> dict[str, dict]:
    """Return the claims of lab B about 16 heads that are so wide."""
    wide = "48 wide as in the lab" if width == 48 else f"{width} wide here and 48 in the lab"
    return {
        "c_heads_converge_faster": claim(
            f"16 heads, {wide}, converge faster than 4",
            LAB_B,
            EPOCHS,
            difference("llama_16_heads", "llama_4_heads"),
            direction="<",
            value="log2_steps",
            unit="doublings",
            margin=0.1,
            figures={"llama_16_heads": 62, "llama_4_heads": 144},
        ),
        "d_heads_lower_loss": nats(
            f"16 heads, {wide}, reach a lower loss than 4",
            LAB_B,
            "test loss 5.83 against 5.97 nats/token",
            difference("llama_16_heads", "llama_4_heads"),
            direction="<",
            value="nats_per_char",
            figures={"llama_16_heads": 5.83, "llama_4_heads": 5.97},
        ),
    }
