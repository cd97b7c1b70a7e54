/* matrix.h: the corpus of programs in tests/golden/run: reading it, and comparing answers.
 *
 * A file of the corpus holds cases; lines that begin with # and one of these signs belong to the frame, all
 * others between #= and the expectation are the program, whose positions count from its own first line:
 *
 *     #= name            a case begins
 *     #$ KEY VALUE       a setting, such as a memory limit
 *     #< ARGUMENT        one for each parameter, in order: a constant expression of the IR
 *     #@ TYPE            the type that the result shall have
 *     |x: i64| x + 1l    the program
 *     #> JSON            the result, as `weldc run --json` prints it; or
 *     #~ JSON            the same, floats to 1e-9 (f32: 1e-5), relative; or
 *     #! NAME LINE:COL   the failure, compiling or running; LINE:COL is where its span begins and may be left
 *                        out, as may be one of several NAMEs with | between them
 *
 * Answers are compared along the result's type: integers digit by digit, floats by value and sign of zero, so
 * that any spelling of a number that reads back to it is right.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lang/lang.h"

enum { MAX_ARGS = 32, MAX_SETTINGS = 4 };

typedef struct Case {
    const char *file, *name;
    int line; /* in the file, of the program's first line */
    const char *text;
    size_t length;
    const char *args[MAX_ARGS];
    int nargs;
    const char *settings[MAX_SETTINGS][2];
    int nsettings;
    const char *type; /* or NULL */
    char kind;        /* of the expectation: '>', '~', '!' */
    const char *expect;
    int error_line, error_column; /* 0: anywhere */
} Case;

typedef struct Corpus {
    Case *cases;
    int count, room;
    struct {
        char *name, *text;
    } *files; /* what the cases point into */
    int nfiles;
    char fault[256]; /* "": read in full */
} Corpus;

static inline Case *corpus_add_case(Corpus *corpus) {
    if (corpus->count == corpus->room) {
        int room = corpus->room ? 2 * corpus->room : 256;
        Case *cases = realloc(corpus->cases, (size_t)room * sizeof *cases);
        if (!cases) return NULL;
        corpus->cases = cases;
        corpus->room = room;
    }
    Case *c = &corpus->cases[corpus->count++];
    memset(c, 0, sizeof *c);
    return c;
}

static inline bool corpus_fault(Corpus *corpus, const char *file, int line, const char *why) {
    snprintf(corpus->fault, sizeof corpus->fault, "%.120s:%d: %.100s", file, line, why);
    return false;
}

/* "KEY VALUE" and "NAME LINE:COL" are split in place. */
static inline void case_add_setting(Case *c, char *words) {
    char *space = strchr(words, ' ');
    if (!space || c->nsettings == MAX_SETTINGS) return;
    *space = 0;
    c->settings[c->nsettings][0] = words;
    c->settings[c->nsettings++][1] = space + 1;
}

static inline void case_expect(Case *c, char kind, char *text) {
    c->kind = kind;
    c->expect = text;
    char *space = kind == '!' ? strchr(text, ' ') : NULL;
    if (!space) return;
    *space = 0;
    sscanf(space + 1, "%d:%d", &c->error_line, &c->error_column);
}

/* Takes a line of the frame. */
static inline bool corpus_take(Corpus *corpus, const char *file, int number, char *line, Case **current) {
    char sign = line[1], *rest = line + 2 + (line[2] == ' ');
    Case *c = *current;
    if (sign == '=') {
        if (c && !c->kind) return corpus_fault(corpus, file, number, "the case before has no expectation");
        if (!(c = corpus_add_case(corpus))) return corpus_fault(corpus, file, number, "no memory");
        c->file = file;
        c->name = rest;
        *current = c;
        return true;
    }
    if (!c || c->kind) return corpus_fault(corpus, file, number, "this line is outside of a case");
    if (sign == '<') {
        if (c->nargs == MAX_ARGS) return corpus_fault(corpus, file, number, "too many arguments");
        c->args[c->nargs++] = rest;
    } else if (sign == '@') {
        c->type = rest;
    } else if (sign == '$') {
        case_add_setting(c, rest);
    } else {
        case_expect(c, sign, rest);
    }
    return true;
}

/* Splits a file's text, in place, into cases. Programs are cut out of it once their end is known. */
static inline bool corpus_split(Corpus *corpus, const char *file, char *text) {
    Case *current = NULL;
    int number = 0;
    for (char *line = text, *next; *line; line = next) {
        char *end = line + strcspn(line, "\n");
        next = *end ? end + 1 : end;
        number++;
        if (line[0] == '#' && line[1] && strchr("=<>~!@$", line[1])) {
            if (current && current->text && !current->length)
                current->length = (size_t)(line - 1 - current->text);
            if (line > text) line[-1] = 0;
            *end = 0;
            if (!corpus_take(corpus, file, number, line, &current)) return false;
        } else if (current && !current->kind && !current->text) {
            current->text = line;
            current->line = number;
        }
    }
    if (current && !current->kind) return corpus_fault(corpus, file, number, "no expectation at the end");
    return true;
}

