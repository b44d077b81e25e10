"""The commands of training, evaluation and prediction."""

import contextlib
import gc
import json
import resource
import runpy
import signal
import subprocess
import sys
import time
import warnings

import chex
import jax
import pytest

from support import commands, helpers, trainings
from tsm_jax import cli
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints

STEPS = 24


def training(*args):
  """The arguments of a run of `STEPS` steps, without the program."""
  more = ('--config.epochs=12', '--config.eval.every_epochs=4')
  return commands.training(*args, *more)[3:]


def kill(arguments, workdir, step, meanwhile):
  """Starts a run, and kills it once it logged `step` and saved before.

  Args:
    arguments: of the command.
    workdir: of the run.
    step: a number.
    meanwhile: called with the process, which is stopped, before that.
  """
  with subprocess.Popen(
    commands.command('main', *arguments),
    cwd=helpers.ROOT,
    env=commands.environment(),  # compiled as in this process, for equal bits
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
      # Its last seconds are short, and its first ones somebody else's, too.
      time.sleep(0.002 if metrics.read(workdir) else 0.2)
    process.send_signal(signal.SIGSTOP)
    meanwhile(process)
    process.kill()
    printed = process.stdout.read()
  assert process.returncode == -signal.SIGKILL, printed


def without_speed(workdir):
  timed = {'steps_per_s', 'clips_per_s', 'data_wait'}
  return [
    {k: v for k, v in record.items() if k not in timed}
    for record in metrics.read(workdir)
  ]


@pytest.fixture(scope='module')
def whole(folder, data_dir, tmp_path_factory):
  """The workdir of an uninterrupted run, and what it printed."""
  workdir = tmp_path_factory.mktemp('whole')
  with pytest.MonkeyPatch.context() as patch:
    trainings.on_devices(patch, 1)
    done = commands.call('main', *training(folder, data_dir, workdir))
  assert done.returncode == 0, done.stderr
  return workdir, done


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_a_broken_off_run_ends_like_an_uninterrupted_one(
  whole, folder, data_dir, tmp_path, monkeypatch
):
  """Killed, ended by a full disk, and told to start a second time."""
  trainings.on_devices(monkeypatch, 1)
  arguments = training(folder, data_dir, tmp_path)

  def start_another(process):
    before = (tmp_path / 'config.json').read_text()
    refused = commands.call('main', *arguments, '--config.learning_rate=1')
    assert refused.returncode == 2
    assert f'Another run is in {tmp_path} (process {process.pid} on' in (
      refused.stderr
    )
    assert f'needs its own, such as {tmp_path}-2.' in refused.stderr
    assert (tmp_path / 'config.json').read_text() == before

  kill(arguments, tmp_path, 8, start_another)
  fill_the_disk(arguments, tmp_path)
  last = commands.call('main', *arguments)
  assert last.returncode == 0, last.stderr
  assert 'Continuing' in last.stdout
  expected = checkpoints.restore_model(whole[0])
  found = checkpoints.restore_model(tmp_path)
  assert found.step == expected.step == STEPS
  chex.assert_trees_all_equal(found.variables, expected.variables)
  assert without_speed(tmp_path) == without_speed(whole[0])
  shown, expected = (
    {scalar for scalar in trainings.on_board(workdir) if '_' not in scalar[1]}
    for workdir in (tmp_path, whole[0])
  )
  assert shown == expected


@contextlib.contextmanager
def small_files():
  """No file beyond 6 kB, and a checkpoint has larger ones.

  Its write fails half-way, as on a full disk.
  """
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (6 * 1024, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill_the_disk(arguments, workdir):
  """Continues a run that can save nothing more: the last checkpoint stays."""
  before = checkpoints.restore_model(workdir)
  with small_files():
    full = commands.call('main', *arguments)
  gc.collect()  # what Orbax leaves of a failed save complains
  assert full.returncode == 2
  (message,) = (
    line for line in full.stderr.splitlines() if line.startswith('error: ')
  )
  assert 'could not be written' in message
  assert f'that of step {before.step} is whole' in message
  after = checkpoints.restore_model(workdir)
  assert after.step == before.step
  chex.assert_trees_all_equal(after.variables, before.variables)


def test_what_a_run_says(whole, folder, data_dir, monkeypatch):
  workdir, done = whole
  assert 'G multiply-adds' in done.stdout
  board = workdir / 'tensorboard'
  assert board.is_dir()
  assert f'tensorboard --logdir {board}\n' in done.stdout
  assert 'waiting for data' in done.stderr
  trainings.on_devices(monkeypatch, 1)
  arguments = training(folder, data_dir, workdir)
  again = commands.call('main', f'--workdir={workdir}')
  assert again.returncode == 0, again.stderr
  assert f'This run finished at step {STEPS}' in again.stdout

  refused = commands.call('main', *arguments, '--config.model.fold_div=2')
  assert refused.returncode == 2
  assert refused.stderr.splitlines()[-1].startswith('error: The checkpoint in')
  assert 'model.fold_div (there 4, now 2)' in refused.stderr
  assert f'give --workdir={workdir} and no --config.' in refused.stderr

  views = ('clips=2', 'crops=3', 'full_resolution=True')
  evaluated = commands.call(
    'main', *arguments, '--mode=eval', *(f'--config.eval.{v}' for v in views)
  )
  assert evaluated.returncode == 0, evaluated.stderr
  assert f"4 clips of 'val', step {STEPS}: top-1 100.00%" in evaluated.stdout
  assert json.loads((workdir / 'eval_val.json').read_text())['views'] == 6


def test_predict_names_the_label_of_clips(whole, folder):
  workdir, _ = whole
  clips = [folder / 'train/jump/0.mp4', folder / 'train/run/3.mp4']
  done = commands.call('predict', workdir, *clips)
  assert done.returncode == 0, done.stderr
  assert 'jump' in done.stdout and '%' in done.stdout
  machine = commands.call(
    'predict',
    *(workdir, *clips, '--json', '--clips=2', '--crops=3'),
    '--full-resolution',  # as flags were spelled once
  )
  results = json.loads(machine.stdout)
  assert [r['video'] for r in results] == [str(clip) for clip in clips]
  assert [r['predictions'][0]['label'] for r in results] == ['jump', 'run']
  assert sum(p['probability'] for p in results[0]['predictions']) == (
    pytest.approx(1, abs=1e-5)
  )
  bad = commands.call('predict', workdir, folder / 'none.mp4', clips[0])
  assert bad.returncode == 1
  assert "none.mp4': file does not exist." in bad.stderr
  assert '0.mp4' in bad.stdout  # the others are still predicted
  for arguments, message in (
    ((folder, clips[0]), 'holds no checkpoint'),
    ((workdir,), 'Missing: video'),
    ((workdir, clips[0], '--top=0'), '--top is 0; it must be at least 1.'),
    ((workdir, clips[0], '--crops=2'), '--crops is 2; choose from 1, 3, 5'),
    ((workdir, clips[0], '--clps=2'), 'did you mean --clips?'),
  ):
    failed = commands.call('predict', *arguments)
    assert failed.returncode == 2
    assert failed.stderr.startswith('error: ') and message in failed.stderr


COMMANDS = (
  *('bench', 'convert', 'data.build', 'data.doctor', 'data.fingerprint'),
  *('ensemble', 'main', 'plan', 'predict', 'report'),
)
BAD_INPUT = (
  (['--config.lerning_rate=1'], "did you mean 'learning_rate'"),
  (['--config.model.fold_dif=1'], "did you mean 'model.fold_div'"),
  (['--config.num_frames=1'], "did you mean 'model.num_frames'"),
  (['--config.batch_size=many'], 'batch_size=many'),
  (['--config=configs/folders.py'], "did you mean 'folder'"),
  (['--config=quickstart:shfit=none'], "did you mean 'shift'"),
  (['--config='], 'choose from folder'),
  (['--config.data.source=/no/such/folder'], "'/no/such/folder'"),
  (['--config.model.depth=20'], 'choose from'),
  (['--mode=trian'], "--mode is 'trian'; choose from 'train', 'eval'"),
  (['--work_dri=x'], 'There is no flag --work_dri; did you mean --workdir?'),
  (['--join_seconds=0'], '--join_seconds is 0; it must be at least 1.'),
  (['surplus'], 'surplus'),
)


@pytest.mark.parametrize(
  'call', [commands.call, lambda *args: commands.run(commands.command(*args))]
)
def test_bad_input_is_a_sentence_and_no_traceback(call, tmp_path):
  cases = BAD_INPUT if call is commands.call else BAD_INPUT[:1]
  for arguments, message in cases:
    done = call(
      'main',
      '--config=configs/quickstart.py',
      f'--workdir={tmp_path}',
      f'--config.data.data_dir={tmp_path}',
      *arguments,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith('error: ')
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize('module', COMMANDS)
def test_every_command_is_a_program(module, monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', [module, '--help'])
  with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
    warnings.simplefilter('ignore', RuntimeWarning)  # it is imported already
    runpy.run_module(f'tsm_jax.{module}', run_name='__main__', alter_sys=True)
  assert ended.value.code == 0
  assert f'python -m tsm_jax.{module} ' in capsys.readouterr().out


def test_a_device_that_is_not_there_is_a_sentence(monkeypatch, capsys):
  monkeypatch.setenv('JAX_PLATFORMS', 'cuda')
  with pytest.raises(SystemExit) as ended:
    cli.command()(lambda argv: jax.devices('cuda'))()
  assert ended.value.code == 2
  message = capsys.readouterr().err
  assert message.startswith("error: JAX_PLATFORMS is 'cuda', but JAX finds no")
  assert len(message.splitlines()) == 1


def test_describe_needs_no_data():
  # As many parameters as the released model has.
  done = commands.call(
    'main', '--config=kinetics:modality=flow', '--mode=describe'
  )
  assert done.returncode == 0, done.stderr
  assert '24,349,584 parameters' in done.stdout
