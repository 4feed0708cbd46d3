"""CSV files of labelled texts, written and read again."""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.data import labelled

ROWS = "label,text\nx,a\ny,b\n"
NUMBERS = {"header": False, "label_column": "0", "text_columns": ("1",)}


def config(**changes) -> ConfigDict:
    usual = {
        "name": "csv",
        "path": "train.csv",
        "test_path": "",
        "header": True,
        "label_column": "label",
        "text_columns": ("text",),
        "lower": False,
        "val_fraction": 0.1,
        "test_fraction": 0.2,
        "num_examples": 0,
    }
    return ConfigDict(usual | changes)


def load_files(folder: Path, train, test=None, **changes) -> labelled.LabelledTexts:
    """Write what `train.csv` and `test.csv` hold, str or bytes, and load them; None: no file."""
    for name, content in (("train", train), ("test", test)):
        if content is not None:
            content = content if isinstance(content, bytes) else content.encode()
            (folder / f"{name}.csv").write_bytes(content)
    test_path = "" if test is None else str(folder / "test.csv")
    labelled.load_csv.cache_clear()
    data = config(path=str(folder / "train.csv"), test_path=test_path, **changes)
    return labelled.load(data, folder, download=False)


def refusal(folder: Path, *contents, **changes) -> str:
    """Return the one line that refuses such files."""
    with pytest.raises(ConfigError) as caught:
        load_files(folder, *contents, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)
