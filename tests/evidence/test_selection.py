"""The certainty of a choice of a learning rate equals scipy's tests and sums by hand."""

import numpy as np
import pytest
from scipy import stats

from dla_jax.evidence import selection


def rows(scores, chosen, group="net", value="val_accuracy"):
    """Return selection rows of {rate: scores of seeds 100, 101, ...}."""
    made = []
    for lr, found in scores.items():
        shared = {"stage": "select", "group": group, "lr": lr, "chosen": lr == chosen}
        for i, score in enumerate(found):
            made.append(shared | {"seed": 100 + i, value: score, "diverged": score is None})
    return made


CLEAR = {0.001: [0.70, 0.74, 0.72], 0.003: [0.90, 0.93, 0.92], 0.01: [0.80, 0.82, 0.83]}
NOISY = {0.001: [0.70, 0.74, 0.72], 0.003: [0.90, 0.93, 0.86], 0.01: [0.89, 0.86, 0.93]}


def test_the_numbers_are_those_of_hand():
    found = selection.choice(rows(CLEAR, 0.003), "net", 0.003)
    assert (found.lr, found.rates, found.seeds, found.runner_up) == (0.003, 3, 3, 0.01)
    assert found.mean == pytest.approx(2.75 / 3) and found.difference == pytest.approx(0.3 / 3)
    differences = np.array([0.10, 0.11, 0.09])
    assert found.error == pytest.approx(differences.std(ddof=1) / np.sqrt(3))
    variances = [np.var(scores, ddof=1) for scores in CLEAR.values()]  # of as many seeds each
    assert found.within == pytest.approx(np.sqrt(np.mean(variances)))
    assert found.between == pytest.approx(np.std([2.16 / 3, 2.75 / 3, 2.45 / 3], ddof=1))


def test_a_choice_is_within_noise_where_a_one_sided_t_test_sees_nothing():
    rng, seen = np.random.default_rng(0), set()
    for _ in range(200):
        n = int(rng.integers(2, 7))
        best, other = rng.normal(0.6, 1, n), rng.normal(0, 1, n)
        if best.mean() < other.mean():
            continue
        found = selection.choice(rows({0.1: best, 0.2: other, 0.4: other - 9}, 0.1), "net", 0.1)
        expected = stats.ttest_rel(best, other, alternative="greater").pvalue >= 0.05
        assert found.noisy == expected and found.runner_up == 0.2
        seen.add(expected)
    assert seen == {True, False}


def test_of_two_equal_rates_one_looks_clearly_better_in_a_tenth_of_choices():
    rng = np.random.default_rng(1)
    clear = 0
    for _ in range(1000):
        scores = {lr: rng.normal(size=3) for lr in (0.1, 0.2)}
        best = max(scores, key=lambda lr: scores[lr].mean())
        clear += not selection.choice(rows(scores, best), "net", best).noisy
    assert 0.07 < clear / 1000 < 0.13


def test_of_losses_less_is_better():
    losses = {lr: [2 - score for score in scores] for lr, scores in CLEAR.items()}
    nats = rows(losses, 0.003, value="val_nats_per_char")
    found = selection.choice(nats, "net", 0.003, "val_nats_per_char")
    assert found.runner_up == 0.01 and found.difference == pytest.approx(0.1) and not found.noisy
    unknown = rows(losses, 0.003, value="loss")
    assert selection.choice(unknown, "net", 0.003, "loss", smaller=True) == found
    assert selection.choice(unknown, "net", 0.003, "loss").runner_up == 0.001


def test_seeds_are_paired_by_number_not_by_place():
    last, *others = rows(CLEAR, 0.003)[::-1]
    shuffled = [*others, last | {"seed": 999}]  # a seed that the others lack
    found = selection.choice(shuffled, "net", 0.003)
    assert found.seeds == 2 and found.difference == pytest.approx(0.105)
    assert found.error == pytest.approx(np.std([0.10, 0.11], ddof=1) / np.sqrt(2))


@pytest.mark.parametrize(
    ("scores", "lr", "words"),
    [
        (CLEAR, 0.003, "0.003"),
        (NOISY, 0.003, "0.003 (within noise)"),
        # Of two rates both are edges.
        ({lr: CLEAR[lr] for lr in (0.003, 0.01)}, 0.003, "0.003 (edge)"),
        ({lr: CLEAR[lr] for lr in (0.001, 0.003)}, 0.003, "0.003 (edge)"),
        ({lr: NOISY[lr] for lr in (0.003, 0.01)}, 0.003, "0.003 (edge, within noise)"),
        ({0.003: [0.9, 0.91]}, 0.003, "0.003"),  # one rate: no edge, no choice
        ({0.001: [0.7], 0.003: [0.9], 0.01: [0.8]}, 0.003, "0.003 (one selection seed)"),
        # Worse than another.
        ({0.001: [0.7, 0.8], 0.003: [0.1, 0.1], 0.01: [0.1, 0.1]}, 0.003, "0.003 (within noise)"),
        ({0.001: [0.1, 0.1], 0.003: [0.1, 0.1], 0.01: [0.1, 0.1]}, 0.003, "0.003 (within noise)"),
        ({0.001: [None, 0.99], 0.003: [0.9, 0.91], 0.01: [None, None]}, 0.003, "0.003"),
        (CLEAR, 0.1, "0.1"),  # a rate that was not tried: shared, or fixed
    ],
)
def test_words_beside_a_rate(scores, lr, words):
    assert selection.rate_words(rows(scores, lr) + rows(NOISY, 0.01, "other"), "net", lr) == words


