/* test_docs.c: every example in the documents does what is written under it.
 *
 * An example is a fenced block marked `weld`. Its lines of comment say what to do with it:
 *
 *     # args: ARGUMENTS      what the shell puts behind the file's name from here on; at first nothing
 *     # => JSON              it prints this
 *     # error: NAME          it fails with this error and exit status 1
 *
 * Each of them is run by the interpreter alone and as compiled code alone. A block without any is a mistake.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <unistd.h>

#include "read_file.h"
#include "run_weldc.h"

typedef struct Doc {
    const char *path;
    char *text;
    char program[64]; /* a file for the example at hand */
    int examples, checks;
} Doc;

static int line_of(const Doc *doc, const char *at) {
    int line = 1;
    for (const char *c = doc->text; c < at; c++) line += *c == '\n';
    return line;
}

/* Runs the example; `expected` is the JSON, or NULL and `error` the name. */
static void check(Doc *doc, int line, const char *args, const char *expected, const char *error) {
    static const char *const engines[] = {"--eval", "--no-eval"};
    for (int i = 0; i < 2; i++) {
        char command[4096], name[64];
        snprintf(command, sizeof command, "run --json %s '%s' %s", engines[i], doc->program, args);
        Run run = run_weldc(command);
        if (expected) {
            cr_expect(run.status == 0 && json_same(run.out, expected, 1e-12), "%s:%d: weldc %s\nprints %s\n",
                      doc->path, line, command, run.out);
        } else {
            snprintf(name, sizeof name, "error[%s]: ", error);
            cr_expect(run.status == 1 && strstr(run.out, name),
                      "%s:%d: weldc %s\nshould fail with %s, prints %s\n", doc->path, line, command, error,
                      run.out);
        }
        free(run.out);
    }
    doc->checks++;
}

static void check_example(Doc *doc, const char *begin, const char *end) {
    FILE *file = fopen(doc->program, "w");
    cr_assert(file && fwrite(begin, 1, (size_t)(end - begin), file) == (size_t)(end - begin));
    fclose(file);
    char args[1000] = "", rest[1000];
    int before = doc->checks;
    doc->examples++;
    for (const char *line = begin; line < end; line = strchr(line, '\n') + 1) {
        if (sscanf(line, "# args: %999[^\n]", args) == 1) continue;
        if (sscanf(line, "# => %999[^\n]", rest) == 1) check(doc, line_of(doc, line), args, rest, NULL);
        if (sscanf(line, "# error: %999[^\n]", rest) == 1) check(doc, line_of(doc, line), args, NULL, rest);
    }
    cr_expect(doc->checks > before, "%s:%d: this example says nothing of its result", doc->path,
              line_of(doc, begin));
}

static void check_document(const char *path, int least) {
    static const char open[] = "\n```weld\n";
    char full[4200];
    snprintf(full, sizeof full, "%s/%s", WELD_SOURCE_DIR, path);
    Doc doc = {.path = path, .text = read_file(full), .program = "/tmp/weldc-doc-XXXXXX"};
    int file = mkstemp(doc.program);
    cr_assert(file >= 0);
    close(file);
    for (const char *at = doc.text; (at = strstr(at, open));) {
        const char *begin = at + strlen(open), *end = strstr(begin, "\n```\n");
        cr_assert(end, "%s:%d: the example has no end", path, line_of(&doc, begin));
        check_example(&doc, begin, end + 1);
        at = end;
    }
    cr_expect(doc.examples >= least, "%s has only %d examples", path, doc.examples);
    unlink(doc.program);
    free(doc.text);
}

Test(docs, language) {
    check_document("docs/language.md", 60);
    check_document("docs/memory.md", 1);
    check_document("docs/training.md", 2);
}

/* Of the adapters that were built here. */
Test(docs, adapters) {
    DIR *folder = opendir(WELD_SOURCE_DIR "/docs/adapters");
    cr_assert_not_null(folder);
    int documents = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[64], path[512];
        if (sscanf(entry->d_name, "%63[^.].md", name) != 1) continue;
        snprintf(path, sizeof path, WELD_BINARY_DIR "/lib/libweld-%s.so", name);
        if (access(path, F_OK) != 0) continue;
        snprintf(path, sizeof path, "docs/adapters/%.200s", entry->d_name);
        check_document(path, 1);
        documents++;
    }
    closedir(folder);
    cr_assert(documents >= 1);
}

/* One of its examples calls two adapters. */
Test(docs, readme) {
    if (access(WELD_BINARY_DIR "/lib/libweld-cblas.so", F_OK) ||
        access(WELD_BINARY_DIR "/lib/libweld-gsl.so", F_OK))
        cr_skip_test("the adapters cblas and gsl are not built");
    check_document("README.md", 2);
}
