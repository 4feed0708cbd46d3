"""GPT-2: its tokenizer on a sentence, and what it writes.

The labs' exercise on a real language model (Radford et al. 2019), with lab B's settings: its
sentence of 9 words becomes 10 tokens and comes back as it was; 50 tokens in all, of the 50 most
probable at temperature 0.7.

    python launch.py --config=configs/gpt2.py --config.path=FOLDER \\
        --config.prompt='The meaning of life' --config.num_tokens=100

The text goes to standard output, everything else to standard error; the workdir keeps both in
`samples.jsonl`.
"""

from ml_collections import ConfigDict

from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """Return what to ask GPT-2."""
    preset = parse_argument(argument, PRESETS).preset
    config = ConfigDict()
    config.experiment = "gpt2"  # the command; leave it
    config.path = "gpt2"  # a folder, or a name of the Hugging Face hub
    # What the tokenizer cuts into tokens.
    config.sentence = "This is an example sentence to encode into tokens."
    config.prompt = "Once upon a time"  # what GPT-2 continues
    config.num_tokens = 46  # written behind the prompt, whose 4 make the lab's 50
    config.num_samples = 1  # texts
    config.temperature = 0.7  # of the probabilities; 0: always the most probable token
    config.top_k = 50  # of so many most probable tokens; 0: of all
    config.top_p = 1.0  # of the fewest tokens that have this probability together
    config.seed = 42  # of what is drawn; the same seed writes the same text
    config.made = False  # whether a tiny one with random weights is made first
    PRESETS[preset].apply(config)
    return config


def smoke(config: ConfigDict) -> None:
    """Make a tiny one with random weights first."""
    config.made = True
    config.path = ""
    config.num_tokens = 12


PRESETS = {
    "gpt2": Preset(keep, "GPT-2 small, fetched once, 0.5 GB"),
    "smoke": Preset(smoke, "makes a tiny one first, to see that it runs", minutes=SECONDS),
}