static inline int corpus_is_file(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".weld") == 0;
}

/* Reads one file; its name and text become the corpus's. */
static inline bool corpus_read_file(Corpus *corpus, const char *folder, const char *name) {
    char path[4200];
    size_t size = 0;
    int n = corpus->nfiles++;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    corpus->files[n].name = strdup(name);
    FILE *file = fopen(path, "r");
    bool ok = file && getdelim(&corpus->files[n].text, &size, 0, file) > 0;
    if (file) fclose(file);
    if (!ok) return corpus_fault(corpus, path, 0, "cannot be read");
    return corpus_split(corpus, corpus->files[n].name, corpus->files[n].text);
}

/* Reads every file of a folder, in order of their names. False: `fault` says why. */
static inline bool corpus_read(Corpus *corpus, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, corpus_is_file, alphasort);
    if (count <= 0) return corpus_fault(corpus, folder, 0, "no corpus here");
    corpus->files = calloc((size_t)count, sizeof *corpus->files);
    bool ok = corpus->files != NULL;
    for (int i = 0; i < count; i++) {
        ok = ok && corpus_read_file(corpus, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    for (int i = 0; i < corpus->count; i++) {
        if (!corpus->cases[i].text) corpus->cases[i].text = ""; /* the empty program */
    }
    return ok;
}

static inline void corpus_free(Corpus *corpus) {
    for (int i = 0; i < corpus->nfiles; i++) {
        free(corpus->files[i].name);
        free(corpus->files[i].text);
    }
    free(corpus->files);
    free(corpus->cases);
}

/* Is this name one of those that are expected, "A|B"? */
static inline bool case_expects_error(const Case *c, const char *name) {
    size_t length = strlen(name);
    for (const char *at = c->expect; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && (at[length] == 0 || at[length] == '|')) return true;
    }
    return false;
}

/* ---- comparing ---- */

static inline void json_skip(const char **at) {
    while (**at == ' ' || **at == '\n') ++*at;
}

static inline bool json_eat(const char **at, char c) {
    json_skip(at);
    if (**at != c) return false;
    ++*at;
    return true;
}

static inline bool json_ends(const char *at) {
    json_skip(&at);
    return *at == 0;
}

static inline size_t json_word(const char **at) {
    json_skip(at);
    return strspn(*at, "-+.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* A number, or "nan", "inf", "-inf" in quotes. */
static inline bool json_float(const char **at, bool narrow, double *out) {
    bool quoted = json_eat(at, '"');
    size_t length = json_word(at);
    char word[64], *end;
    if (length == 0 || length >= sizeof word) return false;
    memcpy(word, *at, length);
    word[length] = 0;
    *at += length;
    if (quoted != (strcmp(word, "nan") == 0 || strcmp(word, "inf") == 0 || strcmp(word, "-inf") == 0))
        return false;
    *out = narrow ? (double)strtof(word, &end) : strtod(word, &end);
    return *end == 0 && (!quoted || json_eat(at, '"'));
}

static inline bool json_same_floats(double a, double b, double tolerance) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (a == b) return tolerance > 0 || signbit(a) == signbit(b);
    return fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

static inline bool json_same_scalars(const Type *type, const char **want, const char **got, bool exact) {
    if (type_is_float(type)) {
        double a, b;
        bool narrow = type->kind == TY_f32;
        return json_float(want, narrow, &a) && json_float(got, narrow, &b) &&
               json_same_floats(a, b,
                                exact    ? 0
                                : narrow ? 1e-5
                                         : 1e-9);
    }
    size_t a = json_word(want), b = json_word(got);
    if (a == 0 || a != b || memcmp(*want, *got, a) != 0) return false;
    *want += a;
    *got += b;
    return true;
}

/* Do both texts, from here on, hold the same value of this type? Both move behind it. */
static inline bool json_same(const Type *type, const char **want, const char **got, bool exact) {
    if (type_is_scalar(type)) return json_same_scalars(type, want, got, exact);
    if (!json_eat(want, '[') || !json_eat(got, '[')) return false;
    int count = type->kind == TY_struct ? type->count : -1;
    for (int i = 0; i != count; i++) {
        json_skip(want);
        json_skip(got);
        if (count < 0 && **want == ']') break;
        if (i > 0 && (!json_eat(want, ',') || !json_eat(got, ','))) return false;
        if (type->kind == TY_dict && (!json_eat(want, '[') || !json_eat(got, '['))) return false;
        if (!json_same(type->args[type->kind == TY_struct ? i : 0], want, got, exact)) return false;
        if (type->kind != TY_dict) continue;
        if (!json_eat(want, ',') || !json_eat(got, ',')) return false;
        if (!json_same(type->args[1], want, got, exact)) return false;
        if (!json_eat(want, ']') || !json_eat(got, ']')) return false;
    }
    return json_eat(want, ']') && json_eat(got, ']');
}

#endif
