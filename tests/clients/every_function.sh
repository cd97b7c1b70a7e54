#!/bin/sh
# every_function.sh SOURCE PREFIX FOLDER COMPILER [FLAG...]: builds and runs every_function.c, and holds its rows against
# what the installed headers declare and libweld.so exports: a function without a row is a failure.
set -eu
here=$(dirname "$0") prefix=$2 folder=$3
sh "$here/client.sh" "$@"
"$folder/every_function" --list | sort >"$folder/every_function.rows"
{
    nm -D --defined-only "$prefix/lib/libweld.so" | sed -n 's/.* T \(weld_.*\)$/\1/p'
    # A declaration may go on over several lines.
    for header in "$prefix"/include/weld*.h; do
        tr '\n' ' ' <"$header" | grep -o 'WELD_API [^;(]*(' | sed -n 's/.*[ *]\(weld_[a-z0-9_]*\)($/\1/p'
    done
} | sort -u >"$folder/every_function.declared"
diff "$folder/every_function.declared" "$folder/every_function.rows"
