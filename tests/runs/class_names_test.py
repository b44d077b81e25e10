"""Names of classes on their way from a list to a prediction."""

import json

import jax
import numpy as np
import pytest

from support import helpers
from tsm_jax import program, sharding
from tsm_jax.data.sources import folder
from tsm_jax.data.store import dataset
from tsm_jax.program import checks
from tsm_jax.runs import checkpoints, identity

# What a reader may cut, part, strip, count, fill in or take for a number.
LABELS = (
  *('a  b', 'Größe, "b" \\n', "o'c", '$\\frac$', 'a|b', '10', '007', '1e3'),
  *('视频', '🏃', 'é', '# no comment', '<b>', '%s', '{x}', 'NaN', 'null'),
)


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  """A dataset of a clip of each class, by a list."""
  root = tmp_path_factory.mktemp('names')
  video = helpers.write_video(root / 'a.mp4', 1).read_bytes()
  rows = []
  for i, label in enumerate(LABELS):
    (root / f'{i}.mp4').write_bytes(video)
    rows.append({'path': f'{i}.mp4', 'label': label, 'split': 'train'})
  (root / 'l.json').write_text(json.dumps(rows))
  path, _ = helpers.build(root / 'l.json', root / 'data')
  return dataset.open(path)


def test_names_of_classes_in_a_dataset(built):
  assert built.labels == sorted(LABELS)
  found = helpers.records(built.path, 'train')
  assert {
    name: built.labels[record['label']] for name, record in found.items()
  } == {f'{i}.mp4': label for i, label in enumerate(LABELS)}


def test_names_of_classes_in_a_model(built, tmp_path):
  config = helpers.tiny_config('', '')
  mesh = sharding.create_mesh(jax.devices()[:1])
  state = program.build(config, mesh, len(LABELS), 20).arguments[0]
  state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
  state = jax.device_put(state, sharding.replicated(mesh))
  kept = checkpoints.Checkpoints(tmp_path / 'run', config.checkpoint)
  variables = {'params': state.params, 'batch_stats': state.batch_stats}
  config = checks.resolve(config, mesh, len(LABELS))
  meta = identity.describe(config, built.labels, built.name)
  kept.save(state, variables, meta)
  kept.wait()
  assert checkpoints.restore_model(tmp_path / 'run').labels == sorted(LABELS)


@pytest.mark.parametrize('kind', ['csv', 'txt'])
def test_names_of_classes_in_other_files(tmp_path, kind):
  rows = [('path', 'label'), *((f'{i}.mp4', la) for i, la in enumerate(LABELS))]
  for path, _ in rows[1:]:
    (tmp_path / path).write_bytes(b'x')
  labels = ''
  with open(tmp_path / 'l.csv', 'w', newline='') as file:
    for path, label in rows:
      quoted = label.replace('"', '""')
      file.write(f'{path},"{quoted}"\n')
  if kind == 'txt':
    labels = tmp_path / 'labels.txt'
    labels.write_text(''.join(f'{label}\n' for label in LABELS))
  listing = folder.scan(tmp_path / 'l.csv', labels, holdout=0)
  expected = list(LABELS) if labels else sorted(LABELS)
  assert listing.labels == expected and not listing.excluded
  assert {i.video_id: i.label for i in listing.items} == dict(rows[1:])
