"""Text from a language model, drawn by temperature, top-k and top-p.

Keys and values are cached, and the loop over tokens is compiled. When all `block_size` positions
are full, the model reads the last half of them again, from position 0, and goes on. So it always
sees between half and all of `block_size` tokens, and a token costs one position.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

CHUNK = 32  # tokens of one compiled call, after which they can be shown


class Sampler(NamedTuple):
    """How the next token is drawn; traced, so that another choice compiles nothing new.

    top_k is of Fan et al. 2018, arXiv:1805.04833; top_p of Holtzman et al. 2020, arXiv:1904.09751.
    """

    temperature: float = 1.0  # divides the logits; 0 takes the most probable token
    top_k: int = 0  # keep this many tokens; 0: all
    top_p: float = 1.0  # of those keep the fewest that have this probability together


class Writing(NamedTuple):
    """Texts that are being written, B at a time."""

    context: jax.Array  # int32 [B, block_size], the tokens that the cache holds
    length: jax.Array  # int32 [], how many these are
    cache: tuple
    logits: jax.Array  # float32 [B, V], of the next token
    step: jax.Array  # int32 [], tokens drawn so far


def truncate(logits: jax.Array, sampler: Sampler) -> jax.Array:
    """Return the logits divided by the temperature, less their largest.

    They are minus infinity where top-k or top-p leave a token out. The most probable always stays.

    Args:
      logits: float32 [B, V].
    """
    # The largest becomes 0: divided by a tiny temperature, several would overflow and be equal.
    temperature = jnp.where(sampler.temperature > 0, sampler.temperature, 1.0)
    scaled = (logits - logits.max(-1, keepdims=True)) / temperature

    def cut(scaled):
        order = jnp.argsort(-scaled, axis=-1)  # stable: of equals the smaller token comes first
        rank = jnp.argsort(order, axis=-1)
        kept = jnp.where((sampler.top_k <= 0) | (rank < sampler.top_k), scaled, -jnp.inf)
        p = jnp.take_along_axis(jax.nn.softmax(kept), order, axis=-1)
        before = jnp.take_along_axis(jnp.cumsum(p, axis=-1) - p, rank, axis=-1)
        return jnp.where((before < sampler.top_p) | (rank == 0), kept, -jnp.inf)

    plain = (sampler.top_k <= 0) & (sampler.top_p >= 1)
    return jax.lax.cond(plain, lambda scaled: scaled, cut, scaled)


def draw(key: jax.Array, logits: jax.Array, sampler: Sampler) -> jax.Array:
    """Return tokens int32 [B], drawn by logits float32 [B, V]."""
    drawn = jax.random.categorical(key, truncate(logits, sampler))
    return jnp.where(sampler.temperature > 0, drawn, logits.argmax(-1)).astype(jnp.int32)


@functools.partial(jax.jit, static_argnames=("model", "width"))
def read(params, context, length, *, model, width: int) -> Writing:
    """Return what stands after a prompt was read.

    Args:
      context: int32 [B, block_size], whose first `length` <= `width` tokens are the prompt.
    """
    logits, features = model.apply(
        {"params": params}, context[:, :width], cache=model.empty_cache(len(context)), start=0
    )
    last = jax.lax.dynamic_index_in_dim(logits, length - 1, axis=1, keepdims=False)
    return Writing(context, jnp.int32(length), features["cache"], last, jnp.int32(0))


@functools.partial(jax.jit, static_argnames="model", donate_argnames="writing")
def shorten(params, writing: Writing, *, model) -> Writing:
    """Return a full context cut to its last half, which is read again from position 0.

    The logits of the next token stay those after the whole context.
    """
    half = writing.context.shape[1] // 2
    kept = writing.context[:, -half:]
    _, features = model.apply({"params": params}, kept, cache=writing.cache, start=0)
    context = jnp.zeros_like(writing.context).at[:, :half].set(kept)
    return writing._replace(context=context, length=jnp.int32(half), cache=features["cache"])


@functools.partial(jax.jit, static_argnames="model", donate_argnames="writing")
def go_on(
    params, writing: Writing, num_tokens, key, sampler: Sampler, *, model
) -> tuple[Writing, jax.Array]:
    """Draw `num_tokens` tokens in one compiled loop; token s of a text with fold_in(key, s).

    Args:
      num_tokens: int32 [], at most CHUNK and what is free in the context.

    Returns:
      writing; tokens int32 [B, CHUNK], 0 past those drawn.
    """

    def body(carry):
        i, writing, tokens = carry
        token = draw(jax.random.fold_in(key, writing.step), writing.logits, sampler)
        context = writing.context.at[:, writing.length].set(token)
        logits, features = model.apply(
            {"params": params}, token[:, None], cache=writing.cache, start=writing.length
        )
        writing = Writing(
            context=context,
            length=writing.length + 1,
            cache=features["cache"],
            logits=logits[:, 0],
            step=writing.step + 1,
        )
        return i + 1, writing, tokens.at[:, i].set(token)

    tokens = jnp.zeros((len(writing.context), CHUNK), jnp.int32)
    _, writing, tokens = jax.lax.while_loop(
        lambda carry: carry[0] < num_tokens, body, (0, writing, tokens)
    )
    return writing, tokens


def stream(
    model, params, prompt: np.ndarray, num_tokens: int, num_samples: int, key, sampler: Sampler
) -> Iterator[np.ndarray]:
    """Yield continuations of one prompt, int32 [num_samples, n] at a time, `num_tokens` in all.

    Of a prompt longer than `block_size` the model reads the end.

    Args:
      prompt: int32 [P], P >= 1.
    """
    block_size = model.config.block_size
    prompt = np.asarray(prompt, np.int32)[-block_size:]
    context, length = np.zeros((num_samples, block_size), np.int32), len(prompt)
    context[:, :length] = prompt
    # A power of two: one program for all prompts between two of them.
    width = min(block_size, 1 << (length - 1).bit_length())
    writing = read(params, context, np.int32(length), model=model, width=width)
    sampler = Sampler(
        np.float32(sampler.temperature), np.int32(sampler.top_k), np.float32(sampler.top_p)
    )
    written = 0
    while written < num_tokens:
        if length == block_size:
            writing, length = shorten(params, writing, model=model), block_size // 2
        count = min(CHUNK, num_tokens - written, block_size - length)
        writing, tokens = go_on(params, writing, np.int32(count), key, sampler, model=model)
        written, length = written + count, length + count
        yield np.asarray(tokens)[:, :count]


def sample(*arguments, **keywords) -> np.ndarray:
    """Return the whole of `stream`: int32 [num_samples, num_tokens]."""
    return np.concatenate(list(stream(*arguments, **keywords)), axis=1)


def as_text(pieces: Iterator[np.ndarray], decode: Callable) -> Iterator[str]:
    """Yield the text of one continuation as it comes.

    Half a character is held back until the rest of it is there.
    """
    tokens, shown = [], ""
    for piece in pieces:
        tokens += piece.tolist()
        text = decode(tokens)
        whole = text.rstrip("�")
        if len(whole) > len(shown):
            yield whole[len(shown) :]
            shown = whole
    if len(decode(tokens)) > len(shown):
        yield decode(tokens)[len(shown) :]
