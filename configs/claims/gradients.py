"""What the labs and we say of gradients in deep nets with and without skips.

Values of a run, in decades (powers of ten). A layer's gradient is the norm of the gradient of its
kernel over the norm of the kernel, on the probe batch (`measure` in
dla_jax/studies/gradients/report.py).

- first_size: log10 of mean |g| of the first convolution, mean from start to end: its size, relative
  to nothing;
- first_layer: log10 of the first convolution's over the last convolution's, mean from start to end:
  below -1 where the first has less than a tenth of the last, above 1 where it has more than ten
  times the last;
- start_first_layer: the same before the first step;
- last_dense_change: of mean |g| of the last dense layer, log10 of the last tenth of the first steps
  over their first tenth: below -1 where it loses nine tenths;
- largest_norm: log10 of the largest norm of the whole gradient in the first steps: above 2 beyond
  100, 12 when it diverged;
- last_val_accuracy: no decades; validation accuracy after the last epoch, since the best one may
  come before the harm.
"""

import functools
import math
import re
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_B, LAB_E
from dla_jax.evidence.claims import alone, answerable, claim, difference

WATCHED = (
    "pictures: the first convolution's histogram, about ±400 without and −2000 to +8000 with skips "
    "(scaled, see below)"
)
TENDS = "the gradient of the CNN tends to zero, that of the ResCNN does not (one run)"
CLIPS = 'a run "with clipping", in which nothing was clipped'
SAME = "at every depth the same (one run each)"
NO_NORM = "not reported; labs A to D have BatchNorm in all their CNNs"

decades = functools.partial(claim, unit="decades", margin=0.05)
TENTH = -1.0  # decades
last_dense = functools.partial(decades, value="last_dense_change", threshold=TENTH)


# Of the first convolution's gradient: over training, against that of the last one, and its size.
FIRST_CONVOLUTION = {
    "a_skip_keeps_the_gradient": decades(
        "Over training a skip keeps more gradient in the first convolution, relative to the last "
        "one",
        LAB_B,
        WATCHED,
        difference("residual", "plain"),
        value="first_layer",
        figures={"residual": 8000, "plain": 400},
    ),
    "a_skip_keeps_the_gradient_at_one_rate": decades(
        "Over training it does so at the same learning rate, that of the plain net as well as that "
        "of the residual one",
        HYPOTHESIS,
        "not reported",
        difference("residual_same_rate", "plain"),
        difference("residual", "plain_same_rate"),
        value="first_layer",
        example={"residual_same_rate": 1.0, "plain": 0.5, "residual": 0.8, "plain_same_rate": 0.3},
    ),
    "a_skip_keeps_the_gradient_at_the_start": decades(
        "Before the first step, too, a skip keeps more gradient in the first convolution, relative "
        "to the last one",
        HYPOTHESIS,
        "not reported",
        difference("residual", "plain"),
        value="start_first_layer",
        example={"residual": 1.0, "plain": 0.5},
    ),
    "a_skip_makes_it_larger": decades(
        "Over training, each net at its own rate, a skip makes the first convolution's gradient at "
        "least five times as large",
        LAB_B,
        WATCHED,
        difference("residual", "plain"),
        threshold=math.log10(5),
        value="first_size",
        figures={"residual": math.log10(8000), "plain": math.log10(400)},
    ),
    "a_skip_makes_it_larger_backward": decades(
        "In the net with skips the gradient, relative to the weights, grows backward: over "
        "training it is larger in the first convolution than in the last",
        LAB_B,
        "pictures: it grows towards the first layer",
        alone("residual"),
        value="first_layer",
        example={"residual": math.log10(3)},  # three times as large in the first as in the last
    ),
    "b_start_plain_vanishes": decades(
        "Before the first step the plain net's first convolution has, relative to its weights, "
        "less than a tenth of the gradient of the last one",
        LAB_B,
        WATCHED,
        alone("plain"),
        direction="<",
        value="start_first_layer",
        threshold=TENTH,
        example={"plain": math.log10(0.01)},
    ),
    "b_train_plain_vanishes": decades(
        "On average over training, too, it has less than a tenth",
        LAB_B,
        WATCHED,
        alone("plain"),
        direction="<",
        value="first_layer",
        threshold=TENTH,
        example={"plain": math.log10(0.01)},
    ),
    "c_residual_does_not_vanish": decades(
        "Over training the residual net's first convolution has, relative to its weights, more "
        "than a tenth of the gradient of the last one",
        LAB_E,
        TENDS,
        alone("residual"),
        value="first_layer",
        threshold=TENTH,
        example={"residual": math.log10(0.9)},
    ),
    "d_residual_does_not_explode": decades(
        "Over training it has less than ten times the last one's",
        LAB_E,
        TENDS,
        alone("residual"),
        direction="<",
        value="first_layer",
        threshold=1.0,
        example={"residual": math.log10(3)},  # three times
    ),
    "e_residual_stays_bounded": decades(
        "In the first steps the norm of the residual net's gradient stays below 100 in the median "
        "run",
        LAB_E,
        TENDS,
        alone("residual"),
        direction="<",
        value="largest_norm",
        threshold=2.0,
        example={"residual": math.log10(10)},
    ),
}
OTHER_NETS = {
    "h_clipping_plain": claim(
        "Clipping makes the plain net better",
        LAB_B,
        CLIPS,
        difference("plain_clipped", "plain"),
        example={"plain_clipped": 88.0, "plain": 87.0},
    ),
    "i_clipping_residual": claim(
        "Clipping makes the residual net better",
        LAB_B,
        CLIPS,
        difference("residual_clipped", "residual"),
        example={"residual_clipped": 89.0, "residual": 88.0},
    ),
    "j_frozen_norm": claim(
        "BatchNorm left in evaluation mode after the first epoch makes the residual net worse",
        HYPOTHESIS,
        "not reported; all runs of lab C are so",
        difference("residual_frozen_norm", "residual"),
        direction="<",
        value="last_val_accuracy",
        example={"residual_frozen_norm": 70.0, "residual": 88.0},
    ),
    "k_no_norm_plain_vanishes": decades(
        "Without norm, He initialisation: before the first step the plain net's first convolution "
        "has less than a tenth",
        HYPOTHESIS,
        NO_NORM,
        alone("plain_no_norm"),
        direction="<",
        value="start_first_layer",
        threshold=TENTH,
        example={"plain_no_norm": math.log10(0.01)},
    ),
    "l_torch_default_vanishes": decades(
        "Without norm, PyTorch's default initialisation: before the first step it has less than a "
        "tenth",
        HYPOTHESIS,
        "not reported; labs A to C keep the default",
        alone("plain_no_norm_torch_default"),
        direction="<",
        value="start_first_layer",
        threshold=TENTH,
        example={"plain_no_norm_torch_default": math.log10(1e-8)},
    ),
    "m_no_norm_residual_stays_bounded": decades(
        "Without norm and clipping the residual net's gradient stays below 100 in the first steps "
        "of the median run",
        HYPOTHESIS,
        NO_NORM,
        alone("residual_no_norm_unclipped"),
        direction="<",
        value="largest_norm",
        threshold=2.0,
        example={"residual_no_norm_unclipped": math.log10(10)},
    ),
    "n_no_norm_clipping": claim(
        "Without norm, clipping makes the residual net better",
        HYPOTHESIS,
        NO_NORM,
        difference("residual_no_norm", "residual_no_norm_unclipped"),
        example={"residual_no_norm": 98.0, "residual_no_norm_unclipped": 60.0},
    ),
}


