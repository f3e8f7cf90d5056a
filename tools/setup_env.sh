# Sourced by the scripts beside it: an environment with this package, whatever the machine has. Needs python3 only.
# Uses the active virtual environment (or conda's, but not conda's base) if there is one, else makes or reuses .venv.
# EXTRAS: extras of setup.py to install, e.g. tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { echo "$1" >&2; exit 1; }

env_dir="${VIRTUAL_ENV:-}"
if [ -z "$env_dir" ] && [ "${CONDA_DEFAULT_ENV:-base}" != base ]; then env_dir="${CONDA_PREFIX:-}"; fi
if [ -z "$env_dir" ]; then
    env_dir="$PWD/.venv"
    if ! "$env_dir/bin/python" -c '' 2>/dev/null; then
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die 'the tested versions need python3 to be 3.11 or newer'
        echo "== making .venv"
        python3 -m venv .venv || die 'python3 -m venv failed. On Debian or Ubuntu: apt-get install python3-venv, then remove .venv'
    fi
fi
python="$env_dir/bin/python"
"$python" -c '' || die "$env_dir is active, but has no working bin/python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "the tested versions need Python 3.11 or newer, $python is older; README tells how to install by hand"
"$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip --upgrade >/dev/null || die "$env_dir has no pip"
export PATH="$env_dir/bin:$PATH"

stamp="$env_dir/.siamrpnpp_plugin-${EXTRAS:-none}"  # says what was installed, so that a second call costs nothing
pins="$env_dir/.siamrpnpp_plugin-pins"              # the tested versions, without torch: the user's own is never replaced
wanted="$(cat setup.py requirements/*.txt tools/setup_env.sh) $PWD"

has() { "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$1') is None)"; }
pip_install() { "$python" -m pip install --quiet --disable-pip-version-check -c "$pins" "$@"; }

is_ours='import os, sys, siamrpnpp_plugin as s; sys.exit(os.path.dirname(os.path.dirname(s.__file__)) != sys.argv[1])'
if ! (cd / && "$python" -c "$is_ours" "$OLDPWD") 2>/dev/null || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "== installing into $env_dir"
    rm -f "$stamp"
    grep -v '^torch==' requirements/constraints.txt > "$pins"
    if ! has torch; then
        echo "   torch (the longest step, a minute or more)"
        pip_install "$(grep '^torch==' requirements/constraints.txt)" || die 'could not install torch'
    fi
    if ! has mmcv; then
        echo "   mmcv-lite"
        pip_install -r requirements/lite.txt || die 'could not install mmcv-lite'
    fi
    echo "   siamrpnpp_plugin and what it needs"
    pip_install -e ".[fast${EXTRAS:+,$EXTRAS}]" || die 'could not install siamrpnpp_plugin'
    if ! "$python" -c 'import cv2' 2>/dev/null; then  # OpenCV's desktop build needs libGL, which a bare server lacks
        echo "   OpenCV without a desktop"
        pip_install --force-reinstall --no-deps opencv-python-headless && "$python" -c 'import cv2' \
            || die 'could not install an OpenCV that works here'
    fi
    printf '%s' "$wanted" > "$stamp"
fi
