/* read_file.h: a whole file as a text, to be freed; the test fails if it is missing or empty. */
#ifndef READ_FILE_H
#define READ_FILE_H

#include <criterion/criterion.h>
#include <stdio.h>

static inline char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    char *text = NULL;
    size_t size = 0;
    cr_assert(getdelim(&text, &size, 0, file) > 0, "%s is empty", path);
    fclose(file);
    return text;
}

#endif
