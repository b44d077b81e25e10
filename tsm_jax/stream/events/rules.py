"""When scores over time are an event: thresholds, lengths and their checks."""

from collections.abc import Mapping
import math
import numbers
import types
from typing import NamedTuple

from tsm_jax import errors

PRESETS = ('', 'official_demo')


class Event(NamedTuple):
  """Something that happened.

  Attributes:
    start: in seconds.
    end: in seconds.
    label: class name.
    score: its mean probability, between 0 and 1.
    decided: when it was known that it happens, in seconds. It ends later.
  """

  start: float
  end: float
  label: str
  score: float
  decided: float


class Rule(NamedTuple):
  """What turns scores into events; see `decider.Decider`.

  Attributes:
    window: seconds over which logits are averaged.
    on: probability that an event has to reach once.
    off: probability that it has to keep; not above `on`.
    thresholds: labels whose thresholds are others, with their `(on, off)`.
    background: labels that are never events.
    min_length: seconds; a shorter event is none.
    merge_gap: seconds; shorter gaps in an event are filled.
    shift_start: seconds by which starts are moved back, as evidence is late.
    shift_end: the same of ends.
    preset: '', or 'official_demo', which only heeds `background`.
    bgr: whether the network is shown blue as red, as the official demo does.
  """

  window: float = 0.5
  on: float = 0.5
  off: float = 0.3
  thresholds: Mapping[str, tuple[float, float]] = types.MappingProxyType({})
  background: tuple[str, ...] = ()
  min_length: float = 0.3
  merge_gap: float = 0.3
  shift_start: float = 0.25
  shift_end: float = 0.25
  preset: str = ''
  bgr: bool = False

  def of(self, label):
    """The thresholds `(on, off)` of a label."""
    return self.thresholds.get(label, (self.on, self.off))


def as_dict(rule):
  """A rule as a dict for JSON."""
  thresholds = {label: list(pair) for label, pair in rule.thresholds.items()}
  background = list(rule.background)
  return rule._replace(thresholds=thresholds, background=background)._asdict()


def from_dict(content, labels, where='The rule'):
  """A rule of what `as_dict` gives; fields that it lacks are the usual ones.

  Args:
    content: a dict.
    labels: class names of the model.
    where: names the rule in messages, such as its file.

  Raises:
    InputError: if it is no rule, or not one for these labels.
  """
  content = dict(content)
  for field in content:
    if field not in Rule._fields:
      raise errors.InputError(
        f'{where} has the field {field!r}; did you mean '
        f'{errors.nearest(field, Rule._fields)!r}?'
      )
  thresholds = content.get('thresholds', {})
  pairs = thresholds.values() if isinstance(thresholds, dict) else [None]
  if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
    raise errors.InputError(
      f'{where}: thresholds is {thresholds!r}; it must map labels to [on, off].'
    )
  background = content.get('background', [])
  if not isinstance(background, list) or not all(
    isinstance(label, str) for label in background
  ):
    raise errors.InputError(
      f'{where}: background is {background!r}; it must be a list of labels.'
    )
  rule = Rule(**content)._replace(
    thresholds={label: tuple(pair) for label, pair in thresholds.items()},
    background=tuple(background),
  )
  check(rule, labels, where)
  return rule


def stricter(rule, labels, step):
  """A rule of other thresholds `on`.

  Args:
    rule: a `Rule`.
    labels: class names of the model.
    step: added to the logits of all `on`; a negative one makes it laxer, which
      goes down to `off` at most.

  >>> stricter(Rule(on=0.5), ['wave'], 2).of('wave')[0] > 0.88
  True
  """
  moved = {}
  for label in labels:
    on, off = rule.of(label)
    if step and 0 < on < 1:
      on = 1 / (1 + (1 / on - 1) * math.exp(-step))
    moved[label] = max(on, off), off
  return rule._replace(thresholds=moved)


def lax(rule, labels):
  """The rule by which all candidates are events: `on` is `off`."""
  thresholds = {label: (rule.of(label)[1],) * 2 for label in labels}
  return rule._replace(thresholds=thresholds)


def default(labels, background=''):
  """The rule of a model for which none was tuned.

  Args:
    labels: class names.
    background: a label that is never an event, or several, or ''.

  Raises:
    InputError: if `background` is none of the labels.

  >>> default(['idle', 'wave'], 'idle').background
  ('idle',)
  """
  if isinstance(background, str):
    background = (background,) if background else ()
  rule = Rule(background=tuple(background))
  check(rule, labels)
  return rule


def check(rule, labels, where='The rule'):
  """Raises InputError unless a rule makes sense, for these labels.

  Args:
    rule: a `Rule`.
    labels: class names of the model.
    where: names the rule in messages, such as its file.
  """
  if rule.preset not in PRESETS:
    raise errors.InputError(
      f"{where}: preset is {rule.preset!r}; choose from '', "
      f'{", ".join(PRESETS[1:])}.'
    )
  for field in (
    'window',
    'min_length',
    'merge_gap',
    'shift_start',
    'shift_end',
  ):
    value = getattr(rule, field)
    if not _is_number(value) or not 0 <= value < math.inf:
      raise errors.InputError(
        f'{where}: {field} is {value!r}; it must be seconds, 0 or more.'
      )
  if not isinstance(rule.bgr, bool):
    raise errors.InputError(
      f'{where}: bgr is {rule.bgr!r}; it must be true or false.'
    )
  _check_thresholds(where, 'every label', rule.on, rule.off)
  for label, pair in rule.thresholds.items():
    _check_thresholds(where, repr(label), *pair)
  for label in (*rule.background, *rule.thresholds):
    if label not in labels:
      raise errors.InputError(
        f'{where} names the label {label!r}, which the model does not know; '
        f'did you mean {errors.nearest(label, labels)!r}?'
      )
  if set(labels) <= set(rule.background):
    raise errors.InputError(
      f'{where}: all labels are background, so that nothing is an event.'
    )


def _check_thresholds(where, label, on, off):
  for name, value in (('on', on), ('off', off)):
    if not _is_number(value) or not 0 <= value <= 1:
      raise errors.InputError(
        f'{where}: {name} of {label} is {value!r}; a threshold is a '
        'probability, from 0 to 1.'
      )
  if off > on:
    raise errors.InputError(
      f'{where}: off of {label} is {off}, above on, {on}; an event starts '
      'above the threshold that it keeps.'
    )


def _is_number(value):
  return isinstance(value, numbers.Real) and not isinstance(value, bool)
