import pytest

from tsm_jax.data.doctor import result_cache


def test_values_outlive_the_object(tmp_path):
  path = tmp_path / 'deep' / 'a.jsonl'
  first = result_cache.Kept(path)
  first['a b\n"ü'] = {'x': [1, 2.5, None]}
  first['b'] = 'text'
  first['b'] = 'newer'
  # Not closed: what a killed process has set is there all the same.
  second = result_cache.Kept(path)
  assert len(second) == 2
  assert second['a b\n"ü'] == {'x': [1, 2.5, None]}
  assert second['b'] == 'newer'
  assert 'c' not in second
  with pytest.raises(KeyError):
    second['c']
  first.close()
  second.close()


@pytest.mark.parametrize('cut', range(1, 11))
def test_half_a_line_is_passed_over(tmp_path, cut):
  path = tmp_path / 'a.jsonl'
  first = result_cache.Kept(path)
  first['a'] = 1
  first['b'] = 22  # a line of 10 bytes and its end
  first.close()
  size = path.stat().st_size
  with open(path, 'r+b') as file:
    file.truncate(size - cut)
  second = result_cache.Kept(path)
  assert second['a'] == 1
  assert ('b' in second) == (cut == 1)  # only the end of the line is missing
  second['c'] = 3
  second.close()
  third = result_cache.Kept(path)
  assert third['a'] == 1 and third['c'] == 3
  assert ('b' in third) == (cut == 1)
  third.close()


def test_reading_and_writing_may_alternate(tmp_path):
  found = result_cache.Kept(tmp_path / 'a.jsonl')
  for i in range(50):
    found[str(i)] = i
    assert found[str(i // 2)] == i // 2
  assert [found[str(i)] for i in range(50)] == list(range(50))
  found.close()
