"""launch/tpu_pod.sh: its commands, and what it does when a slice is lost."""

import os
import re
import shlex
import subprocess

from support import helpers, launching

FLAGS = launching.FLAGS
run = launching.run
TPU = {
  'TPU_NAME': 'tsm',
  'TPU_PROJECT': 'some-project',
  'TPU_ZONE': 'us-west4-a',
  'TPU_TYPE': 'v5litepod-16',
  'TPU_RUNTIME': 'v2-alpha-tpuv5-lite',
  'TPU_POLL_SECONDS': '0',
}


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
    if [[ -s deaf ]]; then sed -i 1d deaf; exit 1; fi
    cat state 2> /dev/null || true
    if [[ -e fresh ]]; then rm fresh; elif [[ $(cat state) == W* ]]; then
      echo ACTIVE > state
    fi
    ;;
  *on_worker*)
    status=$(head -n 1 script)
    sed -i 1d script
    if [[ $status == deaf ]]; then echo yes > deaf; exit 255; fi
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
  done, verbs = train_on_tpu(tmp_path, 75, 255, 134, 137, 0)
  assert done.returncode == 0, done.stderr
  assert verbs == ['scp', 'on_worker'] * 5  # the slice itself was fine


def test_google_cannot_be_reached_for_a_while(tmp_path):
  (tmp_path / 'state').write_text('ACTIVE\n')
  (tmp_path / 'deaf').write_text('yes\n' * 2)
  done, verbs = train_on_tpu(tmp_path, 'deaf', 0)
  assert done.returncode == 0, done.stderr
  assert verbs == ['scp', 'on_worker'] * 2


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


def test_a_missing_setting_is_named():
  done = run('tpu_pod.sh', '--dry_run', *FLAGS, **{**TPU, 'TPU_ZONE': ''})
  assert done.returncode == 2
  assert done.stderr.startswith('error: TPU_ZONE is not set')


def test_a_workdir_on_the_slice_is_refused():
  done = run('tpu_pod.sh', '--dry_run', '--config=configs/ssv2.py', **TPU)
  assert done.returncode == 2
  assert done.stderr.startswith('error: --workdir is missing')