def claims(networks: Iterable[str]) -> ConfigDict:
    """Return who claimed what, and the one contrast that decides it, fixed before the run."""
    networks = list(networks)
    depths = [name.removeprefix("plain") for name in networks if re.fullmatch(r"plain_\d+", name)]
    found = FIRST_CONVOLUTION | OTHER_NETS | last_dense_claims(depths)
    return answerable(found, networks)


def last_dense_claims(depths: list[str]) -> dict[str, dict]:
    """Return what lab E says of the last dense layer.

    `depths` are what the names of shallower pairs end in, as in `_10`.
    """
    found = {
        "f_plain_tends_to_zero": last_dense(
            "Within the first batches the plain net's last dense layer loses nine tenths of its "
            "mean absolute gradient",
            LAB_E,
            TENDS,
            alone("plain"),
            direction="<",
            example={"plain": math.log10(0.01)},
        ),
        "g_residual_does_not": last_dense(
            "The residual net's last dense layer keeps more than a tenth",
            LAB_E,
            TENDS,
            alone("residual"),
            example={"residual": math.log10(0.5)},
        ),
        "f_plain_tends_to_zero_at_one_rate": last_dense(
            "At the residual net's learning rate, too, the plain net's last dense layer loses nine "
            "tenths",
            LAB_E,
            TENDS,
            alone("plain_same_rate"),
            direction="<",
            example={"plain_same_rate": math.log10(0.01)},
        ),
        "g_residual_does_not_at_one_rate": last_dense(
            "At the plain net's learning rate, too, the residual net's last dense layer keeps more "
            "than a tenth",
            LAB_E,
            TENDS,
            alone("residual_same_rate"),
            example={"residual_same_rate": math.log10(0.5)},
        ),
    }
    return found | (at_every_depth(depths) if depths else {})


def at_every_depth(depths: list[str]) -> dict[str, dict]:
    """Return what lab E says of the last dense layer of the pair and of all shallower pairs."""
    plain, residual = (
        [name, *(name + depth for depth in depths)] for name in ("plain", "residual")
    )
    return {
        "f_plain_tends_to_zero_at_every_depth": last_dense(
            "At every depth the plain net's last dense layer loses nine tenths",
            LAB_E,
            SAME,
            *map(alone, plain),
            direction="<",
            example=dict.fromkeys(plain, math.log10(0.01)),
        ),
        "g_residual_does_not_at_any_depth": last_dense(
            "At every depth the residual net's last dense layer keeps more than a tenth",
            LAB_E,
            SAME,
            *map(alone, residual),
            example=dict.fromkeys(residual, math.log10(0.5)),
        ),
    }
