"""Does a small GPT or Llama write Dante better than an n-gram?

Which of them, with 4 or 16 heads, and when do they over-fit? The labs' "train a GPT on Dante's
Inferno": lab D trains nanoGPT's 6-layer GPT on characters, lab B a Llama of its own on 5,549 byte
pairs. Any text will do; without one it is the language reference that every Python brings. Papers:
Radford et al. 2019; Touvron et al. 2023, arXiv:2307.09288.

On a text of one's own:

    python launch.py --config=configs/dante.py:small --config.data.path=inferno.txt

Result of `tiny` (498 s of CPU on 2 cores of an AMD EPYC, six seeds): nats per character of the
Llama with 4 heads 1.554 [1.536, 1.571], with 16 heads 1.635 [1.617, 1.654], of the GPT 1.891
[1.865, 1.916]; of the 3-gram 1.759, of the best n-gram 1.403, which none beats. Result of `small`
on the Inferno (two seeds): 1.501 nats per character on its last tenth, the best n-gram 1.628; lab D
reports 1.533 for a GPT of 10.8 million parameters. The presets for a GPU have not been run:
docs/studies/language.md.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs.claims.dante import claims
from configs.labs import set_reported
from configs.optimisers import optim
from dla_jax.config.arguments import SECONDS, Preset, parse_argument

SIXTEEN_HEADS = {"model": {"n_head": 16, "n_kv_head": 16}}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every network is the config with its own overrides."""
    config = base()
    preset = parse_argument(argument, PRESETS).preset
    PRESETS[preset].apply(config)
    sees_it_often = preset not in ("tiny", "quick", "smoke")  # these see the text once or twice
    config.claims = claims(config.networks.keys(), sees_it_often, config.model.n_embd)
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = ConfigDict()
    config.experiment = "language"  # the kind of study; leave it
    # What the report asks.
    config.question = (
        "Is a small decoder better than n-grams on the same split? Which decoder, and when does it "
        "over-fit?"
    )
    # Of the runs that are compared; each fixes order, dropout and initial weights. Six are the
    # fewest that can decide a claim: 2/2^6 = .03 is the smallest p.
    config.seeds = tuple(range(6))
    # Learning rates of which each network gets its own, on validation data.
    config.lrs = (1e-3, 3e-3, 1e-2)
    config.select_seeds = (100,)  # choose the rates; none of them is compared
    config.selection = "full"  # how: full, or halving, which leaves the worse half at a third
    config.data = ConfigDict()
    config.data.path = placeholder(str)  # a text file in UTF-8; without one the embedded text
    config.data.val_fraction = 0.1  # of the text, behind the training part
    # Of the text, at its end; 0: none, and the last `val_fraction` are scored, as is usual.
    config.data.test_fraction = 0.0
    config.tokenizer = ConfigDict(characters())

    config.model = gpt(2, 4, 64, 64)  # of every network that brings no family of its own
    config.compute_dtype = "float32"  # of the computation: float32, or bfloat16 on accelerators

    config.num_steps = 1500  # optimiser steps of a run
    config.batch_size = 16  # windows of text a step, of all devices together
    config.accumulate = 1  # parts a batch is taken in, to save memory
    config.patience = 0  # evaluations without improvement before a run stops; 0: never
    config.optim = optim(
        name="adamw", warmup_fraction=0.05, milestones=(), b2=0.99, weight_decay=0.1
    )

    config.ngram_order = 6  # the longest n-gram beside the networks, in tokens
    config.target_order = 3  # the n-gram whose validation score a run must reach, for its speed
    # What the models write at every evaluation, behind a prompt whose attention is drawn too.
    config.sample = ConfigDict()
    config.sample.prompt = ""  # what they continue; "": the validation text's start
    config.sample.num_tokens = 200  # tokens that they write
    config.sample.temperature = 0.8  # of the probabilities; 0: always the most probable token
    config.sample.top_k = 0  # of so many most probable tokens; 0: of all
    config.sample.top_p = 1.0  # of the fewest tokens that have this probability together

    config.log_every_steps = 50  # steps between rows beside those of evaluations; 0: none
    config.eval_every_steps = 250  # steps between two evaluations on validation data
    config.checkpoint_every_steps = 0  # steps between saved states; 0: only when interrupted
    config.steps_per_call = 50  # steps that run in one compiled call, at most
    config.cells_at_a_time = 0  # runs side by side; 0: one a core on a CPU, else one
    config.parallel = "jit"  # over the devices: jit, or pmap
    return config


