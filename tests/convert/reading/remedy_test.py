"""The lines of PyTorch that a message gives are run here."""

import argparse
import collections
import pathlib
import pickle

import numpy as np
import pytest

from support import torch_weights
from tsm_jax import errors

torch = pytest.importorskip('torch')
read = torch_weights.read
tensors = torch_weights.tensors
NAME = torch_weights.NAME


class Recogniser(torch.nn.Module):
  """A whole network, saved with its code."""

  def __init__(self):
    super().__init__()
    self.base_model = torch.nn.Module()
    for name, value in tensors().items():
      module, (*parts, leaf) = self, name.split('.')
      for part in parts:
        if not hasattr(module, part):
          module.add_module(part, torch.nn.Module())
        module = getattr(module, part)
      module.register_buffer(leaf, value)


META = {'config': "model = dict(backbone=dict(style='pytorch'))", 'epoch': 9}


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize(
  ('content', 'called'),
  [
    (
      lambda: {
        'args': argparse.Namespace(lr=1),
        'model': tensors(),
      },
      'argparse.Namespace',
    ),
    (
      lambda: {
        'best': np.float64(3),
        'state_dict': tensors('module.'),
      },
      'numpy',
    ),
    (
      lambda: {
        'meta': {**META, 'best': np.float64(3)},
        'state_dict': collections.OrderedDict(tensors()),
      },
      'numpy',
    ),
    (Recogniser, 'Recogniser'),
    (lambda: {'epoch': 3, 'model': Recogniser()}, 'Recogniser'),
    (lambda: torch.nn.DataParallel(Recogniser()), 'DataParallel'),
  ],
)
def test_the_remedy_for_a_file_with_more_than_tensors_works(
  tmp_path, monkeypatch, content, called, zipped
):
  monkeypatch.chdir(tmp_path)
  torch.save(content(), NAME, _use_new_zipfile_serialization=zipped)
  with pytest.raises(errors.InputError) as refused:
    read(NAME)
  sentence, *lines = str(refused.value).splitlines()
  assert sentence.startswith(f'{NAME} is refused: it holds more than tensors')
  assert called in sentence and len(lines) == 3
  exec('\n'.join(line.strip() for line in lines), {})
  found, _ = read(NAME.replace('.pth', '_weights.pth'))
  torch_weights.assert_same(found, torch_weights.expected())


def pickled(path):
  weights = {k: v.numpy() for k, v in tensors().items()}
  path.write_bytes(pickle.dumps(weights))


def scripted(path):
  torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def exported(path):
  program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
  torch.export.save(program, path)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize(
  ('write', 'called'),
  [
    (pickled, 'a pickle of Python'),
    (scripted, 'a TorchScript archive'),
    (exported, r'an archive of torch\.export'),
  ],
)
def test_the_remedy_for_other_files_of_python(
  tmp_path, monkeypatch, write, called
):
  monkeypatch.chdir(tmp_path)
  write(pathlib.Path('x.pt2'))
  with pytest.raises(errors.InputError, match=called) as refused:
    read('x.pt2')
  exec('\n'.join(x.strip() for x in str(refused.value).splitlines()[1:]), {})
  written = torch.load('x.pt2_weights.pth', weights_only=True)
  assert {'weight', 'bias'} == set(
    written
  ) or written.keys() == tensors().keys()


def test_the_remedy_keeps_the_configuration(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  hooks = {'buffer': argparse.Namespace(a=1), 'best': np.float64(3)}
  content = {
    'meta': {**META, 'CLASSES': ('a', 'b')},
    'state_dict': tensors(),
    'message_hub': hooks,
  }
  content['meta'].update(hooks)
  torch.save(content, 'x.pth')
  with pytest.raises(errors.InputError) as refused:
    read('x.pth')
  exec('\n'.join(x.strip() for x in str(refused.value).splitlines()[1:]), {})
  written = torch.load('x_weights.pth', weights_only=True)
  assert {**written['meta'], **META} == {
    **META,
    'CLASSES': ['a', 'b'],
    'buffer': 'Namespace(a=1)',
    'best': 3.0,
  }
