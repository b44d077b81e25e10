#!/usr/bin/env bash
# Trains on a TPU slice of a GKE cluster in which JobSet is installed:
#
#   GKE_NAME=tsm GKE_IMAGE=us-docker.pkg.dev/my-project/images/tsm_jax:1 \
#   GKE_ACCELERATOR=tpu-v5-lite-podslice GKE_TOPOLOGY=4x4 GKE_CHIPS_PER_NODE=4 \
#   GKE_CLAIM=training launch/gke.sh [--dry_run] --config configs/ssv2.py \
#       --config.data.source=/data/ssv2 --workdir=/data/runs/ssv2
#
# GKE_CLAIM is a PersistentVolumeClaim that all nodes can write; it becomes
# /data. GKE_SPOT=false takes nodes that are not spot. All but --dry_run, which
# prints the manifest instead of applying it, goes to tsm_jax.main.
set -euo pipefail

for name in GKE_NAME GKE_IMAGE GKE_ACCELERATOR GKE_TOPOLOGY \
  GKE_CHIPS_PER_NODE GKE_CLAIM; do
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

if [[ ! $GKE_TOPOLOGY =~ ^[1-9][0-9]*(x[1-9][0-9]*)+$ ||
  ! $GKE_CHIPS_PER_NODE =~ ^[1-9][0-9]*$ ]]; then
  echo "error: GKE_TOPOLOGY is $GKE_TOPOLOGY and GKE_CHIPS_PER_NODE is" \
    "$GKE_CHIPS_PER_NODE; they look like 4x4 and 4." >&2
  exit 2
fi
chips=$((${GKE_TOPOLOGY//x/*}))
nodes=$((chips / GKE_CHIPS_PER_NODE))
if ((nodes * GKE_CHIPS_PER_NODE != chips)); then
  echo "error: GKE_TOPOLOGY $GKE_TOPOLOGY has $chips chips, which is no multiple" \
    "of GKE_CHIPS_PER_NODE, $GKE_CHIPS_PER_NODE." >&2
  exit 2
fi

# A JSON list is YAML, too.
arguments=$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@")

spot=
if [[ ${GKE_SPOT:-true} == true ]]; then
  spot='cloud.google.com/gke-spot: "true"'
fi

manifest=$(
  cat << EOF
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $GKE_NAME
  annotations:
    # All nodes of one slice, and no other job on them.
    alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool
spec:
  failurePolicy:
    # When a node is taken back or a process ends, all start again.
    maxRestarts: 100
    rules:
      - name: badInput
        action: FailJobSet
        onJobFailureReasons: [PodFailurePolicy]
  replicatedJobs:
    - name: slice
      replicas: 1
      template:
        spec:
          completionMode: Indexed
          parallelism: $nodes
          completions: $nodes
          backoffLimit: 0
          podFailurePolicy:
            rules:
              # 2 is how tsm_jax.main refuses what it was given.
              - action: FailJob
                onExitCodes:
                  containerName: train
                  operator: In
                  values: [2]
          template:
            spec:
              restartPolicy: Never
              # To save after SIGTERM.
              terminationGracePeriodSeconds: 300
              nodeSelector:
                cloud.google.com/gke-tpu-accelerator: $GKE_ACCELERATOR
                cloud.google.com/gke-tpu-topology: $GKE_TOPOLOGY
                $spot
              tolerations:
                - key: cloud.google.com/gke-spot
                  operator: Exists
              containers:
                - name: train
                  image: $GKE_IMAGE
                  command: [python, -m, tsm_jax.main]
                  args: $arguments
                  resources:
                    limits:
                      google.com/tpu: $GKE_CHIPS_PER_NODE
                  volumeMounts:
                    - name: data
                      mountPath: /data
              volumes:
                - name: data
                  persistentVolumeClaim:
                    claimName: $GKE_CLAIM
EOF
)

if [[ -n $dry_run ]]; then
  echo "$manifest"
else
  kubectl apply --filename=- <<< "$manifest"
  echo "Follow it: kubectl logs --follow --prefix --selector" \
    "jobset.sigs.k8s.io/jobset-name=$GKE_NAME"
fi
