"""Tests the cross-encoder of choices: one number an option, the best window, the loss."""

import functools

import drawn
import jax
import numpy as np
import optax
import pytest
from made_choices import berts, made

from dla_jax.data.choices import labels_of, orders
from dla_jax.models import bert, pretrained
from dla_jax.tasks import choice_encoder, choice_pairs, text_encoder
from dla_jax.training.mesh import data_mesh

CHOICES = made(20, num_options=3, passage_words=(3, 70))
TOKENIZER = berts(CHOICES)
PAIRS = choice_pairs.make_pairs(TOKENIZER, 0, CHOICES, lower=True)
ORDER = orders(CHOICES, 0)
LABELS = labels_of(CHOICES, ORDER)
SIZES = bert.BertConfig("bert", TOKENIZER.vocab_size, 48, 1, 2, 8, 12, type_vocab=2)
MODEL = bert.Classifier(SIZES, 1, "mean")
SIZE = {"max_length": 48, "num_windows": 3}


@functools.cache
def params():
    """Return parameters that are far from their start, so that scores differ."""
    return drawn.params_of(MODEL, np.zeros((1, 2), np.int32), np.full(1, 2), size=1.0)


@functools.cache
def score_of_each():
    """Return the score of each option in the order of the source, float [20, 3], row by row.

    Each row is computed by itself, without padding before the model sees it.
    """
    rows = [
        [choice_pairs.rows_of(PAIRS, question, option, 48, 3) for option in range(3)]
        for question in range(20)
    ]
    flat = [row for own in rows for windows in own for row in windows]
    type_of = lambda row: np.cumsum(row == 3) - (row == 3) > 0  # behind the first [SEP]
    by_hand = functools.partial(forward, params())
    scores = iter([by_hand(row, type_of(row).astype(int)) for row in flat])
    return np.array([[max(next(scores) for _ in windows) for windows in own] for own in rows])


def norm(x, own):
    """Return LayerNorm in float64."""
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * own["scale"] + own["bias"]
    )


def forward(params, token, types):
    """Return the score of one row by BERT's equations in numpy."""
    from scipy.special import erf, softmax

    table = params["encoder"]["embeddings"]
    dense = lambda x, own: x @ own["kernel"].astype(np.float64) + own["bias"]
    x = (
        table["word_embeddings"]["embedding"][token].astype(np.float64)
        + table["position_embeddings"]["embedding"][: len(token)]
        + table["token_type_embeddings"]["embedding"][types]
    )
    x, own = norm(x, table["LayerNorm"]), params["encoder"]["layer_0"]
    heads = lambda name: dense(x, own[name]).reshape(len(token), 2, 4).swapaxes(0, 1)
    q, k, v = heads("query"), heads("key"), heads("value")
    out = softmax(q @ k.swapaxes(1, 2) / 2, -1) @ v
    out = dense(out.swapaxes(0, 1).reshape(len(token), 8), own["attention_output"])
    x = norm(x + out, own["attention_norm"])
    h = dense(x, own["intermediate"])
    h = dense(0.5 * h * (1 + erf(h / np.sqrt(2))), own["output"])
    x = norm(x + h, own["output_norm"]).mean(0)
    head = params["head"]
    return dense(np.maximum(dense(x, head["dense"]), 0), head["classifier"])[0]


def find(rows, order, widths=(24, 48), batch_size=8, **size):
    return choice_encoder.logits(
        MODEL,
        params(),
        PAIRS,
        rows,
        order,
        batch_size=batch_size,
        widths=widths,
        mesh=data_mesh(),
        **(SIZE | size),
    )


def test_scores_are_those_of_the_best_window_of_each_option_alone():
    rows = np.random.default_rng(0).permutation(20)[:13]
    windows = {len(choice_pairs.rows_of(PAIRS, row, 0, 48, 3)) for row in rows}
    assert windows == {1, 2, 3}
    expected = np.take_along_axis(score_of_each()[rows], ORDER[rows], 1)
    assert expected.std() > 0.1 and np.abs(np.diff(expected)).min() > 1e-4
    found = find(rows, ORDER[rows])
    assert found.dtype == np.float32 and found.shape == (13, 3)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # more padding, and windows that are not there, change nothing
    np.testing.assert_allclose(find(rows, ORDER[rows], (48,), num_windows=5), expected, atol=1e-4)
    turned = ORDER[rows][:, [2, 0, 1]]
    np.testing.assert_allclose(find(rows, turned), expected[:, [2, 0, 1]], atol=1e-4)


ADAM = optax.adam(3e-2)
begin = jax.jit(ADAM.init)


