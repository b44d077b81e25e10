import json

import jax
import jax.numpy as jnp
import pytest

from support import commands, helpers
from tsm_jax import allocation
from tsm_jax.bench import __main__ as bench
from tsm_jax.bench import operations

# As XLA prints a program: a fusion without a name of its own has that of its
# last operation, and a loop contains what has times of its own.
TEXT = """HloModule step

%inside (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  %n = f32[2]{0} negate(%p), NAME="jit(s)/jvp(Net)/layer2_1/bn1/neg"}
  ROOT %c = f32[2]{0} copy(%n)
}

ENTRY %main (a: f32[2]) -> f32[2] {
  %a = f32[2]{0} parameter(0)
  %f.1 = f32[2]{0} fusion(%a), kind=kLoop, calls=%inside
  %f.2 = f32[2]{0} fusion(%f.1), kind=kLoop, calls=%inside
  %d = f32[2]{0} dot(%f.2), NAME="PRODUCT"}
  %m = f32[2]{0} maximum(%d), NAME="jit(s)/jvp(N)/N.f/layer1_0/jit(relu)/max"}
  %w = f32[2]{0} while(%m), body=%inside, condition=%inside
  ROOT %k = f32[2]{0} copy(%w)
}
"""
PRODUCT = 'transpose(jvp(N))/layer1_0/conv1/cond/branch_0_fun/dot_general'
TEXT = TEXT.replace('NAME=', 'metadata={op_name=').replace('PRODUCT', PRODUCT)
TIMES = {'f.1': 1.0, 'f.2': 2.0, 'd': 4.0, 'm': 0.5, 'w': 8.0, 'k': 0.25}


def test_operations_of_a_layer_are_added_up_and_loops_are_not_counted_twice():
  rows = operations.summed(TIMES, TEXT, operations.of_layer)
  assert rows == [
    ('conv1: dot_general, backward', 4.0, 1),
    ('bn1: neg', 3.0, 2),
    ('block: max', 0.5, 1),
    ('copy', 0.25, 1),
  ]


def test_each_operation_by_itself_says_what_it_gives():
  rows = operations.summed(TIMES, TEXT, operations.single)
  assert rows[0].name == 'conv1: dot_general, backward, d f32[2]{0}'
  assert [row.ms for row in rows] == [4.0, 2.0, 1.0, 0.5, 0.25]


def test_a_loop_runs_an_operation_several_times_in_a_step():
  # Three steps of two runs: 1 + 2, 1 + 3 and 1 + 9.
  assert operations.of_step([1.0, 2.0, 1.0, 3.0, 1.0, 9.0], steps=3) == 4.0
  # Not as often in every step: the mean.
  assert operations.of_step([1.0, 2.0, 3.0], steps=2) == 3.0


def test_a_profile_names_what_was_run():
  def loop(x):
    return jax.lax.fori_loop(0, 3, lambda i, x: jnp.sin(x @ x), x)

  x = jnp.ones((64, 64))
  compiled = jax.jit(loop).lower(x).compile()
  times, _ = operations.profiled(
    lambda: compiled(x).block_until_ready(), steps=4
  )
  rows = operations.summed(times, compiled.as_text(), operations.of_layer)
  names = ' '.join(row.name for row in rows)
  assert 'dot_general' in names and 'while' not in names


def test_the_command_names_the_layers_of_the_network(monkeypatch, capsys):
  # Which would hold for the tests behind this one.
  monkeypatch.setattr(operations, 'one_core', lambda: None)
  monkeypatch.setattr(allocation, 'keep_freed', lambda: None)
  monkeypatch.chdir(helpers.ROOT)
  options = ('--config.batch_size=1', '--steps=2', '--mode=inference')
  bench.main(['operations', *commands.TINY, *options, '--json'])
  found = json.loads(capsys.readouterr().out)
  assert (
    'quickstart, inference: batch_size=1, 4 frames of 32x32'
    in found['measured']
  )
  rows = {row['name']: row for row in found['rows']}
  assert rows['head: dot_general']['count'] == 1
  assert {'conv1', 'conv2', 'shift'} <= {name.split(':')[0] for name in rows}
  bench.main(['operations', *commands.TINY, *options, '--rows=1'])
  text = capsys.readouterr().out
  assert text.count('\n| ') == 4, text  # the head, its line, one row, others
  assert '| others |' in text and text.endswith(' ms.\n')


def test_bad_input_is_a_sentence(monkeypatch, capsys):
  monkeypatch.setattr(operations, 'one_core', lambda: None)
  monkeypatch.chdir(helpers.ROOT)
  with pytest.raises(SystemExit):
    bench.main(['operations', *commands.TINY, '--mode=all'])
  assert "'training'" in capsys.readouterr().err
