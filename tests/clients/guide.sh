#!/bin/sh
# guide.sh GUIDE.md EXAMPLE PREFIX FOLDER COMPILER [FLAG...]: follows a guide with the weldc installed in PREFIX, in a copy of the
# folder EXAMPLE. The commands (sh) are executed in one shell, in the document's order; what they print on standard output is
# the next block (text). Pieces of C and of the language are in the example's files as they stand in the document.
set -eu
guide=$1 example=$2 prefix=$3 folder=$4/guide-$(basename "$2")
shift 4
if ! command -v pkg-config >/dev/null 2>&1 || [ ! -f "$prefix/lib/libweld-cblas.so" ]; then
    echo "skipped: pkg-config or the adapter cblas is missing"
    exit 77
fi
rm -rf "$folder"
mkdir -p "$folder/bin"
cp "$example"/* "$folder"
# `cc` is the compiler of the build, with the flags of its sanitizer.
printf '#!/bin/sh\nexec %s -Wall -Wextra -Werror "$@"\n' "$*" >"$folder/bin/cc"
chmod +x "$folder/bin/cc"
cd "$folder"
cat ./*.[ch] ./*.weld >all.txt 2>/dev/null || :

awk '
BEGIN {
    while ((getline line < "all.txt") > 0) all = all line "\n"
    print "set -eu" > "commands.sh"
}
/^```(c|weld|sh|text)$/ { inside = substr($0, 4); code = ""; line = NR; next }
/^```$/ && inside {
    if (inside == "c" || inside == "weld") { pieces++; if (!index(all, code)) { print "line " line ": not in the example:\n" code; failed = 1 } }
    if (inside == "sh") { commands++; printf "{\n%s} >printed.%d\n", code, ++block > "commands.sh" }
    if (inside == "text") printf "%s", code > ("expected." block)
    inside = ""
    next
}
inside { code = code $0 "\n" }
END { if (commands < 3 || pieces < 2) { print "the guide is not what it was"; failed = 1 } exit failed }' "$guide"

unset CC
PATH=$folder/bin:$prefix/bin:$PATH PKG_CONFIG_PATH=$prefix/lib/pkgconfig sh commands.sh
for expected in expected.*; do
    diff "$expected" "printed.${expected#expected.}"
done
