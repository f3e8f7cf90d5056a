# Sourced: sets `python` to one that has this package: the active environment's, else that of .venv beside `tools`.
has_package() { (cd / && "$1" -c 'import mmengine, torch, siamrpnpp_plugin.registry') 2>/dev/null; }  # cd: not just this folder

python="$(command -v "${PYTHON:-python}" || true)"
if [ -z "$python" ] || ! has_package "$(realpath -s "$python")"; then
    python="$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/python"
    if ! has_package "$(realpath -s "$python")"; then
        echo 'siamrpnpp_plugin is not installed: run tools/quickstart.sh, or activate the environment that has it' >&2
        exit 1
    fi
fi
