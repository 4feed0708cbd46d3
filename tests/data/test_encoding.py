"""Bytes as text, wherever they come from: files of texts and of rows, one text, a pipe."""

import io
import shlex
import subprocess

import numpy as np
import pytest
from ml_collections import ConfigDict

from dla_jax.commands import predict
from dla_jax.config.checks import ConfigError
from dla_jax.data import encoding, text

WORDS = "label,text\r\nx,perché 天气 😀\r\n"


def refused(content, path="my file.txt"):
    with pytest.raises(ConfigError) as caught:
        encoding.decode(content, "data.path: my file.txt", path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("data.path: my file.txt ")
    return str(caught.value)


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_decoded_and_its_mark_goes(name):
    assert encoding.decode(WORDS.encode(name), "x") == WORDS
    assert encoding.decode("".encode(name), "x") == ""


@pytest.mark.parametrize("name", ["utf-16le", "utf-16be", "utf-32le", "utf-32be"])
def test_either_order_of_bytes_will_do(name):
    assert encoding.decode(("\ufeff" + WORDS).encode(name), "x") == WORDS
    twice = ("\ufeff" + WORDS + "\ufeff").encode(name)
    assert encoding.decode(twice, "x") == WORDS + "\ufeff"  # the first alone is a mark


@pytest.mark.parametrize("name", ["utf-16le", "utf-16be"])
@pytest.mark.parametrize(
    "words",
    [
        WORDS,
        "天气很好，我们一一去公园。\n" * 50,
        "a",
        "one 一, two",
        "😀a\nb" + "😀" * encoding.SAMPLE,
    ],
)
def test_utf_16_without_its_mark_is_named_with_the_command_that_mends_it(name, words, tmp_path):
    content = words.encode(name)
    message = refused(content)
    command = f"iconv -f {name} -t utf-8 'my file.txt' > utf8.txt"
    assert message.endswith(f"is UTF-16 without a byte order mark; convert it, as in: {command}")
    (tmp_path / "my file.txt").write_bytes(content)
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert encoding.decode((tmp_path / "utf8.txt").read_bytes(), "x") == words


@pytest.mark.parametrize(
    "content",
    [
        b"ab\0cd",
        b"\0",
        b"\0\0",
        b"a\0\0\0b\0\0\0",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0",
        "a\nb".encode("utf-32le"),
        b"a\0\x01\0",
        b"a\0b\0c",
        b"\0a\0b\xd8\0\0\n",
        b"a\0b\0\0\xd8\n\0",
        np.arange(1000).astype("<i2").tobytes(),
        np.linspace(0, 1, 100).astype("<f4").tobytes(),
        b"text " * encoding.SAMPLE + b"\0",
        "\ufeffa\0b".encode("utf-16le"),
        "\ufeffabc\0".encode(),
    ],
)
def test_what_is_binary_is_called_so(content):
    assert refused(content).endswith("is binary; give a text file in UTF-8")


@pytest.mark.parametrize(
    ("content", "byte"),
    [
        ("perché".encode("latin1"), 5),
        ("\ufeffper".encode() + b"\xe9", 6),
        (b"\x80", 0),
        (b"a\xc3", 1),
        (b"\xed\xa0\x80", 0),
    ],
)
def test_where_utf_8_ends_is_said(content, byte):
    command = "iconv -f latin1 -t utf-8 'my file.txt' > utf8.txt"
    assert refused(content).endswith(f"is not UTF-8 at byte {byte}; convert it, as in: {command}")
    assert shlex.split(command)[5] == "my file.txt"
    assert refused(content, "").endswith("as in: iconv -f latin1 -t utf-8")  # of a pipe


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\ufeffab".encode("utf-16le") + b"c", "begins as UTF-16, and is not at byte 6"),
        (b"\xff\xfea\0\0\xd8b\0", "UTF-16, and is not at byte 4"),
        ("\ufeffab".encode("utf-32be") + b"c", "begins as UTF-32, and is not at byte 12"),
        (b"\xff\xfe\0\0\0\xd8\0\0", "UTF-32, and is not at byte 4"),
    ],
)
def test_broken_utf_16_is_named(content, words):
    assert words in refused(content) and refused(content).endswith("write it anew, in UTF-8")


def test_a_text_may_be_utf_16(tmp_path):
    (tmp_path / "x.txt").write_bytes("è\r\nb\rc\n".encode("utf-16"))
    assert text.load(str(tmp_path / "x.txt")).text == "è\nb\nc\n"


@pytest.fixture(params=["file", "pipe"])
def read(request, tmp_path, monkeypatch):
    """Read texts to classify."""

    def read(content: bytes):
        path = tmp_path / "texts.txt"
        path.write_bytes(content)
        monkeypatch.setattr(predict, "standard_input", io.BytesIO(content).read)
        file = str(path) if request.param == "file" else ""
        return predict.read_texts(ConfigDict({"text": "", "file": file}))

    return read


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way(read, end):
    lines = ["Return the sum.", " Fit it. "]
    assert read(end.join([*lines, ""]).encode()) == lines
    assert read(end.join(lines).encode()) == lines
    assert read(f"one{end}".encode("utf-16")) == ["one"]


@pytest.mark.parametrize(
    "content", [b"a\nb\r", b"a\r\nb\r", b"a\rb\r\n", b"a\r\nb\n", b"\xef\xbb\xbfa\rb"]
)
def test_no_carriage_return_stays(read, content):
    assert read(content) == ["a", "b"]


def test_what_no_line_ends_at_stays_in_a_text(read):
    assert read("a\u2028b\x0bc\x85d\n".encode()) == ["a\u2028b\x0bc\x85d"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no text"),
        (b"\n", "holds no text"),
        (b"\r\n", "holds no text"),
        (b"a\n\n", "line 2 is empty"),
        (b"a\r\n\r\nb\r\n", "line 2 is empty"),
        (b"a\r\rb", "line 2 is empty"),
        (b"\na", "line 1 is empty"),
        (b"a\n \t\nb", "line 2 is empty"),
        (b"a\r\r\n", "line 2 is empty"),
        (b"perch\xe9\n", "is not UTF-8 at byte 5; convert it, as in: iconv -f latin1 -t utf-8"),
        (b"ab\0cd", "is binary"),
        ("ab\n".encode("utf-16be"), "iconv -f utf-16be -t utf-8"),
    ],
)
def test_what_is_no_text_to_classify_is_refused(read, content, words):
    with pytest.raises(ConfigError) as caught:
        read(content)
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert ("standard input" in message) != ("texts.txt" in message)


@pytest.mark.parametrize(
    ("given", "text"),
    [("Return.\r", "Return."), ("Return.\r\n", "Return."), ("a\r\nb", "a\nb"), ("a b", "a b")],
)
def test_one_text_may_end_as_a_file_does(given, text):
    assert predict.read_texts(ConfigDict({"text": given, "file": ""})) == [text]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path, words in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(ConfigError, match=rf"file: .* cannot be read \({words}"):
            predict.read_texts(ConfigDict({"text": "", "file": str(path)}))
