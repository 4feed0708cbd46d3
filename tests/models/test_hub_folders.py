"""Folders of published models are read and written without pickles."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
import safetensors.numpy

from dla_jax.config.checks import ConfigError
from dla_jax.models import hub

RNG = np.random.default_rng(0)
SHAPES = {"a.weight": (3, 4), "a.bias": (4,), "b.weight": (2, 3, 2), "c": (1,), "d.e": (5, 2)}
TENSORS = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder of the test's own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_json_is_read_or_refused(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(ConfigError, match=r"no model folder: config.json cannot be read"):
        hub.read_json(path)
    path.write_text('{"a": [1, "è"]}')
    assert hub.read_json(path) == {"a": [1, "è"]}
    for content in (b"", b"{", b'{"a": "\xe8"}', b"[]", b"null", b"3"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"config.json is damaged") as caught:
            hub.read_json(path)
        assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def write_sharded(folder: Path, shards: list[dict[str, np.ndarray]]) -> None:
    """Write weights in several files with their index."""
    weight_map = {}
    for i, tensors in enumerate(shards, 1):
        file = f"model-{i:05}-of-{len(shards):05}.safetensors"
        safetensors.numpy.save_file(tensors, folder / file)
        weight_map |= dict.fromkeys(tensors, file)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def check_equal(found: dict, tensors: dict) -> None:
    """Assert that these are the tensors, as float32 arrays of numpy."""
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert isinstance(found[name], np.ndarray) and found[name].dtype == np.float32
        assert found[name].shape == tensor.shape
        np.testing.assert_array_equal(found[name], tensor)


def test_one_file_or_many_are_the_same_tensors(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    safetensors.numpy.save_file(TENSORS, tmp_path / "one" / "model.safetensors")
    names = list(TENSORS)
    parts = (names[:1], names[1:4], names[4:])
    write_sharded(tmp_path / "many", [{name: TENSORS[name] for name in part} for part in parts])
    check_equal(hub.read_tensors(tmp_path / "one"), TENSORS)
    check_equal(hub.read_tensors(tmp_path / "many"), TENSORS)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32"])
def test_every_kind_of_number_becomes_float32(tmp_path, dtype):
    x = jnp.asarray([[-3, 0.5, 128], [1, 2, 7]], jnp.float32)
    safetensors.flax.save_file({"x": x.astype(dtype)}, tmp_path / "model.safetensors")
    expected = np.trunc(x) if dtype == "int32" else np.asarray(x)
    check_equal(hub.read_tensors(tmp_path), {"x": expected})


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"has no model.safetensors; weights must be safetensors"):
        hub.read_tensors(tmp_path)
    write_sharded(tmp_path, [{"a": TENSORS["c"]}, {"b": TENSORS["c"]}])
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"has no model-00002-of-00002.safetensors"):
        hub.read_tensors(tmp_path)


def test_pickles_are_not_read_and_it_says_how_to_convert_them(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ConfigError) as caught:
        hub.read_tensors(tmp_path)
    how = "AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)"
    for words in (str(tmp_path), "pickles", "are not read", how):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value) and not Path("ran").exists()


@pytest.mark.parametrize("damage", ["empty", "short", "half", "header", "pickle"])
@pytest.mark.parametrize("sharded", [False, True])
def test_damaged_weights_are_refused(tmp_path, damage, sharded):
    path = tmp_path / ("model-00001-of-00001.safetensors" if sharded else "model.safetensors")
    if sharded:
        write_sharded(tmp_path, [TENSORS])
    else:
        safetensors.numpy.save_file(TENSORS, path)
    whole = path.read_bytes()
    contents = {
        "empty": b"",
        "short": whole[:7],
        "half": whole[: len(whole) // 2],
        "header": whole[:9] + b"!" + whole[10:],
        "pickle": b"\x80\x02}q\x00.",
    }
    path.write_bytes(contents[damage])
    with pytest.raises(ConfigError, match=f"{path.name} is damaged") as caught:
        hub.read_tensors(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[]", '{"weight_map": []}', '{"weight_map": {"a": 3}}']
)
def test_a_damaged_index_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ConfigError, match=r"model.safetensors.index.json is damaged"):
        hub.read_tensors(tmp_path)


def test_a_folder_that_was_written_is_read_again(tmp_path):
    folder, config = tmp_path / "deep" / "model", {"model_type": "gpt2", "n_layer": 2, "name": "è"}
    turned = TENSORS | {
        "turned": TENSORS["a.weight"].T,
        "every second": TENSORS["d.e"][::2],
        "of jax": jnp.asarray(TENSORS["c"]),
    }
    for _ in range(2):  # also over itself
        hub.write_folder(folder, config, turned)
    check_equal(hub.read_tensors(folder), jax.tree.map(np.asarray, turned))
    assert hub.read_json(folder / "config.json") == config
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    with safetensors.safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}  # which transformers looks for
