#!/bin/sh
# python.sh BUILD MODULE SCRIPT ARGUMENTS: runs a script by the first Python that has a module: that of BUILD/peers, which
# `./run bench --peers` makes, of BUILD/test-peers, which `./run test` makes, or the system's. Skipped where none has it.
set -eu
build=$1 module=$2
shift 2
export PYTHONDONTWRITEBYTECODE=1
for python in "$build/peers/bin/python" "$build/test-peers/bin/python" python3; do
    command -v "$python" >/dev/null 2>&1 && "$python" -c "import $module" 2>/dev/null || continue
    exec "$python" "$@"
done
echo "skipped: neither python3 nor that of $build/peers or $build/test-peers has $module"
exit 77
