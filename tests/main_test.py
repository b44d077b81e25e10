"""The commands, as real processes on one device."""

import json
import signal
import subprocess
import time

import chex
import pytest

from support import commands, helpers
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints, stopping


def interrupt(arguments, workdir, step, signum):
  """Starts a run, sends it a signal once it logged `step` and saved before."""
  with subprocess.Popen(
    arguments,
    cwd=helpers.ROOT,
    env=commands.environment(),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  ) as process:
    deadline = time.monotonic() + 240
    while max((r['step'] for r in metrics.read(workdir)), default=0) < step or (
      not any(p.name.isdigit() for p in workdir.glob('checkpoints/*'))
    ):
      assert process.poll() is None, process.stdout.read()
      assert time.monotonic() < deadline, 'the run makes no progress'
      time.sleep(0.002)
    process.send_signal(signum)
    output = process.stdout.read()
  return process.returncode, output


def without_speed(workdir):
  timed = {'steps_per_s', 'clips_per_s', 'data_wait'}
  return [
    {k: v for k, v in record.items() if k not in timed}
    for record in metrics.read(workdir)
  ]


@pytest.mark.slow
def test_a_killed_run_ends_like_an_uninterrupted_one(
  folder, data_dir, tmp_path
):
  whole = commands.run(commands.training(folder, data_dir, tmp_path / 'whole'))
  assert whole.returncode == 0, whole.stderr
  assert 'G multiply-adds' in whole.stdout
  assert 'waiting for data' in whole.stderr

  parts = tmp_path / 'parts'
  arguments = commands.training(folder, data_dir, parts)
  code, _ = interrupt(arguments, parts, 8, signal.SIGKILL)
  assert code == -signal.SIGKILL
  code, output = interrupt(arguments, parts, 24, signal.SIGTERM)
  assert code == stopping.EXIT_AGAIN
  assert 'Continuing' in output and 'SIGTERM: step' in output
  code, output = interrupt(arguments, parts, 36, signal.SIGINT)
  assert code == 128 + signal.SIGINT
  last = commands.run(arguments)
  assert last.returncode == 0, last.stderr
  assert 'Continuing' in last.stdout

  expected = checkpoints.restore_model(tmp_path / 'whole')
  found = checkpoints.restore_model(parts)
  assert found.step == expected.step == 48
  chex.assert_trees_all_equal(found.variables, expected.variables)
  assert without_speed(parts) == without_speed(tmp_path / 'whole')

  again = commands.run(arguments)
  assert again.returncode == 0
  assert 'This run finished at step 48' in again.stdout

  refused = commands.run([*arguments, '--config.model.fold_div=2'])
  assert refused.returncode == 2
  assert refused.stderr.splitlines()[-1].startswith('error: The checkpoint in')
  assert 'model.fold_div (there 4, now 2)' in refused.stderr

  views = ('clips=2', 'crops=3', 'full_resolution=True')
  evaluated = commands.run(
    [*arguments, '--mode=eval', *(f'--config.eval.{v}' for v in views)]
  )
  assert evaluated.returncode == 0, evaluated.stderr
  assert "4 clips of 'val', step 48: top-1 100.00%" in evaluated.stdout
  written = json.loads((parts / 'eval_val.json').read_text())
  assert written['views'] == 6
  predictions(parts, folder)


def predictions(workdir, folder):
  """`predict` names the label of training clips, for people and machines."""
  clips = [folder / 'train/jump/0.mp4', folder / 'train/run/3.mp4']
  done = commands.run(commands.command('predict', workdir, *clips))
  assert done.returncode == 0, done.stderr
  assert 'jump' in done.stdout and '%' in done.stdout
  views = ('--clips=2', '--crops=3', '--full-resolution')
  machine = commands.run(
    commands.command('predict', workdir, *clips, '--json', *views)
  )
  results = json.loads(machine.stdout)
  assert [r['video'] for r in results] == [str(clip) for clip in clips]
  assert [r['predictions'][0]['label'] for r in results] == ['jump', 'run']
  assert sum(p['probability'] for p in results[0]['predictions']) == (
    pytest.approx(1, abs=1e-5)
  )
  bad = commands.run(
    commands.command('predict', workdir, folder / 'none.mp4', clips[0])
  )
  assert bad.returncode == 1
  assert "none.mp4': file does not exist." in bad.stderr
  assert '0.mp4' in bad.stdout  # the others are still predicted
  nowhere = commands.run(commands.command('predict', folder, clips[0]))
  assert nowhere.returncode == 2
  assert 'holds no checkpoint' in nowhere.stderr


