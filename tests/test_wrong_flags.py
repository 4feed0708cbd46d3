"""Wrong flags, names of configs and of keys, and workdirs are answered in one line."""

import pytest
from launching import answers_to, assert_refused

CONFIG = "--config=configs/rescnn.py:smoke"
WRONG = {
    # what is typed: words that the one line must hold
    "": ["--config=configs/rescnn.py:digits", "--help"],
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
    "--config=configs/rescnn.py --data_dir=tests --nodownload --dry_run": ["cifar10", "tests"],
    f"{CONFIG} --dry_run --config.num_epochs=0": ["num_epochs: 0"],
    f"{CONFIG} --dry_run --workdir=README.md": ["README.md", "is a file"],
    f"{CONFIG} --dry_run --multihost": ["--dry_run is for one process"],
    "--workdir=tests --dry_run": ["tests", "no workdir"],
    f"{CONFIG} --multihost": ["--multihost", "--workdir"],
    "--config=configs/mlp.py --config.model.init=dirac": ["--config.model.init", "unknown key"],
    "--config=configs/rescnn.py:digits,depth=3": ["depth: 3 is not below 5", "give a deeper one"],
    "--config=configs/resnet34.py:digits,as_implemented=true": ["as_implemented", "cifar10"],
    "--config=configs/compare.py": ["runs is empty"],
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
    f"{CONFIG} --config.optim.lr=nan": ["optim.lr", "nan"],
    f"{CONFIG} --config.seeds=a,b": ["seeds", "'a'"],
    f"{CONFIG} --from=runs/other": ["--from"],
    f"{CONFIG} --workdir=README.md": ["README.md", "is a file"],
    f"{CONFIG} --workdir=/proc/nowhere": ["/proc/nowhere", "cannot be written"],
    f"{CONFIG} --workdir=tests": ["tests", "no workdir"],
    f"{CONFIG} --workdir=tests/models": ["not empty", "give another --workdir"],
    f"{CONFIG} --workdir={'x' * 300}": ["too long", "--workdir"],
    f"{CONFIG} --config.experiment=depth_grid": [
        "depth_grid",
        "known: adversarial, agents, architectures, cam, choices, compare, depth, export, "
        "features, finetune, generate, gpt2, gradients, language, ood, predict",
    ],
    "--config=configs/rescnn.py:smoke,depth=99999999999999999999": ["99999999999999999999"],
    "--config=configs/mlp.py:smoke,depth=99999999999999999999": ["99999999999999999999"],
    "--workdir=tests": ["tests", "no workdir"],
    "--workdir=/nowhere": ["/nowhere", "no workdir"],
}


@pytest.fixture(scope="module")
def answers():
    return answers_to(WRONG)


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_is_answered_in_one_line_with_exit_code_2(line, answers):
    assert_refused(answers[line], WRONG[line])
