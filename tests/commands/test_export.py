"""An exported language model has its tensors, tokens, logits and texts; the card says whose."""

import functools
import importlib.util
import json

import jax
import numpy as np
import pytest
from cards import example_of, run_example
from launching import ROOT, assert_refused, launch
from safetensors.numpy import load_file

from dla_jax.commands import generate
from dla_jax.commands.export import card, decoder
from dla_jax.config.checks import ConfigError
from dla_jax.data import tokenize
from dla_jax.evidence.rows import read_record
from dla_jax.models import pretrained
from dla_jax.tasks import sampling

NETWORKS = ("gpt", "llama_4_heads")
needs_torch = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs requirements-bench.txt",
)


@pytest.fixture(scope="module")
def folders(smoke, tmp_path_factory):
    """Return {network: the folder that it was exported to}."""
    base, found = tmp_path_factory.mktemp("exported"), {}
    for network in NETWORKS:
        found[network] = base / network / "my_model"
        answer = launch(
            "--config=configs/export.py",
            f"--from={smoke('dante')[0]}",
            f"--config.network={network}",
            f"--config.folder={found[network]}",
            f"--workdir={base / network / 'run'}",
        )
        assert answer.code == 0, answer.err
        assert "nats per character of the test text" in answer.err
    return found


def trained(smoke, network):
    workdir = smoke("dante")[0]
    row = generate.choose_model(workdir, network)
    return generate.read_model(workdir, row), row


def of_gpt(config):
    width, inner = config["n_embd"], 4 * config["n_embd"]
    shapes = {
        "transformer.wte.weight": [config["vocab_size"], width],
        "transformer.wpe.weight": [config["n_positions"], width],
        "transformer.ln_f.weight": [width],
        "transformer.ln_f.bias": [width],
    }
    for i in range(config["n_layer"]):
        for name, shape in {
            "ln_1": [width],
            "attn.c_attn": [width, 3 * width],
            "attn.c_proj": [width, width],
            "ln_2": [width],
            "mlp.c_fc": [width, inner],
            "mlp.c_proj": [inner, width],
        }.items():
            shapes[f"transformer.h.{i}.{name}.weight"] = shape
            shapes[f"transformer.h.{i}.{name}.bias"] = shape[-1:]
    return shapes


def of_llama(config):
    width, inner = config["hidden_size"], config["intermediate_size"]
    shared = width // config["num_attention_heads"] * config["num_key_value_heads"]
    whole = [config["vocab_size"], width]
    shapes = {"model.embed_tokens.weight": whole, "model.norm.weight": [width]}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = whole
    for i in range(config["num_hidden_layers"]):
        for name, shape in {
            "input_layernorm": [width],
            "post_attention_layernorm": [width],
            "self_attn.q_proj": [width, width],
            "self_attn.k_proj": [shared, width],
            "self_attn.v_proj": [shared, width],
            "self_attn.o_proj": [width, width],
            "mlp.gate_proj": [inner, width],
            "mlp.up_proj": [inner, width],
            "mlp.down_proj": [width, inner],
        }.items():
            shapes[f"model.layers.{i}.{name}.weight"] = shape
    return shapes


def test_all_tensors_that_transformers_expects_are_there(folders):
    for network, expected in zip(NETWORKS, (of_gpt, of_llama), strict=True):
        config = json.loads((folders[network] / "config.json").read_text())
        tensors = load_file(folders[network] / "model.safetensors")
        assert {name: list(each.shape) for name, each in tensors.items()} == expected(config)
        assert config["bos_token_id"] is config["eos_token_id"] is None


@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_read_back_as_it_was(network, folders, smoke):
    found, _ = trained(smoke, network)
    model, params = pretrained.load(folders[network])
    assert model.config == found.model.config._replace(dropout=0.0)
    jax.tree.map(np.testing.assert_array_equal, params, found.params)
    config = json.loads((folders[network] / "config.json").read_text())
    dropout = config["resid_pdrop" if network == "gpt" else "attention_dropout"]
    assert dropout == found.model.config.dropout


@pytest.mark.parametrize("network", NETWORKS)
def test_its_tokens_are_the_same(network, folders, smoke):
    found, _ = trained(smoke, network)
    theirs = tokenize.published(folders[network], found.model.config.vocab_size)
    for text in ("the", "a  b\n\n c , 'd' (e).\n", " \n"):
        np.testing.assert_array_equal(theirs.encode(text), found.tokenizer.encode(text))
        assert theirs.decode(theirs.encode(text)) == text
    if network == "gpt":
        with pytest.raises(ConfigError, match="cannot read 'a漢'"):
            theirs.encode("a漢")


def test_our_own_commands_write_the_same_from_the_folder(folders, smoke, tmp_path):
    sizes = ("--config.num_tokens=40", "--config.temperature=0", "--config.prompt=the ")
    ours = launch(
        "--config=configs/generate.py",
        f"--from={smoke('dante')[0]}",
        "--config.network=gpt",
        *sizes,
        f"--workdir={tmp_path / 'a'}",
    )
    flags = ("--config=configs/gpt2.py", f"--config.path={folders['gpt']}", "--config.sentence=the")
    theirs = launch(*flags, *sizes, f"--workdir={tmp_path / 'b'}")
    assert ours.code == theirs.code == 0, theirs.err
    assert theirs.out.endswith(f"\n{ours.out}") and len(ours.out) == 4 + 40 + 1
    unknown = launch(*flags, "--config.prompt=漢", f"--workdir={tmp_path / 'c'}")
    assert unknown.code == 2 and "characters that the model saw" in unknown.err.splitlines()[-1]


