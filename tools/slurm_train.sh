#!/usr/bin/env bash
# Train on a Slurm cluster, one task per GPU: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]
# GPUS (8) in all, GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS. A job that is stopped (--signal, preemption) saves first;
# submit it again with --resume.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
tools="$(dirname "${BASH_SOURCE[0]}")"
source "$tools/find_python.sh"
gpus="${GPUS:-8}" per_node="${GPUS_PER_NODE:-8}"
exec srun -p "$1" --job-name="$2" --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "$python" -u "$tools/train.py" "$3" --launcher slurm "${@:4}"
