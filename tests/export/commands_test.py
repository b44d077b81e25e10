"""A checkpoint becomes a folder, and the folder proves itself."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest

from support import leaving
from tsm_jax import errors
from tsm_jax.export import __main__ as export
from tsm_jax.export import card, converters, lowering, proof, runtimes
from tsm_jax.export.runner import engine
from tsm_jax.stream.events import rule_file, rules


@pytest.fixture(scope='module')
def run(tmp_path_factory, folder, data_dir):
  workdir = tmp_path_factory.mktemp('run')
  fields = {'model__direction': 'past', 'model__stage_sizes': (1,)}
  return leaving.save(workdir, folder, data_dir, **fields)


@pytest.fixture(scope='module')
def whole_clips(tmp_path_factory, folder, data_dir):
  workdir = tmp_path_factory.mktemp('whole')
  fields = {'model__stage_sizes': (1,), 'model__dtype': 'bfloat16'}
  return leaving.save(workdir, folder, data_dir, **fields)


@pytest.fixture(scope='module')
def exported(run, tmp_path_factory):
  """The folder of a step, which no test changes."""
  out = tmp_path_factory.mktemp('exported') / 'out'
  export.main([run, str(out), '--format=stablehlo', '--batch=any'])
  return out


def ends(capsys, *arguments):
  """The sentence on standard error with which a command ends."""
  with pytest.raises(SystemExit) as caught:
    export.main([*map(str, arguments)])
  assert caught.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()[-1:]
  return line


def test_a_model_that_never_looks_ahead_leaves_as_a_step(exported, run):
  content = card.read(exported)
  assert (content.what, content.batch) == ('step', None)
  assert content.source['checkpoint'] == run
  assert content.labels == ['jump', 'run']
  assert content.frame_interval['seconds'] > 0
  assert {'run.py', 'requirements.txt', 'proof.npz'} < set(content.files)
  assert content.files['model.stablehlo']['bytes'] > 10_000
  parity = json.loads((exported / 'parity.json').read_text())
  # All four validation clips, of four frames.
  assert (parity['num_clips'], parity['num_frames']) == (4, 16)
  assert parity['difference'] < 1e-5 and parity['equal'] == 1
  assert parity['bounds'] == {'difference': 1e-4, 'equal': None}
  assert [x.name for x in exported.parent.iterdir()] == ['out']


def test_a_rule_of_another_step_is_told(run, tmp_path, capsys):
  workdir, labels = shutil.copytree(run, tmp_path / 'run'), ['jump', 'run']
  rule = rules.default(labels)._replace(on=0.75)
  rule_file.write(
    *(workdir / rule_file.FILE, rule, labels), list='a.csv', step=99
  )
  out = tmp_path / 'out'
  export.main([str(workdir), str(out), '--format=stablehlo'])
  assert card.read(out).rule['on'] == 0.75
  (line,) = [
    line for line in capsys.readouterr().err.splitlines() if 'Events' in line
  ]
  assert line.startswith('Events are decided by the rule in ')
  assert 'at step 99 of the training' in line and 'tune it again' in line


def test_verify_tells_whether_it_answers_as_before(exported, tmp_path, capsys):
  assert export.main(['verify', str(exported)]) == 0
  assert 'probabilities differ by at most' in capsys.readouterr().out
  other = shutil.copytree(exported, tmp_path / 'copy')
  found = proof.read(other / proof.DATA, 2)
  changed = found._replace(probabilities=found.probabilities[..., ::-1])
  proof.write(other / proof.DATA, changed)
  assert 'proof.npz is not what was saved' in ends(capsys, 'verify', other)
  card.write(other, card.read(exported))
  assert export.main(['verify', str(other)]) == 1
  assert 'does not answer as the trained one' in capsys.readouterr().out
  assert export.main(['verify', str(other), '--max_difference=1']) == 0


def test_verify_takes_clips_of_a_checkpoint(
  exported, run, whole_clips, folder, capsys
):
  verify = ['verify', str(exported), '--checkpoint']
  place = f'--config.data.source={folder}'
  assert export.main([*verify, run, place, '--config.eval.split=train']) == 0
  out, err = capsys.readouterr()
  assert '20 clips (80 frames): probabilities differ by at most' in out + err
  assert "'train' has 20 clips instead of 50" in out + err
  assert 'was not made of' not in out + err
  with pytest.raises(SystemExit):  # it can do no steps
    export.main([*verify, whole_clips])
  out, err = capsys.readouterr()
  assert f'was not made of {whole_clips} as it is now' in out + err
  line = ends(capsys, 'verify', exported, place)
  assert line.endswith('clips of a checkpoint; give --checkpoint, too.')


def test_a_proof_says_that_its_clips_are_not_those_of_the_training(
  exported, run, folder, data_dir, tmp_path, capsys
):
  assert 'note' not in json.loads((exported / 'parity.json').read_text())
  out = tmp_path / 'out'
  flags = '--format=stablehlo', '--config.data.quality=50'
  export.main([run, str(out), *flags])
  parity = json.loads((out / 'parity.json').read_text())
  assert parity['note'].startswith(f'The dataset is {parity["dataset"]}; the m')
  assert parity['note'] in capsys.readouterr().err
  clips = '--checkpoint', run, '--config.data.quality=50'
  assert export.main(['verify', str(exported), *clips]) == 0
  assert parity['note'] in capsys.readouterr().err


def test_a_checkpoint_of_other_classes_proves_nothing(
  exported, run, tmp_path, capsys
):
  out = shutil.copytree(exported, tmp_path / 'out')
  labels = ['jump', 'run', 'walk']
  card.write(out, dataclasses.replace(card.read(out), labels=labels))
  line = ends(capsys, 'verify', out, '--checkpoint', run)
  assert f'{run} has the classes jump, run; {out} has jump, run, walk' in line


def test_a_report_that_is_none_is_named(exported, tmp_path, capsys):
  out = shutil.copytree(exported, tmp_path / 'out')
  for text in ('{}', '{"bounds": [1]}', '{"bounds": {"x": 1}}'):
    content = card.read(out)
    (out / proof.FILE).write_text(text)
    card.write(out, content)
    assert 'parity.json has no bounds' in ends(capsys, 'verify', out)


def test_a_clip_in_half_precision(whole_clips, tmp_path, capsys):
  out = tmp_path / 'out'
  arguments = ['--format=stablehlo', '--precision=float16', '--batch=3']
  export.main([whole_clips, str(out), *arguments])
  printed = capsys.readouterr()
  assert 'trained in bfloat16; it leaves in float32' in printed.err
  assert 'model.stablehlo' in printed.out
  assert '4 clips: probabilities differ by at most' in printed.out
  runtime = runtimes.open(out)
  assert (runtime.card.what, runtime.card.batch) == ('clip', 3)
  frames = leaving.images(3, 4, 36, 36)
  found = runtime.run({'frames': frames})['probabilities']
  assert found.shape == (3, 2)
  np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_beyond_the_bounds_nothing_is_written(whole_clips, tmp_path, capsys):
  out = tmp_path / 'here' / 'out'
  arguments = ['--format=stablehlo', '--precision=float16']
  line = ends(capsys, whole_clips, out, *arguments, '--max_difference=0')
  assert 'does not answer as the trained one' in line
  assert 'may differ by 0 (--max_difference)' in line
  assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--format=coreml'], "--format is 'coreml'; choose from"),
    ([], 'Missing: --format'),
    (
      ['--format=stablehlo', '--precision=int8'],
      '--precision is int8, and --format=stablehlo has float32 and float16 '
      'only; litert and onnx have it.',
    ),
    (['--format=litert', '--batch=any'], '--batch is any, but a file of lit'),
    (['--format=onnx', '--batch=0'], '--batch is 0; it must be at least 1'),
    (['--format=onnx', '--batch=all'], "--batch is 'all'; it must be of type"),
    (['--format=onnx', '--max_difference=2'], 'is 2; it must be from 0 to 1'),
    (['--format=stablehlo', '--converter=x'], "--converter is 'x', but"),
    (['--format=stablehlo', '--what=step'], "model.direction is 'both'"),
    (['--format=onnx', '--config.data.sorce=x'], "'data.source'"),
  ],
)
def test_bad_input(
  whole_clips, tmp_path, capsys, monkeypatch, arguments, message
):
  monkeypatch.setattr(engine, 'version', lambda format: '1.0')
  line = ends(capsys, whole_clips, tmp_path / 'out', *arguments)
  assert message in line
  assert not (tmp_path / 'out').exists()


def test_a_runtime_that_is_missing(whole_clips, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(engine, 'version', lambda format: '')
  line = ends(capsys, whole_clips, tmp_path / 'out', '--format=litert')
  assert 'needs ai-edge-litert' in line and "'tsm_jax[export]'" in line


def test_a_network_that_no_file_holds(
  whole_clips, tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(lowering, 'MAX_BYTES', 1000)
  line = ends(capsys, whole_clips, tmp_path / 'out', '--format=stablehlo')
  assert 'export a smaller network' in line


def test_what_a_quantiser_cannot_convert_is_named():
  network = types.SimpleNamespace(name='bn_inception')
  with pytest.raises(errors.InputError, match=r"model.name is 'bn_inc"):
    converters.check('litert', 'int8', network)
  for format, precision in (('onnx', 'int8'), ('litert', 'float16')):
    converters.check(format, precision, network)


def test_a_folder_of_something_else(whole_clips, tmp_path, capsys):
  (tmp_path / 'thesis.txt').write_text('x')
  line = ends(capsys, whole_clips, tmp_path, '--format=stablehlo')
  assert "holds 'thesis.txt', which is of no export" in line


@pytest.mark.slow
@pytest.mark.parametrize(
  ('format', 'what', 'precision', 'batch'),
  [
    ('litert', 'step', 'int8', '2'),
    ('litert', 'clip', 'float16', '1'),
    ('onnx', 'step', 'float16', 'any'),
    ('onnx', 'clip', 'int8', 'any'),
  ],
)
def test_by_a_converter(run, tmp_path, format, what, precision, batch):
  options = f'--format={format} --what={what} --precision={precision}'
  out = str(tmp_path / 'out')
  # Of four clips, one is more than what rounding may turn.
  bound = ['--min_equal=0.5'] if precision == 'int8' else []
  export.main([run, out, *options.split(), f'--batch={batch}', *bound])
  content = card.read(out)
  made = content.format, content.what, content.precision
  assert made == (format, what, precision)
  converter = {'litert': 'litert-converter', 'onnx': 'jax2onnx'}[format]
  assert content.versions[converter]
  assert export.main(['verify', out, *bound]) == 0
