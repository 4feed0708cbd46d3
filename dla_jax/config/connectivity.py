"""A quick answer to whether a page can be fetched at all."""

import threading
import urllib.request

PATIENCE = 5.0  # seconds that a host may take to answer


def unreachable(url: str) -> str | None:
    """Return why a page cannot be fetched, or None when it can.

    Honours proxies, and gives up after PATIENCE seconds.
    """
    reasons = ["no answer"]

    def ask():
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()
            reasons[0] = None
        except Exception as error:  # no network, a proxy that refuses, a login page, no HTTP at all
            reasons[0] = first_line(getattr(error, "reason", error))

    # In a thread, since a name server may hang longer than any time-out of ours.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return reasons[0]


def first_line(error: object) -> str:
    """Return the first line of an error, at most 120 characters; its class if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