@pytest.mark.slow
def test_the_last_checkpoint_survives_a_full_disk(folder, data_dir, tmp_path):
  arguments = commands.training(
    folder, data_dir, tmp_path, '--config.model.width=48'
  )
  code, output = interrupt(arguments, tmp_path, 8, signal.SIGTERM)
  assert code == stopping.EXIT_AGAIN, output
  before = checkpoints.restore_model(tmp_path)

  # No file beyond 512 blocks, and a checkpoint has larger ones: its write fails
  # half-way, as on a full disk.
  full = commands.run(
    ['sh', '-c', 'ulimit -f 512; exec "$@"', 'sh', *arguments]
  )
  assert full.returncode == 2
  (message,) = (
    line for line in full.stderr.splitlines() if line.startswith('error: ')
  )
  assert 'could not be written' in message
  assert f'that of step {before.step} is whole' in message
  after = checkpoints.restore_model(tmp_path)
  assert after.step == before.step
  chex.assert_trees_all_equal(after.variables, before.variables)
  room = commands.run(arguments)
  assert room.returncode == 0, room.stderr
  assert f'at step {before.step} of 48' in room.stdout


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--config.lerning_rate=1'], "did you mean 'learning_rate'"),
    (['--config.model.fold_dif=1'], "did you mean 'model.fold_div'"),
    (['--config.num_frames=1'], "did you mean 'model.num_frames'"),
    (['--config.batch_size=many'], 'batch_size=many'),
    (['--config=configs/nosuch.py'], 'configs/quickstart.py'),
    (['--config.data.source=/no/such/folder'], "'/no/such/folder'"),
    (['--config.model.depth=20'], 'choose from'),
    (['surplus'], 'surplus'),
  ],
)
def test_bad_input_is_a_sentence_and_no_traceback(arguments, message, tmp_path):
  done = commands.run(
    commands.command(
      'main',
      '--config=configs/quickstart.py',
      f'--workdir={tmp_path}',
      f'--config.data.data_dir={tmp_path}',
      *arguments,
    )
  )
  assert done.returncode != 0
  assert message in done.stderr
  assert 'Traceback' not in done.stderr
  assert done.stderr.startswith('error: ')
  assert len(done.stderr.splitlines()) == 1


def test_an_unknown_config_argument_suggests_the_nearest(tmp_path):
  done = commands.run(
    commands.command('main', '--config=configs/quickstart.py:shfit=none')
  )
  assert done.returncode != 0
  assert "did you mean 'shift'" in done.stderr
  assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(
  ('config', 'parameters'),
  [
    ('kinetics.py', '24,327,632'),
    ('jester.py:model=mobilenet_v2', '2,258,459'),
  ],
)
def test_describe_knows_the_classes_of_published_datasets(config, parameters):
  # As many as the released models have.
  done = commands.run(
    commands.command('main', f'--config=configs/{config}', '--mode=describe')
  )
  assert done.returncode == 0, done.stderr
  assert f'{parameters} parameters' in done.stdout


def test_describe_needs_no_data():
  # The official size of ResNet-50 for flow with 400 classes.
  done = commands.run(
    commands.command(
      'main',
      '--config=configs/kinetics.py:modality=flow',
      '--mode=describe',
      '--config.model.num_classes=400',
    )
  )
  assert done.returncode == 0, done.stderr
  assert '24,349,584 parameters' in done.stdout
