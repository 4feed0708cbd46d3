"""What is shown of a language model as it trains: a sample of its text, and where it looks."""

import jax

from dla_jax.evidence.rows import brief
from dla_jax.tasks import sampling
from dla_jax.tasks.language_model import attention_maps
from dla_jax.tasks.text_source import PROMPT_LENGTH, Source, prompt_of
from dla_jax.training.steps import TrainState

_SAMPLE = 2  # of a run's keys: `steps.init_state` has 0 and 1


def write_sample(config, source: Source, model, state: TrainState, seed: int) -> dict[str, str]:
    """Return {"sample": what the model writes behind the prompt}.

    It is empty where the config asks for no tokens.
    """
    sample = config.sample
    if not sample.num_tokens:
        return {}
    key = jax.random.fold_in(jax.random.key(seed), _SAMPLE)
    sampler = sampling.Sampler(sample.temperature, sample.top_k, sample.top_p)
    prompt = prompt_of(source, sample.prompt)
    drawn = sampling.sample(model, state.params, prompt, sample.num_tokens, 1, key, sampler)
    return {"sample": source.tokenizer.decode(drawn[0])}


def keep_attention(config, source: Source, model, state: TrainState) -> dict:
    """Return the attention weights of every head on the prompt, with its tokens as text.

    The weights are [n_layer, n_head, T, T], in 4 digits.
    """
    size = min(PROMPT_LENGTH, config.model.block_size)
    prompt = prompt_of(source, config.sample.prompt)[:size]
    words = [source.tokenizer.decode([token]) for token in prompt]
    maps = attention_maps(state.params, prompt, model=model)
    return {"attention_tokens": words} | brief({"attention": maps})