@needs_torch
@pytest.mark.parametrize("network", NETWORKS)
def test_transformers_computes_and_writes_the_same(network, folders, smoke):
    import torch
    import transformers

    found, row = trained(smoke, network)
    model = transformers.AutoModelForCausalLM.from_pretrained(folders[network])
    expected = {"gpt": "GPT2LMHeadModel", "llama_4_heads": "LlamaForCausalLM"}
    assert type(model).__name__ == expected[network]
    size, length = found.model.config.vocab_size, found.model.config.block_size
    tokens = np.random.default_rng(0).integers(0, size, (3, length))
    with torch.no_grad():
        theirs = model(torch.tensor(tokens)).logits.numpy()
    ours = found.model.apply({"params": found.params}, tokens)[0]
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[network])
    text = "the  a\n ( b ) 's , ."
    read = tokenizer(text, return_tensors="pt")
    np.testing.assert_array_equal(read["input_ids"][0], found.tokenizer.encode(text))
    assert tokenizer.decode(read["input_ids"][0]) == text
    read = tokenizer("the ", return_tensors="pt")
    more = length - len(read["input_ids"][0])
    written = model.generate(**read, do_sample=False, max_new_tokens=more)[0]
    prompt, coldest = found.tokenizer.encode("the "), sampling.Sampler(0.0)
    sizes = {"num_tokens": more, "num_samples": 1, "key": jax.random.key(0)}
    ours = sampling.sample(found.model, found.params, prompt, **sizes, sampler=coldest)
    np.testing.assert_array_equal(written[len(prompt) :], ours[0])
    code = example_of((folders[network] / "README.md").read_text())
    begun = found.tokenizer.decode(found.tokenizer.encode(row["prompt"])[: length // 2])
    assert run_example(code, folders[network]).startswith(begun)


@needs_torch
def test_the_example_of_the_page_runs(folders):
    page = (ROOT / "docs" / "usage.md").read_text()
    lines = page.partition("    from transformers import pipeline\n")[2].partition("\n\n")[0]
    assert 'pipeline("text-generation", "my_model")' in lines and "my_model" not in lines[99:]
    code = "\n".join(["from transformers import pipeline", *map(str.strip, lines.splitlines())])
    assert run_example(code, folders["gpt"].parent).startswith("the ")


def test_the_card_says_what_the_record_says(folders, smoke):
    from huggingface_hub import ModelCard

    workdir = smoke("dante")[0]
    rows = {row["run"]: row for row in read_record(workdir) if row.get("done")}
    for network in NETWORKS:
        path = folders[network] / "README.md"
        head = ModelCard.load(path).data.to_dict()
        assert head["library_name"] == "transformers" and "license" not in head
        assert head["pipeline_tag"] == "text-generation" and "datasets" not in head
        _, row = trained(smoke, network)
        scores = [rows[f"final/{network}/seed{seed}"]["nats_per_char"] for seed in (0, 1)]
        text = path.read_text()
        assert f"| this model, seed {row['seed']} | {row['nats_per_char']:.3f} |" in text
        assert f"| mean of 2 seeds | {np.mean(scores):.3f} |" in text
        written = json.loads((workdir / "config.json").read_text())
        assert written["launches"][0]["command"] in text and f"- run: {row['run']}\n" in text
        assert written["data"]["fingerprint"] in text and f"learning rate: {row['lr']:g}" in text
        assert "\nmodel.block_size=32\n" in text and "data.path" not in text
        for claim in json.loads((workdir / "summary.json").read_text())["claims"]:
            assert f"| {claim['verdict']} | {claim['statement']} |" in text


def test_the_card_says_which_text_was_scored_and_its_example_fits_the_context(smoke):
    found, row = trained(smoke, "gpt")
    study = card.read(smoke("dante")[0])
    assert "nats per character, test text" in card.scores(study, row)
    text = card.scores(study, row | {"scored_on": "val"})
    assert "nats per character, validation text" in text and "the score is too good" in text
    code = decoder.example(found, "the " * 100)
    assert f"tokenizer({'the ' * 4!r}, " in code and "max_new_tokens=16)" in code


@needs_torch
@pytest.mark.parametrize("network", NETWORKS)
def test_beyond_the_context_is_what_the_card_says(network, folders):
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folders[network])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[network])
    text = (folders[network] / "README.md").read_text()
    read = tokenizer("the", return_tensors="pt")
    write = functools.partial(model.generate, **read, do_sample=False, max_new_tokens=40)
    if network == "gpt":
        assert "our own `generate` goes on with the last ones, `transformers` raises" in text
        with pytest.raises(IndexError):
            write()
    else:
        assert "`transformers` writes on at positions that it never saw" in text
        assert write().shape == (1, read["input_ids"].shape[1] + 40)


def test_what_is_wrong_is_named(smoke, tmp_path):
    flags = ("--config=configs/export.py", f"--workdir={tmp_path / 'x'}")
    dante = smoke("dante")[0]
    for words, said in {
        (f"--from={tmp_path}",): ["no config.json"],
        (f"--from={smoke('ag_news')[0]}",): ["can be exported, but features", "language, depth"],
        (f"--from={dante}", "--config.network=gbt"): ["unknown 'gbt'", "gpt, llama_4_heads"],
    }.items():
        assert_refused(launch(*flags, *words), said)
