# Sourced: sets `python` to one that has this package: the active environment's, else that of .venv beside `tools`.
python="${PYTHON:-python}"
if ! "$python" -c 'import torch, siamrpnpp_plugin' 2>/dev/null; then
    python="$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/python"
    if ! "$python" -c 'import torch, siamrpnpp_plugin' 2>/dev/null; then
        echo 'siamrpnpp_plugin is not installed: run tools/quickstart.sh, or activate the environment that has it' >&2
        exit 1
    fi
fi
