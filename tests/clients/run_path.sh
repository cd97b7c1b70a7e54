#!/bin/sh
# run_path.sh FOLDER...: no program or library of these folders looks for libraries in the current folder: each entry of a run
# path is absolute or begins at $ORIGIN.
set -eu
count=0
for file in $(find "$@" -type f \( -name '*.so*' -o -perm -u+x \)); do
    dynamic=$(readelf -dW "$file" 2>/dev/null) || continue
    count=$((count + 1))
    path=$(printf '%s\n' "$dynamic" | sed -n 's/.*(R[UN]*PATH).*\[\(.*\)\]$/\1/p')
    [ -n "$path" ] || continue
    if printf '%s\n' "$path" | tr : '\n' | grep -qv '^/\|^\$ORIGIN'; then
        echo "$file looks in '$path'" >&2
        exit 1
    fi
done
[ "$count" -gt 2 ] || { echo "only $count programs and libraries in $*" >&2; exit 1; }
