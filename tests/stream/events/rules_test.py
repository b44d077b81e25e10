"""Rules are read and written as JSON, and checked with a sentence."""

import json

import pytest

from tsm_jax import errors
from tsm_jax.stream.events import rules

LABELS = ['idle', 'wave', 'nod']


def test_a_rule_survives_json():
  rule = rules.Rule(
    window=1.5, thresholds={'wave': (0.75, 0.25)}, background=('idle',)
  )
  text = json.dumps(rules.as_dict(rule))
  assert rules.from_dict(json.loads(text), LABELS) == rule
  assert rule.of('wave') == (0.75, 0.25)
  assert rule.of('nod') == (rule.on, rule.off)
  # A rule of an older version has fewer fields.
  assert rules.from_dict({'on': 0.75}, LABELS) == rules.Rule(on=0.75)


@pytest.mark.parametrize(
  'background, expected',
  [('', ()), ('idle', ('idle',)), (['idle', 'nod'], ('idle', 'nod'))],
)
def test_the_background_of_the_usual_rule(background, expected):
  assert rules.default(LABELS, background).background == expected


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'on': 1.5}, 'R: on of every label is 1.5; a threshold is a prob'),
    ({'off': -0.1}, 'off of every label is -0.1; a threshold is'),
    ({'on': float('nan')}, 'on of every label is nan'),
    ({'on': True}, 'on of every label is True'),
    ({'on': 0.5, 'off': 0.6}, 'off of every label is 0.6, above on, 0.5'),
    ({'thresholds': {'wave': [0.2, 0.3]}}, "off of 'wave' is 0.3, above on"),
    ({'thresholds': {'wave': [0.2]}}, r'it must map labels to \[on, off\]'),
    ({'thresholds': [0.5, 0.3]}, r'it must map labels to \[on, off\]'),
    ({'thresholds': {'wav': [0.5, 0.3]}}, "'wav', .* did you mean 'wave'"),
    ({'background': ['idel']}, "label 'idel', .* did you mean 'idle'"),
    ({'background': 'idle'}, "background is 'idle'; it must be a list"),
    ({'background': [3]}, 'background is .3.; it must be a list'),
    ({'background': LABELS}, 'all labels are background'),
    ({'window': -1}, 'window is -1; it must be seconds'),
    ({'window': '1'}, "window is '1'; it must be seconds"),
    ({'merge_gap': float('inf')}, 'merge_gap is inf'),
    ({'preset': 'demo'}, "preset is 'demo'; choose from '', official_demo"),
    ({'bgr': 1}, 'bgr is 1; it must be true or false'),
    ({'windows': 1}, "the field 'windows'; did you mean 'window'"),
  ],
)
def test_what_makes_no_sense_is_a_sentence(fields, message):
  with pytest.raises(errors.InputError, match=message):
    rules.from_dict(fields, LABELS, 'R')