def characters() -> dict:
    """Return the group `tokenizer` of characters."""
    return {
        "name": "characters",  # or bpe: byte pairs, learned from the training part
        "vocab_size": 0,  # tokens, of bpe; characters are as many as the text has
    }


def byte_pairs(vocab_size: int) -> dict:
    """Return the group `tokenizer` of byte pairs."""
    return {"name": "bpe", "vocab_size": vocab_size}


def gpt(n_layer: int, n_head: int, n_embd: int, block_size: int, dropout: float = 0.0) -> dict:
    """Return the group `model` of a GPT-2 decoder."""
    return {
        "name": "gpt",  # family of networks: gpt, or llama with keys of its own
        "block_size": block_size,  # tokens of context
        "n_layer": n_layer,  # layers
        "n_head": n_head,  # heads of attention
        "n_embd": n_embd,  # width of a token
        "dropout": dropout,  # probability that a value is dropped in training
    }


def llama(
    n_layer: int,
    n_head: int,
    n_embd: int,
    block_size: int,
    *,
    n_kv_head: int,
    intermediate: int,
    dropout: float = 0.0,
    tied: bool = False,
) -> dict:
    """Return the group `model` of a Llama 2 decoder."""
    return gpt(n_layer, n_head, n_embd, block_size, dropout) | {
        "name": "llama",
        "n_kv_head": n_kv_head,  # heads of keys and values, which heads of queries share
        "intermediate": intermediate,  # inner width of a layer
        "rope_theta": 10_000.0,  # base of the wavelengths of rotary positions
        "tied": tied,  # whether the embedding is the head too
    }


def set_networks(config: ConfigDict, networks: dict[str, dict], **reported: str) -> None:
    """Put the networks into the config, with what was reported of each."""
    # What is compared: each network is this config with its own overrides.
    config.networks = ConfigDict(networks)
    set_reported(config, reported)


def tiny(config: ConfigDict) -> None:
    """Set decoders of about 100,000 parameters."""
    config.data.test_fraction = 0.1
    # Two selection seeds at three rates, not one at four: the best two of those were .002 to .006
    # nats apart for the Llamas.
    config.lrs = (2e-3, 4e-3, 8e-3)
    config.select_seeds = (100, 101)
    config.num_steps = 1000
    config.batch_size = 8
    config.eval_every_steps = 200
    config.model = llama(2, 4, 64, 64, n_kv_head=4, intermediate=176, tied=True)
    networks = {
        "gpt": {"model": gpt(2, 4, 64, 64)},
        "llama_4_heads": {},
        "llama_16_heads": SIXTEEN_HEADS,
    }
    set_networks(config, networks)


def quick(config: ConfigDict) -> None:
    """Set two of tiny's decoders, for 300 steps."""
    tiny(config)
    set_networks(config, {"gpt": {"model": gpt(2, 4, 64, 64)}, "llama_4_heads": {}})
    config.lrs = (3e-3, 6e-3)
    config.select_seeds = (100,)
    config.num_steps = 300
    config.eval_every_steps = 100
    config.target_order = 2


def small(config: ConfigDict) -> None:
    """Set a Llama of 0.8 million parameters for a text of some hundred thousand characters.

    Two seeds: they show a score, and cannot decide a claim.
    """
    config.model = llama(4, 4, 128, 128, n_kv_head=4, intermediate=344, dropout=0.2, tied=True)
    set_networks(config, {"llama_4_heads": {}})
    config.seeds = (0, 1)
    config.optim.lr = 3e-3
    config.num_steps = 2500
    config.target_order = 4


def smoke(config: ConfigDict) -> None:
    """Set two tiny decoders, one of them on byte pairs."""
    config.seeds = (0, 1)
    config.lrs = (3e-3, 1e-2)
    config.data.val_fraction = config.data.test_fraction = 0.02
    config.num_steps = 6
    config.batch_size = 8
    config.eval_every_steps = 3
    config.checkpoint_every_steps = 2
    config.log_every_steps = 0
    config.ngram_order = 3
    config.target_order = 1
    config.sample.num_tokens = 12
    config.model = gpt(1, 2, 16, 32, dropout=0.1)
    networks = {
        "gpt": {"optim": {"lr": 1e-2}},
        "llama_4_heads": {
            "model": llama(1, 4, 16, 32, n_kv_head=2, intermediate=24),
            "tokenizer": byte_pairs(300),
        },
    }
    set_networks(config, networks)


