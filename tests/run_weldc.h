/* run_weldc.h: runs the weldc command from a test and compares what it prints as JSON. */
#ifndef RUN_WELDC_H
#define RUN_WELDC_H

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

typedef struct Run {
    int status;
    char *out; /* standard output and standard error, in one; free() */
} Run;

/* Runs `weldc ARGUMENTS` through the shell. */
static inline Run run_weldc(const char *arguments) {
    const char *weldc = getenv("WELDC");
    char *command = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&command, &length);
    fprintf(text, "'%s' %s 2>&1", weldc ? weldc : WELD_BINARY_DIR "/bin/weldc", arguments);
    fclose(text);

    Run run = {.status = -1};
    size_t size = 0;
    FILE *pipe = popen(command, "r"), *out = open_memstream(&run.out, &size);
    free(command);
    int c;
    while (pipe && (c = getc(pipe)) != EOF) putc(c, out);
    fclose(out);
    int status = pipe ? pclose(pipe) : -1;
    if (status != -1 && WIFEXITED(status)) run.status = WEXITSTATUS(status);
    return run;
}

/* Are two texts the same JSON? Numbers may differ by `tolerance`, relative or absolute, whichever allows
 * more. */
static inline bool json_same(const char *a, const char *b, double tolerance) {
    for (;;) {
        while (isspace((unsigned char)*a)) a++;
        while (isspace((unsigned char)*b)) b++;
        if (!*a || !*b) return *a == *b;
        if (strchr("-0123456789", *a) && strchr("-0123456789", *b)) {
            char *a_end, *b_end;
            double x = strtod(a, &a_end), y = strtod(b, &b_end);
            if (a_end == a || b_end == b) return false;
            /* Integers beyond 2^53 are compared digit by digit. */
            bool same_text = a_end - a == b_end - b && !memcmp(a, b, (size_t)(a_end - a));
            bool large = fabs(x) > 9007199254740992.0 && fabs(y) > 9007199254740992.0 && tolerance == 0;
            if (!same_text && (large || !(fabs(x - y) <= tolerance * fmax(1, fmax(fabs(x), fabs(y))))))
                return false;
            if (signbit(x) != signbit(y) && x == 0 && y == 0 && tolerance == 0) return false;
            a = a_end;
            b = b_end;
        } else if (*a++ != *b++) {
            return false;
        }
    }
}

#endif
