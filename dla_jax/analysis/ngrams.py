"""Interpolated n-grams: what a text is worth to a model that knows nothing but counts."""

import numpy as np


def interpolated(
    tokens: np.ndarray, num_train: int, first: int, stop: int, vocab_size: int, max_order: int
) -> np.ndarray:
    """Return the log-probabilities of the tokens first .. stop - 1 under n-grams.

    The n-grams are counted in the first `num_train` tokens. Witten and Bell's interpolation (1991,
    doi:10.1109/18.87000; Chen and Goodman 1999, section 2.5): with c counts and t the number of
    different tokens seen behind a context h, h' being h without its first token,

        p(w | h) = (c(h w) + t(h) p(w | h')) / (c(h) + t(h)),

    and below the first order the uniform distribution.

    Args:
      tokens: int [N] in [0, vocab_size); contexts reach back over `first` into what stands before.
      num_train: tokens that are counted.
      first, stop: the tokens that are scored.
      vocab_size: different tokens that there are.
      max_order: tokens of the longest n-gram.

    Returns:
      float64 [max_order, stop - first], in nats; row k is that of order k + 1.
    """
    tokens = np.asarray(tokens, np.int64)
    scored, p = np.arange(first, stop), np.full(stop - first, 1.0 / vocab_size)
    # of each token: a number for the `order - 1` tokens before it
    context = np.zeros(len(tokens), np.int64)
    rows = []
    for order in range(1, max_order + 1):
        _, gram = np.unique(context * vocab_size + tokens, return_inverse=True)
        counted = np.arange(order - 1, num_train)
        gram_counts = np.bincount(gram[counted], minlength=gram.max() + 1)
        context_counts = np.bincount(context[counted], minlength=context.max() + 1)
        seen_first = counted[np.unique(gram[counted], return_index=True)[1]]
        kinds = np.bincount(context[seen_first], minlength=context.max() + 1)
        total = context_counts[context[scored]] + kinds[context[scored]]
        mixed = (gram_counts[gram[scored]] + kinds[context[scored]] * p) / np.maximum(total, 1)
        # an unseen context says what the shorter one says
        p = np.where((total > 0) & (scored >= order - 1), mixed, p)
        rows.append(np.log(p))
        # the gram before is the context of the next order; 0: there is none
        context = np.concatenate([[0], gram[:-1] + 1])
    return np.stack(rows)
