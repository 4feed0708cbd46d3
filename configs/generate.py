"""Text from a trained language model: give a prompt, it goes on.

    python launch.py --config=configs/generate.py --from=runs/dante-tiny/20261121T120000Z
    python launch.py --config=configs/generate.py --from=runs/try1 \\
        --config.prompt='Nel mezzo del' --config.temperature=0.7
    python launch.py --config=configs/generate.py --from=runs/try1 \\
        --config.network=llama_4_heads --config.num_samples=3

The text goes to standard output as it is written, everything else to standard error; the workdir
keeps it in `samples.jsonl`. Past the context length the model reads the last half of it anew and
goes on (dla_jax/tasks/sampling.py).
"""

from ml_collections import ConfigDict

from configs import dante
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """Return how to generate."""
    preset = parse_argument(argument, PRESETS).preset
    config = ConfigDict()
    config.experiment = "generate"  # the command; leave it
    # A network of the study, as its report names it; "": that of the run best on validation.
    config.network = ""
    config.prompt = ""  # what is continued; "": the beginning of the validation text
    config.num_tokens = 500  # tokens that are written behind the prompt
    config.num_samples = 1  # texts
    config.temperature = 0.8  # of the probabilities; 0: always the most probable token
    config.top_k = 0  # of so many most probable tokens; 0: of all
    config.top_p = 1.0  # of the fewest tokens that have this probability together
    config.seed = 0  # of what is drawn; the same seed writes the same text
    config.made = ConfigDict()  # a study that is to be made first
    PRESETS[preset].apply(config)
    return config


def smoke(config: ConfigDict) -> None:
    """Make a tiny model first, and write little."""
    config.made = dante.get_config("smoke")
    config.made.optim.lr = 1e-2  # so that none is searched
    dante.set_networks(config.made, {"gpt": {}})
    config.made.claims = ConfigDict()  # which are about several networks
    config.num_tokens = 40
    config.num_samples = 2


PRESETS = {
    "generate": Preset(keep, "the best language model of --from", minutes=SECONDS),
    "smoke": Preset(smoke, "trains a tiny model first, to see that it runs", minutes=SECONDS),
}
