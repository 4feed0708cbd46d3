"""The claims about ResNet-34, the MLPs and the Llama's heads on made-up runs; diverged runs."""

import math

import pytest

from configs import dante, mlp, resnet34
from dla_jax.data import images
from dla_jax.evidence import tables, weighing
from dla_jax.studies.language.report import heads_words
from dla_jax.tasks import classifier, image_data, image_task, language_task, text_source
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import own_config, resolve, select_trials


def verdict_of(claim, **means):
    """Return the verdict on six runs a network, whose values lie close to its mean."""
    runs = [
        {
            "group": group,
            "seed": seed,
            "diverged": False,
            claim["value"]: mean + 0.001 * ((seed * 5 + i) % 6 - 2.5),
        }
        for i, (group, mean) in enumerate(means.items())
        for seed in range(6)
    ]
    return weighing.weigh(claim.to_dict(), runs)["verdict"]


def test_nets_of_two_sizes_are_alike_only_where_that_is_shown():
    claim = resnet34.get_config("digits").claims.g_deeper
    assert verdict_of(claim, resnet=0.97, resnet_bottleneck=0.972) == "holds"
    for other in (0.93, 1.0):
        assert verdict_of(claim, resnet=0.97, resnet_bottleneck=other) == "does not hold"


def test_cnns_over_fit_only_where_each_does():
    claim = resnet34.get_config("cifar10").claims.k_cnns_over_fit
    rises = {"convnet": 0.1, "resnet": 0.05, "resnet_bottleneck": 0.2}
    assert verdict_of(claim, **rises) == "holds"
    # Less than one would call a rise.
    assert verdict_of(claim, **rises | {"resnet": 0.005}) == "does not hold"


def test_a_net_whose_loss_is_low_on_average_gets_there_sooner():
    claim = resnet34.get_config("digits").claims.l_sooner
    assert verdict_of(claim, resnet=0.3, convnet=0.6) == "holds"
    assert verdict_of(claim, resnet=0.6, convnet=0.3) == "does not hold"


GUESSING = math.log(10)


@pytest.mark.parametrize(
    ("losses", "mean", "rise"),
    [
        ([1.0, 0.4, 0.7], 0.7, 0.3),
        ([1.0, 0.5], 0.75, 0.0),
        ([None, 0.5, 0.7], (GUESSING + 1.2) / 3, 0.2),
        ([0.5, None], (0.5 + GUESSING) / 2, None),
        ([None], GUESSING, None),
        ([500.0, 0.5], (GUESSING + 0.5) / 2, 0.0),
    ],
)
def test_the_last_row_says_how_validation_loss_went(losses, mean, rise):
    rows = [{"step": 0, "seconds": 0.0}]
    rows += [
        {"step": i, "seconds": float(i), "val_accuracy": 0.5, "val_loss": loss}
        for i, loss in enumerate(losses, 1)
    ]
    found = classifier.run_result(rows, rows[1], batch_size=2, num_examples=10, chance=0.1)
    expected = [value if value is None else pytest.approx(value) for value in (mean, rise)]
    assert [found["mean_val_loss"], found["val_loss_rise"]] == expected


def test_records_of_before_have_no_such_values():
    row = dict.fromkeys(tables.RUN_KEYS, 1)
    assert tables.run_of(row)["val_loss_rise"] is None


def test_a_run_that_diverged_has_the_loss_of_guessing_and_counts_in_the_mean():
    config = resnet34.get_config("smoke")
    image_set, mesh = images.load(config.data, data_dir=None, download=False), data_mesh()
    loaded = image_data.Loaded(image_set, image_data.put_data(image_set, mesh), mesh)
    diverged = image_task.make_task(own_config(config, "mlp"), loaded, seed=0).diverged
    assert diverged["test_loss"] == diverged["mean_val_loss"] == pytest.approx(math.log(10))
    assert diverged["test_accuracy"] == 0.1
    assert diverged["val_loss"] is None and diverged["val_loss_rise"] is None
    run = {"num_params": 1, "train_seconds": None, "examples_per_s": None} | diverged
    shown = tables.measures([run | {"diverged": True}, run | {"test_loss": 0.1, "diverged": False}])
    expected = f"{(math.log(10) + 0.1) / 2:.3f}"
    assert shown[tables.MEASURES.index("test loss")] == expected


