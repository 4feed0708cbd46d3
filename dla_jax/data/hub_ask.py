"""What the Hugging Face hub says of a set, asked within seconds: is it there, where, how large?"""

import json
import os
import urllib.parse
from typing import NamedTuple

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.connectivity import MOST, fetched
from dla_jax.data import hub_failures
from dla_jax.data.hub_sets import HubSet, is_commit

# What no set is read of: programs, cards, and files whose names begin with a dot.
NO_DATA = (".py", ".md", "dataset_infos.json", "LICENSE")
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


class About(NamedTuple):
    """What the hub says of a set.

    files: {path: bytes} of those that are read, rather too many.
    num_bytes: of the library's copy of it, and
    num_examples: of all its parts; 0 where its card does not say them.
    """

    commit: str
    files: dict[str, int]
    num_bytes: int = 0
    num_examples: int = 0


def address() -> str:
    """Return that of the hub, $HF_ENDPOINT or the public one."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def ask(wanted: HubSet, where: str = "data.name") -> About:
    """Return what the hub says of a set.

    Args:
      where: the key that names it, for messages.

    Raises:
      ConfigError: within seconds, where it cannot be reached, or has no such set.
    """
    offline = [name for name in OFFLINE if os.environ.get(name, "0").upper() in ("1", "TRUE", "ON")]
    check(
        not offline,
        f"{where}: {wanted.repo} has to be fetched, and the variable {''.join(offline[:1])} says "
        "that nothing is; unset it, or give the --data_dir=FOLDER of an earlier fetch",
    )
    hub, revision = address(), urllib.parse.quote(wanted.revision, safe="")
    url = f"{hub}/api/datasets/{wanted.repo}/revision/{revision}?blobs=true"
    answer = fetched(url)
    if answer.status is not None:
        words = hub_failures.of_status(answer.status, answer.reason, answer.headers, hub, wanted)
        raise ConfigError(f"{where}: {words}")
    check(
        answer.content is not None,
        f"{where}: {hub} cannot be reached ({answer.reason}); try again with a network, or give "
        "the --data_dir=FOLDER of an earlier fetch",
    )
    check(
        len(answer.content) < MOST,
        f"{where}: {wanted.repo} has too many files to list; give a set of fewer, larger ones",
    )
    try:
        found = json.loads(answer.content)
        files = {str(each["rfilename"]): int(each.get("size") or 0) for each in found["siblings"]}
        commit, closed = found["sha"], found.get("gated") or found.get("private")
        if not is_commit(commit) or min(files.values(), default=0) < 0:
            raise ValueError("no commit, or a size below 0")
        if is_commit(wanted.revision) and commit != wanted.revision:
            raise ValueError("another commit than asked for")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{where}: {url} gives an answer that is not the hub's ({error!r:.80}); is it the "
            "login page of a network, or does HF_ENDPOINT name another server? Mend that, and try "
            "again"
        ) from None
    check(not closed, f"{where}: {hub_failures.closed(hub, wanted)}")
    return About(commit, files_of(wanted, files, where), *sizes_of(wanted, found.get("cardData")))


def files_of(wanted: HubSet, files: dict[str, int], where: str) -> dict[str, int]:
    """Return those of a repository's {path: bytes} that are read, rather too many.

    Of several configurations those are counted whose paths name the one that is read, else all.

    Raises:
      ConfigError: there are none.
    """
    data = {
        path: size
        for path, size in files.items()
        if not (path.endswith(NO_DATA) or path.rpartition("/")[2].startswith("."))
    }
    program = f"{wanted.repo.partition('/')[2]}.py"
    check(
        len(data) > 0,
        f"{where}: {hub_failures.program(wanted)}"
        if program in files
        else f"{where}: {wanted.repo} holds no data at {wanted.revision}; give another set",
    )
    if ours := tuple(pattern.partition("*")[0] for pattern in wanted.files.values()):
        return {path: size for path, size in data.items() if path.startswith(ours)}
    return {path: size for path, size in data.items() if wanted.config in path} or data


def sizes_of(wanted: HubSet, card: object) -> tuple[int, int]:
    """Return the bytes of the library's copy and the examples, by a set's card; else zeros."""
    known = card.get("dataset_info") if isinstance(card, dict) else None
    several = known if isinstance(known, list) else [known]
    try:
        (one,) = [
            each
            for each in several
            if len(several) == 1 or each["config_name"] == (wanted.config or "default")
        ]
        examples = sum(int(part["num_examples"]) for part in one["splits"])
        return max(0, int(one["dataset_size"])), max(0, examples)
    except (ValueError, KeyError, TypeError):  # a card is written by hand
        return 0, 0
