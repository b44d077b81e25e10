"""Which rule a checkpoint is decided by, and what is said of it."""

import re
import types

import pytest

from tsm_jax import errors
from tsm_jax.stream.events import demo, rule_file, rules

LABELS = ['idle', 'wave', 'nod']


@pytest.fixture
def trained():
  interval = dict.fromkeys(('seconds', 'low', 'high'), 0.25)
  return types.SimpleNamespace(
    labels=LABELS, step=200, meta={'frame_interval': interval}
  )


@pytest.fixture
def path(tmp_path):
  rule = rules.Rule(on=0.75, background=('idle',))
  about = {'step': 200, 'interval': 0.25, 'list': 'a.csv'}
  rule_file.write(tmp_path / 'rule.json', rule, LABELS, **about)
  return str(tmp_path / 'rule.json')


def test_a_background_is_also_that_of_a_rule_from_a_file(trained, path):
  rule, _ = rule_file.choose('', trained, path)
  assert rule == rules.Rule(on=0.75, background=('idle',))
  other, _ = rule_file.choose('', trained, path, ['idle', 'nod'])
  assert other == rule._replace(background=('idle', 'nod'))
  with pytest.raises(errors.InputError, match="did you mean 'idle'"):
    rule_file.choose('', trained, path, ['idel'])


def test_a_preset_has_a_background_of_its_own(trained, path):
  trained.labels = demo.LABELS
  with pytest.raises(errors.InputError, match="--background is 'Thumb Up'"):
    rule_file.choose('', trained, rule_file.OFFICIAL_DEMO, ['Thumb Up'])


def test_what_was_another_model_is_said(trained, path):
  _, origin = rule_file.choose('', trained, path)
  assert origin == f'the rule in {path}, tuned on a.csv'
  trained.step, trained.meta = 300, {}
  _, origin = rule_file.choose('', trained, path)
  assert re.search('every 0.25 s, at step 200 .* of step 300: tune', origin)
