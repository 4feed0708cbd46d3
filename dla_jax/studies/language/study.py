"""Does a small decoder write Dante better than an n-gram, which decoder is best, and when does it over-fit?

Every network of the config is the config itself with its own overrides. Each first gets its own learning rate, unless it
brings one; then networks x seeds, paired by seed. The n-grams are counted and scored on the same split, and drawn beside.
"""

import functools
import sys

from dla_jax.config.workdir import Run
from dla_jax.studies.language.report import draw as draw
from dla_jax.studies.language.report import num_runs as num_runs
from dla_jax.tasks import language_runs
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import (
    check_network,
    check_networks,
    choose_rates,
    final_cells,
    own_config,
    select_cells,
    undecidable_claims,
)
from dla_jax.trials.grid import begin, run_grid


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow; reads the text."""
    check_networks(config, functools.partial(language_runs.check_config, run=run))
    for network in config.networks:
        saved = language_runs.tokenizer_path(run.workdir, network)
        check_network(network, language_runs.check_text, own_config(config, network), saved)


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    mesh, whole, settings, data = data_mesh(), language_runs.read_text(config), {}, {}
    print(f"text: {whole.name}, {len(whole.text):,} characters", file=sys.stderr)
    begin(config, run, whole.identity, undecidable_claims(config))
    for network in config.networks:
        own = own_config(config, network)
        source = language_runs.prepare_source(own, run, network)
        if id(source) not in data:  # networks of one tokenizer share it
            data[id(source)] = language_runs.put_tokens(source, mesh)
        settings[network] = language_runs.prepare(own, source, data[id(source)], mesh)
    setting_of = lambda cell: settings[cell.group]
    run_grid(
        config,
        run,
        select=select_cells(config),
        final=final_cells(config),
        choose_rates=functools.partial(choose_rates, config, score=language_runs.rate_score),
        setting_of=setting_of,
        story_of=lambda cell: language_runs.make_story(setting_of(cell), cell),
        draw=draw,
        unit="tok",
    )
