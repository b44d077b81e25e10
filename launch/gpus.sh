#!/usr/bin/env bash
# Trains with one process per GPU of this machine, where the Python of a single
# process is too slow to feed all of them:
#
#   launch/gpus.sh [--dry_run] --config configs/ssv2.py \
#       --config.data.source=/data/ssv2
#
# All but --dry_run goes to tsm_jax.main. GPUS is their number (as nvidia-smi
# counts them), PORT that of the first process, PYTHON another interpreter.
set -euo pipefail

dry_run=
if [[ ${1:-} == --dry_run ]]; then
  dry_run=yes
  shift
fi
count=${GPUS:-$(nvidia-smi --list-gpus 2> /dev/null | wc -l)} || count=unknown
if [[ ! $count =~ ^[1-9][0-9]*$ ]]; then
  echo "error: the number of GPUs is $count; set GPUS to one above 0." >&2
  exit 2
fi
port=${PORT:-12355}
processes=()

# All of them save at the same step and end with status 75.
stop() {
  signalled=yes
  kill -TERM "${processes[@]}" 2> /dev/null || true
}
trap stop TERM INT

for ((index = 0; index < count; index++)); do
  command=("${PYTHON:-python}" -m tsm_jax.main "$@"
    --coordinator="localhost:$port" --num_processes="$count"
    --process_id="$index")
  if [[ -n $dry_run ]]; then
    echo "CUDA_VISIBLE_DEVICES=$index$(printf ' %q' "${command[@]}")"
  else
    # In a session of its own: Ctrl-C comes from here alone, and once.
    CUDA_VISIBLE_DEVICES=$index setsid "${command[@]}" &
    processes+=("$!")
  fi
done

# The first failure is the script's status, and ends the others, which would wait
# for the one that is gone.
status=0
while [[ -n $(jobs -p) ]]; do
  signalled=
  code=0
  wait -n || code=$?
  if [[ -z $signalled && $code != 0 && $status == 0 ]]; then
    status=$code
    stop
  fi
done
exit "$status"
