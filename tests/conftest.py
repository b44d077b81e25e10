"""Which process runs which tests, and when."""

import os

import pytest

# Of the files that take longest, the longest first: one that began last would
# let the other processes wait for it. One that is missing here costs only time.
LONGEST = (
  # Of the slow tests, where the fourth waits for the end of the first, and the
  # fifth for that of the second.
  'quickstart_test.py',
  'quickstart_online_test.py',
  'launch/slurm_test.py',
  'plan/compiled_test.py',
  'runs/multiprocess_test.py',
  'bench/input_test.py',
  'runs/lost_process_test.py',
  'launch/notebook_test.py',
  'main_test.py',
  'program/step_test.py',
  'convert/torch_tsn_test.py',
  'before_house_test.py',
  'stream/cache_test.py',
  'convert/from_torch_test.py',
  'train_test.py',
  'resume_test.py',
  'wheel_test.py',
  'python_page_test.py',
  'models/resnet_test.py',
  'augment_test.py',
  'ensemble_test.py',
  'diverged_test.py',
  'models/bn_inception_test.py',
  'models/mobilenet_v2_test.py',
  'modalities_test.py',
  'runs/damage_test.py',
  'program/eval_variables_test.py',
  'convert/init_from_test.py',
  'data/store/locks_test.py',
  'data/clips/workers_test.py',
  'program/torch_step_test.py',
  'stream/rates_test.py',
)


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers():
  """Three for two CPUs: a quarter of the time, tests wait for other processes.

  Yields:
    To xdist, which counts the CPUs, or takes the number that is given to it.
  """
  count = yield
  given = 'PYTEST_XDIST_AUTO_NUM_WORKERS' in os.environ
  return count if given else -(-3 * count // 2)


def pytest_configure(config):
  """Loads JAX and all that tests need, but not where they are handed out."""
  alone = config.getoption('dist') == 'no' or config.getoption('collectonly')
  if alone or hasattr(config, 'workerinput'):
    config.pluginmanager.import_plugin('support.settings')


def pytest_collection_modifyitems(items):
  """Puts the tests of the longest files first; xdist keeps their order."""
  places = {f'tests/{name}': place for place, name in enumerate(LONGEST)}
  items.sort(key=lambda item: places.get(item.nodeid.split('::')[0], 1000))
