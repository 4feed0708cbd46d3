"""Wrong configs of texts, language models, agents and commands are answered in one line."""

import pytest
from launching import answers_to, assert_refused

DANTE = "--config=configs/dante.py:smoke"
AGENTS = "--config=configs/agents.py:smoke"
WITH_GYMNAX = tuple(f"--config=configs/{name}.py" for name in ("agents", "dqn", "ppo", "reinforce"))
BERT_NEWS = "--config=configs/ag_news.py:smoke --config.encoder.path=tests/fixtures/bert"
YAHOO = "--config=configs/yahoo.py:smoke"
NO_NETWORK = f"{YAHOO} --data_dir=tests --nodownload"
CSV = f"{YAHOO} --config.data.name=csv --config.data.path=nowhere.csv"
WRONG = {
    # what is typed: words that the one line must hold
    "--config=configs/dante.py:tny": ["'tny'", "did you mean 'tiny'"],
    f"{DANTE} --config.data.path=nowhere.txt": ["data.path", "nowhere.txt"],
    f"{DANTE} --config.data.path=docs": ["data.path", "folder"],
    f"{DANTE} --config.data.path=docs/figures/rescnn_accuracy.png": ["data.path", "binary"],
    f"{DANTE} --config.data.path=requirements-tpu.txt": ["gpt", "too few"],
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
    "--config=configs/yahoo.py --nodownload --config.data.path=nowhere.csv "
    "--config.data.test_path=b.csv": ["nowhere.csv"],
    f"{YAHOO} --config.encoder.path=distilroberta-base --nodownload": [
        "distilroberta-base",
        "Hugging Face cache",
        "--download",
    ],
    f"{CSV}": ["nowhere.csv"],
    f"{CSV} --config.data.test_fraction=0.0": ["data.test_fraction", "data.test_path"],
    f"{YAHOO} --config.data.name=docstring": ["data.name", "did you mean 'docstrings'"],
    f"{NO_NETWORK} --config.data.name=ag_news_subset --config.data.test_fraction=0.0": [
        "ag_news_subset",
        "tests",
    ],
    f"{YAHOO} --config.networks.corrected.model.frozen_layers=3": [
        "networks.corrected",
        "frozen_layers: 3 of 1 layers",
    ],
    f"{YAHOO} --config.encoder.path=configs": ["configs is no model folder"],
    f"{YAHOO} --config.encoder.path=tests/fixtures/llama": ["is a Llama; give BERT"],
    BERT_NEWS: ["encoder.max_length", "positions for 11"],
    f"{BERT_NEWS} --config.encoder.max_length=11 --config.widths=4": ["has no tokenizer"],
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
        "package.module:factory",
    ],
    f"{AGENTS} --config.env.name=docs.examples.walk:walk": ["env.name", "did you mean 'Walk'"],
    f"{AGENTS} --config.env.name=MNISTBandit-bsuite": ["env.name", "from the network"],
    "--config=configs/dqn.py:smoke --config.env.name=Pendulum-v1": [
        "agent.name: dqn",
        "Pendulum-v1",
        "continuous",
    ],
    "--config=configs/reinforce.py:smoke --config.agent.side_by_side=3": [
        "agent.side_by_side",
        "4 episodes",
        "a divisor of 4",
    ],
    "--config=configs/ppo.py:smoke --config.agent.num_minibatches=3": [
        "agent.num_minibatches",
        "64 steps",
        "3 equal minibatches",
    ],
    f"{AGENTS} --config.env.judge=CartPole-v9": ["env.judge", "did you mean 'CartPole-v1'"],
    f"{AGENTS} --config.env.judge=Acrobot-v1": ["env.judge: Acrobot-v1", "(6,)", "(4,)"],
    f"{AGENTS} --config.env.judge=CartPole-v1 --config.env.sticky=0.1": ["env.sticky: 0.1"],
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
}


@pytest.fixture(scope="module")
def answers():
    # those of one config by one process: most of their time would be the import of gymnax
    agents = sorted(line for line in WRONG if line.startswith(WITH_GYMNAX))
    return answers_to(set(WRONG) - set(agents)) | answers_to(agents, warm=True)


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_is_answered_in_one_line_with_exit_code_2(line, answers):
    assert_refused(answers[line], WRONG[line])
