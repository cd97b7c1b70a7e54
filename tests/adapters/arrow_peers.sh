#!/bin/sh
# arrow_peers.sh PYTHON LIBRARIES: runs arrow_peers.py by PYTHON, which `./run bench --peers` installs, or by python3 if it
# is not there.
set -eu
python=$1
[ -x "$python" ] || python=$(command -v python3) || { echo "skipped: there is no python3"; exit 77; }
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$(dirname "$0")/arrow_peers.py" "$2"
