"""Exports of tiny models, without a converter."""

import pathlib

from tsm_jax.export import card, graph, lowering, runner
from tsm_jax.export.runner import engine
from tsm_jax.stream.events import rules

SOURCE = {'checkpoint': 'RUN', 'name': 'tiny', 'step': 7, 'sha256': None}


def write(folder, trained, what, batch=None, rule=None):
  """An export for JAX, in the place of the command; returns its folder."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True)
  made = graph.create(trained, what, batch)
  content = lowering.exported(made).serialize()
  (folder / engine.FORMATS['stablehlo'][0]).write_bytes(content)
  card.write_labels(folder, trained.labels)
  runner.write(folder, 'stablehlo')
  described = card.describe(
    trained,
    made,
    rule or rules.default(trained.labels),
    SOURCE,
    format='stablehlo',
    precision='float32',
    batch=batch,
  )
  card.write(folder, described)
  return folder
