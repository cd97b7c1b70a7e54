#!/bin/sh
# client.sh SOURCE PREFIX FOLDER COMPILER [FLAG...]: compiles a client against the weldc installed in PREFIX, into
# FOLDER, and runs it, or the script CLIENT_RUN with it. What lies in plugin/ becomes the library that a client finds as its argument.
set -eu
source=$1 prefix=$2 folder=$3
shift 3
name=$(basename "$source")
name=${name%.*}

# Headers of adapters come with libraries of their own.
packages=weld
for adapter in $(sed -n 's/^#include [<"]weld_\([a-z]*\)\.h[>"]$/\1/p' "$source"); do
    packages="$packages weld-$adapter"
done
if command -v pkg-config >/dev/null 2>&1; then
    # shellcheck disable=SC2086 # words on purpose
    flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs $packages)
else
    flags="-I$prefix/include -L$prefix/lib"
    for package in $packages; do flags="$flags -l$package"; done
fi
case $source in
*.c) standard="-std=c11 -Wall -Wextra -Wstrict-prototypes -Werror" ;;
*) standard="-std=c++14 -Wall -Wextra -Werror" ;;
esac
argument=
if [ "$name" = load_library ]; then
    argument=$folder/libshift.so
    "$@" -shared -fPIC -o "$argument" "$(dirname "$source")/plugin/shift.c"
fi
libraries=$prefix/lib
if [ "$name" = without_jit ]; then
    libraries=$folder/without_jit.lib
    mkdir -p "$libraries"
    cp "$prefix"/lib/libweld.so.? "$libraries"
fi
if [ "$name" = graphs_no_memory ]; then
    mkdir -p "$folder/graphs_no_memory.ahead"
    "$prefix/bin/weldc" build "$(dirname "$source")/ahead/model.weld" -o "$folder/graphs_no_memory.ahead/model"
    flags="-I$folder/graphs_no_memory.ahead -L$folder/graphs_no_memory.ahead -lmodel $flags -Wl,-rpath,$folder/graphs_no_memory.ahead"
fi
# shellcheck disable=SC2086 # words on purpose
"$@" $standard -g -o "$folder/$name" "$source" $flags -Wl,-rpath,"$libraries" -lm -lpthread
if [ -n "${CLIENT_RUN-}" ]; then
    sh "$CLIENT_RUN" "$folder/$name" "$prefix" "$folder"
else
    "$folder/$name" $argument
fi
