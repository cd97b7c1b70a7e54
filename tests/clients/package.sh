#!/bin/sh
# package.sh FOLDER PREFIX WORK COMPILER [FLAG...]: builds the programs FOLDER/NAME.c of the adapters that are installed in a
# copy of PREFIX, which may be moved: once with what pkg-config says of weld-NAME, once as a project of CMake's. Each prints
# the same.
set -eu
folder=$1 work=$3/package
rm -rf "$work"
mkdir -p "$work"
cp -r "$2" "$work/moved"
prefix=$work/moved
shift 3
compiler=$1
shift
flags="-std=c11 -Wall -Wextra -Werror $*"
count=0
for source in "$folder"/*.c; do
    name=$(basename "$source" .c)
    [ -f "$prefix/include/weld_$name.h" ] || continue
    count=$((count + 1))
    if command -v pkg-config >/dev/null 2>&1; then
        words=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs "weld-$name")
        # shellcheck disable=SC2086 # words on purpose
        "$compiler" $flags -o "$work/$name" "$source" $words -Wl,-rpath,"$prefix/lib"
        "$work/$name" >>"$work/pkg-config.printed"
    fi
    cmake -S "$folder" -B "$work/$name.build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$compiler" \
        -DCMAKE_C_FLAGS="$flags" -DSOURCE="$source" -DLINK="weld::weld-$name" >"$work/cmake.log"
    cmake --build "$work/$name.build" >>"$work/cmake.log" || { cat "$work/cmake.log" && exit 1; }
    "$work/$name.build/client" >>"$work/cmake.printed"
done
[ "$count" = 3 ]
printf 'i 3\nk,x\n1,5\n10\n' >"$work/expected"
for printed in "$work"/*.printed; do diff "$work/expected" "$printed"; done
