"""Names in workdirs of earlier versions, what they are called today, and keys that came later."""

EXPERIMENTS = {"depth_study": "depth"}
AGENTS = {"solved_at": "solved_return"}  # in the config of a study of agents, and of its arms
AGENT = {
    "rollout_steps": "num_steps",
    "epochs": "update_epochs",
    "minibatches": "num_minibatches",
    "clip": "clip_eps",
    "clip_value": "clip_vloss",
    "entropy": "ent_coef",
    "value": "vf_coef",
    "period": "target_period",
    "period_episodes": "target_period_episodes",
}
# Values that claims compared, which stood for another value and a bound: {old value: (value,
# threshold, whether the side of the claim turns)}. They are not in the record.
BOUNDS = {
    "beyond_guessing": ("above_guessing", 0.05, False),
    "above_vanishing": ("first_layer", -1.0, False),
    "start_above_vanishing": ("start_first_layer", -1.0, False),
    "below_exploding": ("first_layer", 1.0, True),
    "start_below_exploding": ("start_first_layer", 1.0, True),
    "last_dense": ("last_dense_change", -1.0, False),
    "bounded": ("largest_norm", 2.0, True),
}
REINFORCE = {"side_by_side": 0}  # keys that agents of this name got later
COMPARE = {"pairs": "same"}  # a key that comparisons got later
ENV = {"judge": ""}  # keys that studies of agents got later; where they are judged
SELECTION = {"selection": "full"}  # how studies of a grid, but of agents, chose rates before
# Keys that studies of images got later, with the values that stand for what was done before.
DATA = {
    "test_path": None,
    "left_out": 0,
    "image_column": "image",
    "label_column": "label",
    "num_examples": 0,
}
TEXTS = {"num_examples": 0}  # a key that studies of labelled texts got later
ATTACK = {
    "name": "standard",
    "epsilon": 8 / 255,
    "step_size": None,
    "num_steps": 7,
    "probability": 0.5,
    "beta": 6.0,
    "on_overfitting": "go_on",
}
RESNET = {"preactivation": False}
TURNED = {">": "<", "<": ">", "=": "="}


def with_new_names(config: dict) -> dict:
    """Return the config of a workdir with today's names and keys; one of today's is as it was.

    The given one is not changed.

    Args:
      config: nested dicts, as `config.json` holds them.
    """
    experiment = EXPERIMENTS.get(config["experiment"], config["experiment"])
    config = config | {"experiment": experiment}
    if "claims" in config:
        claims = {name: with_threshold(claim) for name, claim in config["claims"].items()}
        config = config | {"claims": claims}
    if "made" in config:
        config = config | {"made": made_with_new_names(config["made"])}
    if experiment == "compare":
        return COMPARE | config
    if experiment == "agents":
        return agents(config)
    return texts(images(selecting(config)))


def made_with_new_names(made):
    """Return the study, or {name: study}, that a study makes first with today's names and keys.

    What is no study, which a kind of one's own may have there, stays as it is.
    """
    if not isinstance(made, dict):
        return made
    if "experiment" in made:
        return with_new_names(made)
    return {name: made_with_new_names(study) for name, study in made.items()}


def selecting(config: dict) -> dict:
    """Return the config of a study with today's keys of how its rates are chosen.

    One of a kind that is not of this project stays as it is: its config need not have that key.
    """
    known = is_of_images(config) or "encoder" in config or config["experiment"] == "language"
    return SELECTION | config if known and "select_seeds" in config else config


def is_of_images(config: dict) -> bool:
    """Return whether a config is that of a study of images."""
    return "data" in config and "pad" in config["data"]


def images(config: dict) -> dict:
    """Return the config of a study of images with today's keys; that of another as it is."""
    if not is_of_images(config):
        return config
    found = {"attack": ATTACK} | config | {"data": DATA | config["data"]}
    if "networks" in config:
        networks = config["networks"].items()
        found["networks"] = {name: resnet(network) for name, network in networks}
    return resnet(found)


def texts(config: dict) -> dict:
    """Return the config of a study of labelled texts with today's keys; of another as it is."""
    if "data" not in config or "text_columns" not in config["data"]:
        return config
    return config | {"data": TEXTS | config["data"]}


def resnet(config: dict) -> dict:
    """Return a config, or overrides of a network, with today's keys of a ResNet if it is one."""
    if "model" not in config:
        return config
    model = config["model"]
    is_resnet = "name" in model and model["name"] == "resnet"
    return config | {"model": RESNET | model} if is_resnet else config


def agents(config: dict) -> dict:
    """Return the config of a study of agents, or of one of its arms, with today's keys."""
    found = renamed(config, AGENTS)
    if "agent" in found:
        agent = renamed(found["agent"], AGENT)
        is_reinforce = "name" in agent and agent["name"] == "reinforce"
        found["agent"] = REINFORCE | agent if is_reinforce else agent
    if "arms" in found:
        found["arms"] = {name: agents(arm) for name, arm in found["arms"].items()}
        if "env" in found:
            found["env"] = ENV | found["env"]
    return found


def with_threshold(claim: dict) -> dict:
    """Return a claim in terms of today's values and a threshold."""
    if claim["value"] not in BOUNDS:
        return claim
    value, threshold, turns = BOUNDS[claim["value"]]
    # In a difference of two arms the constant cancelled.
    threshold *= sum(weight for weight, _ in claim["contrasts"][0])
    direction = TURNED[claim["direction"]] if turns else claim["direction"]
    return claim | {"value": value, "threshold": threshold, "direction": direction}


def renamed(values: dict, names: dict[str, str]) -> dict:
    """Return a dict with some of its keys renamed, in the same order."""
    return {names.get(key, key): value for key, value in values.items()}
