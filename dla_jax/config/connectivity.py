"""A quick answer to whether a page can be fetched at all."""

import threading
import urllib.request

PATIENCE = 5.0  # seconds that a host may take to answer
MOST = 2**24  # bytes that are read of a page


def unreachable(url: str) -> str | None:
    """Return why a page cannot be fetched, or None when it can; nothing of it is read.

    Honours proxies, and gives up after PATIENCE seconds.
    """
    return answer(url, read=0)[1]


def fetched(url: str) -> tuple[bytes | None, str | None]:
    """Return what a page of less than MOST bytes holds, or (None, why it cannot be fetched).

    Honours proxies, and gives up after PATIENCE seconds.
    """
    return answer(url, read=MOST)


def answer(url: str, read: int) -> tuple[bytes | None, str | None]:
    """Return the first `read` bytes of a page and None, or None and why it cannot be fetched."""
    found = [(None, "no answer")]

    def ask():
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as page:
                found[0] = page.read(read), None
        except Exception as error:  # no network, a proxy that refuses, a login page, no HTTP at all
            found[0] = None, first_line(getattr(error, "reason", error))

    # In a thread, since a name server may hang longer than any time-out of ours.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return found[0]


def first_line(error: object) -> str:
    """Return the first line of an error, at most 120 characters; its class if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
