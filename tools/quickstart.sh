#!/usr/bin/env bash
# From a bare machine with python3 to a running model: installs, builds SiamRPN++ (R50), prints its summary, runs one pair.
# Arguments go to tools/analysis/model_summary.py.
EXTRAS='' source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
echo "== model"
exec python tools/analysis/model_summary.py configs/siamrpnpp_r50_vid.py "$@"
