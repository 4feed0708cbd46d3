"""Wrong configs of studies of images are answered in one line."""

import pytest
from launching import answers_to, assert_refused

CONFIG = "--config=configs/rescnn.py:smoke"
WRONG = {
    # what is typed: words that the one line must hold
    f"{CONFIG} --config.parallel=pmp": ["parallel", "did you mean 'pmap'"],
    f"{CONFIG} --config.label_smoothing=1": ["label_smoothing"],
    f"{CONFIG} --config.model.norm=layer": ["model.norm", "batch"],
    f"{CONFIG} --config.data.name=folder": ["data.path"],
    f"{CONFIG} --config.data.name=folder --config.data.path=nowhere": ["nowhere"],
    f"{CONFIG} --config.data.name=hub:photos": ["data.name", "hub:OWNER/NAME"],
    f"{CONFIG} --config.data.name=hub:me/photos --nodownload": ["me/photos", "--download"],
    f"{CONFIG} --config.data.name=hub:me/photos --config.data.size=0": ["data.size"],
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
        "plain+batch is already among arms",
    ],
    "--config=configs/rescnn.py:lab_b --config.side_arms=plain+he --nodownload": [
        "side_arms",
        "lab_b has no 'he'",
    ],
    f"{CONFIG} --config.side_arms=plain+fixup": ["side_arms", "plain+fixup", "needs a skip"],
    f"{CONFIG} --config.side_arms=residual+batch+skipinit": ["side_arms", "without norm"],
    f"{CONFIG} --config.side_arms=plain+looks_linear --config.model.width=5": [
        "model.width",
        "5 is odd",
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
    "--config=configs/compare.py:smoke --config.runs=runs/a": ["makes its own studies"],
    f"{CONFIG} --config.data.name=digit": ["data.name", "did you mean 'digits'"],
    f"{CONFIG} --config.arms=plain,residul": ["arms", "did you mean 'residual'"],
    f"{CONFIG} --config.arms=plain,residual+scald": ["did you mean 'scaled'"],
    f"{CONFIG} --config.arms=plain,plain": ["arms", "twice"],
    f"{CONFIG} --config.side_arms=plain+batch+batch": ["'batch' twice"],
    f"{CONFIG} --config.side_arms=plain+dirac+torch_default": ["two initialisations"],
    f"{CONFIG} --config.side_arms=plain": ["side_arms", "already among arms"],
    f"{CONFIG} --config.attack.name=trade": ["attack.name", "did you mean 'trades'"],
    f"{CONFIG} --config.attack.epsilon=8": ["attack.epsilon", "8.0 must be at most 1"],
    f"{CONFIG} --config.attack.step_size=0": ["attack.step_size", "0.0 must be greater than 0"],
    f"{CONFIG} --config.attack.name=pgd --config.freeze_norm_after_epochs=1": [
        "freeze_norm_after_epochs",
        "attack.name pgd",
    ],
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
    f"{CONFIG} --config.seeds=-1": ["seeds", "-1"],
    f"{CONFIG} --config.seeds=1,1": ["seeds", "twice"],
    f"{CONFIG} --config.select_seeds=0": ["select_seeds", "final"],
    f"{CONFIG} --config.data.val_fraction=0.7": ["data.val_fraction"],
    f"{CONFIG} --config.data.val_fraction=0.001": ["data.val_fraction", "cannot split"],
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
}


@pytest.fixture(scope="module")
def answers():
    return answers_to(WRONG)


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_is_answered_in_one_line_with_exit_code_2(line, answers):
    assert_refused(answers[line], WRONG[line])
