"""The losses that attacks climb are those by hand."""

import jax
import numpy as np
from attacked import (
    LABELS,
    X,
    accuracy,
    fgsm,
    net,
)
from scipy.special import log_softmax

from dla_jax.analysis import attacks


def test_losses_are_those_by_hand():
    logits = np.array([[3, 1, -1, 0], [0, 5, 4, 1], [2, 2, 2, 2]], np.float32)
    labels = np.array([0, 2, 1], np.int32)

    @jax.jit
    def losses(logits):
        slope = jax.grad(lambda z: attacks.dlr(z, labels).sum())(logits)
        found = (loss(logits, labels) for loss in (attacks.dlr, attacks.margin))
        return *found, attacks.cross_entropy(logits, labels), slope

    ratio, margin, of_label, slope = losses(logits)
    # -(3 - 1) / (3 - 0); -(4 - 5) / (5 - 1); no distance between the logits
    np.testing.assert_allclose(ratio, [-2 / 3, 1 / 4, 0], rtol=1e-6)
    np.testing.assert_allclose(losses(7 * logits - 3)[0], [-2 / 3, 1 / 4, 0], rtol=1e-5)
    np.testing.assert_array_equal(margin, [2, -1, 0])
    expected = -log_softmax(logits.astype(np.float64), axis=1)[range(3), labels]
    np.testing.assert_allclose(of_label, expected, rtol=1e-6)
    assert np.isfinite(slope).all()


def test_dlr_climbs_where_a_sure_network_s_cross_entropy_has_no_gradient():
    sure = lambda x: 1000 * net(x)
    by_entropy, by_ratio = (
        accuracy(fgsm(sure, X, LABELS, 0.1, loss=loss))
        for loss in (attacks.cross_entropy, attacks.dlr)
    )
    assert by_ratio < 0.6 < by_entropy - 0.1
