"""What a file of weights does not hold lies beside it, and is read there."""

import json

import pytest

from support import torch_weights
from tsm_jax import convert, errors, models
from tsm_jax.convert import __main__ as main
from tsm_jax.convert import beside, init_from, official_form
from tsm_jax.runs import checkpoints
from tsm_jax.stream.events import rule_file

torch = pytest.importorskip('torch')
SIZES = {'stage_sizes': (1,), 'fold_div': 4, 'num_frames': 5}


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """A checkpoint of three named classes, with sizes of its own."""
  root = tmp_path_factory.mktemp('source')
  official = {k: torch.tensor(v) for k, v in torch_weights.small(3).items()}
  torch.save({'state_dict': official}, root / 'weights.pth')
  (root / 'labels.txt').write_text('jump\nrun\nwalk\n')
  main.to_checkpoint(
    root / 'weights.pth',
    root / 'ours',
    labels_file=str(root / 'labels.txt'),
    image_size=64,
    short_side=72,
    sampling='dense',
    dropout=0.8,
    **SIZES,
  )
  return root / 'ours'


@pytest.fixture
def written(source, tmp_path):
  """The file of weights, and the lines for the user."""
  out = tmp_path / 'handed_over.pth'
  return out, official_form.to_file(source, out)


def test_what_the_file_does_not_hold_is_named_and_written(written):
  out, lines = written
  (line,) = (line for line in lines if 'does not hold all' in line)
  assert f"'{out}.json' beside it has its classes and num_frames=5" in line
  assert "fold_div=4, image_size=64, short_side=72, sampling='dense'" in line
  assert 'mean=[0.485, 0.456, 0.406]' in line
  content = json.loads((out.parent / f'{out.name}.json').read_text())
  assert content['labels'] == ['jump', 'run', 'walk']
  assert content['config']['model']['num_frames'] == 5


def test_the_file_is_read_as_the_same_model(source, written, tmp_path, capsys):
  out, _ = written
  main.main([str(out), str(tmp_path / 'again')])
  printed = capsys.readouterr().out
  assert f'{out}.json tells what the weights do not.' in printed
  assert 'is used' not in printed  # nothing is assumed
  one, other = map(checkpoints.restore_model, (source, tmp_path / 'again'))
  assert one.config.to_dict() == other.config.to_dict()
  assert one.preprocessing == other.preprocessing
  assert one.labels == other.labels == ['jump', 'run', 'walk']
  config, _ = convert.from_torch(out, num_frames=7, log=[].append)
  assert (config['num_frames'], config['fold_div']) == (7, 4)


def test_what_is_no_event_stays_so(source, tmp_path):
  trained = checkpoints.restore_model(source)
  trained.meta['config']['data']['background'] = 'walk'
  out = tmp_path / 'online.pth'
  official_form.to_file(source, out)
  (tmp_path / 'online.pth.json').unlink()
  beside.write(out, trained)
  main.to_checkpoint(out, tmp_path / 'again')
  again = checkpoints.restore_model(tmp_path / 'again')
  rule, _ = rule_file.choose(tmp_path / 'again', again)
  assert rule.background == ('walk',)
  (tmp_path / 'names.txt').write_text('jump\nrun\nstroll\n')
  lines = main.to_checkpoint(
    out, tmp_path / 'others', labels_file=str(tmp_path / 'names.txt')
  )
  assert [line for line in lines if "The background 'walk' is none of" in line]
  others = checkpoints.restore_model(tmp_path / 'others')
  rule, _ = rule_file.choose(tmp_path / 'others', others)
  assert rule.background == ()


def test_flags_have_the_last_word(written, tmp_path):
  out, _ = written
  main.to_checkpoint(
    out, tmp_path / 'again', image_size=32, sampling='uniform', num_frames=3
  )
  found = checkpoints.restore_model(tmp_path / 'again').preprocessing
  assert (found.image_size, found.short_side) == (32, 72)
  assert (found.sampling, found.num_frames) == ('uniform', 3)


def test_a_new_run_knows_the_classes_of_the_file(written):
  out, _ = written
  bare = torch.load(out, weights_only=True)['state_dict']
  torch.save(bare, out)  # without labels; so the JSON is of other weights
  path = out.parent / f'{out.name}.json'
  content = json.loads(path.read_text())
  config = {**models.DEFAULTS, 'depth': 18, 'width': 8, **SIZES}
  config['num_classes'] = 3
  for sha256, expected in (
    (content['sha256'], 'handed_over.pth.json is not read: it was written for'),
    (convert.weight_files.sha256(out), "'jump' where the dataset has 'a'"),
  ):
    path.write_text(json.dumps({**content, 'sha256': sha256}))
    lines = []
    init_from.load(str(out), config, ['a', 'run', 'walk'], lines.append)
    assert expected in '\n'.join(lines)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (None, r'handed_over\.pth\.json is no JSON'),
    ({'labels': [1]}, r'handed_over\.pth\.json: label 0 is 1, not a text'),
    ({'config': {'name': 'x'}}, r'config\.model must be'),
  ],
)
def test_a_damaged_json_is_a_sentence(written, change, message):
  out, _ = written
  path = out.parent / f'{out.name}.json'
  whole = path.read_text()
  path.write_text(
    json.dumps({**json.loads(whole), **change}) if change else whole[:50]
  )
  with pytest.raises(errors.InputError, match=message):
    beside.read(out, print)


def test_a_json_of_another_program_is_let_be(written):
  out, _ = written
  path, lines = out.parent / f'{out.name}.json', []
  path.write_text('{"labels": 5}')
  assert beside.read(out, lines.append) == beside.Beside({}, {}, None)
  (line,) = lines
  assert line.startswith(f'{path} is not read: it was written for something')


def test_nothing_is_overwritten(source, tmp_path):
  (tmp_path / 'x.pth.json').write_text('mine')
  with pytest.raises(errors.InputError, match=r"x\.pth\.json' exists already"):
    official_form.to_file(source, tmp_path / 'x.pth')
  assert not (tmp_path / 'x.pth').exists()
