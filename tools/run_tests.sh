#!/usr/bin/env bash
# The one test command: installs what it needs, lints, tests. Arguments go to pytest; default: all but the slow tests.
EXTRAS=tests source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
echo "== ruff"
python -m ruff check .
echo "== pytest"
if [ $# -eq 0 ]; then set -- -m 'not slow'; fi
exec python -m pytest "$@"
