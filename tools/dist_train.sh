#!/usr/bin/env bash
# Train on several GPUs, here or on several nodes: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# On each of n nodes: NNODES=n NODE_RANK=0...n-1 MASTER_ADDR=HOST PORT=29500 tools/dist_train.sh CONFIG GPUS
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
    exit 2
fi
config=$1 gpus=$2
tools="$(dirname "${BASH_SOURCE[0]}")"
source "$tools/find_python.sh"
exec "$python" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" --nproc_per_node="$gpus" \
    "$tools/train.py" "$config" --launcher pytorch "${@:3}"
