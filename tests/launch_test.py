"""The launchers: what they would run, and what they do when it ends."""

import os
import pathlib
import re
import shlex
import stat
import subprocess
import sys

import helpers
from kubeflow_trainer_api.models import jobset_v1alpha2_job_set
import main_test
import multiprocess_test
import pytest
import yaml

from tsm_jax import checkpoints

LAUNCH = helpers.ROOT / 'launch'
SCRIPTS = (
  *LAUNCH.glob('*.sh'),
  *LAUNCH.glob('*.sbatch'),
  helpers.ROOT / '.ci/run',
)
# A flag with spaces, quotes and what a shell would replace.
FLAGS = [
  '--config',
  'configs/ssv2.py:frames=16',
  '--workdir=/mnt/the runs/$HOME',
  '--config.name=it\'s "new"',
]
TPU = {
  'TPU_NAME': 'tsm',
  'TPU_PROJECT': 'some-project',
  'TPU_ZONE': 'us-west4-a',
  'TPU_TYPE': 'v5litepod-16',
  'TPU_RUNTIME': 'v2-alpha-tpuv5-lite',
  'TPU_POLL_SECONDS': '0',
}
GKE = {
  'GKE_NAME': 'tsm',
  'GKE_IMAGE': 'registry/tsm_jax:1',
  'GKE_ACCELERATOR': 'tpu-v5-lite-podslice',
  'GKE_TOPOLOGY': '4x4',
  'GKE_CHIPS_PER_NODE': '4',
  'GKE_CLAIM': 'training',
}


def run(script, *arguments, **environment):
  return subprocess.run(
    [LAUNCH / script, *arguments],
    cwd=helpers.ROOT,
    env={**os.environ, **environment},
    capture_output=True,
    text=True,
    timeout=300,
  )


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
  checker = pathlib.Path(sys.executable).with_name('shellcheck')
  done = subprocess.run([checker, script], capture_output=True, text=True)
  assert done.returncode == 0, done.stdout
  assert script.suffix != '.sh' or script.stat().st_mode & stat.S_IXUSR
  assert 'set -euo pipefail' in script.read_text()


