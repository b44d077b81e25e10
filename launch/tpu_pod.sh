#!/usr/bin/env bash
# Trains on a TPU slice of one or many workers: asks for it, waits, installs this
# commit on all workers, runs tsm_jax.main on them, and starts over with a new
# slice whenever Google takes a spot slice back. From the root of the repository:
#
#   TPU_NAME=tsm TPU_PROJECT=my-project TPU_ZONE=us-west4-a \
#   TPU_TYPE=v5litepod-16 TPU_RUNTIME=v2-alpha-tpuv5-lite \
#       launch/tpu_pod.sh [--dry_run] --config configs/ssv2.py \
#       --config.data.source=/mnt/ssv2 --workdir=/mnt/runs/ssv2
#
# All but --dry_run goes to tsm_jax.main. TPU_FLAGS replaces --spot by other flags
# of `gcloud compute tpus queued-resources create`, separated by spaces. Started
# again, the script goes on with the slice that is there.
set -euo pipefail

for name in TPU_NAME TPU_PROJECT TPU_ZONE TPU_TYPE TPU_RUNTIME; do
  if [[ -z ${!name:-} ]]; then
    echo "error: $name is not set; the head of $0 has an example." >&2
    exit 2
  fi
done

dry_run=
if [[ ${1:-} == --dry_run ]]; then
  dry_run=yes
  shift
fi
if [[ " $*" != *' --workdir'* ]]; then
  echo 'error: --workdir is missing; give one that outlives the slice, since' \
    'the disks of its workers are lost with it.' >&2
  exit 2
fi

read -ra create_flags <<< "${TPU_FLAGS-"--spot"}"
where=(--project="$TPU_PROJECT" --zone="$TPU_ZONE" --quiet)
requests=(gcloud compute tpus queued-resources)
workers=(gcloud compute tpus tpu-vm)
poll=${TPU_POLL_SECONDS:-60}
commit=$(git rev-parse --short HEAD)

# Runs a command, or prints it so that it can be pasted.
run() {
  if [[ -n $dry_run ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# The state of the request, or nothing where there is none.
state() {
  run "${requests[@]}" list "${where[@]}" \
    --filter="name ~ /queuedResources/$TPU_NAME\$" \
    --format='value(state.state)'
}

create() {
  run "${requests[@]}" create "$TPU_NAME" "${where[@]}" \
    --node-id="$TPU_NAME" --accelerator-type="$TPU_TYPE" \
    --runtime-version="$TPU_RUNTIME" ${create_flags[@]+"${create_flags[@]}"}
}

delete() {
  run "${requests[@]}" delete "$TPU_NAME" "${where[@]}" --force
}

# Asks for the slice where needed and returns when it is there.
acquire() {
  local now last=none
  while true; do
    # Google cannot always be reached.
    if ! now=$(state); then
      sleep "$poll"
      continue
    fi
    if [[ $now != "$last" ]]; then
      echo "$TPU_NAME is ${now:-not requested yet}."
      last=$now
    fi
    case $now in
      '') create ;;
      ACTIVE) return ;;
      SUSPENDED) delete ;;
      FAILED)
        echo "error: the request for $TPU_NAME failed; '${requests[*]} describe" \
          "$TPU_NAME ${where[*]}' tells why. Delete it and start again." >&2
        return 1
        ;;
      *) sleep "$poll" ;;
    esac
  done
}

on_all_workers() {
  run "${workers[@]}" ssh "$TPU_NAME" "${where[@]}" --worker=all --command="$1"
}

# Returns what tsm_jax.main returns, or 255 where a connection breaks.
train() {
  run "${workers[@]}" scp "$archive" "$TPU_NAME:tsm_jax.tar.gz" "${where[@]}" \
    --worker=all || return
  on_all_workers 'tar xzf tsm_jax.tar.gz' || return
  on_all_workers "tsm_jax-$commit/launch/on_worker.sh$(printf ' %q' "$@")"
}

if ! git diff --quiet HEAD; then
  echo "What is not committed is not sent; the workers get $commit." >&2
fi
if [[ -n $dry_run ]]; then
  archive=tsm_jax.tar.gz
  run git archive --prefix="tsm_jax-$commit/" --output="$archive" HEAD
  state
  create
  train "$@"
  delete
  exit
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
archive=$folder/tsm_jax.tar.gz
git archive --prefix="tsm_jax-$commit/" --output="$archive" HEAD
again=0
while true; do
  acquire
  status=0
  train "$@" || status=$?
  if [[ $status == 0 ]]; then
    break
  elif now=$(state) && [[ $now != ACTIVE ]]; then
    again=0
    echo 'The slice was taken back; asking for another.'
  elif [[ $status == @(75|134|137|143|255) ]] && ((again < 10)); then
    # 75 asks for another start; the next three are of a process that was killed
    # or lost another one; 255 is a broken connection. Perhaps the slice is being
    # taken back, and its state tells so only later.
    again=$((again + 1))
    echo "The workers ended with status $status; starting again ($again of 10)."
    sleep "$poll"
  else
    break
  fi
done
echo "$TPU_NAME is kept, and costs money until you delete it:"
dry_run=yes delete
exit "$status"
