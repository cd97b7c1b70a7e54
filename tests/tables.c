/* tables.c: the rows of the .def files are complete: documented, told apart, and tested.
 *
 * A row is read by several includers, none of which sees whether somebody described or tested it. These tests
 * do: they include the tables once more and look for each row in the documents and in the corpus.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read_file.h"
#include "../lang/lang.h"
#include "../weldc/weldc.h"

static char *read_source(const char *name) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", WELD_SOURCE_DIR, name);
    return read_file(path);
}

static bool is_word_char(char c) {
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Is the word, or the sequence of signs, somewhere in the text, not as a part of a longer word? */
static bool mentions(const char *text, const char *word) {
    size_t length = strlen(word);
    bool whole = is_word_char(*word);
    for (const char *at = text; (at = strstr(at, word)); at++) {
        if (!whole) return true;
        if ((at == text || !is_word_char(at[-1])) && !is_word_char(at[length])) return true;
    }
    return false;
}

/* ---- documents ---- */

Test(tables, the_language_page_names_every_word) {
    char *page = read_source("docs/language.md");
    const char *const words[] = {
#define NODE(id, spelling, least, most, traits, usage, doc) spelling,
#include "../lang/ops.def"
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) spelling,
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) spelling,
#define UNARY(id, spelling, class, iexpr, fexpr, doc) spelling,
#include "../lang/scalar.def"
#define SCALAR(id, spelling, ctype, class, bits) spelling,
#define COMPOSITE(id, spelling, arguments, doc) spelling,
#define BUILDER(id, spelling, arguments, has_op, doc) spelling,
#include "../lang/types.def"
#define ITER(id, spelling, bounds, has_data, doc) spelling,
#include "../lang/iters.def"
#define ERROR(id, number, message, doc) #id,
#include "../lang/errors.def"
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strcmp(words[i], "|..|")) continue; /* functions are a form, not a word */
        cr_expect(mentions(page, words[i]), "docs/language.md does not mention %s", words[i]);
    }
    free(page);
}

Test(tables, the_api_page_names_every_setting_and_error) {
    char *page = read_source("docs/api.md");
    const char *const words[] = {
#define SETTING(id, key, kind, initial, accepts, doc) key,
#include "../runtime/settings.def"
#define ERROR(id, number, message, doc) #id,
#include "../lang/errors.def"
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_expect(mentions(page, words[i]), "docs/api.md does not mention %s", words[i]);
    free(page);
}

/* ---- rows ---- */

/* Every row says what it is, and no two rows have one name. */
static void distinct(const char *table, const char *const *names, const char *const *docs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        cr_expect(*names[i] && docs[i][0], "%s: row %zu (%s) has no name or no text", table, i, names[i]);
        for (size_t j = 0; j < i; j++)
            cr_expect(strcmp(names[i], names[j]), "%s has two rows %s", table, names[i]);
    }
}

Test(tables, rows_are_told_apart) {
    const char *const nodes[] =
        {
#define NODE(id, spelling, least, most, traits, usage, doc) #id,
#include "../lang/ops.def"
        },
                      *const node_docs[] = {
#define NODE(id, spelling, least, most, traits, usage, doc) doc,
#include "../lang/ops.def"
                      };
    distinct("ops.def", nodes, node_docs, sizeof nodes / sizeof *nodes);

    const char *const ops[] =
        {
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) #id,
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) #id,
#define UNARY(id, spelling, class, iexpr, fexpr, doc) #id,
#include "../lang/scalar.def"
        },
                      *const op_docs[] = {
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) doc,
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) doc,
#define UNARY(id, spelling, class, iexpr, fexpr, doc) doc,
#include "../lang/scalar.def"
                      };
    distinct("scalar.def", ops, op_docs, sizeof ops / sizeof *ops);

    const char *const passes[] =
        {
#define PASS(id, spelling, needs, breaks, level, doc) spelling,
#include "../weldc/passes.def"
        },
                      *const pass_docs[] = {
#define PASS(id, spelling, needs, breaks, level, doc) doc,
#include "../weldc/passes.def"
                      };
    distinct("passes.def", passes, pass_docs, sizeof passes / sizeof *passes);

    const char *const fragments[] =
        {
#define FRAGMENT(id, spelling, counts, doc) spelling,
#include "../weldc/fragments.def"
        },
                      *const fragment_docs[] = {
#define FRAGMENT(id, spelling, counts, doc) doc,
#include "../weldc/fragments.def"
                      };
    distinct("fragments.def", fragments, fragment_docs, sizeof fragments / sizeof *fragments);

    const char *const settings[] =
        {
#define SETTING(id, key, kind, initial, accepts, doc) key,
#include "../runtime/settings.def"
        },
                      *const setting_docs[] = {
#define SETTING(id, key, kind, initial, accepts, doc) doc,
#include "../runtime/settings.def"
                      };
    distinct("settings.def", settings, setting_docs, sizeof settings / sizeof *settings);
}

