"""Which systems are recognised, and what is told of wrong flags."""

import os
import subprocess
import sys

import jax
import pytest

from support import helpers
from tsm_jax import errors, sharding
from tsm_jax.runs import processes

SLURM = {
  'SLURM_JOB_ID': '7',
  'SLURM_STEP_NODELIST': 'node[1-2]',
  'SLURM_NTASKS': '2',
  'SLURM_PROCID': '0',
  'SLURM_LOCALID': '0',
}
MPI = {
  'OMPI_MCA_orte_hnp_uri': '1531576320.0;tcp://10.0.0.1:34911',
  'OMPI_COMM_WORLD_RANK': '1',
  'OMPI_COMM_WORLD_SIZE': '4',
}
TPU = {'TPU_WORKER_HOSTNAMES': 'a,b', 'TPU_WORKER_ID': '0'}


@pytest.mark.parametrize(
  ('environ', 'cluster'),
  [
    ({}, None),
    (SLURM, 'Slurm'),
    ({**SLURM, 'SLURM_NTASKS': '1'}, None),
    # In a batch script, outside of srun, there is no step.
    ({k: v for k, v in SLURM.items() if k != 'SLURM_STEP_NODELIST'}, None),
    (MPI, 'Open MPI'),
    ({**MPI, 'OMPI_COMM_WORLD_SIZE': '1'}, None),
    ({'KUBERNETES_SERVICE_HOST': '10.0.0.1'}, None),  # some pod
    ({**TPU, 'JAX_PLATFORMS': 'cpu'}, None),
    ({**TPU, 'TPU_SKIP_MDS_QUERY': '1'}, None),  # only compiles for one
  ],
)
def test_only_a_cluster_is_joined(environ, cluster):
  assert processes.detect(environ) == cluster


# What a pod of a TPU node gets from GKE, in a JobSet.
GKE = {
  'TPU_SKIP_MDS_QUERY': 'true',
  'KUBERNETES_SERVICE_HOST': '10.0.0.1',
  'JOB_COMPLETION_INDEX': '0',
}


@pytest.mark.parametrize(
  ('environ', 'cluster'),
  [
    ({}, 'TPU'),  # a TPU VM, which asks its metadata server
    (TPU, 'TPU'),
    ({'TPU_WORKER_HOSTNAMES': 'localhost'}, None),
    ({**TPU, **GKE}, 'TPU'),
    ({**GKE, 'TPU_WORKER_HOSTNAMES': 'a'}, None),
    ({**TPU, **GKE, 'JAX_PLATFORMS': 'cpu'}, 'Kubernetes'),
  ],
)
def test_a_machine_with_tpus(environ, cluster, monkeypatch):
  found = processes.importlib.util.find_spec
  monkeypatch.setattr(processes, '_has_tpu_devices', lambda: True)
  monkeypatch.setattr(
    processes.importlib.util,
    'find_spec',
    lambda name: object() if name in ('libtpu', 'kubernetes') else found(name),
  )
  assert processes.detect(environ) == cluster


def test_the_pods_of_a_job_need_a_package_to_be_found(monkeypatch):
  environ = {'KUBERNETES_SERVICE_HOST': '::1', 'JOB_COMPLETION_INDEX': '0'}
  find = processes.importlib.util.find_spec
  for package in (None, object()):
    monkeypatch.setattr(
      processes.importlib.util,
      'find_spec',
      lambda name, p=package: p if name == 'kubernetes' else find(name),
    )
    if package:
      assert processes.detect(environ) == 'Kubernetes'
    else:
      with pytest.raises(errors.InputError, match=r'the extra \[k8s\]'):
        processes.detect(environ)


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    (('host:1', None, None), 'belong together'),
    (('host:1', 2, 2), '--process_id is 2; it must be from 0 to 1'),
    (('host', 2, 0), "--coordinator is 'host'; it must be host:port"),
  ],
)
def test_wrong_flags_are_one_sentence(given, message):
  with pytest.raises(errors.InputError, match=message):
    processes.join(*given)


def test_one_process_is_alone(monkeypatch):
  for name, value in SLURM.items():
    monkeypatch.setenv(name, value)
  processes.join(None, 1, None)
  assert not jax.distributed.is_initialized()
  processes.check_same({'seed': 0})


def test_bad_values_are_one_sentence(monkeypatch):
  monkeypatch.setattr(jax, 'process_count', lambda: 8)
  with pytest.raises(errors.InputError, match='8 processes cannot share 4'):
    sharding.check_enough(4)


def test_a_tpu_machine_may_be_alone():
  code = """if True:
    import os
    from tsm_jax import errors
    from tsm_jax.runs import processes
    processes.detect = lambda: 'TPU'  # which this machine is not
    for hosts in ('localhost', 'a,b'):
      os.environ['TPU_WORKER_HOSTNAMES'] = hosts
      try:
        processes.join(None, None, None)
        print('alone')
      except errors.InputError as error:
        print(error)
  """
  done = subprocess.run(
    [sys.executable, '-c', code],
    env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
    cwd=helpers.ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  alone, several = done.stdout.splitlines()
  assert alone == 'alone'
  assert 'cannot join those that TPU started: ' in several
