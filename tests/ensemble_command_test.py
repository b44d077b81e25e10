"""The command for several models as one: its files, and what it refuses."""

import json

import numpy as np
import pytest

from support import commands, listed, two_streams
from tsm_jax.program import predictions


@pytest.fixture(scope='module')
def members(tmp_path_factory):
  sources = two_streams.write_sources(tmp_path_factory.mktemp('two'))
  return two_streams.write_members(tmp_path_factory.mktemp('runs'), sources)


def test_the_command(members, tmp_path):
  paths = [member.path for member in members]
  arguments = (*paths, f'--out={tmp_path / "out.json"}')
  done = commands.call(
    'ensemble',
    *(*arguments, '--weights', '1', '3', '--mean=logits', '--batch_size=8'),
  )
  assert done.returncode == 0, done.stderr
  assert 'its mean logits over the views, weighted by 0.250' in done.stdout
  report = json.loads((tmp_path / 'out.json').read_text())
  assert report['num_clips'] == 8 and report['mean'] == 'logits'
  assert len(report['per_class']) == 2
  # What every clip got is in a table, of which the numbers are sums.
  rows = listed.read_csv(tmp_path / 'out.csv')
  right = [row['top1'] == row['label'] for row in rows]
  assert sum(right) / 8 == report['top1']
  assert len({row['clip'] for row in rows}) == 8
  scores = np.array([row['logits'].split() for row in rows], np.float64)
  best = [two_streams.LABELS.index(row['top1']) for row in rows]
  np.testing.assert_array_equal(scores.argmax(axis=1), best)
  p = predictions.softmax(scores).max(axis=1)
  np.testing.assert_allclose([float(row['p1']) for row in rows], p, rtol=1e-5)
  steps = '+'.join(str(member['step']) for member in report['members'])
  assert {row['step'] for row in rows} == {steps}
  for more, message in (
    (('--weights', '1'), '--weights has 1 values for 2 checkpoints'),
    (('--sources', 'a', 'b', 'c'), '--sources has 3 values for 2'),
    (('--clips=0',), '--clips is 0; it must be at least 1.'),
    (('--mean=mean',), "--mean is 'mean'; choose from 'softmax', 'logits'."),
    (('--split=test',), "no clip in the split 'test'"),
    ((f'--out={tmp_path}/x.csv',), "x.csv', but it is a JSON file; the table"),
    (('--out=/',), "--out is '/', but it is a JSON file"),
  ):
    done = commands.call('ensemble', *arguments, *more)
    assert done.returncode == 2
    assert done.stderr.startswith('error: ') and message in done.stderr
