#!/bin/sh
# headers.sh PREFIX FOLDER CC [CXX]: every installed header stands for itself, in C and in C++.
set -eu
prefix=$1 folder=$2 cc=$3 cxx=${4:-}
mkdir -p "$folder"
for header in "$prefix"/include/*.h; do
    printf '#include <%s>\nint main(void) { return 0; }\n' "$(basename "$header")" >"$folder/header.c"
    cp "$folder/header.c" "$folder/header.cpp"
    "$cc" -std=c11 -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -fsyntax-only -I"$prefix/include" "$folder/header.c"
    [ -z "$cxx" ] || "$cxx" -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$prefix/include" "$folder/header.cpp"
done
