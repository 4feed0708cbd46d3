"""Does a small decoder write Dante better than an n-gram? GPT against Llama, 4 against 16 heads, and when do they over-fit?

The labs' "train a GPT on Dante's Inferno": lab D trains nanoGPT's 6-layer GPT on characters, lab B a Llama of its own on 5,549
byte pairs. Any text will do; without one it is the language reference that every Python brings. Papers: Radford et al. 2019;
Touvron et al. 2023, arXiv:2307.09288.

    python launch.py --config=configs/dante.py:tiny                                          # embedded text
    python launch.py --config=configs/dante.py:small --config.data.path=inferno.txt          # for a CPU
    python launch.py --config=configs/dante.py:gpt --config.data.path=inferno.txt            # lab D's; for a GPU
    python launch.py --config=configs/dante.py:llama --config.data.path=inferno.txt          # lab B's; for a GPU
    python launch.py --config=configs/dante.py:shakespeare --config.data.path=input.txt      # nanoGPT's; for a GPU
    python launch.py --config=configs/dante.py:gpt2 --config.data.path=corpus.txt            # GPT-2 small, 124M; for a GPU
    python launch.py --config=configs/dante.py:quick                                         # two of tiny's, about a minute
    python launch.py --config=configs/dante.py:smoke                                         # seconds, to see that it runs

Result of `tiny` (498 s of CPU on 2 cores of an AMD EPYC, six seeds): nats per character of the Llama with 4 heads 1.554 [1.536,
1.571], with 16 heads 1.635 [1.617, 1.654], of the GPT 1.891 [1.865, 1.916]; of the 3-gram 1.759, of the best n-gram 1.403,
which none beats. Result of `small` on the Inferno (two seeds): 1.501 nats per character on its last tenth, the best
n-gram 1.628; lab D reports 1.533 for a GPT of 10.8 million parameters. The presets for a GPU have not been run:
docs/results.md.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs.claims.depth import LAB_B
from dla_jax.config.arguments import parse_argument
from dla_jax.evidence.claims import alone, answerable, claim, difference

LAB_D = "lab D, https://github.com/salahjebali/DeepLearningApplications_labs"
NATS = {"unit": "nats/char", "margin": 0.01}


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset; every network is the config with its own overrides."""
    presets = {
        "gpt": lab_gpt,
        "llama": lab_llama,
        "tiny": tiny,
        "small": small,
        "shakespeare": shakespeare,
        "gpt2": gpt2,
        "quick": quick,
        "smoke": smoke,
    }
    config, preset = base(), parse_argument(argument, tuple(presets)).preset
    presets[preset](config)
    over_fits = preset not in ("tiny", "quick", "smoke")  # which see the text once or twice
    config.claims = claims(config.networks.keys(), over_fits, config.model.n_embd)
    return config