/* Upstream's numbers stay what they are; Syntax and Type share its CompileError. */
Test(tables, error_numbers_are_told_apart) {
    for (int a = E_None + 1; a < E_COUNT; a++) {
        cr_expect(error_number((ErrorCode)a) > 0);
        for (int b = E_None + 1; b < a; b++)
            cr_expect(error_number((ErrorCode)a) != error_number((ErrorCode)b) ||
                          (b == E_Syntax && a == E_Type),
                      "%s and %s have one number", error_name((ErrorCode)a), error_name((ErrorCode)b));
    }
    cr_expect(error_number(E_OutOfBounds) == 4 && error_number(E_BadIterator) == 5 &&
              error_number(E_ZipMismatch) == 6);
    cr_expect(error_number(E_OutOfMemory) == 7 && error_number(E_Deserialization) == 10);
    cr_expect(error_number(E_KeyNotFound) == 11 && error_number(E_AssertionFailed) == 12);
}

/* ---- the corpus ---- */

static char *corpus;
static size_t corpus_length;

static int add_to_corpus(const char *path, const struct stat *status, int kind) {
    (void)status;
    const char *dot = strrchr(path, '.');
    if (kind != FTW_F || !dot || strcmp(dot, ".weld")) return 0;
    char *text = read_file(path);
    size_t length = strlen(text);
    char *longer = realloc(corpus, corpus_length + length + 2);
    cr_assert(longer);
    corpus = longer;
    memcpy(corpus + corpus_length, text, length);
    corpus_length += length;
    corpus[corpus_length++] = '\n';
    corpus[corpus_length] = 0;
    free(text);
    return 0;
}

/* Every word of the language occurs in a program of the corpus, which both engines run. */
Test(tables, the_corpus_uses_every_word) {
    ftw(WELD_SOURCE_DIR "/tests/golden/run", add_to_corpus, 16);
    cr_assert(corpus);
    const char *const words[] = {
#define NODE(id, spelling, least, most, traits, usage, doc) spelling,
#include "../lang/ops.def"
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) spelling,
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) spelling,
#define UNARY(id, spelling, class, iexpr, fexpr, doc) spelling,
#include "../lang/scalar.def"
#define SCALAR(id, spelling, ctype, class, bits) spelling,
#define BUILDER(id, spelling, arguments, has_op, doc) spelling,
#include "../lang/types.def"
#define ITER(id, spelling, bounds, has_data, doc) spelling,
#include "../lang/iters.def"
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_expect(mentions(corpus, words[i]), "no program of tests/golden/run uses %s", words[i]);
    free(corpus);
}

/* ---- derivatives ---- */

/* An operator whose operands may be floats has a derivative. */
Test(tables, operators_on_floats_have_partials) {
    static const char *const partials[OP_COUNT] = {
#define PARTIAL(id, a, b) [OP_##id] = a,
#include "../lang/scalar.def"
    };
    for (int op = OP_none + 1; op < OP_COUNT; op++) {
        const OpClass *class = &op_classes[op];
        bool floats = class->form != 'c' && (class->class == 'n' || class->class == 'f');
        cr_expect(floats == (partials[op] != NULL), "%s", class->name);
    }
}

/* A builder whose operator is not + is a sequence, and has a rule. */
Test(tables, builders_have_adjoints) {
    int rules = 0, want = 0;
#define SEQUENCE(builder, op, text) rules += strlen(text) > 0;
#define RARE(builder, op, when, rare, usual, text) rules += strlen(text) > 0;
#define ONE(builder, op, text) rules += strlen(text) > 0;
#include "../lang/grad/grad.def"
    for (int op = OP_none + 1; op < OP_COUNT; op++) {
        if ((op_classes[op].traits & REDUCE) && op != OP_add)
            want += 2; /* merger, vecmerger: dictmerger has the latter's */
    }
    cr_expect_eq(rules, want);
}

/* A function of the C library is there, in both precisions, or its row can never be used. */
Test(tables, derived_functions_are_in_the_c_library) {
    static const char *const names[] = {
#define FUNCTION(name, text) #name, #name "f",
#include "../lang/grad/grad.def"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect(dlsym(RTLD_DEFAULT, names[i]), "there is no function %s", names[i]);
}

/* ---- adapters ---- */

/* Does a file tests/adapters/NAME.c or NAME_MORE.c go through the adapter's table? */
static bool goes_through_table(const char *name) {
    static const char *const ends[] = {"", "_rows", "_use", "_out"};
    bool found = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends && !found; i++) {
        char path[4300];
        snprintf(path, sizeof path, "%s/tests/adapters/%s%s.c", WELD_SOURCE_DIR, name, ends[i]);
        if (access(path, R_OK) != 0) continue;
        char *text = read_file(path);
        found = strstr(text, " check_rows") || strstr(text, "->functions;");
        free(text);
    }
    return found;
}

/* A row without a test fails in those; an adapter whose table nobody goes through fails here. */
Test(tables, every_adapter_has_a_test_of_its_rows) {
    int adapters = 0;
    DIR *folder = opendir(WELD_SOURCE_DIR "/adapters");
    cr_assert_not_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (strchr(entry->d_name, '.')) continue;
        adapters++;
        cr_expect(goes_through_table(entry->d_name), "no test goes through the rows of the adapter %s",
                  entry->d_name);
    }
    closedir(folder);
    cr_expect(adapters > 5);
}
