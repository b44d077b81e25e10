import sys
import warnings

import numpy as np
import pytest

from support import torch_weights
from tsm_jax import convert, errors

torch = pytest.importorskip('torch')


@pytest.mark.parametrize('zipped', [True, False])
def test_files_of_pytorch(tmp_path, zipped):
  # As the authors' trainer saves them, with an optimiser of several groups.
  weights = torch_weights.small()
  linear = torch.nn.Linear(2, 2)
  optimizer = torch.optim.SGD(linear.parameters(), lr=0.1, momentum=0.9)
  linear(torch.ones(1, 2)).sum().backward()
  optimizer.step()
  path = tmp_path / (
    'TSM_kinetics_RGB_resnet18_shift4_blockres_avg_segment16_e45.pth.tar'
  )
  checkpoint = {
    'epoch': 45,
    'arch': 'resnet18',
    'state_dict': {k: torch.tensor(v) for k, v in weights.items()},
    'optimizer': optimizer.state_dict(),
    'best_prec1': torch.tensor(71.2),
  }
  torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
  config, variables = convert.from_torch(path, stage_sizes=(1,))
  assert (config['fold_div'], config['num_frames']) == (4, 16)
  assert config['stage_sizes'] == (1,)
  expected = convert.from_torch(
    weights, fold_div=4, num_frames=16, stage_sizes=(1,)
  )
  torch_weights.assert_same((config, variables), expected)
  override, _ = convert.from_torch(
    str(path), num_frames=8, fold_div=2, stage_sizes=(1,)
  )
  assert (override['fold_div'], override['num_frames']) == (2, 8)


def test_files_of_safetensors(tmp_path):
  safetensors = pytest.importorskip('safetensors.numpy')
  path = tmp_path / 'model.safetensors'
  weights = torch_weights.small()
  safetensors.save_file(weights, path)
  torch_weights.assert_same(
    convert.from_torch(path, stage_sizes=(1,)),
    convert.from_torch(weights, stage_sizes=(1,)),
  )
  weights['module.new_fc.bias'] = weights['module.new_fc.bias'].astype('i2')
  safetensors.save_file(weights, path)
  with pytest.raises(ValueError, match=r'floating.*new_fc.bias \(int16\)'):
    convert.from_torch(path)
  path.write_bytes(path.read_bytes()[:50])
  with pytest.raises(ValueError, match=r'cannot be read.*truncated'):
    convert.from_torch(path)


class Bomb:
  """Pickled, it creates a file when it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return (open, (str(self.path), 'w'))


@pytest.mark.parametrize('zipped', [True, False])
def test_a_pickle_that_runs_code_is_refused(tmp_path, zipped):
  trace = tmp_path / 'it_ran'
  path = tmp_path / 'evil.pth'
  content = {'state_dict': {'x': torch.zeros(1)}, 'note': Bomb(trace)}
  torch.save(content, path, _use_new_zipfile_serialization=zipped)
  with pytest.raises(ValueError, match='refused: it holds more than tensors'):
    convert.from_torch(path)
  assert not trace.exists()
  # The file is what it is said to be: without the protection, it does run.
  torch.load(path, weights_only=False)['note'].close()
  assert trace.exists()


def test_a_library_that_is_wanted_is_named(tmp_path, monkeypatch):
  for module, name in (('torch', 'x.pth'), ('safetensors', 'x.safetensors')):
    start = b'PK' if module == 'torch' else b'\1' + bytes(7) + b'{'
    (tmp_path / name).write_bytes(start)
    with monkeypatch.context() as context:
      for loaded in [m for m in sys.modules if m.split('.')[0] == module]:
        context.delitem(sys.modules, loaded)
      context.setitem(sys.modules, module, None)
      match = rf"read by {module}.*pip install 'tsm_jax\[torch\]'"
      with pytest.raises(ImportError, match=match):
        convert.from_torch(tmp_path / name)


@pytest.mark.parametrize('zipped', [True, False])
def test_a_truncated_file(tmp_path, zipped):
  path = tmp_path / 'cut.pth'
  state = {k: torch.tensor(v) for k, v in torch_weights.small().items()}
  torch.save({'state_dict': state}, path, _use_new_zipfile_serialization=zipped)
  for keep in (0.5, 0.99):
    content = path.read_bytes()
    cut = tmp_path / 'part.pth'
    cut.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=r'cannot be read.*truncated'):
      convert.from_torch(cut)
  with pytest.raises(ValueError, match=r'no file .*none\.pth'):
    convert.from_torch(tmp_path / 'none.pth')
  path.write_bytes(bytes(range(256)))
  with pytest.raises(ValueError, match=r'cannot be read.*no checkpoint'):
    convert.from_torch(path)
  torch.save({'state_dict': {}, 'best': np.float64(3)}, path)
  with pytest.raises(ValueError, match=r'refused.*rebuilding numpy.*scalar'):
    convert.from_torch(path)
  torch.save(torch.zeros(3), path)
  with pytest.raises(ValueError, match='holds a Tensor, not weights'):
    convert.from_torch(path)


def official_weights(num_classes=5):
  return {
    k: torch.tensor(v) for k, v in torch_weights.small(num_classes).items()
  }


@pytest.mark.parametrize('name', ['ckpt.pth.tar', 'ckpt.best.pth.tar'])
def test_the_folder_of_the_authors_trainer_tells(tmp_path, monkeypatch, name):
  folder = 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment16_e50'
  (tmp_path / folder).mkdir()
  path = tmp_path / folder / name
  torch.save({'state_dict': official_weights()}, path)
  lines = []
  config, _ = convert.from_torch(path, log=lines.append, stage_sizes=(1,))
  assert (config['fold_div'], config['num_frames']) == (4, 16)
  assert not lines
  # Also from inside of the folder.
  monkeypatch.chdir(tmp_path / folder)
  assert convert.from_torch(name, stage_sizes=(1,))[0] == config


def test_what_nothing_tells_is_said(tmp_path):
  path = tmp_path / 'shift.pth'
  torch.save({'state_dict': official_weights()}, path)

  def said(source=path, **overrides):
    lines = []
    convert.from_torch(source, log=lines.append, stage_sizes=(1,), **overrides)
    return lines

  assert said() == [
    'fold_div and num_frames are not in the weights; 8 and 8 are used.'
  ]
  assert said(fold_div=4) == ['num_frames is not in the weights; 8 is used.']
  assert said(fold_div=4, num_frames=8) == []
  assert (
    said(torch_weights.small()) == []
  )  # a mapping has no name that could tell
  # Without the shift, there is no fold.
  (first, _) = said(shift='none')
  assert first == 'num_frames is not in the weights; 8 is used.'


def test_parameters_that_want_a_gradient(tmp_path):
  parameters = {k: torch.nn.Parameter(v) for k, v in official_weights().items()}
  expected = convert.from_torch(torch_weights.small(), stage_sizes=(1,))
  torch_weights.assert_same(
    convert.from_torch(parameters, stage_sizes=(1,)), expected
  )
  torch.save({'state_dict': parameters}, tmp_path / 'x.pth')
  found = convert.from_torch(tmp_path / 'x.pth', stage_sizes=(1,))
  torch_weights.assert_same(found, expected)


def test_what_is_no_file_of_weights_is_named(tmp_path):
  with pytest.raises(errors.InputError, match='is a folder, neither a file'):
    convert.from_torch(tmp_path)
  path = tmp_path / 'scripted.pt'
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # that TorchScript is deprecated
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
  with pytest.raises(errors.InputError, match='a TorchScript archive, a prog'):
    convert.from_torch(path)
