#!/bin/sh
# adapter_docs.sh DOC.md NAME PREFIX FOLDER COMPILER [FLAG...]: compiles the C programs of an adapter's document against the
# weldc installed in PREFIX, and runs them: each prints what the next block of text says.
set -eu
doc=$1 name=$2 prefix=$3 folder=$4/docs-$2
shift 4
rm -rf "$folder"
mkdir -p "$folder"

awk -v folder="$folder" '
/^```c$/ { inside = "c"; code = ""; next }
/^```text$/ && program { inside = "text"; code = ""; next }
/^```/ && inside == "c" { if (code ~ /int main/) { program++; printf "%s", code > (folder "/" program ".c") } }
/^```/ && inside == "text" { printf "%s", code > (folder "/" program ".expected") }
/^```/ { inside = ""; next }
inside { code = code $0 "\n" }
END { if (!program) { print "there is no program"; exit 1 } }' "$doc"

library=
[ ! -f "$prefix/include/weld_$name.h" ] || library=-lweld-$name
for program in "$folder"/*.c; do
    base=${program%.c}
    # shellcheck disable=SC2086 # maybe none
    "$@" -std=c11 -Wall -Wextra -Werror -g -I"$prefix/include" -o "$base" "$program" -L"$prefix/lib" $library -lweld \
        -Wl,-rpath,"$prefix/lib"
    "$base" >"$base.printed"
    diff "$base.expected" "$base.printed"
done
