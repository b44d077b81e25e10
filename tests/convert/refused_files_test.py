"""Files that are no weights or more than weights: what they are is said."""

import gzip
import re
import tarfile
import zipfile

import numpy as np
import pytest

from support import golden, torch_weights
from tsm_jax import convert, errors

torch = pytest.importorskip('torch')
read = torch_weights.read
tensors = torch_weights.tensors
NAME = torch_weights.NAME


def text(content):
  return lambda path: path.write_text(content)


def npz(path):
  with open(path, 'wb') as file:
    np.savez(file, **torch_weights.small())


def zipped(path):
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('inside/weights.pth', b'x')


def tarred(path):
  with tarfile.open(path, 'w') as archive:
    archive.add(__file__, 'weights.pth')


@pytest.mark.parametrize(
  ('write', 'called'),
  [
    (lambda path: path.write_bytes(b''), r'empty \(0 bytes\)'),
    (lambda path: path.write_bytes(gzip.compress(b'x')), 'gzip.*gunzip'),
    (
      text('version https://git-lfs.github.com/spec/v1\noid x'),
      'Git LFS.*pull',
    ),
    (text('<!DOCTYPE html><html>404</html>'), 'web page.*Download'),
    (text('\n <HTML><head>'), 'a web page'),
    (text('<?xml version="1.0"?><Error><Code>AccessDenied'), 'a web page'),
    (text('{"message": "Not Found"}'), "a text, which begins with '{"),
    (text('Dateiname zu lang: größer'), "a text, which begins with 'Datei"),
    (npz, r'npz file of NumPy.*numpy\.load'),
    (lambda path: path.write_bytes(b'\x93NUMPY\1\0'), 'one array of NumPy'),
    (zipped, "zip archive; unpack it and give 'inside/weights.pth'"),
    (tarred, 'a tar archive'),
    (lambda path: path.write_bytes(b'\x89HDF\r\n\x1a\n'), 'HDF5'),
    (lambda path: path.write_bytes(b'Rar!\x1a\x07\0'), 'RAR'),
  ],
)
@pytest.mark.parametrize('name', ['x.pth', 'x.safetensors'])
def test_what_is_no_file_of_weights_is_called_by_its_name(
  tmp_path, write, called, name
):
  path = tmp_path / name
  write(path)
  with pytest.raises(errors.InputError, match=called) as refused:
    read(path)
  assert len(str(refused.value).splitlines()) == 1
  assert len(str(refused.value)) < 300


def test_a_file_is_what_it_holds_and_not_what_its_name_ends_with(tmp_path):
  safetensors = pytest.importorskip('safetensors.torch')
  safetensors.save_file(tensors(), tmp_path / NAME)
  torch_weights.assert_same(
    read(tmp_path / NAME)[0],
    torch_weights.expected(),
  )
  torch.save(tensors(), tmp_path / 'x.safetensors')
  found, _ = read(tmp_path / 'x.safetensors')
  torch_weights.assert_same(found, torch_weights.expected())


def test_another_depth_is_one_sentence(tmp_path):
  shapes = golden.narrow(golden.shapes('r18_shift'))
  weights = {k: torch.tensor(v) for k, v in golden.weights(shapes).items()}
  torch.save({'state_dict': weights}, tmp_path / NAME)
  with pytest.raises(errors.InputError) as refused:
    read(tmp_path / NAME, depth=50, width=8, stage_sizes=())
  assert str(refused.value) == (
    f'{tmp_path / NAME} holds the weights of a ResNet-18, with (2, 2, 2, 2) '
    'basic blocks per stage, but model.depth is 50, with (3, 4, 6, 3) '
    'bottleneck blocks per stage.'
  )


def timm_mobilenet():
  return {
    'conv_stem.weight': (32, 3, 3, 3),
    'bn1.weight': (32,),
    'blocks.0.0.conv_dw.weight': (32, 1, 3, 3),
    'conv_head.weight': (1280, 320, 1, 1),
    'classifier.weight': (1000, 1280),
  }


@pytest.mark.parametrize(
  ('shapes', 'called'),
  [
    (timm_mobilenet(), r"timm's names .*mobilenetv2_100"),
    (
      {'cls_token': (1, 1, 8), 'patch_embed.proj.weight': (8, 3, 16, 16)},
      'of a transformer; only ResNet',
    ),
    (
      {'stem.0.weight': (64, 3, 3, 7, 7), 'layer1.0.conv1.0.weight': (8, 8, 3)},
      r'3D convolutions \(stem\.0\.weight',
    ),
    (
      {
        'features.0.0.weight': (16, 3, 3, 3),
        'features.2.block.0.weight': (8, 8),
      },
      'not the blocks of a MobileNetV2',
    ),
    ({'a.weight': (8, 8)}, 'no known network'),
  ],
)
def test_other_networks_are_one_sentence(shapes, called):
  weights = {k: np.ones(shape, np.float32) for k, shape in shapes.items()}
  with pytest.raises(errors.InputError, match=called) as refused:
    convert.from_torch(weights, num_classes=5)
  assert len(str(refused.value)) < 300


def test_of_many_missing_weights_the_first_are_listed():
  weights = tensors()
  for name in [k for k in weights if re.search('layer1.0.bn', k)]:
    del weights[name]
  with pytest.raises(errors.InputError, match=r'Missing: .* and 3 more\. Of'):
    read(weights)


def test_names_are_shown_as_text(tmp_path):
  path = tmp_path / 'a\x1b[2J\nb.pth'
  for write in (lambda: None, lambda: path.write_bytes(b'')):
    write()
    with pytest.raises(errors.InputError) as refused:
      read(path)
    assert str(refused.value).isprintable()
    assert r'a\x1b[2J\nb.pth' in str(refused.value)