def base() -> ConfigDict:
    """Every key, with the values that most presets share."""
    config = ConfigDict()
    config.experiment = "language"
    config.question = "Is a small decoder better than n-grams on the same split? Which decoder, and when does it over-fit?"
    config.seeds = tuple(
        range(6)
    )  # 2/2^6 = .03 is the smallest p; each fixes order, dropout and initial weights
    config.lrs = (1e-3, 3e-3, 1e-2)  # for networks that bring no rate
    config.select_seeds = (100,)

    config.data = ConfigDict()
    config.data.path = placeholder(str)  # a text file in UTF-8; without one the embedded text
    config.data.val_fraction = 0.1
    config.data.test_fraction = (
        0.0  # 0: none; the last `val_fraction` are scored, as published figures are
    )
    config.tokenizer = ConfigDict(
        {"name": "characters", "vocab_size": 0}
    )  # or bpe with so many tokens

    config.model = gpt(2, 4, 64, 64)  # of every network that brings no family of its own
    config.compute_dtype = "float32"

    config.num_steps = 1500
    config.batch_size = 16  # windows
    config.accumulate = 1  # parts a batch is taken in, to save memory
    config.patience = 0  # evaluations without improvement before a run stops; 0: never
    config.optim = ConfigDict(
        {
            "name": "adamw",
            "lr": placeholder(float),
            "schedule": "cosine",
            "warmup_fraction": 0.05,
            "decay_factor": 0.1,
            "milestones": (),
            "momentum": 0.9,
            "nesterov": False,
            "b1": 0.9,
            "b2": 0.99,
            "eps": 1e-8,
            "weight_decay": 0.1,
            "decayed": "all",
            "clip_norm": 1.0,
        }
    )

    config.ngram_order = 6
    config.target_order = 3  # the n-gram whose validation score a run must reach, for its speed
    config.overfits_at = 0  # step after which a lab saw validation rise; 0: it says nothing
    # What the models write at every evaluation, behind a prompt whose attention is drawn too; "": the validation text's start.
    config.sample = ConfigDict(
        {"prompt": "", "num_tokens": 200, "temperature": 0.8, "top_k": 0, "top_p": 1.0}
    )

    config.log_every_steps = 50
    config.eval_every_steps = 250
    config.checkpoint_every_steps = 0  # 0: only when interrupted
    config.steps_per_call = 50
    config.cells_at_a_time = 0  # 0: one a core on a CPU, else one
    config.parallel = "jit"
    return config


