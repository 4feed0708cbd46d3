"""Catastrophic overfitting: a network learns one attack, and another one finds it helpless.

Training with FGSM may, within an epoch, make a network that FGSM no longer fools and PGD always
does (Wong et al. 2020, arXiv:2001.03994, section 5.4).
"""

from collections.abc import Sequence

import numpy as np

NOISE = 0.02  # about a standard error of an accuracy of 90 % of 256 images
DROP = 0.2  # Fast-AT's code stops where accuracy under PGD-5 falls by more


def overfitted_at(
    steps: Sequence[int],
    fgsm_accuracy: Sequence[float | None],
    pgd_accuracy: Sequence[float | None],
    drop: float = DROP,
) -> int | None:
    """Return the step of the first evaluation that finds catastrophic overfitting, else None.

    It is where the accuracy under PGD lies at least `drop` below its best so far, and that under
    FGSM no lower than it was there, but for noise. Where both fall, the network is worse, and not
    overfitted to an attack. What comes after, be it a recovery, changes nothing.

    Args:
      steps: rising, those of the evaluations.
      fgsm_accuracy, pgd_accuracy: fractions of one on the same images at the same epsilon; an
        evaluation with a nan or None counts for nothing.
      drop: fraction of one.
    """
    best = None  # (accuracy under PGD, under FGSM) of the first evaluation where PGD's is best
    accuracies = (np.array(values, float) for values in (fgsm_accuracy, pgd_accuracy))
    for step, fgsm, pgd in zip(steps, *accuracies, strict=True):
        if np.isnan(fgsm) or np.isnan(pgd):
            continue
        if best is None or pgd > best[0]:
            best = (pgd, fgsm)
        # A difference of fractions may be rounded just below the drop.
        if best[0] - pgd >= drop - 1e-9 and fgsm >= best[1] - NOISE:
            return step
    return None
