import pytest

from tsm_jax import errors
from tsm_jax.data.doctor import result_cache


def test_values_outlive_the_object(tmp_path):
  path = tmp_path / 'deep' / 'a.sqlite'
  first = result_cache.ResultCache(path)
  first['a b\n"ü'] = {'x': [1, 2.5, None]}
  first['b'] = 'text'
  first['b'] = 'newer'
  # Not closed: what a killed process has set is there all the same.
  second = result_cache.ResultCache(path)
  assert len(second) == 2
  assert second['a b\n"ü'] == {'x': [1, 2.5, None]}
  assert second['b'] == 'newer'
  assert 'c' not in second
  with pytest.raises(KeyError):
    second['c']
  first.close()
  second.close()


def test_two_processes_may_share_a_file(tmp_path):
  one, other = (
    result_cache.ResultCache(tmp_path / 'a.sqlite') for _ in range(2)
  )
  for i in range(20):
    one[f'one {i}'] = i
    other[f'other {i}'] = -i
  for cache in (one, other):
    assert len(cache) == 40
    assert cache['one 7'] == 7 and cache['other 7'] == -7
    cache.close()


def test_another_file_is_refused_in_a_sentence(tmp_path):
  path = tmp_path / 'a.sqlite'
  path.write_text('no database, but long enough to be read as one' * 30)
  with pytest.raises(
    errors.InputError, match=r"a\.sqlite' cannot be used: .*--cache"
  ):
    result_cache.ResultCache(path)


def test_reading_and_writing_may_alternate(tmp_path):
  found = result_cache.ResultCache(tmp_path / 'a.sqlite')
  for i in range(50):
    found[str(i)] = i
    assert found[str(i // 2)] == i // 2
  assert [found[str(i)] for i in range(50)] == list(range(50))
  found.close()
