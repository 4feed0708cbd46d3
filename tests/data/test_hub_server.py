"""The library itself fetches from a hub of this machine: over HTTP, with what goes wrong there."""

import importlib.util
import io
import json
import os
import subprocess
import sys

import hub_server
import numpy as np
import pytest
from launching import ROOT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="needs requirements-hub.txt"
)
# A process of its own: the library reads where the hub is when it is imported.
FETCH = """
import json, sys
from pathlib import Path
from dla_jax.config.checks import ConfigError
from dla_jax.data import hub_fetch, hub_folder, hub_sets
for name in sys.argv[2:]:
    if name in hub_sets.SETS:
        wanted = hub_sets.SETS[name]._replace(revision="main", sizes={})
    else:
        wanted = hub_sets.named(name, columns=("text",), label="label", kind="texts")
    try:
        folder = hub_fetch.find_or_fetch(wanted, Path(sys.argv[1]), download=True)
        print(json.dumps([hub_folder.describe(folder), list(hub_folder.read_rows(folder))]))
    except ConfigError as error:
        sys.exit(str(error))
"""


def parquet(**columns):
    """Return a Parquet file."""
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def fetch(server, folder, *names):
    """Return what the fetch of sets answers, in a process of its own."""
    changes = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    names = names or ("hub:me/set",)
    return subprocess.run(
        (sys.executable, "-c", FETCH, str(folder / "data"), *names),
        # The last one lets bars be shown where standard error is no terminal.
        env=os.environ | changes | {"no_proxy": "127.0.0.1", "TQDM_POSITION": "-1"},
        capture_output=True,
        text=True,
        timeout=100,
    )


def texts(n, seed):
    rng = np.random.default_rng(seed)
    words = [rng.bytes(40).hex() for _ in range(n)]
    return {"text": words, "label": rng.integers(0, 3, n).tolist()}


TRAIN, TEST = texts(5000, 0), texts(10, 1)
FILES = {
    "README.md": b"# A set\n",
    "data/train-00000-of-00001.parquet": (TRAIN, "train"),
    "data/test-00000-of-00001.parquet": (TEST, "test"),
}


def files():
    return {
        path: given if isinstance(given, bytes) else parquet(**given[0])
        for path, given in FILES.items()
    }


def test_what_has_come_whole_is_not_fetched_again_and_the_rest_is(tmp_path):
    names = ["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"]
    given = files()
    with hub_server.serving(given, fault="short") as server:  # the connection is cut in each
        broken = fetch(server, tmp_path)
        assert broken.returncode == 1 and "\n" not in (said := broken.stderr.splitlines()[-1])
        assert "the connection broke while me/set was fetched" in said and "try again" in said
        server.fault = None
        found = fetch(server, tmp_path)
        assert found.returncode == 0, found.stderr
        about, rows = json.loads(found.stdout)
        assert about["commit"] == hub_server.COMMIT and about["sizes"] == {
            "train": 5000,
            "test": 10,
        }
        expected = {key: TRAIN[key] + TEST[key] for key in TRAIN}
        assert [row["text"] for row in rows] == expected["text"]
        assert [row["label"] for row in rows] == expected["label"]
        assert "B/s" in found.stderr and "fetching me/set at 0123456789ab" in found.stderr
        server.asked.clear()
        assert fetch(server, tmp_path).stdout == found.stdout and server.asked == []
        for folder in (tmp_path / "data").glob("hub/*"):  # as if it was stopped before it was kept
            folder.rename(tmp_path / "elsewhere")
        assert fetch(server, tmp_path).stdout == found.stdout
        assert not [
            path for verb, path in server.asked if verb == "GET" and path.endswith(names[0])
        ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("damaged", ["a file of me/set cannot be read", "remove ", "home/hub/datasets--me--set"]),
        (403, ["me/set is not given to everyone", "only public sets are fetched"]),
    ],
)
def test_what_goes_wrong_with_a_file_is_one_line(tmp_path, fault, words):
    with hub_server.serving(files(), fault) as server:
        answer = fetch(server, tmp_path)
    said = answer.stderr.splitlines()[-1]
    assert answer.returncode == 1 and all(word in said for word in words), answer.stderr
    assert not list((tmp_path / "data").glob("hub/*/*")), "nothing unfinished is left"
    assert not list((tmp_path / "home").rglob("*.parquet.incomplete"))


def test_the_hubs_own_copy_is_read_of_dream_and_of_a_configuration(tmp_path):
    turns = {"train": [["M: Hi.", "W: No."], ["W: Oh."]], "validation": [["M: A?"]]}
    turns |= {"test": [["W: B."]]}
    given = {
        f"{config}/train/0000.parquet": parquet(**texts(4, i)) for i, config in enumerate("ab")
    }
    for part, dialogues in turns.items():
        many = len(dialogues)
        rows = {"dialogue_id": [f"{part}-{i}" for i in range(many)], "id": list(range(many))}
        rows |= {"question": ["Who?"] * many, "answer": ["b"] * many}
        rows |= {"dialogue": dialogues, "choice": [["a", "b", "c"]] * many}
        given[f"plain_text/{part}/0000.parquet"] = parquet(**rows)
    with hub_server.serving(given) as server:
        answer = fetch(server, tmp_path, "dream", "hub:me/set:b@refs/convert/parquet")
    assert answer.returncode == 0, answer.stderr
    (about, rows), (_, of_b) = map(json.loads, answer.stdout.splitlines())
    assert about["sizes"] == {"train": 2, "validation": 1, "test": 1}
    assert [row["dialogue"] for row in rows] == [
        *turns["train"],
        *turns["validation"],
        *turns["test"],
    ]
    assert rows[0]["choice"] == ["a", "b", "c"] and rows[2]["dialogue_id"] == "validation-0"
    assert [row["text"] for row in of_b] == texts(4, 1)["text"]