def test_a_rate_of_a_group_that_was_not_searched_stands_alone():
    assert selection.rate_words([], "net", 0.003) == "0.003"
    assert selection.rate_words(rows(NOISY, 0.003, "other"), "net", 3e-5) == "3e-05"


def test_differences_that_do_not_vary_are_measured_by_the_spread_within_a_rate():
    scores = {0.1: [1 / 3, 2 / 3], 0.2: [1 / 3 - 1 / 360, 2 / 3 - 1 / 360], 0.4: [0.1, 0.1]}
    rounded = {lr: np.float32(values).astype(float) for lr, values in scores.items()}
    assert selection.choice(rows(rounded, 0.1), "net", 0.1).noisy  # an image more in either seed
    scores = {0.1: [1.0, 1.0], 0.2: [0.1, 0.1], 0.4: [0.1, 0.102]}
    assert not selection.choice(rows(scores, 0.1), "net", 0.1).noisy


def test_the_section_counts_the_choices_within_noise():
    grid = [
        *rows(CLEAR, 0.003, "a"),
        *rows(NOISY, 0.003, "b"),
        *rows({0.1: [0.5, 0.6], 0.2: [0.3, 0.6]}, 0.1, "c"),
    ]
    (found,) = selection.section(grid)
    for words in ("in 2 of 3 choices", "2 to 3 selection seeds", "Edge"):
        assert words in found["text"]
    head, body = found["table"]["head"], found["table"]["rows"]
    table = {row[0]: dict(zip(head, row, strict=True)) for row in body}
    assert list(table) == ["a", "b", "c"] and found["title"] == "Learning rates"
    assert table["a"]["mean ± sd there (%)"] == "91.7 ± 1.5"
    assert table["a"]["chosen better by ± its error (points)"] == "+10.0 ± 0.6"
    choices = [table[name]["choice"] for name in table]
    assert choices == ["clear", "within noise", "edge, within noise"]
    assert table["c"]["sd within a rate (points)"] == "15.8"  # sqrt((0.005 + 0.045) / 2)


def test_one_selection_seed_is_said():
    grid = rows({0.001: [0.7], 0.003: [0.9], 0.01: [0.8]}, 0.003, value="mean_return")
    (found,) = selection.section(grid, "mean_return", "return")
    assert "cannot be known" in found["text"] and "choices" not in found["text"]
    _, *cells, choice = found["table"]["rows"][0]
    assert cells == ["3", "0.003", "0.90", "0.01", "+0.10", "–", "0.10"]
    assert choice == "1 selection seed"


def test_runs_without_a_value_are_no_runner_up():
    (found,) = selection.section(rows({0.1: [0.9, 0.8], 0.2: [None, 0.95]}, 0.1))
    assert found["table"]["rows"][0][1:5] == ["2", "0.1", "85.0 ± 7.1", "–"]
    assert found["table"]["rows"][0][-1] == "edge, the others diverged"
    (found,) = selection.section(rows({0.1: [None, None], 0.2: [None, None]}, 0.1))
    assert found["table"]["rows"][0][-1] == "edge, no run has a value"


def test_there_is_no_section_without_a_grid():
    assert selection.section([]) == []


def halved(chosen=0.003):
    """Return rows of rates of which two were left at the last comparison."""
    at = {0.001: 1 / 3, 0.003: 2 / 3, 0.01: 2 / 3, 0.03: 1 / 3}
    # The best score of all was reached at the first comparison, by a rate that was left behind.
    scores = {**NOISY, 0.001: [0.95, 0.97, 0.96], 0.03: [0.1, None, 0.1]}
    return [row | {"compared_at": at[row["lr"]]} for row in rows(scores, chosen)]


def test_of_halved_rates_those_of_the_last_comparison_count():
    found = selection.choice(halved(), "net", 0.003)
    left = selection.choice(rows({lr: NOISY[lr] for lr in (0.003, 0.01)}, 0.003), "net", 0.003)
    kept = ("mean", "spread", "runner_up", "difference", "error", "within", "between", "noisy")
    assert all(getattr(found, key) == getattr(left, key) for key in kept)
    assert (found.rates, found.compared, found.compared_at) == (4, 2, 2 / 3)
    assert (left.rates, left.compared, left.compared_at) == (2, 2, None)
    assert not found.edge and left.edge  # among all that were tried
    assert selection.rate_words(halved(), "net", 0.003) == "0.003 (within noise)"


def test_the_section_says_where_halved_rates_were_compared():
    (found,) = selection.section(halved())
    assert "successive halving" in found["text"] and "at its end another rate" in found["text"]
    assert found["table"]["rows"][0][1] == "4, of which 2 at 67 % of steps"
    (full,) = selection.section(rows(NOISY, 0.003))
    assert "halving" not in full["text"] and full["table"]["rows"][0][1] == "3"
