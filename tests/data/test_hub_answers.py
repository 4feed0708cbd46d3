"""What the Hugging Face hub answers, and what the library raises, is said in one right line."""

import errno
import http.server
import itertools
import json
import socket
import threading
import types

import hub_library
import pytest
from hub_library import image_data, refusal

from dla_jax.config import connectivity
from dla_jax.data import choices, hub_ask, hub_failures, hub_sets, images

PHOTOS = hub_sets.named("hub:me/photos", columns=("image",), label="label", kind="images", size=4)
STATUSES = {  # status: words of the line
    (401, ""): ["huggingface.co has no public set me/photos", "where capitals count"],
    (404, ""): ["has no public set me/photos"],
    (404, "RevisionNotFound"): ["has me/photos, but no revision main of it; leave out @main"],
    (403, ""): [
        "me/photos is not given to everyone",
        "fetch its files yourself",
        "folder of images",
    ],
    (429, ""): ["was asked too often from here (429); try again in some minutes"],
    (503, ""): ["huggingface.co, or a proxy before it, has trouble of its own (503 words)"],
    (400, ""): ["refuses to answer (400 words)", "HF_ENDPOINT"],
}


def asked(tmp_path, name="hub:me/photos"):
    return refusal(images.check_config, image_data(name), tmp_path, True)


@pytest.mark.parametrize(("status", "code"), STATUSES)
def test_each_status_has_advice_of_its_own(hub, tmp_path, status, code):
    hub.unplug("words", status, **({"X-Error-Code": code} if code else {}))
    message = asked(tmp_path)
    assert all(word in message for word in STATUSES[status, code]), message
    assert "cannot be reached" not in message


def test_how_long_to_wait_is_said_and_what_to_do_about_a_commit_that_is_gone(hub, tmp_path):
    hub.unplug("words", 429, **{"Retry-After": "40"})
    assert "try again in 40 seconds" in asked(tmp_path)
    hub.unplug("words", 404, **{"X-Error-Code": "RevisionNotFound"})
    message = asked(tmp_path, "hub:me/photos@v2")
    assert "no revision v2 of it; leave out @v2, or give another" in message
    message = asked(tmp_path, "cifar10")
    assert "update this project" in message and "leave out" not in message


def test_what_the_hub_does_not_give_or_does_not_have_is_said_before_it_is_fetched(hub, tmp_path):
    for known, words in {
        ("gated", "manual"): "me/photos is not given to everyone, and only public sets",
        ("private", True): "me/photos is not given to everyone",
        ("siblings", ()): "me/photos holds no data at main; give another set",
        ("siblings", ("photos.py", "README.md")): "holds a program that makes the set, and",
    }.items():
        key, value = known
        if key == "siblings":
            value = [{"rfilename": path, "size": 9} for path in value]
        hub({}, **{key: value})
        assert words in (message := asked(tmp_path)), message
    assert "name=hub:me/photos:CONFIG@refs/convert/parquet" in message


WHOLE = hub_library.answer()
ODD = [  # no answer of the hub
    b"<html>Log in</html>",
    b"{}",
    b"[]",
    b"\xff",
    WHOLE.replace(b'"sha": "0', b'"sha": "../0'),
    WHOLE.replace(b"1000", b"-1"),
    WHOLE.replace(b"1000", b'"many"'),
    json.dumps(json.loads(WHOLE) | {"siblings": 3}).encode(),
]


@pytest.mark.parametrize("content", ODD)
def test_what_is_no_answer_of_the_hub_is_said_to_be_none(hub, tmp_path, monkeypatch, content):
    monkeypatch.setattr(hub_ask, "fetched", lambda url: connectivity.Answer(content, None))
    message = asked(tmp_path)
    assert "gives an answer that is not the hub's" in message and "login page" in message


