/* dump.c: the stages of a compilation as files, for weld.compile.dumpCode.
 *
 * The files are named as Weld names them: NAME.weld the typed program, NAME-opt.weld the optimized one,
 * NAME.ll and NAME-opt.ll the LLVM IR, NAME.S the assembly. There is no SIR, so `sir` is accepted and writes
 * nothing. A file that exists is never overwritten.
 */
#include "rt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *format, *ending;
} endings[] = {
    {"weld", ".weld"}, {"weldopt", "-opt.weld"}, {"llvm", ".ll"}, {"llvmopt", "-opt.ll"}, {"assembly", ".S"},
};

static const Span nowhere = {0, 0, 0};

bool dump_begin(Dump *dump, const Options *options, Error *error) {
    dump->formats = options->dump ? options->dump_formats : NULL;
    if (!dump->formats) return true;
    char name[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, sizeof name, "code-%lld-%02x", (long long)now.tv_sec,
             (unsigned)(now.tv_nsec / 1000 % 256));
    int length = snprintf(dump->path, sizeof dump->path, "%s/%s", options->dump_dir,
                          options->dump_name ? options->dump_name : name);
    if (length < (int)sizeof dump->path - 16) return true;
    return error_set(error, E_File, nowhere, "the name of the dump is too long");
}

bool dump_wants(const Dump *dump, const char *format) {
    size_t length = strlen(format);
    for (const char *at = dump->formats; at && *at; at += *at == ',') {
        size_t size = strcspn(at, ",");
        if (size == length && memcmp(at, format, length) == 0) return true;
        at += size;
    }
    return false;
}

bool dump_text(const Dump *dump, const char *format, const Buf *text, Error *error) {
    char path[sizeof dump->path + 16];
    const char *ending = NULL;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (strcmp(endings[i].format, format) == 0) ending = endings[i].ending;
    }
    if (!ending || !dump_wants(dump, format)) return true;
    if (text->failed) return error_set(error, E_OutOfMemory, nowhere, "no memory for the dump");
    snprintf(path, sizeof path, "%s%s", dump->path, ending);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool ok = file >= 0 && file_write(file, text->text ? text->text : "", text->length);
    if (!ok) error_set(error, E_File, nowhere, "cannot write %s: %s", path, strerror(errno));
    if (file >= 0) close(file);
    return ok;
}

bool dump_program(const Dump *dump, const char *format, const Program *program, Error *error) {
    if (!dump_wants(dump, format)) return true;
    Buf text = {0};
    program_print(&text, program, true);
    bool ok = dump_text(dump, format, &text, error);
    buf_release(&text);
    return ok;
}
