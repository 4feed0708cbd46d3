"""What the config of the study may say: errors of one line, before anything slow."""

import jax

from dla_jax.config.checks import check, check_choice, check_rules, choice, count, distinct, number
from dla_jax.config.workdir import Launch
from dla_jax.data import altered, strange
from dla_jax.studies import find, image_networks
from dla_jax.studies.image_networks import data_config
from dla_jax.studies.ood import detectors
from dla_jax.studies.ood.sets import LEFT_OUT, NOISE
from dla_jax.tasks import image_data, image_task
from dla_jax.trials.finished import check_source, made_launch

RULES = {
    "detectors": distinct(choice(detectors.DETECTORS)),
    "num_images": count(low=2),
    "num_fitted": count(low=2),
}
KEYS = ("near", "far", "tuning")
SETTINGS = {
    "temperatures": distinct(number(above=0)),
    "epsilons": distinct(number(low=0, high=1)),
    "gammas": distinct(number(above=0, high=1)),
    "ks": distinct(count()),
    "dims": distinct(number(above=0, below=1)),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for what cannot be measured, before anything slow."""
    check(jax.process_count() == 1, "--multihost: one process measures detectors; leave it out")
    check_source(config, launch, "classifiers of images", "runs/try1")
    check_rules(config, RULES)
    check_rules(config.settings, SETTINGS, prefix="settings.")
    check_names(config, launch)
    if config.made:
        check_made(config, made_launch(launch))
    else:
        check_read(config, launch)


def check_names(config, launch: Launch, keys: tuple[str, ...] = KEYS) -> None:
    """Raise ConfigError for strange sets that are not there.

    Args:
      keys: of the config, which name the sets.
    """
    for key in keys:
        strange.check_names(
            key, config[key], launch.data_dir, launch.download, config.folder, also=(LEFT_OUT,)
        )


def check_strange(config, data) -> None:
    """Raise ConfigError for sets that the networks were trained on, or that are near and far.

    Args:
      data: the group `data` of the networks' study.
    """
    sets = [name for key in KEYS if key in config for name in config[key]]
    own = [name for name in sets if strange.parse(name)[0] == data.name]
    check(
        not own,
        f"near, far, tuning: {', '.join(own)} is what the networks were trained on; leave it out",
    )
    check_apart(config.near, (*config.far, NOISE))


def check_apart(names: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Raise ConfigError for sets that share images with others."""
    shared = sorted({one for one in names for other in others if strange.overlap(one, other)})
    check(
        not shared,
        f"near, far, tuning: {', '.join(shared)} stands twice (lab B's {NOISE} is always "
        "reported); what chooses settings is not reported, so name each set once",
    )


def check_sets(config, data) -> None:
    """Raise ConfigError for sets that choose on what they report, or that are not strange.

    Args:
      config: of the study, with the sets that there are (`sets_there`).
      data: the group `data` of the networks' study.
    """
    check_strange(config, data)
    reported = (*config.near, *config.far, NOISE)
    check_apart(config.tuning, reported)
    several = any(len(tried) > 1 for tried in detectors.settings_of(config).values())
    check(
        not several or bool(set(config.tuning) - set(altered.NOISE)),
        f"tuning: {', '.join(config.tuning) or 'no set'}; noise alone must not choose settings, "
        "since all detectors know it; add another set, as in --config.tuning=uniform,blurred",
    )


def check_made(config, launch: Launch) -> None:
    """Raise ConfigError for a study to be made first, or for what its networks cannot answer."""
    made = find(config.made.experiment)
    made.check(config.made, launch)
    check_sets(sets_there(config, config.made.data), config.made.data)
    image_set = image_data.read(config.made, launch)
    arms = made.arms(config.made, image_set.identity)
    if config.network:
        check_choice("network", config.network, tuple(arms))
    for name in [config.network] if config.network else arms:
        own = arms[name].config
        seen = image_data.seen(own, image_set, own.seeds[0])
        info = image_data.info_of(seen)
        model = image_task.make_model(own, info)
        num_train = len(image_data.split(own, seen, own.seeds[0])["train"])
        num_classes = len(info.class_names)
        check_detectors(config, model, info.shape, num_train, num_classes, name)
        check_shapes(config, info.shape)


def check_read(config, launch: Launch) -> None:
    """Raise ConfigError for a workdir whose networks cannot answer."""
    workdir = launch.from_dir
    rows = image_networks.networks_of(workdir, config.network)
    image_networks.load(workdir, launch)
    data = data_config(workdir)
    own = sets_there(config, data)
    check_sets(own, data)
    network = detectors.read_network(workdir, rows[0], config.layer, tuple(config.detectors))
    train = image_networks.parts_of(workdir, launch, rows[0]["seed"], names=("train",))["train"]
    num_classes = len(network.class_names)
    check_detectors(
        own, network.model, network.shape, len(train.index), num_classes, rows[0]["group"]
    )
    check_shapes(own, network.shape)


def check_detectors(
    config, model, shape: tuple[int, ...], num_train: int, num_classes: int, group: str
) -> None:
    """Raise ConfigError for detectors that a network, or its training part, is too small for.

    Args:
      num_train: images of the training part.
      num_classes: that the network knows.
      group: how the network is called.
    """
    layer, names = config.layer or detectors.last_layer(model, shape), tuple(config.detectors)
    detectors.check_network(model, shape, layer, names, group)
    num_fitted = min(num_train, config.num_fitted)
    num_dims = detectors.num_features(model, shape, layer)
    where = f"{layer} of {group}"
    detectors.check_covariance(names, num_fitted, num_dims, num_classes, where)
    check(
        "knn" not in names or max(config.settings.ks) <= num_fitted,
        f"settings.ks: {max(config.settings.ks)} neighbours of {num_fitted:,} training images; "
        f"give at most {num_fitted:,}",
    )


def check_shapes(config, shape: tuple[int, int, int], keys: tuple[str, ...] = KEYS) -> None:
    """Raise ConfigError for strange sets whose images the network does not take."""
    for key in keys:
        for name in config[key]:
            strange.check_shape(key, name, shape, config.resize)
            check(
                name != "turned" or shape[0] == shape[1],
                f"{key}: turned: images of {shape[0]}x{shape[1]} are not square; leave it out",
            )


def sets_there(config, data, keys: tuple[str, ...] = KEYS):
    """Return the config with the sets that there are.

    A study that left out no class has no such set, which is then neither near nor anything else.

    Args:
      data: the group `data` of the networks' study.
      keys: of the config, which name the sets.

    Raises:
      ConfigError: no set is left that is reported.
    """
    own = config
    if not data.left_out:
        own = config.copy_and_resolve_references()
        for key in keys:
            own[key] = tuple(name for name in config[key] if name != LEFT_OUT)
    check(
        len(own.near) + len(own.far) > 0,
        "near, far: there is no set to report (left_out is none where training left out no class); "
        "name one, as in --config.far=turned",
    )
    return own


def left_out_words(config, own) -> list[str]:
    """Return the remark that a study left out no class, where one of the sets is such.

    Args:
      own: what `sets_there` made of the config.
    """
    named = [key for key in KEYS if key in config and LEFT_OUT in config[key]]
    gone = [key for key in named if LEFT_OUT not in own[key]]
    return [f"{', '.join(gone)}: training left out no class: no set {LEFT_OUT}"] if gone else []
