from tsm_jax.bench import interleave


def test_all_run_in_every_turn_and_the_first_does_not_count():
  calls = []

  def run(name):
    calls.append(name)
    return len(calls)

  runs = {'a': lambda: run('a'), 'b': lambda: run('b')}
  assert interleave.measure(runs, 2) == {'a': [3, 5], 'b': [4, 6]}
  assert calls == ['a', 'b'] * 3
