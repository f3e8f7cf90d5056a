#!/usr/bin/env bash
# Track a benchmark on several GPUs, its videos shared by them: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
# Several nodes as in tools/dist_train.sh: NNODES, NODE_RANK, MASTER_ADDR, PORT; they need --out on a disk that all of them share.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of tools/test.py]" >&2
    exit 2
fi
config=$1 checkpoint=$2 gpus=$3
tools="$(dirname "${BASH_SOURCE[0]}")"
source "$tools/find_python.sh"
exec "$python" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29501}" --nproc_per_node="$gpus" \
    "$tools/test.py" "$config" "$checkpoint" --launcher pytorch "${@:4}"
