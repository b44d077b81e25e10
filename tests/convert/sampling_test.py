"""How frames are chosen: by --sampling, the file, or its name."""

import pytest

from support import commands, torch_weights
from tsm_jax.runs import checkpoints

torch = pytest.importorskip('torch')

TELLING = 'TSM_x_RGB_resnet18_shift8_blockres_avg_segment8_e1'
OPENMMLAB = {
  'meta': {
    'config': "test_pipeline = [dict(type='DenseSampleFrames')]\n"
    "model = dict(backbone=dict(type='ResNetTSM', num_segments=8))"
  }
}


def convert(folder, name, *flags, **more):
  weights = torch_weights.without_module(torch_weights.small(3))
  if more:
    weights = torch_weights.openmmlab(weights)
  state = {k: torch.tensor(v) for k, v in weights.items()}
  torch.save({'state_dict': state, **more}, folder / name)
  return commands.call(
    'convert', folder / name, folder / 'out', '--stage_sizes=(1,)', *flags
  )


@pytest.mark.parametrize(
  ('name', 'flags', 'more', 'sampling', 'is_said'),
  [
    (f'{TELLING}.pth', (), {}, 'uniform', False),
    (f'{TELLING}_dense.pth', (), {}, 'dense', False),
    (f'{TELLING}_dense.pth', ('--sampling=uniform',), {}, 'uniform', False),
    ('x.pth', ('--sampling', 'dense'), {}, 'dense', False),
    ('x.pth', (), {}, 'uniform', True),
    ('epoch_5.pth', (), OPENMMLAB, 'dense', False),
  ],
)
def test_sampling_is_recorded(tmp_path, name, flags, more, sampling, is_said):
  done = convert(tmp_path, name, *flags, **more)
  assert done.returncode == 0, done.stderr
  trained = checkpoints.restore_model(tmp_path / 'out')
  assert trained.preprocessing.sampling == sampling
  assert trained.meta['config']['data']['sampling'] == sampling
  assert f'sampling={sampling!r}.' in done.stdout
  assert ('sampling is not in the weights' in done.stdout) == is_said


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (('--sampling=densely',), "--sampling is 'densely'; choose from"),
    (('--sampling=dense', '--num_frames=65'), 'num_frames is 65'),
  ],
)
def test_sampling_that_cannot_be_is_refused(tmp_path, flags, message):
  done = convert(tmp_path, 'x.pth', *flags)
  assert done.returncode == 2 and message in done.stderr
  assert not (tmp_path / 'out').exists()
