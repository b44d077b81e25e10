"""Who is compared with whom: the ways to do the same with the same clips."""

import copy

import numpy as np

from tsm_jax import cli, errors, models
from tsm_jax.bench import interleave, processes
from tsm_jax.bench.clips import contenders, report
from tsm_jax.data.sources import published
from tsm_jax.models import config as model_config
from tsm_jax.models import shift_forms

MODES = ('inference', 'training')
FORMS = shift_forms.FORMS[1:]  # without 'auto', which is one of the others
DTYPES = model_config.CHOICES['dtype']
KINDS = ('jax', 'pytorch')


def add_flags(parser):
  """Adds the flags that say what is compared, and for how long."""
  for name, choices, default in (
    ('modes', MODES, MODES),
    ('dtypes', DTYPES, DTYPES[:1]),
    ('forms', FORMS, FORMS),
    ('contenders', KINDS, KINDS),
  ):
    parser.add_argument(
      f'--{name}',
      nargs='+',
      choices=choices,
      default=list(default),
      metavar=name[:-1].upper(),
      help=f'some of {", ".join(choices)} ({" ".join(default)})',
    )
  count = cli.at_least(1)
  add = parser.add_argument
  add('--steps', type=count, default=1, help='of a turn (%(default)s)')
  add('--repeats', type=count, default=7, help='turns (%(default)s)')
  add(
    '--threads',
    type=count,
    help='of each contender (default: what its library takes)',
  )


def each(networks, options, size):
  """Yields `(facts, mode, config)` of what is compared.

  Args:
    networks: configurations.
    options: with `modes`, `dtypes` and `clips`.
    size: number of devices.
  """
  for network in networks:
    for mode in dict.fromkeys(options.modes):
      for dtype in dict.fromkeys(options.dtypes):
        config = copy.deepcopy(network)
        config.batch_size = options.clips * size
        config = config.copy_and_resolve_references()
        config.model.dtype = dtype
        config.model.num_classes = published.num_classes(config)
        name = network_name(config.model)
        yield {'network': name, 'mode': mode, 'dtype': dtype}, mode, config


def network_name(model):
  """What a table calls a network: 'resnet50', 'mobilenet_v2'."""
  return f'resnet{model.depth}' if model.name == 'resnet' else model.name


def ways(config, mode, platform, forms):
  """The configurations of the ways to write the shift, by title.

  A form that this mode does not have is left out: without a gradient, 'fused'
  is for TPUs only.

  Args:
    config: with the shift.
    mode: one of `MODES`.
    platform: of the devices.
    forms: some of `FORMS`.

  Returns:
    `(ways, auto)`: the first is `report.PLAIN`, the network without the shift;
    and the title of what `shift_form='auto'` is.
  """
  without = config.copy_and_resolve_references()
  without.model.shift = 'none'
  found = {report.PLAIN: without}
  for form in dict.fromkeys(forms):
    changed = config.copy_and_resolve_references()
    changed.model.shift_form = form
    if _written(changed, mode, platform) == form:
      found[form] = changed
  auto = config.copy_and_resolve_references()
  auto.model.shift_form = 'auto'
  return found, _written(auto, mode, platform)


def _written(config, mode, platform):
  """The form that a network's shift has in the end."""
  model = models.create_model(config.model, platform)
  make = model.temporal_shift(config.model.num_frames, mode == 'training')
  return make().form


def measure(networks, options):
  """Measures all on the devices that are here.

  Args:
    networks: configurations.
    options: see `add_flags`, with `clips` as well.

  Returns:
    `(rows, versions, left_out)`: rows for `report.table`; versions by package;
    and by title, in a sentence, why a contender cannot be measured here.

  Raises:
    InputError: if a field has an impossible value.
  """
  # This process must not take the chips of a TPU, so that another one looks.
  with processes.start(processes.limit) as process:
    platform, kind, number = process.submit(contenders.devices).result()
  rows, left_out = [], {}
  versions = {f'{number} x {kind}': f'({platform})'}
  for facts, mode, config in each(networks, options, number):
    found, auto = ways(config, mode, platform, options.forms)
    rivals = [
      contenders.Contender(title, changed, mode, platform)
      for title, changed in found.items()
      if 'jax' in options.contenders
    ]
    missing = {}
    if 'pytorch' in options.contenders:
      others, missing = pytorch(config, mode, platform, number)
      rivals += others
    seconds, packages, refused = _contest(rivals, platform, options)
    versions.update(packages)
    for title, why in (missing | refused).items():
      left_out[', '.join((title, *facts.values()))] = why
    rows += [
      {**facts, 'auto': row['way'] == auto, **row}
      for row in report.measured(seconds)
    ]
  return rows, versions, left_out


def pytorch(config, mode, platform, number):
  """The contenders of PyTorch.

  Args:
    config: a whole configuration, with `model.num_classes`.
    mode: one of `MODES`.
    platform: of the devices that JAX takes.
    number: of these devices.

  Returns:
    `(rivals, left_out)`: `contenders.Contender`s; and by title, in a sentence,
    why there is none.
  """
  if number > 1:
    return [], {'PyTorch': f'it takes one device here, and JAX has {number}.'}
  return [
    contenders.Contender(title, config, mode, platform)
    for title in contenders.PYTORCH
  ], {}


def _contest(rivals, platform, options):
  """`(seconds, versions, left_out)`; seconds `[turns, 2]` by title."""
  shared = platform == 'tpu'  # whose chips one process has alone
  with processes.opened(options.threads, shared=shared) as open_process:
    opened, facts, left_out = processes.prepare(
      rivals, contenders.prepare, open_process
    )
    if jax := [t for t in left_out if t not in contenders.PYTORCH]:
      raise errors.InputError(left_out[jax[0]])
    turns = processes.turns(opened, contenders.turn, options.steps)
    measured = interleave.measure(turns, options.repeats)
  seconds = {title: np.array(values) for title, values in measured.items()}
  versions = {k: v for found in facts.values() for k, v in found.items()}
  return seconds, versions, left_out