@pytest.mark.parametrize("vocab_size", [0, 300])
def test_a_language_model_that_diverged_guesses_among_its_tokens(vocab_size):
    config = dante.get_config("smoke")
    own = own_config(config, "gpt")
    own.tokenizer = (
        {"name": "bpe", "vocab_size": vocab_size}
        if vocab_size
        else {"name": "characters", "vocab_size": 0}
    )
    source, mesh = text_source.make_source(own), data_mesh()
    loaded = language_task.Loaded(source, text_source.put_tokens(source, mesh), mesh)
    task = language_task.make_task(own, loaded, seed=0, compared=True)
    found, size = task.diverged, source.tokenizer.vocab_size
    assert found["nats_per_token"] == found["val_nats_per_token"] == pytest.approx(math.log(size))
    assert found["perplexity"] == pytest.approx(size)
    nats_per_char = math.log(size) * task.facts["scored_tokens_per_char"]
    assert found["nats_per_char"] == pytest.approx(nats_per_char)
    assert found["bits_per_char"] == pytest.approx(found["nats_per_char"] / math.log(2))
    assert found["above_ngram"] > 0
    if not vocab_size:
        assert size == source.alphabet
        assert found["val_nats_per_char"] == pytest.approx(math.log(source.alphabet))


def test_the_best_mlp_is_better_than_each_of_the_others():
    claim = mlp.get_config("mnist").claims.e_lab_e_is_the_best
    others = {"mlp_16_16": 0.93, "mlp_256_256": 0.96, "mlp_784": 0.95}
    assert verdict_of(claim, mlp_128_64=0.98, **others) == "holds"
    assert verdict_of(claim, mlp_128_64=0.955, **others) == "does not hold"


def test_lab_bs_recipe_and_a_rate_of_its_own_differ_in_the_rate_alone():
    config = mlp.get_config("lab_b")
    lab, own = (own_config(config, name) for name in ("lab_b", "own_rate"))
    assert lab.optim.lr == 1e-2 and own.optim.lr is None
    selected = select_trials(resolve(config), config.select_seeds)
    assert {trial.arm for trial in selected} == {"own_rate"}
    lab.optim.lr = None
    assert lab.to_dict() == own.to_dict()
    assert (own.batch_size, own.optim.name, own.optim.schedule) == (16384, "lion", "one_cycle")
    implemented = own_config(mlp.get_config("mnist,as_implemented=true"), "mlp_784")
    assert own.model == implemented.model and implemented.optim.lr == 1e-2
    assert {**own.optim.to_dict(), "lr": 1e-2} == implemented.optim.to_dict()


def test_lab_bs_figure_is_a_bound_from_above():
    claims = mlp.get_config("lab_b").claims
    assert verdict_of(claims.f_recipe_fails, lab_b=0.2) == "holds"
    assert verdict_of(claims.f_recipe_fails, lab_b=0.6) == "does not hold"
    assert verdict_of(claims.g_own_rate_helps, lab_b=0.2, own_rate=0.9) == "holds"
    assert verdict_of(claims.g_own_rate_helps, lab_b=0.9, own_rate=0.2) == "does not hold"


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("tiny", "16 heads, 4 wide here and 48 in the lab,"),
        ("llama", "16 heads, 48 wide as in the lab,"),
    ],
)
def test_claims_and_report_say_how_wide_a_head_is(preset, words):
    config = dante.get_config(preset)
    assert all(
        config.claims[name].statement.startswith(words)
        for name in ("c_heads_converge_faster", "d_heads_lower_loss")
    )
    width = heads_words(own_config(config, "llama_16_heads").model)
    assert width == {"tiny": "16, 4 wide", "llama": "16, 48 wide"}[preset]
