"""The rule of a checkpoint: `stream.json` in its workdir, from `tune`."""

import json
import math

from tsm_jax import errors, files
from tsm_jax.data import intervals
from tsm_jax.runs import checkpoints, folders, request
from tsm_jax.stream.events import demo, rules

FILE = 'stream.json'
DEFAULT = 'default'
OFFICIAL_DEMO = 'official_demo'


def workdir(checkpoint):
  """The workdir of a checkpoint.

  Args:
    checkpoint: as in `checkpoints.restore_model`.

  Raises:
    InputError: if there is none.
  """
  folder, _ = folders.find(checkpoint)
  named = folder.name in ('checkpoints', 'best')
  return folder.parent if named else folder


def choose(checkpoint, trained, name='', background=()):
  """The rule to decide by.

  Args:
    checkpoint: its path.
    trained: the `checkpoints.TrainedModel` there.
    name: path of a file that `tune` wrote; or 'default', which heeds none, or
      'official_demo'; by default the file in the workdir, if there is one.
    background: labels that are never events; by default those of the file, or
      the background of the training.

  Returns:
    `(rule, origin)`: a `rules.Rule`, and where it comes from, in words.

  Raises:
    InputError: if a file is none of these, or is one for other labels, or a
      preset is given a background.
  """
  if isinstance(trained, checkpoints.TrainedModel):  # or what it left as
    request.require_one_label(trained, 'streams and their events')
  labels = trained.labels
  if name == OFFICIAL_DEMO:
    _refuse_background(background, OFFICIAL_DEMO)
    return demo.official_demo(labels), 'the rule of the official demo'
  path = files.path(name) if name else workdir(checkpoint) / FILE
  if name != DEFAULT and (name or path.exists()):
    content = read(path, labels)
    rule = with_background(content['rule'], background, labels)
    return rule, _origin(path, content, trained)
  found = background or trained.meta['config']['data'].get('background', '')
  rule = rules.default(labels, found)
  return rule, 'the usual rule, which is not tuned'


def with_background(rule, background, labels):
  """A rule with other labels that are never events, if there are any.

  Args:
    rule: a `rules.Rule`.
    background: labels.
    labels: class names of the model.

  Raises:
    InputError: if the rule has a background of its own, or one is no label.
  """
  if background:
    _refuse_background(background, rule.preset)
    rule = rule._replace(background=tuple(background))
    rules.check(rule, labels)
  return rule


def _refuse_background(background, preset):
  if background and preset:
    raise errors.InputError(
      f'--background is {background[0]!r}, but the rule {preset!r} has a '
      'background of its own; leave it out, or choose another rule.'
    )


def _origin(path, content, trained):
  """Where a rule comes from, and what of the model was another one there."""
  split = content.get('split')
  words = f'the rule in {path}, tuned on '
  words += f'the split {split!r} of ' if split else ''
  words += f'{content.get("list")}'
  known, step = intervals.from_meta(trained.meta), content.get('step')
  every = content.get('interval')
  if isinstance(every, float | int) and not (
    known and math.isclose(every, known.seconds)
  ):
    words += f', shown a frame every {every:.3g} s'
  if step not in (None, trained.step):
    words += (
      f', at step {step} of the training, while the model is of step '
      f'{trained.step}: tune it again'
    )
  return words


def write(path, rule, labels, **about):
  """Writes a rule, the labels it is for, and what else there is to say."""
  content = {'rule': rules.as_dict(rule), 'labels': list(labels), **about}
  files.write(path, json.dumps(content, indent=1, allow_nan=False))


def read(path, labels):
  """What `write` wrote, with a `rules.Rule` for the rule.

  Args:
    path: of the file.
    labels: class names of the model.

  Raises:
    InputError: if it is no such file, or one for other labels.
  """
  content = files.read_json(path)
  if not isinstance(content.get('rule'), dict):
    raise errors.InputError(
      f'{path} holds no rule; python -m tsm_jax.stream tune writes such a file.'
    )
  if content.get('labels') != list(labels):
    raise errors.InputError(
      f'The rule in {path} is for a model of other labels; tune it for this '
      f'one, or choose --rule={DEFAULT}.'
    )
  rule = rules.from_dict(content['rule'], labels, f'The rule in {path}')
  return {**content, 'rule': rule}
