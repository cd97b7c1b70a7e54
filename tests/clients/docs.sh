#!/bin/sh
# docs.sh API.md PREFIX FOLDER COMPILER [FLAG...]: compiles and runs the C examples of docs/api.md against the weldc
# installed in PREFIX. A block with a main is a program; every other one is a function's body, in the setting that the
# document describes, behind a function of its own if it starts with one.
set -eu
doc=$1 prefix=$2 folder=$3
shift 3
mkdir -p "$folder/docs"

awk -v folder="$folder/docs" '
function lines_of(text) { return gsub(/\n/, "", text) }
BEGIN {
    snippets = folder "/snippets.c"
    print "#include <assert.h>\n#include <stdio.h>\n#include <string.h>\n#include <weld.h>\n" > snippets
}
/^```c$/ { inside = 1; code = ""; line = NR + 1; next }
/^```/ && inside {
    inside = 0
    if (code ~ /int main/) { program = folder "/program.c"; printf "%s", code > program; next }
    calls = calls "    example_" ++count "();\n"
    if (code ~ /^static /) {
        printf "#line %d \"api.md\"\n%s\n", line, substr(code, 1, index(code, "\n\n")) > snippets
        line += lines_of(substr(code, 1, index(code, "\n\n") + 1))
        code = substr(code, index(code, "\n\n") + 2)
    }
    printf "static void example_%d(void) {\n", count > snippets
    print "    weld_error_t error = weld_error_new();" > snippets
    print "    weld_module_t module = weld_module_compile(\"|x: i64| [x, x + 1l]\", NULL, error);" > snippets
    print "    weld_context_t context = weld_context_new(NULL);\n    int64_t x = 5;" > snippets
    print "    weld_value_t argument = weld_value_new(&x);" > snippets
    print "    weld_value_t result = weld_module_run(module, context, argument, error);" > snippets
    printf "    {\n#line %d \"api.md\"\n%s    }\n", line, code > snippets
    print "    weld_value_free(result);\n    weld_value_free(argument);\n    weld_context_free(context);" > snippets
    print "    weld_module_free(module);\n    weld_error_free(error);\n}\n" > snippets
}
inside { code = code $0 "\n" }
END {
    printf "int main(void) {\n%s    puts(\"%d examples are right\");\n    return 0;\n}\n", calls, count > snippets
    if (count < 28) { print "only " count " examples were found"; exit 1 }
}' "$doc"

# Every function of the header has its place in the document.
for name in $(sed -n 's/^WELD_API .*[ *]\(weld_[a-z_]*\)(.*/\1/p' "$prefix/include/weld.h"); do
    case $name in weld_runst_*) continue ;; esac
    grep -q "$name(" "$doc" || grep -q "\`$name\`" "$doc" || { echo "api.md does not describe $name" && exit 1; }
done

for name in program snippets; do
    "$@" -std=c11 -Wall -Wextra -Werror -g -UNDEBUG -I"$prefix/include" -o "$folder/docs/$name" "$folder/docs/$name.c" \
        -L"$prefix/lib" -lweld -Wl,-rpath,"$prefix/lib"
done
[ "$("$folder/docs/program")" = 14 ]
"$folder/docs/snippets"
