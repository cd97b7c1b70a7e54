/* golden.h: files of programs with the texts that come of them.
 *
 * NAME.weld holds programs, each under a line `#= TITLE`; NAME.expected what is printed for each, under the same
 * titles. With BLESS in the environment the expected texts are written.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read_file.h"
#include "../lang/lang.h"

/* Appends what comes of a program. */
typedef void (*GoldenPrint)(void *data, const char *title, const char *text, size_t length, Buf *out);

static inline void golden_write(const char *path, const Buf *text) {
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(text->text, 1, text->length, file) == text->length, "%s cannot be written",
              path);
    fclose(file);
}

/* folder: of tests/golden. */
static inline void golden_check(const char *folder, const char *name, GoldenPrint print, void *data) {
    char input[4200], golden[4200], title[80];
    snprintf(input, sizeof input, "%s/tests/golden/%s/%s.weld", WELD_SOURCE_DIR, folder, name);
    snprintf(golden, sizeof golden, "%s/tests/golden/%s/%s.expected", WELD_SOURCE_DIR, folder, name);
    char *text = read_file(input);
    Buf found = {0};
    int cases = 0;
    for (char *at = text; at && (at = strstr(at, "#= ")); cases++) {
        const char *begin = strchr(at, '\n');
        cr_assert(begin, "%s ends with a title", input);
        snprintf(title, sizeof title, "%.*s", (int)(begin - at - 3), at + 3);
        at = strstr(begin, "\n#= ");
        buf_printf(&found, "%s#= %s\n", found.length ? "\n" : "", title);
        print(data, title, begin + 1, (at ? (size_t)(at - begin) : strlen(begin)) - 1, &found);
        if (found.text[found.length - 1] != '\n') buf_put(&found, "\n", 1);
    }
    cr_expect(cases > 1, "%s has %d programs", input, cases);
    if (getenv("BLESS")) {
        golden_write(golden, &found);
    } else {
        char *expected = read_file(golden);
        cr_expect_str_eq(found.text, expected, "%s: found\n%s\nexpected\n%s", name, found.text, expected);
        free(expected);
    }
    free(text);
    buf_release(&found);
}

#endif
