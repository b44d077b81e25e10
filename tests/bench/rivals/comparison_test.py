from concurrent import futures
import json
import os

import numpy as np
import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.bench import __main__ as bench
from tsm_jax.bench import processes
from tsm_jax.bench.rivals import comparison, summary

CONFIG = (
  '--config=configs/quickstart.py',
  '--config.model.stage_sizes=(1, 1)',
  '--config.model.width=8',
  '--config.data.image_size=32',
)
SMALL = ('--frames=3', '--repeats=2', '--threads=1', '--json')


def milliseconds(*medians):
  """`[turns, 2 frames, 2]`: around these medians; twice of the processor."""
  time = np.array([[ms - 0.5, ms + 0.5] for ms in medians])
  return np.stack([time, 2 * time], axis=-1)


TIMES = {
  'JAX': milliseconds(10, 20, 10),
  'PyTorch, eager': milliseconds(30, 60, 30),
  'PyTorch, compiled': milliseconds(20, 40, 20),
  'a: litert, float32': milliseconds(8, 16, 8),
  'b: litert, int8': milliseconds(4, 8, 4),
  'c: onnx, float32': milliseconds(15, 30, 15),
}


def test_ratios_are_of_the_fastest_of_each_kind_in_the_same_turn():
  found = {
    (ratio['slower'], ratio['faster']): ratio['times']
    for ratio in summary.ratios(TIMES)
  }
  assert found == {
    ('PyTorch, compiled', 'a: litert, float32'): [2.5] * 3,
    ('a: litert, float32', 'b: litert, int8'): [2.0] * 3,
    ('c: onnx, float32', 'JAX'): [1.5] * 3,
    ('PyTorch, compiled', 'JAX'): [2.0] * 3,
  }


def test_a_row_tells_of_all_frames_and_of_turns():
  row = summary.rows({'JAX': milliseconds(1, 2, 3)})[0]
  assert row == {
    'contender': 'JAX',
    'p50': 2.0,  # of 0.5 1.5 1.5 2.5 2.5 3.5
    'p99': pytest.approx(3.45),
    'quartiles': [1.5, 2.5],
    'processor': 4.0,
    'share': 1.0,
  }
  lines = summary.table([{'network': 'net', 'threads': 2, **row}]).splitlines()
  assert lines[-1] == (
    '| net | 2 | JAX | 2.00 | 1.50, 2.50 | 3.45 | 4.00 | 1.00 |'
  )
  assert len({line.count('|') for line in lines}) == 1


def test_sentences_say_how_many_threads():
  ratio = {'slower': 'b', 'faster': 'a', 'times': (2.0, 1.5, 2.5)}
  found = [{'network': 'net', 'threads': n, **ratio} for n in (1, 2)]
  assert summary.sentences(found).splitlines() == [
    f'net, {threads}: a is 2.00 times as fast as b (quartiles 1.50, 2.50).'
    for threads in ('1 thread', '2 threads')
  ]


def test_a_contender_runs_in_a_process_with_its_threads(monkeypatch, capsys):
  monkeypatch.chdir(helpers.ROOT)
  before = dict(os.environ)
  bench.main(['stream', *CONFIG, *SMALL, '--contenders', 'jax'])
  assert os.environ == before  # those of this process are as they were
  found = json.loads(capsys.readouterr().out)
  (row,) = found['rows']
  assert (row['contender'], row['threads']) == ('JAX', 1)
  assert 0 < row['p50'] <= row['p99']
  assert 0 < row['processor'] <= 1.1 * row['p99']
  assert found['left_out'] == {} and 'jax ' in found['measured']


def test_who_cannot_run_is_left_out_with_the_reason(monkeypatch, capsys):
  monkeypatch.chdir(helpers.ROOT)
  here = futures.ThreadPoolExecutor(1)  # no process, which takes seconds
  monkeypatch.setattr(processes, 'start', lambda *_: here)
  flags = '--contenders', 'jax', '--config.model.non_local=True'
  bench.main(['stream', *CONFIG, *SMALL, *flags])
  found = json.loads(capsys.readouterr().out)
  assert found['rows'] == found['ratios'] == []
  assert 'model.non_local is True' in found['left_out']['JAX']


def test_fields_of_no_configuration_are_refused(capsys):
  with pytest.raises(SystemExit, match='2'):
    bench.main(['stream', '--config.data.image_size=32', *SMALL])
  assert '--config is missing' in capsys.readouterr().err


def test_a_folder_without_exports_is_refused(tmp_path):
  with pytest.raises(errors.InputError, match='in which no export lies'):
    list(comparison.exports(tmp_path))
