"""Whether a set of the Hugging Face hub fits on the disks that it is kept on, before it is fetched.

It is kept three times: as its files are, compressed; as the library `datasets` reads them; and as
this project does, in `--data_dir`.
"""

import math
import os
import shutil
from pathlib import Path

from dla_jax.config.checks import check
from dla_jax.data.hub_ask import About
from dla_jax.data.hub_sets import HubSet

LARGER = 3  # texts may take that many times what their compressed files do; images stay as they are

OTHERS = "give other folders with --data_dir, $HF_HUB_CACHE and $HF_DATASETS_CACHE"


def caches() -> tuple[Path, Path]:
    """Return where the library keeps files as they are fetched, and what it makes of them."""
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    files = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    made = os.environ.get("HF_DATASETS_CACHE")
    given = (files or os.path.join(home, "hub"), made or os.path.join(home, "datasets"))
    return tuple(Path(os.path.expanduser(os.path.expandvars(path))).absolute() for path in given)


def cache_of(wanted: HubSet) -> Path:
    """Return where the library keeps the files of a set as they are fetched."""
    return caches()[0] / f"datasets--{wanted.repo.replace('/', '--')}"


def kept_of(wanted: HubSet) -> str:
    """Return the folders in which the library keeps a set, as a message names them."""
    made = caches()[1] / wanted.repo.replace("/", "___")
    return f"{cache_of(wanted)} and {made}"


def needs(wanted: HubSet, about: About, data_dir: Path) -> dict[Path, int]:
    """Return {folder: bytes that are still to be written there}; files that are there count not."""
    whole = sum(about.files.values())
    snapshot = cache_of(wanted) / "snapshots" / about.commit
    missing = sum(size for path, size in about.files.items() if not (snapshot / path).exists())
    made = about.num_bytes or (whole if wanted.kind == "images" else LARGER * whole)
    found: dict[Path, int] = {}
    for folder, size in ((caches()[0], missing), (caches()[1], made)):
        found[folder] = found.get(folder, 0) + size
    own = pixels(wanted, about) or made
    found[data_dir.absolute()] = found.get(data_dir.absolute(), 0) + own
    return found


def pixels(wanted: HubSet, about: About) -> int:
    """Return the bytes of a set's images, decoded; 0 where their number or size is not known."""
    shape = wanted.shape or (wanted.size, wanted.size, 3)
    return (sum(wanted.sizes.values()) or about.num_examples) * math.prod(shape)


def check_disk(wanted: HubSet, about: About, data_dir: Path, where: str = "data.name") -> None:
    """Raise ConfigError where a set does not fit on the disks that it is kept on.

    Also where one of the folders cannot be written.
    """
    disks: dict[int, dict[Path, int]] = {}
    for folder, size in needs(wanted, about, data_dir).items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        check(
            there.is_dir() and os.access(there, os.W_OK | os.X_OK),
            f"{where}: {wanted.repo} is to be kept in {folder}, and {there} cannot be written; "
            f"{OTHERS}",
        )
        folders = disks.setdefault(there.stat().st_dev, {})
        folders[there] = folders.get(there, 0) + size
    for folders in disks.values():
        free, needed = shutil.disk_usage(next(iter(folders))).free, sum(folders.values())
        check(
            needed < free,
            f"{where}: {wanted.repo} needs about {shown(needed)} on the disk of "
            f"{' and '.join(map(str, folders))}, where {shown(free)} are free; make room, or "
            f"{OTHERS}",
        )


def shown(size: int) -> str:
    """Return bytes in words, `1.5 GB` or `12 MB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{math.ceil(size / 1e6)} MB"
