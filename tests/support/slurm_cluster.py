"""A Slurm cluster of this machine alone, real but for its GPUs.

Its three daemons run as the caller, without systemd, with all of their files in
one folder and on ports of their own, so that a Slurm installed otherwise is not
touched.
"""

import contextlib
import getpass
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import time

PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'sbatch', 'srun', 'scontrol')
PATH = os.environ['PATH'] + ':/usr/sbin:/sbin'  # where Debian has the daemons

CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
# A job that is queued again waits until its old credentials expire.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=bf_interval=2,sched_interval=2
SlurmdParameters=config_overrides
KillWait=120
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs():
  """The names of those programs of Slurm and MUNGE that are not installed."""
  return [name for name in PROGRAMS if not shutil.which(name, path=PATH)]


@contextlib.contextmanager
def running():
  """Starts the cluster: one node, two CPUs, two GPUs that are none.

  Yields:
    The environment in which sbatch, srun and scontrol talk to it.
  """
  with tempfile.TemporaryDirectory(prefix='slurm') as name:
    # Not below pytest's folders: the path of a socket must be short.
    folder = pathlib.Path(name)
    environment = {
      **os.environ,
      'PATH': PATH,
      'SLURM_CONF': str(folder / 'slurm.conf'),
    }
    _write_files(folder)
    daemons = []
    try:
      munged = ['munged', '--foreground', '--force', '--num-threads=1']
      for option in ('key-file', 'socket', 'pid-file', 'log-file', 'seed-file'):
        munged.append(f'--{option}={folder}/munge.{option.split("-")[0]}')
      for command in (munged, ['slurmctld', '-D'], ['slurmd', '-D']):
        with open(folder / f'{command[0]}.out', 'wb') as output:
          daemons.append(
            subprocess.Popen(
              command, env=environment, stdout=output, stderr=output
            )
          )
        if command is munged:
          _wait(lambda: (folder / 'munge.socket').exists(), folder, daemons)
      _wait(lambda: _is_idle(environment), folder, daemons)
      try:
        yield environment
      finally:
        _cancel_all(environment, folder, daemons)
    finally:
      for daemon in reversed(daemons):
        daemon.terminate()
        daemon.wait(timeout=60)


def _write_files(folder):
  folder.chmod(0o755)  # munged wants it
  (folder / 'munge.key').write_bytes(secrets.token_bytes(128))
  (folder / 'munge.key').chmod(0o400)
  for name in ('state', 'spool'):
    (folder / name).mkdir()
  ports = []
  with contextlib.ExitStack() as stack:
    for _ in range(2):
      server = stack.enter_context(socket.socket())
      server.bind(('localhost', 0))
      ports.append(server.getsockname()[1])
  (folder / 'slurm.conf').write_text(
    CONFIG.format(
      host=socket.gethostname().partition('.')[0],
      user=getpass.getuser(),
      folder=folder,
      ctld_port=ports[0],
      slurmd_port=ports[1],
    )
  )
  # The plugin that asks nothing of the system while nobody uses it.
  (folder / 'cgroup.conf').write_text('CgroupPlugin=cgroup/v1\n')
  # Slurm asks only whether a GPU's file is a device.
  (folder / 'gres.conf').write_text(
    'Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n'
  )


def _cancel_all(environment, folder, daemons):
  """Leaves no process of a job behind."""
  subprocess.run(
    ['scancel', f'--user={getpass.getuser()}'], env=environment, check=True
  )
  _wait(lambda: _is_idle(environment), folder, daemons, timeout=180)


def _is_idle(environment):
  done = subprocess.run(
    ['sinfo', '--noheader', '--format=%T'],
    env=environment,
    capture_output=True,
    text=True,
  )
  return done.stdout.strip() == 'idle'


def _wait(ready, folder, daemons, timeout=60):
  deadline = time.monotonic() + timeout
  while not ready():
    stopped = any(daemon.poll() is not None for daemon in daemons)
    if stopped or time.monotonic() > deadline:
      logs = (path.read_text() for path in sorted(folder.glob('*.out')))
      raise RuntimeError('Slurm is not idle:\n' + '\n'.join(logs))
    time.sleep(0.2)
