"""The launchers; those of TPU slices and Slurm have files of their own."""

import pathlib
import shlex
import stat
import subprocess
import sys

from kubeflow_trainer_api.models import jobset_v1alpha2_job_set
import pytest
import yaml

from support import commands, helpers, launching
from tsm_jax.runs import checkpoints

SCRIPTS = sorted(
  [
    *launching.LAUNCH.glob('*.sh'),
    *launching.LAUNCH.glob('*.sbatch'),
    helpers.ROOT / '.ci/run',
  ]
)
# A flag with spaces, quotes and what a shell would replace.
GKE = {
  'GKE_NAME': 'tsm',
  'GKE_IMAGE': 'registry/tsm_jax:1',
  'GKE_ACCELERATOR': 'tpu-v5-lite-podslice',
  'GKE_TOPOLOGY': '4x4',
  'GKE_CHIPS_PER_NODE': '4',
  'GKE_CLAIM': 'training',
}


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
  checker = pathlib.Path(sys.executable).with_name('shellcheck')
  done = subprocess.run([checker, script], capture_output=True, text=True)
  assert done.returncode == 0, done.stdout
  assert script.suffix != '.sh' or script.stat().st_mode & stat.S_IXUSR
  assert 'set -euo pipefail' in script.read_text()


def test_gke_names_a_missing_setting():
  done = launching.run(
    'gke.sh', '--dry_run', *launching.FLAGS, **{**GKE, 'GKE_CLAIM': ''}
  )
  assert done.returncode == 2
  assert done.stderr.startswith('error: GKE_CLAIM is not set')


def test_gke_manifest_is_a_jobset():
  done = launching.run('gke.sh', '--dry_run', *launching.FLAGS, **GKE)
  assert done.returncode == 0, done.stderr
  manifest = yaml.safe_load(done.stdout)
  # The model of JobSet and all that it contains, generated from the published
  # schema. It ignores a field that it does not know, so what is read must be
  # all that was written.
  read = jobset_v1alpha2_job_set.JobsetV1alpha2JobSet.from_dict(manifest)
  assert read.to_dict() == manifest
  assert (manifest['apiVersion'], manifest['kind']) == (
    'jobset.x-k8s.io/v1alpha2',
    'JobSet',
  )
  (group,) = manifest['spec']['replicatedJobs']
  job = group['template']['spec']
  assert job['parallelism'] == job['completions'] == 4  # of 16 chips, 4 a node
  pod = job['template']['spec']
  assert pod['nodeSelector'] == {
    'cloud.google.com/gke-tpu-accelerator': 'tpu-v5-lite-podslice',
    'cloud.google.com/gke-tpu-topology': '4x4',
    'cloud.google.com/gke-spot': 'true',
  }
  (container,) = pod['containers']
  assert container['command'] + container['args'] == [
    'python',
    '-m',
    'tsm_jax.main',
    *launching.FLAGS,
  ]
  assert container['image'] == 'registry/tsm_jax:1'
  assert container['resources']['limits'] == {'google.com/tpu': 4}
  (volume,) = pod['volumes']
  assert volume['persistentVolumeClaim'] == {'claimName': 'training'}
  # Bad input ends the run; anything else restarts all of its processes.
  (rule,) = job['podFailurePolicy']['rules']
  assert rule['onExitCodes']['containerName'] == container['name']
  assert (rule['action'], rule['onExitCodes']['values']) == ('FailJob', [2])
  assert job['backoffLimit'] == 0 and pod['restartPolicy'] == 'Never'


def test_gke_without_spot_and_wrong_numbers():
  done = launching.run(
    'gke.sh', '--dry_run', *launching.FLAGS, **GKE, GKE_SPOT='false'
  )
  (group,) = yaml.safe_load(done.stdout)['spec']['replicatedJobs']
  pod = group['template']['spec']['template']['spec']
  assert 'cloud.google.com/gke-spot' not in pod['nodeSelector']
  for changes, message in (
    ({'GKE_TOPOLOGY': '4by4'}, 'GKE_TOPOLOGY is 4by4'),
    ({'GKE_TOPOLOGY': '2x5'}, '2x5 has 10 chips, which is no multiple'),
  ):
    done = launching.run(
      'gke.sh', '--dry_run', *launching.FLAGS, **{**GKE, **changes}
    )
    assert done.returncode == 2
    assert message in done.stderr


def test_gpus_prints_a_command_for_each():
  done = launching.run(
    'gpus.sh', '--dry_run', *launching.FLAGS, GPUS='2', PORT='4000'
  )
  assert done.returncode == 0, done.stderr
  assert [shlex.split(line) for line in done.stdout.splitlines()] == [
    [
      f'CUDA_VISIBLE_DEVICES={index}',
      *('python', '-m', 'tsm_jax.main'),
      *launching.FLAGS,
      '--coordinator=localhost:4000',
      '--num_processes=2',
      f'--process_id={index}',
    ]
    for index in range(2)
  ]


def test_gpus_ends_by_the_status_of_the_process_that_fails():
  done = launching.run(
    'gpus.sh',
    '--config=configs/nosuch.py',
    GPUS='2',
    PORT=str(commands.free_port()),
    PYTHON=sys.executable,
  )
  assert done.returncode == 2
  assert "error: --config is 'configs/nosuch.py'" in done.stderr


@pytest.mark.slow
def test_gpus_trains_with_two_processes(folder, data_dir, tmp_path):
  arguments = commands.training(
    folder, data_dir, tmp_path, '--config.batch_size=8', '--config.epochs=4'
  )[3:]
  done = launching.run(
    'gpus.sh',
    *arguments,
    **commands.environment(),
    JAX_NUM_CPU_DEVICES='2',
    GPUS='2',
    PORT=str(commands.free_port()),
    PYTHON=sys.executable,
  )
  assert done.returncode == 0, done.stderr
  assert 'clips on 4 cpu device(s)' in done.stdout
  assert checkpoints.restore_model(tmp_path).step == 10
