"""The README's first command, and what it promises."""

import pytest

from support import commands
from tsm_jax.program import metrics


@pytest.mark.slow
@pytest.mark.parametrize(
  ('config', 'more', 'least', 'most'),
  [
    ('quickstart.py', [], 0.95, 1.0),
    # Less of what teaches it nothing: after 8 epochs, too, it is at chance.
    ('quickstart.py:shift=none', ['--config.epochs=3'], 0.0, 0.55),
  ],
)
def test_tsm_sees_the_direction_of_time_and_tsn_does_not(
  config, more, least, most, data_dir, tmp_path
):
  done = commands.run(
    commands.command(
      'main',
      f'--config=configs/{config}',
      *more,
      f'--workdir={tmp_path / "run"}',
      f'--config.data.data_dir={data_dir}',
    ),
    fast=False,  # as users run it
  )
  assert done.returncode == 0, done.stderr
  top1 = [
    record['eval/top1']
    for record in metrics.read(tmp_path / 'run')
    if 'eval/top1' in record
  ]
  assert least <= top1[-1] <= most
