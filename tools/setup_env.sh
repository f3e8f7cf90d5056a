# Sourced by the scripts beside it: an environment with this package, whatever the machine has. Needs python3 only.
# Uses the active virtual environment if there is one, else makes or reuses .venv. Arguments: extras to install, e.g. tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { echo "$1" >&2; exit 1; }

if [ -z "${VIRTUAL_ENV:-}" ] && [ -z "${CONDA_PREFIX:-}" ]; then
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        echo "== making .venv"
        rm -rf .venv
        python3 -m venv .venv || {
            rm -rf .venv
            die "python3 -m venv failed. On Debian or Ubuntu: apt-get install python3-venv"
        }
    fi
    # shellcheck disable=SC1091
    source .venv/bin/activate
fi
env_dir="${VIRTUAL_ENV:-$CONDA_PREFIX}"
extras="$(IFS=,; echo "$*")"
stamp="$env_dir/.siamrpnpp_plugin-${extras:-none}"  # says what was installed, so that a second call costs nothing
pins="$env_dir/.siamrpnpp_plugin-pins"              # the tested versions, without torch: the user's own is never replaced
wanted="$(cat setup.py requirements/*.txt tools/setup_env.sh) $extras $PWD"

has() { python -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$1') is None)"; }
pip_install() { python -m pip install --quiet --disable-pip-version-check -c "$pins" "$@"; }

if ! (cd / && python -c 'import siamrpnpp_plugin') 2>/dev/null || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "== installing into $env_dir"
    rm -f "$stamp"
    grep -v '^torch==' requirements/constraints.txt > "$pins"
    if ! has torch; then
        echo "   torch (the longest step, a minute or two)"
        pip_install "$(grep '^torch==' requirements/constraints.txt)" || die 'could not install torch'
    fi
    if ! has mmcv; then
        echo "   mmcv-lite"
        pip_install -r requirements/lite.txt || die 'could not install mmcv-lite'
    fi
    echo "   siamrpnpp_plugin and what it needs"
    pip_install -e ".${extras:+[$extras]}" || die 'could not install siamrpnpp_plugin'
    if ! python -c 'import cv2' 2>/dev/null; then  # OpenCV's desktop build needs libGL, which a bare server lacks
        python -m pip uninstall --quiet --yes opencv-python || true
        python -m pip install --quiet --disable-pip-version-check opencv-python-headless && python -c 'import cv2' \
            || die 'could not install an OpenCV that works here'
    fi
    printf '%s' "$wanted" > "$stamp"
fi
