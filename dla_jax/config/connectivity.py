"""A quick answer to whether a page can be fetched at all."""

import http.client
import threading
import urllib.request
from typing import NamedTuple

PATIENCE = 5.0  # seconds that a host may take to answer
MOST = 2**24  # bytes that are read of a page
BROKEN = "its answer broke off"


class Answer(NamedTuple):
    """What came of asking for a page.

    content: what it holds; None where it cannot be fetched.
    reason: why not; None where it can.
    status: of HTTP, where a server refused it, such as 404.
    headers: that came with a refusal.
    """

    content: bytes | None
    reason: str | None
    status: int | None = None
    headers: dict[str, str] = {}


def unreachable(url: str) -> str | None:
    """Return why a page cannot be fetched, or None when it can; nothing of it is read.

    Honours proxies, and gives up after PATIENCE seconds.
    """
    return answer(url, read=0).reason


def fetched(url: str) -> Answer:
    """Return what a page of less than MOST bytes holds.

    Honours proxies, and gives up after PATIENCE seconds.
    """
    return answer(url, read=MOST)


def answer(url: str, read: int) -> Answer:
    """Return the first `read` bytes of a page, or why it cannot be fetched."""
    found = [Answer(None, f"no answer within {PATIENCE:g} seconds")]

    def ask():
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as page:
                content = page.read(read)
                # http.client does not say so where a number of bytes is asked for.
                cut = read and getattr(page, "length", None) and len(content) < read
                found[0] = Answer(None, BROKEN) if cut else Answer(content, None)
        except http.client.IncompleteRead:
            found[0] = Answer(None, BROKEN)
        except Exception as error:  # no network, a proxy that refuses, a login page, no HTTP at all
            reason = first_line(getattr(error, "reason", error))
            headers = dict(getattr(error, "headers", None) or {})
            found[0] = Answer(None, reason, getattr(error, "code", None), headers)

    # In a thread, since a name server may hang longer than any time-out of ours.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return found[0]


def first_line(error: object) -> str:
    """Return the first line of an error, at most 120 characters; its class if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
