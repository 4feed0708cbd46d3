"""Bytes of a file, or of a pipe, as text."""

import codecs
import shlex

from dla_jax.config.checks import ConfigError, check

MARKS = {  # those of UTF-32 first: one begins as that of UTF-16 does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SAMPLE = 1 << 16  # bytes that tell UTF-16 from what is no text; even


def decode(content: bytes, where: str, path: str = "") -> str:
    """Decode UTF-8, or UTF-16 or UTF-32 that begin with a byte order mark; the mark goes.

    Excel writes its "Unicode text" so.

    Args:
      where: how a message names the bytes.
      path: of the file, "" for a pipe.

    Raises:
      ConfigError: binary, or text in another encoding.
    """
    found = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8-sig")
    if found == "utf-8-sig" and b"\0" in content:
        name = utf_16_of(content)
        mended = command(name, path)
        check(not name, f"{where} is UTF-16 without a byte order mark; convert it, as in: {mended}")
        check(False, f"{where} is binary; give a text file in UTF-8")
    try:
        text = content.decode(found)
    except UnicodeDecodeError as error:
        byte = len(content) - len(error.object) + error.start  # Python counts from behind the mark
        if found == "utf-8-sig":
            mended = command("latin1", path)
            raise ConfigError(
                f"{where} is not UTF-8 at byte {byte}; convert it, as in: {mended}"
            ) from None
        raise ConfigError(
            f"{where} begins as {found.upper()}, and is not at byte {byte}; write it anew, in UTF-8"
        ) from None
    check("\0" not in text, f"{where} is binary; give a text file in UTF-8")
    return text


def utf_16_of(content: bytes) -> str:
    """Return "utf-16le" or "utf-16be" for bytes that look so, else "".

    They look so where each character prints, and high halves are NUL. Low halves may be NUL too,
    as of the Chinese one, U+4E00; but a line end in the other order is no character.
    """
    sample = content[:SAMPLE]
    highs = {"utf-16le": sample[1::2].count(0), "utf-16be": sample[::2].count(0)}
    for name in sorted(highs, key=highs.get, reverse=True):
        if len(content) % 2 == 0 and highs[name] > 0:
            try:
                # Incremental: the sample may end between the halves of a pair.
                text = codecs.getincrementaldecoder(name)().decode(sample)
            except UnicodeDecodeError:
                continue
            if all(letter.isprintable() or letter.isspace() for letter in text):
                return name
    return ""


def command(name: str, path: str) -> str:
    """Return the command that makes UTF-8 of a file, or of a pipe, in the encoding `name`."""
    return f"iconv -f {name} -t utf-8" + (f" {shlex.quote(path)} > utf8.txt" if path else "")
