"""How several processes, one per host or accelerator, find each other.

On TPU pods, Slurm, Kubernetes and Open MPI they ask the cluster; elsewhere
flags say where the others are. All must agree about the run. How they end is
in `stopping`.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
import threading

import jax
from jax.experimental import multihost_utils
import numpy as np

from tsm_jax import errors
from tsm_jax.runs import stopping

JOIN_SECONDS = 300  # to wait for the other processes
# A process that shows no sign of life for so long is given up, also by those
# that want to end together with it.
HEARTBEAT_SECONDS = 60

# What only the tasks of a parallel job have, and where their number is.
_SLURM = (
  'SLURM_JOB_ID',
  'SLURM_STEP_NODELIST',
  'SLURM_PROCID',
  'SLURM_LOCALID',
)
_OPEN_MPI = ('OMPI_MCA_orte_hnp_uri', 'OMPI_COMM_WORLD_RANK')


def detect(environ=None):
  """The system that started this process beside others, or None.

  Args:
    environ: instead of the environment.

  Returns:
    'Slurm', 'Open MPI', 'Kubernetes', 'TPU' or None: of a kind that
    `jax.distributed.initialize()` can ask for the rest. A TPU machine may turn
    out to be the only one.

  Raises:
    InputError: in a job of Kubernetes, if its other pods cannot be asked for.
  """
  env = os.environ if environ is None else environ
  for name, needed, count in (
    ('Slurm', _SLURM, 'SLURM_NTASKS'),
    ('Open MPI', _OPEN_MPI, 'OMPI_COMM_WORLD_SIZE'),
  ):
    if all(v in env for v in needed) and int(env.get(count, 1)) > 1:
      return name
  if (on_tpu := _on_tpu(env)) is not None:
    return 'TPU' if on_tpu else None
  if {'KUBERNETES_SERVICE_HOST', 'JOB_COMPLETION_INDEX'} <= env.keys():
    if importlib.util.find_spec('kubernetes') is None:
      raise errors.InputError(
        'This is a pod of an indexed job of Kubernetes, but the others cannot '
        'be found without the package kubernetes; install the extra [k8s], or '
        'give --coordinator, --num_processes and --process_id '
        '(--num_processes=1 for a single pod).'
      )
    return 'Kubernetes'
  return None


def _on_tpu(env):
  """Whether a TPU machine may be beside others; None if it is none."""
  has_driver = importlib.util.find_spec('libtpu') is not None
  if not has_driver or 'cpu' in env.get('JAX_PLATFORMS', ''):
    return None
  # GKE lets its pods, and the plan itself, ask no metadata server. Only the
  # former have devices.
  may_ask, has_devices = 'TPU_SKIP_MDS_QUERY' not in env, _has_tpu_devices()
  if env.get('TPU_WORKER_HOSTNAMES') and (may_ask or has_devices):
    return _names_several_hosts(env)
  return True if may_ask and has_devices else None


def _has_tpu_devices():
  accelerators = pathlib.Path('/dev').glob('accel[0-9]*')
  return any(accelerators) or any(pathlib.Path('/dev/vfio').glob('[0-9]*'))


def _names_several_hosts(env):
  return ',' in env.get('TPU_WORKER_HOSTNAMES', '')


def join(coordinator, num_processes, process_id, seconds=JOIN_SECONDS):
  """Connects this process with the others; to be called before all else.

  Args:
    coordinator: host:port of process 0, or None to look for a cluster.
    num_processes: of all hosts together; 1 looks for no others.
    process_id: of this process, from 0.
    seconds: to wait for the others.

  Raises:
    InputError: if only some of the three are given, or they contradict. If the
      others are not there in time, the process ends with `stopping.EXIT_AGAIN`.
  """
  given, cluster = (coordinator, num_processes, process_id), None
  if given == (None, 1, None):
    return
  if all(value is None for value in given):
    cluster = detect()
    if not cluster:
      return
    where = f'those that {cluster} started'
  else:
    _check_address(*given)
    where = f'{num_processes} processes with the coordinator {coordinator}'
  message = (
    f'This process did not find the others within {seconds} s, {where}; start '
    'all of them, and let no firewall be between them and process 0.'
  )
  # JAX itself would abort the process, with a page of C++.
  alarm = threading.Timer(seconds, stopping.exit_again, [message])
  alarm.daemon = True
  alarm.start()
  try:
    jax.distributed.initialize(
      *given,
      cluster_detection_method=None if given[0] is None else 'deactivate',
      initialization_timeout=seconds + 60,
      heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
      shutdown_timeout_seconds=HEARTBEAT_SECONDS,
    )
  except (RuntimeError, ValueError, OSError) as error:
    if cluster == 'TPU' and not _names_several_hosts(os.environ):
      return  # such as Colab's, which has no others
    reason = f'This process cannot join {where}: {stopping.first_line(error)}'
    raise errors.InputError(reason) from error
  finally:
    alarm.cancel()


def _check_address(coordinator, num_processes, process_id):
  if None in (coordinator, num_processes, process_id):
    raise errors.InputError(
      f'--coordinator={coordinator}, --num_processes={num_processes} and '
      f'--process_id={process_id} belong together; give all three or none.'
    )
  if not coordinator.rpartition(':')[2].isdigit():
    raise errors.InputError(
      f'--coordinator is {coordinator!r}; it must be host:port.'
    )
  if not 0 <= process_id < num_processes:
    raise errors.InputError(
      f'--process_id is {process_id}; it must be from 0 to {num_processes - 1}.'
    )


def alone():
  """Whether this process has no others, once it has joined them."""
  return jax.process_count() == 1


def check_same(values):
  """Raises InputError unless all processes have the same values.

  Args:
    values: a JSON-able dict from the name of a field to its value.

  Raises:
    InputError: on all processes, with the fields that differ and where.
  """
  if alone():
    return
  text = json.dumps(values, sort_keys=True, default=str).encode()
  digest = np.frombuffer(hashlib.sha256(text).digest(), np.uint8)
  digests = multihost_utils.process_allgather(digest)
  if (digests == digests[0]).all():
    return
  first, *others = [json.loads(text) for text in _gather_bytes(text)]
  for index, other in enumerate(others, 1):
    differing = [
      f'{field} ({first.get(field)!r} and {other.get(field)!r})'
      for field in sorted(first.keys() | other.keys())
      if first.get(field) != other.get(field)
    ]
    if differing:
      raise errors.InputError(
        f'Processes 0 and {index} were not started alike; give them the same '
        f'values of: {", ".join(differing)}.'
      )


def broadcast(value):
  """What process 0 gives, on all processes; a bool or a number."""
  if alone():
    return value
  return multihost_utils.broadcast_one_to_all(np.array(value)).item()


def gather(value):
  """A list of what every process gives, on all of them; JSON-able."""
  if alone():
    return [value]
  parts = _gather_bytes(json.dumps(value).encode())
  return [json.loads(part) for part in parts]


def _gather_bytes(text):
  sizes = multihost_utils.process_allgather(np.array(len(text)))
  padded = np.zeros(sizes.max(), np.uint8)
  padded[: len(text)] = np.frombuffer(text, np.uint8)
  rows = multihost_utils.process_allgather(padded)
  return [row[:size].tobytes() for row, size in zip(rows, sizes)]
