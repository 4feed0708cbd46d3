"""What the config of the study may say: errors of one line, before anything slow."""

import jax

from dla_jax.config.checks import check, check_choice, check_rules, choice, count, distinct, number
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.data import folder
from dla_jax.studies import find, image_networks
from dla_jax.studies.adversarial.attacking import ATTACKS
from dla_jax.studies.image_networks import data_config, rows_by_network
from dla_jax.studies.ood.checks import check_names, check_shapes, check_strange, sets_there
from dla_jax.studies.ood.detectors import read_network
from dla_jax.tasks import image_data
from dla_jax.trials.finished import check_source, made_launch

RULES = {
    "attacks": distinct(choice(ATTACKS)),
    "epsilon": number(low=0, high=1),
    "epsilons": distinct(number(low=0, high=1)),
    "epsilon_l2": number(low=0),
    "num_steps": count(),
    "step_size": number(above=0),
    "num_restarts": count(),
    "num_apgd_steps": count(),
    "num_queries": count(),
    "num_images": count(low=2),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for what cannot be attacked, before anything slow."""
    check(jax.process_count() == 1, "--multihost: one process attacks networks; leave it out")
    check_source(config, launch, "classifiers of images", "runs/try1")
    check_rules(config, RULES)
    check(
        list(config.epsilons) == sorted(config.epsilons),
        f"epsilons: {', '.join(map(str, config.epsilons))} do not rise; sort them",
    )
    check_names(config, launch, ("near", "far"))
    if config.image:
        check(not config.made, "image: this preset trains networks; give --from=WORKDIR with it")
        folder.files_of(config.image)
    if config.made:
        check_made(config, made_launch(launch))
    else:
        check_read(config, launch)


def check_made(config, launch: Launch) -> None:
    """Raise ConfigError for a study to be made first, or for what its networks cannot answer."""
    made = find(config.made.experiment)
    made.check(config.made, launch)
    image_set = image_data.read(config.made, launch)
    arms = made.arms(config.made, image_set.identity)
    for name in config.networks:
        check_choice("networks", name, tuple(arms))
    for name in config.networks or arms:
        for seed in arms[name].seeds:
            check_classes(
                config, image_data.seen(arms[name].config, image_set, seed).class_names, seed
            )
    seen = image_set
    check_strange(sets_there(config, config.made.data, ("near", "far")), config.made.data)
    check_shapes(config, seen.images.shape[1:], ("near", "far"))


def check_read(config, launch: Launch) -> None:
    """Raise ConfigError for a workdir whose networks cannot be attacked."""
    rows = rows_by_network(launch.from_dir, tuple(config.networks))
    first = next(row for found in rows.values() for row in found)
    network = read_network(launch.from_dir, first, "", ())
    known = read_config(launch.from_dir)["data"]["class_names"]
    for row in [row for found in rows.values() for row in found if not config.image]:
        check_classes(config, tuple(row.get("class_names", known)), row["seed"])
    data = data_config(launch.from_dir)
    check_strange(sets_there(config, data, ("near", "far")), data)
    check_shapes(config, network.shape, ("near", "far"))
    image_networks.load(launch.from_dir, launch)


def check_classes(config, class_names: tuple[str, ...], seed: int) -> None:
    """Raise ConfigError for a target that a seed does not know, or a loss that needs more classes.

    Args:
      class_names: that the networks of the seed know.
    """
    if config.target:
        check_choice(f"target of seed {seed}", config.target, class_names)
    check(
        "apgd_dlr" not in config.attacks or len(class_names) > 2,
        f"attacks: apgd_dlr compares three logits, and there are {len(class_names)} classes; leave "
        "it out, as in --config.attacks=fgsm,rs_fgsm,pgd,pgd_l2,apgd_ce,square",
    )
