"""A checkpoint of ours as an official file, which PyTorch itself reads."""

import shlex

import jax
import numpy as np
import pytest

from support import checkpointed, commands, golden, torch_weights
from tsm_jax.convert import __main__ as main
from tsm_jax.convert import official_form
from tsm_jax.runs import checkpoints

torch = pytest.importorskip('torch')
safetensors_torch = pytest.importorskip('safetensors.torch')


@pytest.mark.parametrize('suffix', ['.pth', '.pth.tar', '.safetensors'])
def test_a_checkpoint_of_ours_becomes_an_official_file(
  tmp_path, capsys, suffix
):
  source = tmp_path / 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment4_e1.pth'
  official = {k: torch.tensor(v) for k, v in torch_weights.small(3).items()}
  torch.save({'state_dict': official}, source)
  main.to_checkpoint(source, tmp_path / 'ours', stage_sizes=(1,))
  out = tmp_path / 'back' / f'{source.stem}{suffix}'
  main.main([str(tmp_path / 'ours'), str(out)])
  assert "give '--stage_sizes=(1,)'." in capsys.readouterr().out
  if suffix == '.safetensors':
    written = safetensors_torch.load_file(out)
  else:
    written = torch.load(out, weights_only=True)
    assert list(written) == ['state_dict', 'labels']
    assert written['labels'] == ['0', '1', '2']
    written = written['state_dict']
  assert {k for k in written if 'num_batches' not in k} == official.keys()
  for key, value in official.items():
    assert torch.equal(written[key], value), key
  # And back again.
  main.to_checkpoint(out, tmp_path / 'again', stage_sizes=(1,))
  assert_same_model(tmp_path / 'ours', tmp_path / 'again')


def assert_same_model(one, other):
  one, other = map(checkpoints.restore_model, (one, other))
  assert one.config == other.config
  jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)


def test_who_trains_here_can_hand_the_weights_back(tmp_path, capsys):
  run = checkpointed.save(
    tmp_path / 'run',
    steps=(20,),
    model__stage_sizes=(1, 1),
    model__consensus='frames',
    model__consensus_from=2,
  )
  out = tmp_path / 'weights.pth'
  done = commands.call('convert', run, out)
  assert (done.returncode, done.stderr) == (0, '')
  told = "--fold_div=4 --num_frames=4 '--stage_sizes=(1, 1)'"
  told += ' --consensus=frames --consensus_from=2'
  assert 'mean over its frames from 2 on; the authors' in done.stdout
  assert f'read it with tsm_jax.convert, give {told}.' in done.stdout
  before = out.read_bytes()
  main.main([str(out), str(tmp_path / 'whole')])
  assert_same_model(run, tmp_path / 'whole')
  (tmp_path / 'weights.pth.json').rename(tmp_path / 'away')
  main.main([str(out), str(tmp_path / 'again'), *shlex.split(told)])
  one = checkpoints.restore_model(run)
  other = checkpoints.restore_model(tmp_path / 'again')
  jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)
  assert (other.config.consensus, other.config.consensus_from) == ('frames', 2)
  # A single step is a checkpoint, too.
  (step,) = (p for p in (run / 'checkpoints').iterdir() if p.name.isdigit())
  capsys.readouterr()
  main.main([str(step), str(tmp_path / 'step.pth')])
  assert capsys.readouterr().out.endswith('38 weights of a resnet.\n')
  for arguments, message in (
    ([run, out], 'exists already; choose another place'),
    ([run, tmp_path / 'x.onnx'], 'one of .pth, .pth.tar, .pt, .safetensors'),
    ([run, tmp_path / 'x.pth', '--depth=18'], '--depth is only for a file of'),
    ([run, tmp_path / 'x.pth', '--labels=x'], '--labels is only for a file'),
  ):
    with pytest.raises(SystemExit) as refused:
      main.main([str(argument) for argument in arguments])
    assert refused.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith('error: ') and message in told
    assert len(told.splitlines()) == 1
  assert out.read_bytes() == before
  assert not list(tmp_path.glob('x.*')) + list(tmp_path.glob('*.unfinished'))


def test_the_online_demo_gets_its_bare_form(tmp_path):
  shapes = golden.shapes('online_mbv2_jester')
  weights = golden.weights(shapes)
  source = tmp_path / 'mobilenetv2_jester_online.pth.tar'
  torch.save({k: torch.tensor(v) for k, v in weights.items()}, source)
  main.to_checkpoint(source, tmp_path / 'ours')
  out = tmp_path / 'out.pth.tar'
  assert official_form.to_file(tmp_path / 'ours', out)
  written = torch.load(out, weights_only=True)
  assert written.keys() == shapes.keys()
  for key, value in weights.items():
    np.testing.assert_array_equal(written[key].numpy(), value)
