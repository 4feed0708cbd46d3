"""What a trained classifier says of your own texts or images: one line of JSON each, with the probability of every class.

python launch.py --config=configs/predict.py --from=runs/yahoo --config.text='How do I change a tyre?'
python launch.py --config=configs/predict.py --from=runs/yahoo --config.file=questions.txt > answers.jsonl    # a text a line
some-program | python launch.py --config=configs/predict.py --from=runs/yahoo
python launch.py --config=configs/predict.py --from=runs/rescnn --config.image=photos     # a file or a folder
python launch.py --config=configs/predict.py:smoke           # trains a tiny classifier first; seconds
"""

from ml_collections import ConfigDict

from configs import yahoo
from dla_jax.config.arguments import parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """What to classify; `smoke` makes its own classifier first."""
    preset = parse_argument(argument, ("predict", "smoke")).preset
    config = ConfigDict()
    config.experiment = "predict"
    config.network = (
        ""  # of the study, as its report names it; "": the run that is best on validation
    )
    config.text = ""  # one text
    config.file = ""  # a text a line; without text, file and image: standard input
    config.image = ""  # an image, or a folder of images
    config.made = ConfigDict()  # a study that is to be made first
    if preset == "smoke":
        config.made, config.text = (
            yahoo.get_config("smoke"),
            "Return the sum of the elements along an axis.",
        )
    return config