@jax.jit
def step(params, opt_state, batch):
    """Return the loss with its metrics, its gradient, and what a step of Adam makes of both."""
    loss_fn = choice_encoder.make_loss(MODEL, -1, 0.3)
    loss, gradient = jax.value_and_grad(loss_fn, has_aux=True)(params, {}, batch, jax.random.key(0))
    updates, opt_state = ADAM.update(gradient, opt_state)
    return loss, gradient, optax.apply_updates(params, updates), opt_state


batch_at = choice_encoder.make_batch_at(
    PAIRS, ORDER, LABELS, np.arange(8), seed=1, batch_size=8, widths=(48,), alike=True, **SIZE
)


def test_the_loss_is_cross_entropy_over_options_and_its_gradient_is_finite():
    batch = batch_at(0)
    assert (batch["length"] == 0).any()
    every = choice_pairs.gather(PAIRS, np.arange(8), ORDER[:8], 48, 3, (48,))["token"]
    same = (batch["token"][:, None] == every).all((2, 3, 4))
    places = same.argmax(1)
    assert sorted(places) == list(range(8)) and same.sum() == 8
    np.testing.assert_array_equal(batch["label"], LABELS[places])
    scores = np.take_along_axis(score_of_each()[places], ORDER[places], 1)
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    (loss, (_, metrics)), gradient, *_ = step(params(), begin(params()), batch)
    right = log_p[np.arange(8), LABELS[places]]
    assert float(loss) == pytest.approx(-(0.7 * right + 0.3 * log_p.mean(1)).mean(), abs=1e-4)
    assert float(metrics["train_accuracy"]) == np.mean(scores.argmax(1) == LABELS[places])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    # windows that are not there, which are padding alone, move nothing
    moved = np.abs(gradient["encoder"]["embeddings"]["word_embeddings"]["embedding"]).max(1) > 0
    assert moved.sum() > 10 and not moved[PAIRS.pad_id]


def test_a_loss_is_one_object_for_each_choice_of_arguments():
    assert choice_encoder.make_loss(MODEL, -1, 0.3) is choice_encoder.make_loss(MODEL, -1, 0.3)
    assert choice_encoder.make_loss(MODEL, -1, 0.3) is not choice_encoder.make_loss(MODEL, 0, 0.3)


class Sum:
    """A model that scores a row by the sum of its tokens, and keeps the types that it was given."""

    def __init__(self, type_vocab):
        self.config = SIZES._replace(type_vocab=type_vocab)

    def apply(self, variables, token, length, types):
        self.types = types
        return token.sum(1, keepdims=True).astype(float), {}


def test_types_are_for_models_that_have_two():
    batch = choice_pairs.gather(PAIRS, np.arange(2), ORDER[:2], 48, 3, (48,))
    sums = np.where(batch["length"] > 0, batch["token"].sum(-1), 0).max(-1)
    for type_vocab in (0, 1, 2):
        model = Sum(type_vocab)
        np.testing.assert_allclose(choice_encoder.score(model, {}, batch), sums)
        if type_vocab == 2:
            np.testing.assert_array_equal(model.types, batch["type"].reshape(-1, 48))
        else:
            assert model.types is None


def test_a_cross_encoder_learns_eight_questions_by_heart():
    batch, own = batch_at(0), text_encoder.init_encoder(jax.random.key(0), model=MODEL)
    opt_state, losses = begin(own), []
    for _ in range(40):
        (loss, (_, metrics)), _, own, opt_state = step(own, opt_state, batch)
        losses.append(float(loss))
    assert losses[0] == pytest.approx(np.log(3), abs=0.01), "scores begin nearly alike"
    assert losses[-1] < 0.7 and float(metrics["train_accuracy"]) == 1.0, losses  # 0.64: smoothing's


def test_scores_are_those_of_transformers_class_for_multiple_choice():
    torch = pytest.importorskip("torch", reason="needs requirements-bench.txt")
    transformers = pytest.importorskip("transformers", reason="needs requirements-bench.txt")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=TOKENIZER.vocab_size,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=48,
        initializer_range=0.5,
    )
    theirs = transformers.BertForMultipleChoice(config).eval()
    sizes = SIZES._replace(n_layer=2, pooler=True)
    model = bert.Classifier(sizes, 1, "published")
    tensors = {name: leaf.numpy() for name, leaf in theirs.state_dict().items()}
    own = pretrained.to_params(model, tensors, "bert.")
    batch = choice_pairs.gather(PAIRS, np.arange(6), ORDER[:6], 48, 1, (48,))
    token, kind, length = (
        torch.from_numpy(batch[key])[:, :, 0] for key in ("token", "type", "length")
    )
    mask = (torch.arange(48) < length[..., None]).long()
    with torch.no_grad():
        expected = theirs(
            input_ids=token.long(), attention_mask=mask, token_type_ids=kind.long()
        ).logits
    np.testing.assert_allclose(choice_encoder.score(model, own, batch), expected, atol=1e-4)
