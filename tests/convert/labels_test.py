import json

import jax
import numpy as np
import pytest

from support import torch_weights
from tsm_jax import convert, errors
from tsm_jax.convert import __main__ as main
from tsm_jax.convert import init_from
from tsm_jax.data.sources import listings
from tsm_jax.runs import checkpoints

torch = pytest.importorskip('torch')

NAMES = ['hop', 'to jump', 'run']
FIELDS = {'stage_sizes': (1,), 'image_size': 32}


def weights(num_classes=3):
  found = torch_weights.small(num_classes)
  return {k: torch.tensor(v) for k, v in found.items()}


def source(folder, **more):
  path = folder / 'TSM_x_RGB_resnet18_shift8_blockres_avg_segment8_e1.pth'
  torch.save({'state_dict': weights(), **more}, path)
  return path


def test_the_order_of_classes_is_shown(tmp_path):
  names = tmp_path / 'names.json'
  names.write_text(json.dumps(NAMES))
  lines = main.to_checkpoint(source(tmp_path), tmp_path / 'a', names, **FIELDS)
  line = 'Classes, in the order of the classifier: '
  assert f"{line}0 'hop', 1 'to jump', 2 'run'." in lines
  assert checkpoints.restore_model(tmp_path / 'a').labels == NAMES
  lines = main.to_checkpoint(source(tmp_path), tmp_path / 'b', **FIELDS)
  assert f"{line}0 '0', 1 '1', 2 '2'." in lines


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_names_travel_with_a_file_of_ours(tmp_path, suffix, capsys):
  pytest.importorskip('safetensors')
  names = tmp_path / 'names.json'
  names.write_text(json.dumps(NAMES))
  main.to_checkpoint(source(tmp_path), tmp_path / 'a', names, **FIELDS)
  out = tmp_path / f'mine_segment8_x{suffix}'
  assert not main.main([str(tmp_path / 'a'), str(out)])
  assert "classifier: 0 'hop', 1 'to jump', 2 'run'." in capsys.readouterr().out
  assert convert.read(out, stage_sizes=(1,)).labels == NAMES
  main.to_checkpoint(out, tmp_path / 'b', **FIELDS)
  assert checkpoints.restore_model(tmp_path / 'b').labels == NAMES
  # Another order is a mistake, other names are a wish.
  names.write_text(json.dumps(NAMES[::-1]))
  with pytest.raises(errors.InputError, match=r"order 0 'run', .*0 'hop'"):
    main.to_checkpoint(out, tmp_path / 'c', names, **FIELDS)
  names.write_text(json.dumps(['a', 'b', 'c']))
  lines = main.to_checkpoint(out, tmp_path / 'c', names, **FIELDS)
  assert any(
    "takes the place of the names in the file: 0 'h" in x for x in lines
  )
  assert checkpoints.restore_model(tmp_path / 'c').labels == ['a', 'b', 'c']


def test_a_run_starts_only_with_the_classes_of_the_file(tmp_path):
  config = {
    **convert.read(weights(), stage_sizes=(1,)).config,
    'depth': 18,
  }

  def load(path, names):
    lines = []
    variables, _ = init_from.load(str(path), config, names, lines.append)
    return variables['params']['head']['kernel'], '\n'.join(lines)

  unnamed, log = load(source(tmp_path), NAMES)
  assert "in the same order: 0 'hop', 1 'to jump', 2 'run'." in log
  path = source(tmp_path, labels=NAMES)
  same, log = load(path, NAMES)
  assert (same == unnamed).all() and 'assumed' not in log
  other, log = load(path, sorted(NAMES))
  assert abs(other).max() < 0.01  # a new classifier
  assert "it has 'to jump' where the dataset has 'run'" in log
  assert "data.labels (0 'hop', 1 'to jump', 2 'run')" in log


def test_a_run_of_numbered_classes_is_started_from_again(tmp_path):
  names = listings.in_order(map(str, range(12)))
  torch.save({'state_dict': weights(12), 'labels': names}, tmp_path / 'x.pth')
  main.to_checkpoint(tmp_path / 'x.pth', tmp_path / 'run', **FIELDS)
  assert not main.main([str(tmp_path / 'run'), str(tmp_path / 'back.pth')])
  trained = checkpoints.restore_model(tmp_path / 'run')
  config = {**trained.config, 'stage_sizes': (1,)}
  variables, _ = init_from.load(tmp_path / 'back.pth', config, names, print)
  jax.tree.map(np.testing.assert_array_equal, variables, trained.variables)
  # One of a release that sorted them as texts is not taken for it.
  torch.save(
    {'state_dict': weights(12), 'labels': sorted(names)}, tmp_path / 'x.pth'
  )
  lines = []
  variables, _ = init_from.load(tmp_path / 'x.pth', config, names, lines.append)
  assert abs(variables['params']['head']['kernel']).max() < 0.01
  assert "it has '10' where the dataset has '2'" in '\n'.join(lines)
