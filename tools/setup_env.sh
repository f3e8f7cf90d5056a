# Sourced by the scripts beside it: an environment with this package, whatever the machine has. Needs python3 only.
# Uses the active virtual environment if there is one, else makes or reuses .venv. Arguments: extras to install, e.g. tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${VIRTUAL_ENV:-}" ] && [ -z "${CONDA_PREFIX:-}" ]; then
    if ! [ -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        echo "== making .venv"
        rm -rf .venv
        python3 -m venv .venv || {
            rm -rf .venv
            echo "python3 -m venv failed. On Debian or Ubuntu: apt-get install python3-venv. Python 3.10 or newer is needed." >&2
            exit 1
        }
    fi
    # shellcheck disable=SC1091
    source .venv/bin/activate
fi
echo "== installing into ${VIRTUAL_ENV:-$CONDA_PREFIX}"

PIP=(python -m pip install --quiet --disable-pip-version-check)
extras="$(IFS=,; echo "$*")"
pins=requirements/constraints.txt
wanted="$(cat setup.py requirements/*.txt) $extras $PWD"
stamp="${VIRTUAL_ENV:-$CONDA_PREFIX}/.siamrpnpp_plugin-${extras:-none}"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    # torch and mmcv only where they are missing: the user's own build (CUDA, full mmcv) is never replaced
    python -c 'import torch' 2>/dev/null || "${PIP[@]}" -c $pins "torch==$(sed -n 's/^torch==//p' $pins)"
    grep -v '^torch==' $pins > "$stamp.pins"
    python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("mmcv") is None)' \
        || "${PIP[@]}" -c "$stamp.pins" -r requirements/lite.txt
    "${PIP[@]}" -c "$stamp.pins" -e ".${extras:+[$extras]}"
    # OpenCV's desktop build needs libGL, which a bare server lacks
    python -c 'import cv2' 2>/dev/null || {
        python -m pip uninstall --quiet --yes opencv-python
        "${PIP[@]}" opencv-python-headless
        python -c 'import cv2'
    }
    printf '%s' "$wanted" > "$stamp"
fi
