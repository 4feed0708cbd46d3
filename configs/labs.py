"""The labs and papers that claims name, and what was reported of networks.

This file is no study, and neither are optimisers.py, image_base.py and text_base.py: they have no
`get_config`.
"""

from ml_collections import ConfigDict

LAB_A = "lab A, https://github.com/giovancombo/DLA-Labs"
LAB_B = "lab B, https://github.com/ZappaRoberto/DeepLearningApplications"
LAB_C = (
    "lab C, https://github.com/simogiovannini/"
    "ResNet-vs.-ConvNet-Gradient-and-Performance-Analysis-on-CIFAR10"
)
LAB_C_TEXTS = "lab C, https://github.com/simogiovannini/DLA-lab2"
LAB_D = "lab D, https://github.com/salahjebali/Going-Deeper-With-Residual-Blocks"
LAB_D_LABS = "lab D, https://github.com/salahjebali/DeepLearningApplications_labs"
LAB_E = "lab E (only its README is public)"
HE = "He et al. 2015, arXiv:1512.03385"
HYPOTHESIS = "hypothesis"


def set_reported(config: ConfigDict, reported: dict[str, str]) -> None:
    """Put what was reported of each network of the config into it, in words."""
    words = {name: reported.get(name, "not in the labs") for name in config.networks}
    # What was reported of each network, in words.
    config.reported = ConfigDict(words)