def test_another_commit_than_the_one_that_is_pinned_is_refused(hub, tmp_path):
    hub({}, commit="f" * 40)
    assert "another commit than asked for" in asked(tmp_path, "cifar10")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_breaks_off_is_not_called_an_odd_one(monkeypatch, chunked):
    head = (
        b"Transfer-Encoding: chunked\r\n\r\n1000\r\n"
        if chunked
        else b"Content-Length: 4096\r\n\r\n"
    )
    server = socket.create_server(("127.0.0.1", 0))

    def break_off():
        taken = server.accept()[0]
        taken.recv(10_000)
        taken.sendall(b"HTTP/1.1 200 OK\r\n" + head + WHOLE[:50])
        taken.close()

    threading.Thread(target=break_off, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("urllib.request._opener", None)
    message = refusal(hub_ask.ask, PHOTOS)
    assert "cannot be reached (its answer broke off); try again" in message, message


def test_the_headers_of_a_refusal_are_read(monkeypatch):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr("urllib.request._opener", None)
        assert "no revision main of it" in refusal(hub_ask.ask, PHOTOS)


def test_where_nothing_may_be_fetched_it_is_said_which_variable_says_so(hub, tmp_path, monkeypatch):
    hub.unplug()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "the variable HF_HUB_OFFLINE says that nothing is; unset it" in asked(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert "cannot be reached" in asked(tmp_path)


def raised(*errors):
    """Return the last of errors, each of which came of the one before."""
    for cause, error in itertools.pairwise(errors):
        error.__cause__ = cause
    return errors[-1]


class ArrowInvalid(ValueError):
    pass


class HTTPStatusError(Exception):
    def __init__(self, status):
        super().__init__(f"Client error '{status}'\nmany lines")
        reason = {"status_code": status, "reason_phrase": "words", "headers": {"retry-after": "7"}}
        self.response = types.SimpleNamespace(**reason)


ERRORS = [  # what the library raises, words of the line
    (
        raised(OSError(errno.ENOSPC, "No space left on device"), RuntimeError("x")),
        "no space is left",
    ),
    (OSError("Not enough disk space. Needed: 3 GiB"), "$HF_HUB_CACHE and $HF_DATASETS_CACHE"),
    (raised(HTTPStatusError(429), RuntimeError("Too many")), "try again in 7 seconds"),
    (raised(HTTPStatusError(502), FileNotFoundError("x")), "trouble of its own (502 words)"),
    (
        raised(ArrowInvalid("magic bytes"), RuntimeError("x")),
        "remove CACHE, in case it was damaged",
    ),
    (ConnectionError("Couldn't reach it"), "files that have come whole are kept"),
    (OSError("Consistency check failed: file should be of size 9"), "the connection broke while"),
    (TimeoutError("timed out"), "the connection broke while"),
    (RuntimeError("Dataset scripts are no longer supported, but found photos.py"), "@refs/convert"),
    (
        ValueError("Config name is missing.\nPlease pick one among: ['a', 'b']"),
        "has several configurations or others (Config name is missing. Please pick one among:",
    ),
    (KeyError("odd\nerror"), "could not be read ('odd\\nerror'); try again, or give another set"),
]


@pytest.mark.parametrize(("error", "words"), ERRORS)
def test_what_the_library_raises_has_advice_of_its_own(error, words):
    said = hub_failures.of_error(error, "https://hub", PHOTOS, "CACHE")
    assert words in said and "\n" not in said, said


def test_what_the_card_says_is_used_where_it_says_it_of_this_configuration():
    one = {"config_name": "a", "dataset_size": 7, "splits": [{"num_examples": 2}]}
    two = one | {"config_name": "b", "dataset_size": 9}
    for card, config, expected in [
        ({"dataset_info": one}, "", (7, 2)),
        ({"dataset_info": [one, two]}, "b", (9, 2)),
        ({"dataset_info": [one, two]}, "", (0, 0)),
        ({"dataset_info": "x"}, "", (0, 0)),
        (None, "", (0, 0)),
    ]:
        assert hub_ask.sizes_of(PHOTOS._replace(config=config), card) == expected


def test_dream_of_the_hub_has_the_questions_of_its_files(hub, small, tmp_path):
    from configs.race import choice_data

    dialogues = {
        "train": [[["M: Hi .", "W: No."], [ask("Who?", "b"), ask("Why?", "a")], "4-1"]],
        "dev": [[["W: Oh."], [ask("When?", "c")], "4-2"]],
        "test": [[["M: A?"], [ask("Where?", "b")], "4-3"]],
    }
    rows = {part: [] for part in dialogues}
    for part, several in dialogues.items():
        (tmp_path / f"{part}.json").write_text(json.dumps(several))
        for turns, questions, name in several:
            rows[part] += [each | {"dialogue": turns, "dialogue_id": name} for each in questions]
    parts = {
        {"dev": "validation"}.get(part, part): {
            key: [row[key] for row in of_part] for key in of_part[0]
        }
        for part, of_part in rows.items()
    }
    small("dream", 2, 1, 1)
    hub(parts, names={})
    data = choice_data()
    data.update({"name": "dream", "path": ""})
    choices.check_config(data, tmp_path, True)
    found = choices.load(data, tmp_path, True)
    files = hub_sets.SETS["dream"].files
    assert hub.calls == [
        ("dataset-org/dream", None, hub_sets.SETS["dream"].revision, {"data_files": files})
    ]
    data.path = str(tmp_path)
    assert found.identity == choices.load(data, tmp_path, True).identity
    assert found.part.tolist() == [0, 0, 1, 2]


def ask(question, answer):
    return {"question": question, "choice": ["a", "b", "c"], "answer": answer}
