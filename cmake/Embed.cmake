# Writes OUTPUT, a C file that holds the bytes of INPUT as `const char NAME[]` and their number as `NAME_length`.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1, " bytes "${hex}")
get_filename_component(input_name ${INPUT} NAME)
file(WRITE ${OUTPUT} "/* Made from ${input_name}. */
#include <stddef.h>
extern const char ${NAME}[];
extern const size_t ${NAME}_length;
const char ${NAME}[] = {
${bytes}0};
const size_t ${NAME}_length = sizeof ${NAME} - 1;
")