def commit():
  return subprocess.run(
    ['git', 'rev-parse', '--short', 'HEAD'],
    cwd=helpers.ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.strip()


def test_tpu_pod_prints_its_commands():
  done = run('tpu_pod.sh', '--dry_run', *FLAGS, **TPU)
  assert done.returncode == 0, done.stderr
  where = '--project=some-project --zone=us-west4-a --quiet'
  requests = 'gcloud compute tpus queued-resources'
  workers = 'gcloud compute tpus tpu-vm'
  *lines, training, delete = done.stdout.splitlines()
  assert [shlex.split(line) for line in lines] == [
    shlex.split(line)
    for line in (
      f'git archive --prefix=tsm_jax-{commit()}/ --output=tsm_jax.tar.gz HEAD',
      f"{requests} list {where} --filter='name ~ /queuedResources/tsm$' "
      "--format='value(state.state)'",
      f'{requests} create tsm {where} --node-id=tsm '
      '--accelerator-type=v5litepod-16 '
      '--runtime-version=v2-alpha-tpuv5-lite --spot',
      f'{workers} scp tsm_jax.tar.gz tsm:tsm_jax.tar.gz {where} --worker=all',
      f"{workers} ssh tsm {where} --worker=all --command='tar xzf "
      "tsm_jax.tar.gz'",
    )
  ]
  assert shlex.split(delete) == [
    *shlex.split(f'{requests} delete tsm {where}'),
    '--force',
  ]
  # The flags pass two shells: this one, and that of the worker.
  *start, command = shlex.split(training)
  assert start == [*shlex.split(f'{workers} ssh tsm {where}'), '--worker=all']
  assert shlex.split(command.removeprefix('--command=')) == [
    f'tsm_jax-{commit()}/launch/on_worker.sh',
    *FLAGS,
  ]


def test_tpu_flags_replace_spot():
  for flags, expected in (
    ('', []),
    ('--reserved --network=mine', ['--reserved', '--network=mine']),
  ):
    done = run('tpu_pod.sh', '--dry_run', *FLAGS, **TPU, TPU_FLAGS=flags)
    (create,) = (
      line for line in done.stdout.splitlines() if ' create ' in line
    )
    _, _, after = create.partition(TPU['TPU_RUNTIME'])
    assert shlex.split(after) == expected


# Google's side of it: a slice that is there after two looks, whose workers end
# with the next of the statuses in the file `script`. 'taken' is a slice that
# Google takes back while it trains.
GCLOUD = """\
#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
echo "$*" >> calls
case "$*" in
  *' create '*) echo WAITING_FOR_RESOURCES > state; touch fresh ;;
  *' delete '*) rm state ;;
  *' list '*)
    cat state 2> /dev/null || true
    if [[ -e fresh ]]; then rm fresh; elif [[ $(cat state) == W* ]]; then
      echo ACTIVE > state
    fi
    ;;
  *on_worker*)
    status=$(head -n 1 script)
    sed -i 1d script
    if [[ $status == taken ]]; then echo SUSPENDED > state; exit 255; fi
    exit "$status"
    ;;
esac
"""


def train_on_tpu(folder, *statuses):
  """Runs the script with Google's answers; its result and the verbs called."""
  (folder / 'gcloud').write_text(GCLOUD)
  (folder / 'gcloud').chmod(0o755)
  (folder / 'script').write_text(''.join(f'{status}\n' for status in statuses))
  path = f'{folder}:{os.environ["PATH"]}'
  done = run('tpu_pod.sh', *FLAGS, **TPU, PATH=path)
  calls = (folder / 'calls').read_text()
  return done, re.findall(r'create|delete|on_worker|scp', calls)


def test_a_slice_that_is_taken_back_is_asked_for_again(tmp_path):
  done, verbs = train_on_tpu(tmp_path, 'taken', 'taken', 0)
  assert done.returncode == 0, done.stderr
  once = ['create', 'scp', 'on_worker']
  assert verbs == [*once, 'delete', *once, 'delete', *once]
  assert 'tsm is WAITING_FOR_RESOURCES' in done.stdout
  assert 'costs money' in done.stdout


def test_the_next_start_goes_on_with_the_slice_that_is_there(tmp_path):
  (tmp_path / 'state').write_text('ACTIVE\n')
  done, verbs = train_on_tpu(tmp_path, 143, 255, 0)
  assert done.returncode == 0, done.stderr
  assert verbs == ['scp', 'on_worker'] * 3  # the slice itself was fine


def test_an_error_of_the_program_ends_the_script(tmp_path):
  done, verbs = train_on_tpu(tmp_path, 2)
  assert done.returncode == 2
  assert verbs == ['create', 'scp', 'on_worker']  # and no second attempt
  assert 'delete tsm' in done.stdout  # only told


def test_a_failed_request_and_broken_connections_end_it_too(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a/state').write_text('FAILED\n')
  done, verbs = train_on_tpu(tmp_path / 'a')
  assert (done.returncode, verbs) == (1, [])
  assert 'queued-resources describe tsm --project=some-project' in done.stderr
  (tmp_path / 'b').mkdir()
  done, verbs = train_on_tpu(tmp_path / 'b', *[255] * 20)
  assert done.returncode == 255
  assert verbs.count('on_worker') == 11


@pytest.mark.parametrize(
  ('script', 'environment', 'missing'),
  [('tpu_pod.sh', TPU, 'TPU_ZONE'), ('gke.sh', GKE, 'GKE_CLAIM')],
)
def test_a_missing_setting_is_named(script, environment, missing):
  done = run(script, '--dry_run', *FLAGS, **{**environment, missing: ''})
  assert done.returncode == 2
  assert done.stderr.startswith(f'error: {missing} is not set')


def test_a_workdir_on_the_slice_is_refused():
  done = run('tpu_pod.sh', '--dry_run', '--config=configs/ssv2.py', **TPU)
  assert done.returncode == 2
  assert done.stderr.startswith('error: --workdir is missing')


def test_gke_manifest_is_a_jobset():
  done = run('gke.sh', '--dry_run', *FLAGS, **GKE)
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
    *FLAGS,
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
  done = run('gke.sh', '--dry_run', *FLAGS, **GKE, GKE_SPOT='false')
  (group,) = yaml.safe_load(done.stdout)['spec']['replicatedJobs']
  pod = group['template']['spec']['template']['spec']
  assert 'cloud.google.com/gke-spot' not in pod['nodeSelector']
  for changes, message in (
    ({'GKE_TOPOLOGY': '4by4'}, 'GKE_TOPOLOGY is 4by4'),
    ({'GKE_TOPOLOGY': '2x5'}, '2x5 has 10 chips, which is no multiple'),
  ):
    done = run('gke.sh', '--dry_run', *FLAGS, **{**GKE, **changes})
    assert done.returncode == 2
    assert message in done.stderr


def test_gpus_prints_a_command_for_each():
  done = run('gpus.sh', '--dry_run', *FLAGS, GPUS='2', PORT='4000')
  assert done.returncode == 0, done.stderr
  assert [shlex.split(line) for line in done.stdout.splitlines()] == [
    [
      f'CUDA_VISIBLE_DEVICES={index}',
      *('python', '-m', 'tsm_jax.main'),
      *FLAGS,
      '--coordinator=localhost:4000',
      '--num_processes=2',
      f'--process_id={index}',
    ]
    for index in range(2)
  ]


def test_gpus_ends_by_the_status_of_the_process_that_fails():
  done = run(
    'gpus.sh',
    '--config=configs/nosuch.py',
    GPUS='2',
    PORT=str(multiprocess_test.free_port()),
    PYTHON=sys.executable,
  )
  assert done.returncode == 2
  assert "error: --config is 'configs/nosuch.py'" in done.stderr


@pytest.mark.slow
def test_gpus_trains_with_two_processes(folder, data_dir, tmp_path):
  arguments = main_test.training(
    folder, data_dir, tmp_path, '--config.batch_size=8', '--config.epochs=4'
  )[3:]
  done = run(
    'gpus.sh',
    *arguments,
    **main_test.environment(),
    JAX_NUM_CPU_DEVICES='2',
    GPUS='2',
    PORT=str(multiprocess_test.free_port()),
    PYTHON=sys.executable,
  )
  assert done.returncode == 0, done.stderr
  assert 'clips on 4 cpu device(s)' in done.stdout
  assert checkpoints.restore_model(tmp_path).step == 10
