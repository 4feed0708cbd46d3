"""Flags, wrong input, exit codes."""

import sys
import time

import pytest
from launching import ROOT, environment, launch, launch_many

CONFIG = "--config=configs/rescnn.py:smoke"
DANTE = "--config=configs/dante.py:smoke"
AGENTS = "--config=configs/agents.py:smoke"
WRONG = {
    # what is typed: words that the one line must hold
    "": ["--config=configs/rescnn.py:digits"],
    "--confg=configs/rescnn.py:smoke": ["confg"],
    "--workdr=x --config=configs/rescnn.py:smoke": ["workdr", "workdir"],
    "--config=configs/rescn.py:smoke": ["configs/rescn.py", "did you mean 'configs/rescnn.py'"],
    "--config=configs/rescnn.py:digits,as_implemented=true": [
        "as_implemented",
        "lab_a, lab_b and he",
    ],
    "--config=configs/mlp.py:mnist,depth=3": ["depth", "digits"],
    "--config=configs/rescnn.py --data_dir=tests --nodownload": ["cifar10", "tests", "--data_dir"],
    "--config=configs/mlp.py --data_dir=tests --nodownload": ["mnist", "tests"],
    f"{CONFIG} --multihost": ["--multihost", "--workdir"],
    f"{CONFIG} --config.parallel=pmp": ["parallel", "did you mean 'pmap'"],
    f"{CONFIG} --config.label_smoothing=1": ["label_smoothing"],
    f"{CONFIG} --config.model.norm=layer": ["model.norm", "batch"],
    f"{CONFIG} --config.data.name=folder": ["data.path"],
    f"{CONFIG} --config.data.name=folder --config.data.path=nowhere": ["nowhere"],
    f"{CONFIG} --config.data.name=mnist --nodownload": ["data.test_fraction", "test part"],
    f"{CONFIG} --config.model.name=perceptron": ["model.name"],
    "--config=configs/rescnn.py:he --config.depths=20,21 --nodownload": [
        "depths",
        "no ResNet of depth 21",
        "6n + 2",
    ],
    "--config=configs/rescnn.py:lab_b --config.depths=10 --nodownload": [
        "depths",
        "no net of depth 10",
        "9, 17, 32, 48",
    ],
    "--config=configs/rescnn.py:he --config.side_arms=plain+batch --nodownload": [
        "side_arms",
        "resnet has no 'batch'",
    ],
    "--config=configs/mlp.py --config.networks.mlp_784.model.dropout=1.5 --nodownload": [
        "mlp_784",
        "dropout",
        "1.5",
    ],
    "--config=configs/mlp.py --config.networks.mlp_784.model.widths=0 --nodownload": [
        "mlp_784",
        "widths",
        "0",
    ],
    "--config=configs/mlp.py --config.model.init=dirac": ["--config.model.init", "unknown key"],
    "--config=configs/rescnn.py:digits,depth=3": ["depth: 3 is not below 5", "give a deeper one"],
    "--config=configs/mlp.py:smoke --config.model.name=cnn": [
        "model.name",
        "cnn needs model.pools",
    ],
    "--config=configs/mlp.py:smoke --config.model.name=resnet": ["model.name", "model.bottleneck"],
    "--config=configs/gradients.py:smoke --config.model.depth=1": [
        "networks.plain",
        "model.depth: 1",
    ],
    "--config=configs/gradients.py:smoke --config.probe_every_steps=0": ["probe_every_steps"],
    "--config=configs/resnet34.py:smoke --config.pair=convnet": ["pair", "give two"],
    "--config=configs/resnet34.py:digits,as_implemented=true": ["as_implemented", "cifar10"],
    "--config=configs/compare.py": ["runs is empty"],
    "--config=configs/compare.py:smoke --config.runs=runs/a": ["makes its own studies"],
    "--config=configs/dante.py:tny": ["'tny'", "did you mean 'tiny'"],
    f"{DANTE} --config.data.path=nowhere.txt": ["data.path", "nowhere.txt"],
    f"{DANTE} --config.data.path=docs": ["data.path", "folder"],
    f"{DANTE} --config.data.path=docs/figures/rescnn_accuracy.png": ["data.path", "binary"],
    f"{DANTE} --config.data.path=.gitignore": ["gpt", "too few"],
    f"{DANTE} --config.data.path=.ci/run": ["gpt", "too short for one window"],
    f"{DANTE} --config.data.val_fraction=1e-5": ["val part", "too short for one window"],
    f"{DANTE} --config.data.val_fraction=0.6": ["data.val_fraction", "less than 0.5"],
    f"{DANTE} --config.networks.llama_4_heads.tokenizer.vocab_size=500000": [
        "llama_4_heads",
        "vocab_size: 500000",
        "allows",
    ],
    f"{DANTE} --config.sample.prompt=ciaoè": ["gpt", "never saw 'è'"],
    f"{DANTE} --config.sample.top_p=0": ["sample.top_p"],
    f"{DANTE} --config.model.n_head=3": ["gpt", "n_embd: 16", "n_head, 3"],
    f"{DANTE} --config.data.path=": ["data.path is empty"],
    f"{DANTE} --config.seeds=0,0": ["seeds", "twice"],
    f"{DANTE} --config.accumulate=3": ["batch_size: 8", "accumulate"],
    f"{DANTE} --config.target_order=4": ["target_order: 4", "ngram_order"],
    f"{DANTE} --from=runs/x": ["--from"],
    "--config=configs/generate.py": ["--from is missing"],
    "--config=configs/generate.py --from=tests": ["tests is no workdir"],
    "--config=configs/generate.py:smoke --from=tests": ["--from", "makes its own model"],
    "--config=configs/generate.py:smoke --config.top_k=-1": ["top_k"],
    "--config=configs/generate.py:smoke --config.num_tokens=0": ["num_tokens"],
    "--config=configs/yahoo.py": ["data.path is empty"],
    "--config=configs/yahoo.py --config.data.path=nowhere.csv --config.data.test_path=b.csv --nodownload": [
        "nowhere.csv"
    ],
    "--config=configs/yahoo.py:smoke --config.encoder.path=distilroberta-base --nodownload": [
        "distilroberta-base",
        "Hugging Face cache",
        "--download",
    ],
    "--config=configs/yahoo.py:smoke --config.data.name=csv --config.data.path=nowhere.csv": [
        "nowhere.csv"
    ],
    "--config=configs/yahoo.py:smoke --config.data.name=csv --config.data.path=nowhere.csv --config.data.test_fraction=0.0": [
        "data.test_fraction",
        "data.test_path",
    ],
    "--config=configs/yahoo.py:smoke --config.data.name=docstring": [
        "data.name",
        "did you mean 'docstrings'",
    ],
    "--config=configs/yahoo.py:smoke --config.data.name=ag_news_subset --config.data.test_fraction=0.0 --data_dir=tests --nodownload": [
        "ag_news_subset",
        "tests",
    ],
    "--config=configs/yahoo.py:smoke --config.networks.corrected.model.frozen_layers=3": [
        "networks.corrected",
        "frozen_layers: 3 of 1 layers",
    ],
    "--config=configs/yahoo.py:smoke --config.encoder.path=configs": ["configs is no model folder"],
    "--config=configs/yahoo.py:smoke --config.encoder.path=tests/fixtures/llama": [
        "is a Llama; give BERT"
    ],
    "--config=configs/ag_news.py:smoke --config.encoder.path=tests/fixtures/bert": [
        "encoder.max_length",
        "positions for 11",
    ],
    "--config=configs/ag_news.py:smoke --config.encoder.path=tests/fixtures/bert --config.encoder.max_length=11 --config.widths=4": [
        "has no tokenizer"
    ],
    "--config=configs/gpt2.py --nodownload": ["gpt2", "Hugging Face cache"],
    "--config=configs/gpt2.py --config.path=tests/fixtures/bert": ["holds no GPT-2"],
    "--config=configs/gpt2.py --config.path=tests/fixtures/gpt2": ["has no tokenizer"],
    "--config=configs/gpt2.py:smoke --config.path=gpt2": ["path"],
    "--config=configs/gpt2.py:smoke --config.sentence=": ["sentence is empty"],
    "--config=configs/predict.py": ["--from is missing"],
    "--config=configs/predict.py --from=tests": ["tests is no workdir"],
    "--config=configs/predict.py:smoke --config.image=x.png": ["text and image"],
    "--config=configs/export.py": ["--from is missing"],
    "--config=configs/export.py:smoke --config.folder=configs": ["folder: configs is not empty"],
    f"{AGENTS} --config.env.name=CartPole-v2": [
        "arms.",
        "env.name",
        "did you mean 'CartPole-v1'",
        "Acrobot-v1",
    ],
    f"{AGENTS} --config.env.name=MNISTBandit-bsuite": ["env.name", "from the network"],
    "--config=configs/dqn.py:smoke --config.env.name=Pendulum-v1": [
        "agent.name: dqn",
        "Pendulum-v1",
        "continuous",
    ],
    "--config=configs/ppo.py:smoke --config.agent.minibatches=3": [
        "agent.minibatches",
        "64 steps",
        "3 equal minibatches",
    ],
    f"{AGENTS} --config.order=ppo,dqn": ["order: ppo, dqn", "dqn, ppo, reinforce"],
    f"{AGENTS} --config.gamma=1.01": ["gamma: 1.01", "at most 1"],
    "--config=configs/ppo.py:smoke --config.total_steps=63": ["total_steps: 63", "one rollout, 64"],
    "--config=configs/reinforce.py:smoke --config.total_steps=50": [
        "total_steps: 50",
        "4 episodes of at most 30 steps, 120",
    ],
    "--config=configs/dqn.py:smoke --config.agent.learning_starts=500": [
        "agent.learning_starts: 500",
        "buffer_size, 400",
    ],
    "--config=configs/reinforce.py:smoke --config.optim.schedule=linear": [
        "optim.schedule",
        "REINFORCE",
    ],
    "--config=configs/ppo.py:smoke --config.model.name=cnn": ["model.name", "images"],
    f"{AGENTS} --from=runs/x": ["--from"],
    f"{CONFIG} --workdir=~nobody_of_that_name/x": ["--workdir", "nobody_of_that_name"],
    f"{CONFIG} --data_dir=~nobody_of_that_name/x": ["--data_dir", "nobody_of_that_name"],
    "--config=configs/rescnn.py:digit": ["'digit'", "did you mean 'digits'"],
    "--config=configs/rescnn.py:smoke,dept=3": ["dept", "did you mean 'depth'"],
    "--config=configs/rescnn.py:smoke,depth=two": ["depth='two'", "expected int"],
    "--config=README.md": ["README.md"],
    "--config.optim.lr=1": ["--config is missing"],
    f"{CONFIG} --config.optim.lrr=1": ["--config.optim.lrr", "did you mean 'optim.lr'"],
    f"{CONFIG} --config.optim=adam": ["group of keys", "--config.optim."],
    f"{CONFIG} --config.batch_size=many": ["batch_size", "many"],
    f"{CONFIG} --config.batch_size=1.5": ["batch_size", "1.5"],
    f"{CONFIG} extra": ["extra", "not a flag"],
    f"{CONFIG} --config.experiment=deepth": ["deepth", "did you mean 'depth'"],
    f"{CONFIG} --config.data.name=digit": ["data.name", "did you mean 'digits'"],
    f"{CONFIG} --config.arms=plain,residul": ["arms", "did you mean 'residual'"],
    f"{CONFIG} --config.arms=plain,residual+scald": ["did you mean 'scaled'"],
    f"{CONFIG} --config.arms=plain,plain": ["arms", "twice"],
    f"{CONFIG} --config.side_arms=plain+batch+batch": ["'batch' twice"],
    f"{CONFIG} --config.side_arms=plain+dirac+torch_default": ["two initialisations"],
    f"{CONFIG} --config.side_arms=plain": ["side_arms", "already among arms"],
    f"{CONFIG} --config.optim.name=adm": ["optim.name", "did you mean 'adam'"],
    f"{CONFIG} --config.optim.schedule=cosin": ["optim.schedule", "did you mean 'cosine'"],
    f"{CONFIG} --config.compute_dtype=float31": ["compute_dtype", "did you mean 'float32'"],
    f"{CONFIG} --config.model.name=cn": ["model.name", "did you mean 'cnn'"],
    f"{CONFIG} --config.model.width=0": ["model.width"],
    f"{CONFIG} --config.model.pools=9": ["model.pools"],
    f"{CONFIG} --config.depths=0,5": ["depths", "0"],
    f"{CONFIG} --config.depths=1": ["depths", "nothing to compare"],
    f"{CONFIG} --config.depths=-5": ["depths", "-5"],
    f"{CONFIG} --config.depths=()": ["depths", "empty"],
    f"{CONFIG} --config.num_epochs=0": ["num_epochs", "0"],
    f"{CONFIG} --config.num_epochs=-1": ["num_epochs", "-1"],
    f"{CONFIG} --config.batch_size=0": ["batch_size", "0"],
    f"{CONFIG} --config.batch_size=5000": ["batch_size", "5000", "1077"],
    f"{CONFIG} --config.lrs=0.0": ["lrs", "0.0"],
    f"{CONFIG} --config.lrs=-1e-3": ["lrs", "-0.001"],
    f"{CONFIG} --config.optim.lr=0.0": ["optim.lr"],
    f"{CONFIG} --config.optim.lr=nan": ["optim.lr", "nan"],
    f"{CONFIG} --config.seeds=-1": ["seeds", "-1"],
    f"{CONFIG} --config.seeds=1,1": ["seeds", "twice"],
    f"{CONFIG} --config.seeds=a,b": ["seeds", "'a'"],
    f"{CONFIG} --config.select_seeds=0": ["select_seeds", "final"],
    f"{CONFIG} --from=runs/other": ["--from"],
    f"{CONFIG} --config.data.val_fraction=0.7": ["data.val_fraction"],
    f"{CONFIG} --config.data.val_fraction=0.001": ["data.val_fraction", "cannot split"],
    f"{CONFIG} --workdir=README.md": ["README.md", "is a file"],
    f"{CONFIG} --workdir=/proc/nowhere": ["/proc/nowhere", "cannot be written"],
    f"{CONFIG} --workdir=tests": ["tests", "no workdir"],
    f"{CONFIG} --workdir=tests/models": ["not empty", "give another --workdir"],
    f"{CONFIG} --workdir={'x' * 300}": ["too long", "--workdir"],
    f"{CONFIG} --config.experiment=depth_grid": [
        "depth_grid",
        "known: agents, architectures, cam, compare, depth, export, features, finetune, generate, gpt2, gradients, language, predict",
    ],
    f"{CONFIG} --config.arms=plain,plain+shared_lr": ["plain+shared_lr", "side_arms"],
    f"{CONFIG} --config.arms=both,plain": ["both", "plain or residual"],
    f"{CONFIG} --config.side_arms=residual+scaled+batch,residual+batch+scaled": [
        "residual+batch+scaled",
        "name each arm once",
    ],
    f"{CONFIG} --config.num_side_seeds=0": ["num_side_seeds"],
    f"{CONFIG} --config.side_depths=3": ["side_depths", "none of (3,) is among depths"],
    f"{CONFIG} --config.side_depths=deep": [
        "side_depths",
        "'deep' is neither a depth nor reference or deepest",
    ],
    f"{CONFIG} --config.seeds=0,4294967296": ["seeds", "2^32"],
    f"{CONFIG} --config.reference_depth=3": ["reference_depth", "not among depths"],
    f"{CONFIG} --config.claims.b_residual_gains.contrasts=foo": [
        "claims.b_residual_gains.contrasts",
        "foo",
    ],
    "--config=configs/rescnn.py:smoke,depth=99999999999999999999": ["99999999999999999999"],
    "--config=configs/mlp.py:smoke,depth=99999999999999999999": ["99999999999999999999"],
    "--workdir=tests": ["tests", "no workdir"],
    "--workdir=/nowhere": ["/nowhere", "no workdir"],
}


