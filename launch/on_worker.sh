#!/usr/bin/env bash
# What launch/tpu_pod.sh runs on every worker: installs the copy of the
# repository around this file, then runs tsm_jax.main with the arguments.
set -euo pipefail
cd "$(dirname "$0")/.."

# One training at a time: a TPU serves one process, and one that an earlier
# connection started goes on when that breaks.
exec 9> "$HOME/tsm_jax.lock"
if ! flock --nonblock 9; then
  echo "$HOSTNAME waits for the training of an earlier start; its output is in" \
    "$HOME/tsm_jax.log." >&2
  flock 9
fi

# The system's Python may be older than 3.11; uv finds or brings another.
if [[ ! -e .venv/complete ]]; then
  PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv
  python3 -m uv venv --quiet --clear --python 3.11 .venv
  python3 -m uv pip install --quiet --python .venv/bin/python \
    --editable '.[tpu]' --constraint constraints.txt
  touch .venv/complete
fi

# tee goes on where nobody listens any more, and so does the training.
.venv/bin/python -m tsm_jax.main "$@" 2>&1 |
  tee --append --output-error=warn-nopipe "$HOME/tsm_jax.log"