def lab_gpt(config: ConfigDict) -> None:
    """Set lab D's GPT, 10.8 million parameters, by a usual recipe and by lab D's.

    The latter is AdamW as PyTorch has it, at a constant rate.
    """
    config.model = gpt(6, 6, 384, 256, dropout=0.2)
    lab_d = {
        "lr": 3e-4,
        "schedule": "constant",
        "warmup_fraction": 0.0,
        "weight_decay": 0.01,
        "clip_norm": 0.0,
        "b2": 0.999,
    }
    networks = {"gpt": {}, "gpt_lab_d": {"optim": lab_d}}
    set_networks(config, networks, gpt_lab_d="1.533 nats/char (perplexity 4.63)")
    on_gpu(config, num_steps=5000, batch_size=64)
    config.optim.lr = 1e-3


def lab_llama(config: ConfigDict) -> None:
    """Set lab B's Llama: one layer, 15.6 million parameters, 5,549 byte pairs.

    Its 20 % held out are validation and test here. Every token is a target, and the recipe is the
    usual one at a rate of its own; the lab's code learns from the last token of each window alone,
    with Lion, one cycle to 1e-4, and 1,024 windows a batch.
    """
    config.data.test_fraction = 0.1
    config.tokenizer = ConfigDict(byte_pairs(5549))
    config.model = llama(1, 4, 768, 128, n_kv_head=4, intermediate=2048)
    set_networks(
        config,
        {"llama_4_heads": {}, "llama_16_heads": SIXTEEN_HEADS},
        llama_4_heads="5.97 nats/token",
        llama_16_heads="5.83 nats/token",
    )
    config.lrs = (1e-4, 3e-4, 1e-3)
    on_gpu(config, num_steps=2000, batch_size=64)
    config.target_order = 2
    config.eval_every_steps = 50


def shakespeare(config: ConfigDict) -> None:
    """Set nanoGPT's character model for tiny Shakespeare: its shape, batch, steps and peak rate.

    The cosine falls to 0, nanoGPT's to a tenth; norms have decay and biases, nanoGPT's do not.
    """
    config.model = gpt(6, 6, 384, 256, dropout=0.2)
    reported = "1.4697 nats/char (nanoGPT, random batches)"
    set_networks(config, {"gpt_shakespeare": {}}, gpt_shakespeare=reported)
    on_gpu(config, num_steps=5000, batch_size=64)
    config.optim.lr = 1e-3
    config.optim.warmup_fraction = 0.02


def gpt2(config: ConfigDict) -> None:
    """Set GPT-2 small with a vocabulary of its own, for ten million characters or more."""
    config.tokenizer = ConfigDict(byte_pairs(50_257))
    config.model = gpt(12, 12, 768, 1024)
    set_networks(config, {"gpt2": {}})
    on_gpu(config, num_steps=20_000, batch_size=480)
    config.optim.lr = 6e-4
    config.optim.b2 = 0.95
    config.seeds = (0,)
    config.accumulate = 40
    config.checkpoint_every_steps = 500


def on_gpu(config: ConfigDict, num_steps: int, batch_size: int) -> None:
    """Set what suits an accelerator."""
    config.num_steps = num_steps
    config.batch_size = batch_size
    config.compute_dtype = "bfloat16"
    config.checkpoint_every_steps = 1000
    config.sample.num_tokens = 500


PRESETS = {
    "gpt": Preset(lab_gpt, "lab D's GPT, 10.8 million parameters, on a text of yours", gpu=True),
    "llama": Preset(lab_llama, "lab B's Llama, 15.6 million, on a text of yours", gpu=True),
    "tiny": Preset(tiny, "100,000 parameters, embedded text, GPT and two Llamas", minutes=2.4),
    "small": Preset(small, "a Llama of 0.8 million parameters on a text of yours", minutes=9),
    "shakespeare": Preset(shakespeare, "nanoGPT's model for tiny Shakespeare", gpu=True),
    "gpt2": Preset(gpt2, "GPT-2 small, 124 million, on a corpus of yours", gpu=True),
    "quick": Preset(quick, "two of tiny's decoders, 300 steps, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
