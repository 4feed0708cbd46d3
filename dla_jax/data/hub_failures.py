"""Why a set of the Hugging Face hub is not to be had, and what to do, in words."""

import errno
from collections.abc import Iterator

from dla_jax.config.connectivity import first_line
from dla_jax.config.project import page_words
from dla_jax.data.hub_sets import CONVERTED, HubSet

BROKEN = ("ConnectionError", "Timeout", "RemoteProtocolError", "ReadError", "ConnectError")
BROKEN += ("IncompleteRead", "Consistency check failed", "LocalEntryNotFoundError")
DAMAGED = ("ArrowInvalid", "ArrowException", "JSONDecodeError", "ParserError", "BadZipFile")
DAMAGED += ("UnidentifiedImageError", "UnicodeDecodeError", "EOFError", "zlib.error")
UNKNOWN = ("Config name is missing", "BuilderConfig")


def of_status(status: int, reason: str, headers: dict, hub: str, wanted: HubSet) -> str:
    """Return what a status of HTTP means for a set.

    Args:
      reason: the server's words for it.
      headers: of its answer.
    """
    said = {name.lower(): value for name, value in headers.items()}
    if status in (401, 404) and said.get("x-error-code") == "RevisionNotFound":
        other = "update this project, or prepare the set with TensorFlow Datasets"
        other = other if wanted.sizes else f"leave out @{wanted.revision}, or give another"
        return f"{hub} has {wanted.repo}, but no revision {wanted.revision} of it; {other}"
    if status in (401, 404):
        return (
            f"{hub} has no public set {wanted.repo}; look for its name on {hub}/datasets, where "
            "capitals count"
        )
    if status == 403:
        return closed(hub, wanted)
    if status == 429:
        wait = said.get("retry-after", "")
        return (
            f"{hub} was asked too often from here (429); try again in "
            f"{f'{wait} seconds' if wait.isdigit() else 'some minutes'}"
        )
    if status >= 500:
        return (
            f"{hub}, or a proxy before it, has trouble of its own ({status} {reason}); try again "
            "in some minutes"
        )
    return f"{hub} refuses to answer ({status} {reason}); see whether HF_ENDPOINT is its address"


def closed(hub: str, wanted: HubSet) -> str:
    """Return the message for a set that the hub does not give to everyone."""
    return (
        f"{wanted.repo} is not given to everyone, and only public sets are fetched; see "
        f"{hub}/datasets/{wanted.repo}, fetch its files yourself and give them as a "
        f"{'folder of images' if wanted.kind == 'images' else 'file'}: {page_words('docs/data.md')}"
    )


def program(wanted: HubSet) -> str:
    """Return the message for a repository that holds a program, which is not run."""
    return (
        f"{wanted.repo} holds a program that makes the set, and programs of others are not run; "
        f"try the hub's own copy, --config.data.name=hub:{wanted.repo}"
        f"{f':{wanted.config}' if wanted.config else ':CONFIG'}@{CONVERTED}"
    )


def of_error(error: Exception, hub: str, wanted: HubSet, cache: str) -> str:
    """Return why the library could not read a set, and what to do.

    Args:
      cache: folder in which the library keeps the files of this set.
    """
    errors = list(chain(error))
    texts = [f"{type(each).__module__}.{type(each).__name__}: {each}" for each in errors]
    said = first_line(" ".join(str(error).split()))
    if any(is_full(each) for each in errors):
        return (
            f"no space is left for {wanted.repo} ({said}); make room, or give other folders with "
            "$HF_HUB_CACHE and $HF_DATASETS_CACHE, then try again"
        )
    for each in errors:
        response = getattr(each, "response", None)
        if status := getattr(response, "status_code", None):
            reason, headers = getattr(response, "reason_phrase", ""), dict(response.headers)
            return of_status(status, reason, headers, hub, wanted)
    if any("scripts are no longer supported" in text for text in texts):
        return program(wanted)
    if any(word in text for word in UNKNOWN for text in texts):
        return (
            f"{wanted.repo} has several configurations or others ({said}); name one of them, as "
            f"in --config.data.name=hub:{wanted.repo}:CONFIG"
        )
    if any(word in text for word in DAMAGED for text in texts):
        return (
            f"a file of {wanted.repo} cannot be read ({said}); remove {cache}, in case it was "
            "damaged on the way, and try again, or give another set"
        )
    if any(word in text for word in BROKEN for text in texts):
        return (
            f"the connection broke while {wanted.repo} was fetched ({said}); try again: files "
            "that have come whole are kept"
        )
    return f"{wanted.repo} could not be read ({said}); try again, or give another set"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what it came of, and so on."""
    seen = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def is_full(error: BaseException) -> bool:
    """Return whether a disk was full, or would have been."""
    words = str(error).lower()
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return full or "no space left" in words or "not enough disk space" in words
