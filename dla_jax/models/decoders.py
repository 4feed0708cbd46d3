"""From the group `model` of a config to a decoder."""

import jax

from dla_jax.config.checks import check, check_choice, check_number, check_rules, count
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.llama import Llama, LlamaConfig

GPT_KEYS = ("name", "block_size", "n_layer", "n_head", "n_embd", "dropout")
FAMILIES = {
    "gpt": GPT_KEYS,
    "llama": (*GPT_KEYS, "n_kv_head", "intermediate", "rope_theta", "tied"),
}
GPT_RULES = {"block_size": count(), "n_layer": count(), "n_head": count(), "n_embd": count()}
RULES = {
    "gpt": GPT_RULES,
    "llama": GPT_RULES | {"n_kv_head": count(), "intermediate": count()},
}


def check_model(model) -> None:
    """Raise ConfigError for a `config.model` that cannot be built."""
    check_choice("model.name", model.name, tuple(FAMILIES))
    expected, given = set(FAMILIES[model.name]), set(model.keys())
    check(
        expected == given,
        f"model: {model.name} has the keys {', '.join(FAMILIES[model.name])}; "
        f"missing {sorted(expected - given)}, unknown {sorted(given - expected)}",
    )
    check_rules(model, RULES[model.name], prefix="model.")
    check(model.block_size > 1, "model.block_size: 1 leaves no context; give at least 2")
    check_number("model.dropout", model.dropout, low=0, below=1)
    check(
        model.n_embd % model.n_head == 0,
        f"model.n_embd: {model.n_embd} is not divisible by n_head, {model.n_head}",
    )
    if model.name == "llama":
        check(
            model.n_head % model.n_kv_head == 0,
            f"model.n_kv_head: {model.n_kv_head} does not divide n_head, {model.n_head}",
        )
        width = model.n_embd // model.n_head
        check(
            width % 2 == 0,
            f"model.n_head: {model.n_head} heads of width {width}; rotary positions turn pairs, "
            "so give heads of an even width",
        )
        check_number("model.rope_theta", model.rope_theta, above=0)


def build(model, vocab_size: int, dtype: str) -> GPT | Llama:
    """Make the Flax module of a `config.model`."""
    sizes = {key: value for key, value in model.items() if key != "name"}
    sizes |= {"vocab_size": vocab_size, "dtype": dtype}
    return GPT(GPTConfig(**sizes)) if model.name == "gpt" else Llama(LlamaConfig(**sizes))


def shapes_of(model: GPT | Llama) -> dict:
    """Return the parameters as shapes."""

    def init(tokens):
        return model.init(jax.random.key(tokens[0, 0]), tokens)

    return jax.eval_shape(init, jax.ShapeDtypeStruct((1, 2), "int32"))["params"]
