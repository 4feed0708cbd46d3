"""Catastrophic overfitting by its one definition, on traces made by hand."""

import pytest

from dla_jax.analysis.overfitting import overfitted_at

NAN = float("nan")
# name: (accuracy under FGSM, under PGD, the evaluation that finds it)
TRACES = {
    "no evaluation": ([], [], None),
    "one": ([0.4], [0.4], None),
    "both rise": ([0.3, 0.4, 0.5], [0.2, 0.3, 0.4], None),
    "both fall together": ([0.6, 0.4, 0.3], [0.5, 0.3, 0.1], None),
    "FGSM rises, PGD falls": ([0.3, 0.4, 0.8, 0.9], [0.3, 0.4, 0.0, 0.0], 2),
    "FGSM stays": ([0.5, 0.5], [0.4, 0.1], 1),
    "PGD falls by the drop": ([0.5, 0.6], [0.7, 0.5], 1),  # .7 - .5 is below .2 as floats are
    "PGD falls by less": ([0.5, 0.9], [0.7, 0.51], None),
    "PGD falls slowly": ([0.5, 0.6, 0.6, 0.6], [0.5, 0.42, 0.35, 0.29], 3),
    "FGSM falls first, then rises": ([0.6, 0.5, 0.7], [0.5, 0.2, 0.2], 2),
    "FGSM is compared with that of the best PGD": ([0.9, 0.5, 0.6], [0.2, 0.5, 0.1], 2),
    "a late recovery": ([0.4, 0.9, 0.4, 0.5], [0.4, 0.0, 0.4, 0.5], 1),
    "the first of two": ([0.4, 0.9, 0.4, 0.9], [0.4, 0.0, 0.5, 0.0], 1),
    "it rose by as much": ([0.4, 0.6], [0.1, 0.4], None),
    "nan is skipped": ([0.4, NAN, 0.9], [0.4, 0.0, 0.1], 2),
    "None is skipped": ([0.4, 0.9, 0.9], [0.4, None, 0.1], 2),
    "nan first": ([0.4, 0.9, 0.9], [NAN, 0.4, 0.3], None),
    "nan alone": ([NAN, NAN], [NAN, NAN], None),
}


@pytest.mark.parametrize("name", TRACES)
def test_it_is_found_where_pgd_falls_and_fgsm_does_not(name):
    fgsm, pgd, place = TRACES[name]
    steps = [10 * i + 7 for i in range(len(fgsm))]
    assert overfitted_at(steps, fgsm, pgd) == (None if place is None else 10 * place + 7)


def test_the_drop_is_an_argument():
    fgsm, pgd = [0.5, 0.6, 0.6], [0.5, 0.42, 0.35]
    assert overfitted_at([1, 2, 3], fgsm, pgd) is None
    assert overfitted_at([1, 2, 3], fgsm, pgd, drop=0.1) == 3


def test_traces_of_unequal_length_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        overfitted_at([1, 2], [0.5, 0.5], [0.5])