@pytest.fixture(scope="module")
def answers():
    lines = list(WRONG)
    return dict(zip(lines, launch_many([line.split() for line in lines]), strict=True))


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_is_answered_in_one_line_with_exit_code_2(line, answers):
    code, out, err = answers[line]
    assert code == 2, err
    assert out == "" and len(err.splitlines()) == 1, err
    assert "Traceback" not in err
    for word in WRONG[line]:
        assert word in err


def test_names_in_groups_are_split_at_commas():
    """As --config.data.text_columns=title,content is written."""
    from ml_collections import ConfigDict

    import launch as entry

    config = ConfigDict(
        {"arms": ("a,b",), "data": {"columns": ("title,content",), "sizes": (1, 2)}, "none": None}
    )
    entry.split_words_of(config)
    assert config.to_dict() == {
        "arms": ("a", "b"),
        "data": {"columns": ("title", "content"), "sizes": (1, 2)},
        "none": None,
    }


def test_who_reads_one_line_of_many_is_no_error(tmp_path):
    import subprocess
    import sys

    command = f"{sys.executable} launch.py --config=configs/gpt2.py:smoke --workdir={tmp_path / 'run'} | head -1"
    answer = subprocess.run(
        command,
        shell=True,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (
        answer.stdout.count("\n") == 1
        and "Traceback" not in answer.stderr
        and "BrokenPipe" not in answer.stderr
    )


def test_wrong_input_leaves_no_workdir(answers, tmp_path):
    before = sorted(tmp_path.parent.iterdir())
    assert (
        launch_many([[CONFIG, "--config.num_epochs=0", f"--workdir={tmp_path / 'new'}"]])[0].code
        == 2
    )
    assert not (tmp_path / "new").exists() and sorted(tmp_path.parent.iterdir()) == before


def test_a_batch_that_the_devices_cannot_share_is_refused():
    answer = launch(CONFIG, "--config.batch_size=30", JAX_NUM_CPU_DEVICES="4")
    assert (
        answer.code == 2
        and "30 is not divisible by 4 devices" in answer.err
        and len(answer.err.splitlines()) == 1
    )


def test_help_is_fast_and_a_success():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        answer = launch("--help")
        times.append(time.perf_counter() - start)
        assert answer.code == 0 and "configs/rescnn.py" in answer.out and "--workdir" in answer.out
    assert min(times) < 2


def test_a_mistyped_key_is_answered_fast():
    start = time.perf_counter()
    assert launch(CONFIG, "--config.num_epoch=3").code == 2
    assert time.perf_counter() - start < 5


def exit_code_of(monkeypatch, capsys, error, tmp_path, code):
    import launch as entry

    workdir = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["launch.py", CONFIG, f"--workdir={workdir}"])
    monkeypatch.setattr(entry, "start", lambda config, workdir: (_ for _ in ()).throw(error))
    monkeypatch.setattr(
        entry, "FLAGS", type("Flags", (), {"config": object(), "workdir": str(workdir)})
    )
    with pytest.raises(SystemExit) as exit:
        entry.main(sys.argv)
    assert exit.value.code == code
    return capsys.readouterr().err


def test_a_diverged_run_exits_with_3(monkeypatch, capsys, tmp_path):
    from dla_jax.config.stop import NonFiniteLoss

    err = exit_code_of(monkeypatch, capsys, NonFiniteLoss(17), tmp_path, 3)
    assert "step 17" in err and str(tmp_path) in err


def test_a_full_disk_says_so(monkeypatch, capsys, tmp_path):
    import os

    monkeypatch.setattr(os, "_exit", sys.exit)
    err = exit_code_of(monkeypatch, capsys, OSError(28, "No space left on device"), tmp_path, 1)
    assert "no space left" in err and str(tmp_path) in err and len(err.splitlines()) == 1


def test_an_error_of_the_program_keeps_its_traceback(monkeypatch, tmp_path):
    with pytest.raises(ZeroDivisionError):
        exit_code_of(monkeypatch, None, ZeroDivisionError("a bug"), tmp_path, 1)


def test_a_full_disk_while_rows_are_written(tmp_path):
    """/dev/full refuses every byte, as a full disk does."""
    from dla_jax.training.record import Record

    record = Record(tmp_path)
    record._file.close()
    record._file = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(OSError, match="No space left on device"):
        record.append({"run": "a", "step": 1})
