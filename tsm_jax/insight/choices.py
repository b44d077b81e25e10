"""What a configuration leaves open, settled for a run and told."""

import jax

from tsm_jax import modalities
from tsm_jax.convert import init_from
from tsm_jax.data import choosing
from tsm_jax.data.store import asked
from tsm_jax.runs import again, processes

# What a configuration is described with that names no data.
NOMINAL = asked.Survey(['a', 'b'], {'train': 300}, None, None)


def settle(config, workdir='', log=print):
  """A configuration in which nothing is open.

  What the run in `workdir` has stays. The rest is chosen by the data, see
  `choosing`, and told with the reasons.

  Args:
    config: a configuration, see `configs/common.py`; it is not changed.
    workdir: of the run, if there is one or will be.
    log: called with every line for the user.

  Returns:
    A configuration; `config` itself if nothing is open.

  Raises:
    InputError: if a field is open that nothing chooses, or the data or the
      weights to start from cannot be read.
  """
  config = again.fill(config, workdir)
  if not choosing.open_fields(config):
    return config
  known = facts(config, log)
  config, choices = choosing.choose(config, known)
  processes.check_same({f: choice.value for f, choice in choices.items()})
  platform = known.platform.upper()
  log(f'Chosen for {known.clips} training clips on a {platform}:')
  width = max(map(len, choices))
  for field, choice in choices.items():
    log(f'  {field:{width}}  {choice.value!s:8}  {choice.reason}')
  if known.weights is None:
    log(
      'No pretrained weights: training from scratch. With some, fewer clips '
      'are enough: --config.init_from=imagenet fetches those of ImageNet, and '
      'docs/weights.md says where there are others.'
    )
  if known.platform == 'cpu':
    minutes = choosing.seconds_on_cpu(config, known.clips) / 60
    log(
      f'Two cores take about {minutes:.0f} minutes for {config.epochs:g} '
      'epochs; what it takes here is shown while it trains.'
    )
  return config


def facts(config, log=print):
  """The `choosing.Facts` of a configuration's data, weights and devices."""
  found = NOMINAL
  if config.data.source:
    kind = modalities.MODALITIES[config.model.modality].stored
    found = asked.survey(config.data, kind, log)
  else:
    clips = found.clips['train']
    log(f'data.source is empty; as for {clips} clips.')
  return choosing.Facts(
    clips=max(1, found.clips.get('train', 0)),
    labels=found.labels,
    platform=jax.devices()[0].platform,
    weights=init_from.model_fields(config.init_from, config.model, log),
    short_side=found.short_side,
    stored=found.options,
  )
