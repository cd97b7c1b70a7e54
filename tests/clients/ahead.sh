#!/bin/sh
# ahead.sh FOLDER PREFIX WORK COMPILER [FLAG...]: builds a program ahead of time with the installed weldc, compiles a
# client that uses it, and runs that with a libweld that finds no code generator.
set -eu
folder=$1 prefix=$2 work=$3/ahead
shift 3
rm -rf "$work"
mkdir -p "$work/lib"
CC="$*" # may hold flags: a wrapper hands them on
printf '#!/bin/sh\nexec %s "$@"\n' "$CC" >"$work/cc"
chmod +x "$work/cc"
CC=$work/cc "$prefix/bin/weldc" build "$folder/model.weld" -o "$work/model"
cp "$prefix"/lib/libweld.so.? "$work/lib"
"$@" -std=c11 -Wall -Wextra -Wstrict-prototypes -Werror -g -I"$prefix/include" -I"$work" -o "$work/client" \
    "$folder/client.c" -L"$work" -lmodel -L"$prefix/lib" -lweld -Wl,-rpath,"$work/lib" -Wl,-rpath,"$work" -lm -lpthread
LD_LIBRARY_PATH=$work/lib "$work/client"
