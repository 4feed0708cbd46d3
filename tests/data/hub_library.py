"""Sets as the library `datasets` gives them: by a few of its calls, written out, or by itself."""

import io
import json
import types

import numpy as np
import pytest
from PIL import Image as Picture

from configs.own import get_config
from dla_jax.config.checks import ConfigError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class ClassLabel:
    def __init__(self, names):
        self.names = names


class Value:
    def __init__(self, dtype="string"):
        self.dtype = dtype


class Image:
    def __init__(self, decode=True):
        self.decode = decode


class Dataset:
    """Rows of columns, as far as this project looks at them."""

    def __init__(self, columns, features):
        self.columns, self.features = columns, features

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, column):
        return self.columns[column]

    def __iter__(self):
        rows = zip(*self.columns.values(), strict=True)
        return (dict(zip(self.columns, row, strict=True)) for row in rows)

    def cast_column(self, column, feature):
        assert isinstance(feature, Image) and not feature.decode
        return self

    def select_columns(self, names):
        return Dataset({name: self.columns[name] for name in names}, self.features)


def png(pixels):
    """Return an image uint8 [H, W(, C)] as the library holds it before it is decoded."""
    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def features_of(columns, names, kinds):
    """Return the features of columns: `names` is {column: names of its classes}."""
    found = {}
    for column, values in columns.items():
        if column in names:
            found[column] = kinds.ClassLabel(names=list(names[column]))
        elif isinstance(values[0], dict):
            found[column] = kinds.Image()
        elif isinstance(values[0], list):
            found[column] = kinds.List(kinds.Value("string"))
        else:
            types = {int: "int64", float: "double"}
            found[column] = kinds.Value(types.get(type(values[0]), "string"))
    return found


class List:
    def __init__(self, feature):
        self.feature = feature


def fake(parts, names, calls):
    """Return a stand-in for the library, which knows one set.

    Args:
      parts: {part: {column: values}}.
      names: {column: names of its classes}.
      calls: what `load_dataset` is called with is added.
    """
    module = types.ModuleType("datasets")
    kinds = types.SimpleNamespace(ClassLabel=ClassLabel, Value=Value, Image=Image, List=List)

    def load_dataset(repo, config, revision, **more):
        calls.append((repo, config, revision, more))
        return {
            part: Dataset(columns, features_of(columns, names, kinds))
            for part, columns in parts.items()
        }

    module.load_dataset, module.Image = load_dataset, Image
    return module


def write_parquet(library, folder, parts, names):
    """Write a set as the real library reads it from a folder."""
    for part, columns in parts.items():
        features = library.Features(features_of(columns, names, library))
        path = folder / "data" / f"{part}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        library.Dataset.from_dict(columns, features=features).to_parquet(path)


def answer(num_bytes=1000, commit=COMMIT, path="data/train-0.parquet", **more):
    """Return what the hub says of a set."""
    files = [{"rfilename": path, "size": num_bytes}, {"rfilename": "README.md", "size": 10**15}]
    return json.dumps({"sha": commit, "siblings": files} | more).encode()


def pictures(n, shape, seed=0):
    """Return n images uint8 [n, *shape], each with levels of its own."""
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)


COLOURS = pictures(7, (6, 5, 3))
LABELS = [0, 1, 2, 0, 1, 2, 1]
NAMES = {"label": ("a", "b", "c")}


def parts_of(column="image", label="label", colours=COLOURS, labels=LABELS, train=5):
    """Return the parts of a set of images: {part: {column: values}}."""
    whole = {column: [png(each) for each in colours], label: list(labels)}
    cut = {"train": slice(train), "test": slice(train, None)}
    return {
        part: {key: values[where] for key, values in whole.items()} for part, where in cut.items()
    }


def image_data(name, **changes):
    data = get_config().data
    data.update({"name": name, "size": 4, "test_fraction": 0.0} | changes)
    return data


def refusal(call, *arguments):
    with pytest.raises(ConfigError) as refused:
        call(*arguments)
    message = str(refused.value)
    assert "\n" not in message and message.startswith("data."), message
    return message
