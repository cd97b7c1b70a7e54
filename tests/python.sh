#!/bin/sh
# python.sh PYTHON SCRIPT ARGUMENTS: runs a script by PYTHON, which `./run bench --peers` installs, or by python3 if it is not
# there.
set -eu
python=$1
shift
[ -x "$python" ] || python=$(command -v python3) || { echo "skipped: there is no python3"; exit 77; }
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$@"
