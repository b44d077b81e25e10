"""What a run chooses: told, kept when it goes on, and used in evaluation."""

import pytest

from support import commands, helpers, leaving, trainings
from tsm_jax import files
from tsm_jax.configs import common
from tsm_jax.data import choosing
from tsm_jax.insight import choices
from tsm_jax.runs import again


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  trainings.on_devices(monkeypatch, 1)


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  return helpers.write_folder(tmp_path_factory.mktemp('videos') / 'v', clips=4)


def tiny(videos, tmp_path, **changes):
  """A network for seconds, of which some fields are open."""
  config = helpers.tiny_config(
    videos, tmp_path / 'data', epochs=1.0, name='tiny', **changes
  )
  common.leave_open(
    config, 'data.short_side', 'data.flip', 'schedule.warmup_epochs'
  )
  return config


def test_a_run_tells_what_it_chose_and_keeps_it(videos, tmp_path):
  config = tiny(videos, tmp_path)
  workdir = tmp_path / 'run'
  _, _, log = trainings.run(config, workdir)
  assert 'Chosen for 6 training clips on a CPU:' in log
  assert '  data.short_side         40' in log
  assert 'No pretrained weights: training from scratch.' in log
  written = files.read_json(workdir / 'config.json')
  assert written['data']['short_side'] == 40  # 32 * 8 / 7, of four pixels
  assert written['schedule']['warmup_epochs'] == pytest.approx(0.1)
  assert config.data.short_side is None  # the caller's own stays
  # The same call goes on with it.
  _, _, log = trainings.run(config, workdir)
  assert 'Chosen' not in log and 'This run finished at step' in log
  # An evaluation by the same configuration has it, too.
  lines = []
  found = again.complete(config, set(), workdir, log=lines.append)
  assert found.data.short_side == 40 and not choosing.open_fields(found)
  assert not any('None' in line for line in lines)


def test_weights_decide_the_network(videos, tmp_path):
  leaving.save(tmp_path / 'first', videos, tmp_path / 'data', model__width=16)
  config = tiny(videos, tmp_path, init_from=str(tmp_path / 'first'))
  common.leave_open(config, 'model.width', 'model.fold_div', 'model.depth')
  lines = []
  found = choices.settle(config, tmp_path / 'none', lines.append)
  assert (found.model.width, found.model.fold_div) == (16, 4)
  assert sum('as the weights' in line for line in lines) == 3
  assert not any('from scratch' in line for line in lines)


def test_describe_tells_the_choices_with_and_without_data(videos):
  flags = ('--config=folder:depth=18', '--mode=describe')
  done = commands.call('main', *flags, f'--config.data.source={videos}')
  assert 'Chosen for 6 training clips on a CPU:' in done.stdout
  assert 'base_learning_rate' in done.stdout
  assert 'model.depth ' not in done.stdout  # it was given
  done = commands.call('main', *flags)
  assert 'data.source is empty; as for 300 clips.' in done.stdout