def gpt(n_layer: int, n_head: int, n_embd: int, block_size: int, dropout: float = 0.0) -> dict:
    """A GPT-2 decoder."""
    return {
        "name": "gpt",
        "block_size": block_size,
        "n_layer": n_layer,
        "n_head": n_head,
        "n_embd": n_embd,
        "dropout": dropout,
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
    """A Llama 2 decoder."""
    sizes = {
        "n_kv_head": n_kv_head,
        "intermediate": intermediate,
        "rope_theta": 10_000.0,
        "tied": tied,
    }
    return gpt(n_layer, n_head, n_embd, block_size, dropout) | {"name": "llama"} | sizes


def set_networks(config: ConfigDict, networks: dict[str, dict], **reported: str) -> None:
    """Puts the networks into the config, with what was reported of each."""
    config.networks = ConfigDict(networks)
    config.reported = ConfigDict({name: reported.get(name, "not in the labs") for name in networks})


def tiny(config: ConfigDict) -> None:
    """About 100,000 parameters, about three minutes on a CPU."""
    # Two selection seeds at three rates, not one at four: the best two of those were .002 to .006 nats apart for the Llamas.
    config.data.test_fraction, config.lrs, config.select_seeds = 0.1, (2e-3, 4e-3, 8e-3), (100, 101)
    config.num_steps, config.batch_size, config.eval_every_steps = 1000, 8, 200
    config.model = llama(2, 4, 64, 64, n_kv_head=4, intermediate=176, tied=True)
    set_networks(
        config,
        {
            "gpt": {"model": gpt(2, 4, 64, 64)},
            "llama_4_heads": {},
            "llama_16_heads": {"model": {"n_head": 16, "n_kv_head": 16}},
        },
    )


def quick(config: ConfigDict) -> None:
    """About a minute: two of tiny's decoders for 300 steps."""
    tiny(config)
    set_networks(config, {"gpt": {"model": gpt(2, 4, 64, 64)}, "llama_4_heads": {}})
    config.lrs, config.num_steps, config.eval_every_steps, config.target_order = (
        (3e-3, 6e-3),
        300,
        100,
        2,
    )
    config.select_seeds = (100,)


def small(config: ConfigDict) -> None:
    """A Llama of 0.8 million parameters for a text of some hundred thousand characters, about ten minutes on a CPU.

    Two seeds: they show a score, and cannot decide a claim.
    """
    config.model = llama(4, 4, 128, 128, n_kv_head=4, intermediate=344, dropout=0.2, tied=True)
    set_networks(config, {"llama_4_heads": {}})
    config.seeds, config.optim.lr, config.num_steps, config.target_order = (0, 1), 3e-3, 2500, 4


def smoke(config: ConfigDict) -> None:
    """Seconds."""
    config.seeds, config.data.val_fraction, config.data.test_fraction = (0, 1), 0.02, 0.02
    config.num_steps, config.eval_every_steps, config.log_every_steps, config.batch_size = (
        6,
        3,
        0,
        8,
    )
    config.sample.num_tokens, config.ngram_order, config.target_order, config.lrs = (
        12,
        3,
        1,
        (3e-3, 1e-2),
    )
    config.model = gpt(1, 2, 16, 32, 0.1)
    pairs = {"tokenizer": {"name": "bpe", "vocab_size": 300}}
    grouped = llama(1, 4, 16, 32, n_kv_head=2, intermediate=24)
    set_networks(
        config, {"gpt": {"optim": {"lr": 1e-2}}, "llama_4_heads": {"model": grouped} | pairs}
    )


def lab_gpt(config: ConfigDict) -> None:
    """Lab D's GPT, 10.8 million parameters, by a usual recipe and by lab D's: AdamW as PyTorch has it, at a constant rate."""
    config.model = gpt(6, 6, 384, 256, 0.2)
    lab = {
        "lr": 3e-4,
        "schedule": "constant",
        "warmup_fraction": 0.0,
        "weight_decay": 0.01,
        "clip_norm": 0.0,
        "b2": 0.999,
    }
    set_networks(
        config,
        {"gpt": {}, "gpt_lab_d": {"optim": lab}},
        gpt_lab_d="1.533 nats/char (perplexity 4.63)",
    )
    on_gpu(config, 5000, 64)
    config.optim.lr, config.overfits_at = 1e-3, 3000


def lab_llama(config: ConfigDict) -> None:
    """Lab B's Llama: one layer, 15.6 million parameters, 5,549 byte pairs; its 20 % held out are validation and test here.

    Every token is a target, and the recipe is the usual one at a rate of its own; the lab's code learns from the last token of
    each window alone, with Lion, one cycle to 1e-4, and 1,024 windows a batch.
    """
    config.data.test_fraction = 0.1
    config.tokenizer = ConfigDict({"name": "bpe", "vocab_size": 5549})
    config.model = llama(1, 4, 768, 128, n_kv_head=4, intermediate=2048)
    set_networks(
        config,
        {"llama_4_heads": {}, "llama_16_heads": {"model": {"n_head": 16, "n_kv_head": 16}}},
        llama_4_heads="5.97 nats/token",
        llama_16_heads="5.83 nats/token",
    )
    config.lrs = (1e-4, 3e-4, 1e-3)
    on_gpu(config, 2000, 64)
    config.target_order, config.eval_every_steps = 2, 50


def shakespeare(config: ConfigDict) -> None:
    """nanoGPT's character model for tiny Shakespeare: its shape, batch, steps and peak rate.

    The cosine falls to 0, nanoGPT's to a tenth of the peak; weight decay and biases are everywhere, nanoGPT has none in norms.
    """
    config.model = gpt(6, 6, 384, 256, 0.2)
    set_networks(
        config,
        {"gpt_shakespeare": {}},
        gpt_shakespeare="1.4697 nats/char (nanoGPT, random batches)",
    )
    on_gpu(config, 5000, 64)
    config.optim.lr, config.optim.warmup_fraction = 1e-3, 0.02


def gpt2(config: ConfigDict) -> None:
    """GPT-2 small, 124 million parameters with a vocabulary of its own, for a corpus of some ten million characters or more."""
    config.tokenizer = ConfigDict({"name": "bpe", "vocab_size": 50_257})
    config.model = gpt(12, 12, 768, 1024)
    set_networks(config, {"gpt2": {}})
    on_gpu(config, 20_000, 480)
    config.optim.lr, config.optim.b2 = 6e-4, 0.95
    config.seeds, config.accumulate, config.checkpoint_every_steps = (0,), 40, 500


def on_gpu(config: ConfigDict, num_steps: int, batch_size: int) -> None:
    """What suits an accelerator."""
    config.num_steps, config.batch_size, config.compute_dtype = num_steps, batch_size, "bfloat16"
    config.checkpoint_every_steps, config.sample.num_tokens = 1000, 500


def claims(found, over_fits: bool, n_embd: int) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run; `n_embd`: what the heads share.

    `above_ngram` is nats per character minus those of the n-gram whose order is best on validation; `log2_steps` the binary
    logarithm of the steps to the validation score of the n-gram of `target_order`, or of all steps for a run that never gets
    there, so that -1 is twice as fast; `over_fits` the rise of validation from its best to the end, minus 0.01 nats;
    `best_past_reported` thousands of steps from the lab's figure to the best. N-grams are constants: what varies is the run.
    """
    heads, width = difference("llama_16_heads", "llama_4_heads"), n_embd // 16
    sixteen = (
        "16 heads, 48 wide as in the lab,"
        if width == 48
        else f"16 heads, {width} wide here and 48 in the lab,"
    )
    beats = lambda name, who, network: claim(
        f"{name} is better than the best n-gram",
        who,
        "not reported: no lab has a baseline",
        alone(network),
        direction="<",
        value="above_ngram",
        **NATS,
    )
    rises = lambda name, who, said, network: claim(
        f"{name} over-fits: validation rises by more than 0.01 before the end",
        who,
        said,
        alone(network),
        value="over_fits",
        **NATS,
    )
    quickly, degraded = (
        '"we can easily see how quickly this architecture overfit"',
        '"degradation after 3000 iterations"',
    )
    epochs = "best after 40 and 62 epochs against 144; here: steps to the score of an n-gram"
    every = {
        "a_gpt_beats_ngrams": beats("The GPT", LAB_D, "gpt"),
        "b_llama_beats_ngrams": beats("The Llama of 4 heads", LAB_B, "llama_4_heads"),
        "c_heads_converge_faster": claim(
            f"{sixteen} converge faster than 4",
            LAB_B,
            epochs,
            heads,
            direction="<",
            value="log2_steps",
            unit="doublings",
            margin=0.1,
        ),
        "d_heads_lower_loss": claim(
            f"{sixteen} reach a lower loss than 4",
            LAB_B,
            "test loss 5.83 against 5.97 nats/token",
            heads,
            direction="<",
            value="nats_per_char",
            **NATS,
        ),
        "e_llama_beats_gpt": claim(
            "The Llama is better than the GPT",
            "hypothesis",
            "not reported",
            difference("llama_4_heads", "gpt"),
            direction="<",
            value="nats_per_char",
            **NATS,
        ),
        "f_gpt_over_fits": rises("Lab D's GPT", LAB_D, degraded, "gpt_lab_d"),
        "g_llama_over_fits": rises("The Llama of 4 heads", LAB_B, quickly, "llama_4_heads"),
        "h_best_by_3000": claim(
            "By lab D's recipe validation is best before step 3000",
            LAB_D,
            degraded,
            alone("gpt_lab_d"),
            direction="<",
            value="best_past_reported",
            unit="thousand steps",
            margin=0.25,
        ),
        "i_recipe_helps": claim(
            "The usual recipe (higher rate, warm-up, cosine, clipping) is better than lab D's",
            "hypothesis",
            "not reported",
            difference("gpt", "gpt_lab_d"),
            direction="<",
            value="nats_per_char",
            **NATS,
        ),
        "j_shakespeare_beats_ngrams": beats("nanoGPT's model", "nanoGPT", "gpt_shakespeare"),
    }
    return answerable(
        {
            name: entry
            for name, entry in every.items()
            if over_fits or entry["value"] != "over_fits"
        },
        found,
    )
