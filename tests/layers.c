/* layers.c: dependencies point one way: adapters -> runtime -> weldc -> lang.
 *
 * Reads every source file and holds its #include lines against two tables: which folder may include from
 * which, and which foreign header only one file may see. The command (weldc/command) may use all but the
 * adapters, for it is the program that puts the parts together; the tests may use everything.
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file belongs to the first row whose folder its path starts with. */
static const struct Layer {
    const char *folder, *may[5];
} layers[] = {
    {"lang/", {"lang/"}},
    {"weldc/command/", {"weldc/command/", "weldc/", "runtime/", "runtime/cluster/", "lang/"}},
    {"weldc/passes/", {"weldc/passes/", "weldc/", "lang/"}},
    {"weldc/plan/", {"weldc/plan/", "weldc/", "lang/"}},
    {"weldc/distribute/", {"weldc/distribute/", "weldc/", "lang/"}},
    {"weldc/codegen/", {"weldc/codegen/", "weldc/", "lang/"}},
    {"weldc/", {"weldc/", "lang/"}},
    {"runtime/cluster/", {"runtime/cluster/", "runtime/", "weldc/", "lang/"}},
    {"runtime/sort/", {"runtime/sort/", "runtime/", "weldc/", "lang/"}},
    {"runtime/", {"runtime/", "runtime/cluster/", "weldc/", "lang/"}},
    {"adapters/", {"runtime/weld.h"}}, /* and its own folder, see may_include */
};
enum { LAYERS = sizeof layers / sizeof *layers };

/* Headers of others, by prefix, and who may include them: files whose path starts like this. */
static const struct Foreign {
    const char *header, *may[2];
} foreign[] = {
    {"llvm-c/", {"weldc/codegen/"}},
    {"ffi.h", {"runtime/foreign.c", "runtime/callback.c"}},
    {"jemalloc/", {"runtime/memory.c"}},
    {"histedit.h", {"weldc/command/"}},
    {"editline/", {"weldc/command/"}},
    {"mpi.h", {"runtime/cluster/cluster_", "runtime/cluster/transport_mpi.c"}},
    {"infiniband/", {"runtime/cluster/verbs.h"}},
    {"omp.h", {"runtime/"}},
};

static bool starts(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

static const struct Layer *layer_of(const char *path) {
    for (int i = 0; i < LAYERS; i++)
        if (starts(path, layers[i].folder)) return &layers[i];
    return NULL;
}

/* May the file at `path` include the file of ours at `target`? Both from the top of the tree. */
static bool may_include(const char *path, const char *target) {
    const struct Layer *layer = layer_of(path);
    if (!layer) return true;
    if (starts(path, "adapters/")) {
        const char *own = strchr(path + strlen("adapters/"), '/');
        if (own && !strncmp(path, target, (size_t)(own + 1 - path))) return true;
    }
    /* A folder may include from itself only what the table says, so that lang/ never sees lang/../weldc. */
    for (int i = 0; i < 5 && layer->may[i]; i++) {
        const struct Layer *of = layer_of(target);
        if (starts(target, layer->may[i]) && (!of || strlen(of->folder) <= strlen(layer->may[i])))
            return true;
    }
    return false;
}

static bool may_see(const char *path, const char *header) {
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        const char *const *may = foreign[i].may;
        if (starts(header, foreign[i].header))
            return starts(path, may[0]) || (may[1] && starts(path, may[1]));
    }
    return true;
}

static int files, includes;

/* The header that a line includes, or NULL; *ours: it is in quotes. */
static char *included(char *line, bool *ours) {
    line += strspn(line, " \t");
    if (*line != '#') return NULL;
    line += 1 + strspn(line + 1, " \t");
    if (!starts(line, "include")) return NULL;
    line += strlen("include");
    line += strspn(line, " \t");
    if (*line != '"' && *line != '<') return NULL;
    *ours = *line == '"';
    char *end = strchr(line + 1, *ours ? '"' : '>');
    if (!end) return NULL;
    *end = 0;
    return line + 1;
}

static void check_line(const char *path, int number, char *line) {
    bool ours = false;
    char *header = included(line, &ours);
    if (!header) return;
    includes++;
    if (!ours) {
        cr_expect(may_see(path, header), "%s:%d: <%s> is for another file to include", path, number, header);
        return;
    }
    char there[2 * PATH_MAX], real[PATH_MAX];
    snprintf(there, sizeof there, "%s/%.*s/%s", WELD_SOURCE_DIR, (int)(strrchr(path, '/') - path), path,
             header);
    if (!realpath(there, real)) { /* found through the include path: only weld.h may be */
        cr_expect(!layer_of(path) || !strcmp(header, "weld.h"), "%s:%d: \"%s\" is not there", path, number,
                  header);
        return;
    }
    const char *target = real + strlen(WELD_SOURCE_DIR) + 1;
    cr_expect(may_include(path, target), "%s:%d: may not include %s", path, number, target);
}

static int check_file(const char *real, const struct stat *status, int kind) {
    (void)status;
    const char *dot = strrchr(real, '.'), *path = real + strlen(WELD_SOURCE_DIR) + 1;
    if (kind != FTW_F || !dot || (strcmp(dot, ".c") && strcmp(dot, ".h") && strcmp(dot, ".def"))) return 0;
    FILE *file = fopen(real, "r");
    cr_assert(file, "%s", real);
    files++;
    char *line = NULL;
    size_t size = 0;
    for (int number = 1; getline(&line, &size, file) >= 0; number++) check_line(path, number, line);
    free(line);
    fclose(file);
    return 0;
}

Test(layers, includes_point_one_way) {
    static const char *const folders[] = {"lang", "weldc", "runtime", "adapters"};
    for (int i = 0; i < 4; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", WELD_SOURCE_DIR, folders[i]);
        ftw(path, check_file, 16);
    }
    cr_expect(files > 10 && includes > files, "%d files, %d includes", files, includes);
}

Test(layers, the_rules_catch) {
    cr_expect(may_include("lang/eval/eval.c", "lang/lang.h"));
    cr_expect(!may_include("lang/eval/eval.c", "weldc/weldc.h"));
    cr_expect(may_include("weldc/pipeline.c", "lang/lang.h"));
    cr_expect(!may_include("weldc/pipeline.c", "runtime/rt.h"));
    cr_expect(may_include("weldc/passes/columns.c", "weldc/weldc.h"));
    cr_expect(!may_include("weldc/passes/columns.c", "weldc/codegen/cg.h"));
    cr_expect(!may_include("weldc/pipeline.c", "weldc/plan/plan_price.h"));
    cr_expect(!may_include("runtime/api.c", "weldc/command/command.h"));
    cr_expect(may_include("weldc/command/main.c", "runtime/rt.h"));
    cr_expect(may_include("adapters/gsl/gsl.c", "runtime/weld.h"));
    cr_expect(may_include("adapters/gsl/gsl.c", "adapters/gsl/rows.h"));
    cr_expect(!may_include("adapters/gsl/gsl.c", "adapters/blas/rows.h"));
    cr_expect(!may_include("adapters/gsl/gsl.c", "runtime/rt.h"));
    cr_expect(may_see("weldc/codegen/cg.h", "llvm-c/Core.h"));
    cr_expect(!may_see("weldc/pipeline.c", "llvm-c/Core.h"));
    cr_expect(!may_see("weldc/weldc.h", "llvm-c/Core.h"));
    cr_expect(!may_see("runtime/module.c", "llvm-c/Core.h"));
    cr_expect(!may_see("runtime/api.c", "mpi.h"));
}
