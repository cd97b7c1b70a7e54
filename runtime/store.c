/* store.c: values in files: parameters of a model, states to go on from.
 *
 *     StoreHeader | the type, in the language | the value, as serialize writes it
 *
 *     {[0.5f], 1l}:  "weldvalu" 1, 14, 20, checksum | {vec[f32],i64} | 01 00 .. | 00 00 00 3f | 01 00 ..
 *
 * The file says what it holds, so reading needs no type; the reader compares it with what it wants. What does not fit is an
 * error that says what is wrong: another file, a later version, too few bytes, too many, other bytes than were written. The
 * checksum is of lengths, type and value. Numbers are little-endian. A file is replaced as a whole (file.c).
 *
 * A file that was made to deceive cannot do harm either: the type is read by the language's own parser and must print as it
 * stands in the file, and deserialize trusts nothing (lang/value/serialize.c).
 */
#include "rt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const Span nowhere = {0, 0, 0};

typedef struct StoreHeader {
    char magic[8];
    uint32_t version, type; /* type: its bytes */
    uint64_t value;         /* bytes */
    Hash check;             /* of version, both lengths, and what follows the header */
} StoreHeader;
static const char magic[8] = {'w', 'e', 'l', 'd', 'v', 'a', 'l', 'u'};
enum { VERSION = 1 };

static Hash check_of(const StoreHeader *header, const char *type, const char *value) {
    uint64_t sizes[3] = {header->version, header->type, header->value};
    Hash hash = hash_two(hash_start, (const char *)sizes, sizeof sizes);
    return hash_two(hash_two(hash, type, header->type), value, header->value);
}

static bool out_of_memory(Error *error, const char *path) {
    return error_set(error, E_OutOfMemory, nowhere, "no memory for the value of %s", path);
}

/* ---- writing ---- */

bool store_write(const char *path, const Type *type, const void *value, Error *error) {
    Buf text = {0};
    type_print(&text, type);
    int64_t bytes = value_serialized_size(type, value);
    char *data = bytes < INT64_MAX && !text.failed ? malloc((size_t)bytes + 1) : NULL;
    bool ok = data && text.text;
    if (ok) {
        value_serialize(type, value, data);
        StoreHeader header = {.version = VERSION, .type = (uint32_t)text.length, .value = (uint64_t)bytes};
        memcpy(header.magic, magic, sizeof magic);
        header.check = check_of(&header, text.text, data);
        const char *const parts[] = {(const char *)&header, text.text, data};
        const size_t sizes[] = {sizeof header, text.length, (size_t)bytes};
        ok = file_replace(path, parts, sizes, 3);
        if (!ok) {
            error_set(error, errno == ENOMEM ? E_OutOfMemory : E_File, nowhere, "cannot write %s: %s", path,
                      strerror(errno));
        }
    } else {
        out_of_memory(error, path);
    }
    buf_release(&text);
    free(data);
    return ok;
}

/* ---- reading ---- */

bool store_is(const char *path) {
    char start[sizeof magic];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = file >= 0 && file_read(file, start, sizeof start) && memcmp(start, magic, sizeof magic) == 0;
    if (file >= 0) close(file);
    return ok;
}

/* All bytes of a file. False: error set. */
static bool read_whole(Stored *stored, const char *path, size_t *size, Error *error) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    errno = file >= 0 ? 0 : errno;
    bool ok = file >= 0 && fstat(file, &status) == 0;
    if (ok && !S_ISREG(status.st_mode)) {
        error_set(error, E_File, nowhere, "cannot read %s: it is not a regular file", path);
        ok = false;
    } else if (ok) {
        *size = (size_t)status.st_size;
        stored->file = malloc(*size + 1);
        if (!stored->file) ok = out_of_memory(error, path);
        ok = ok && file_read(file, stored->file, *size);
    }
    if (!ok) {
        error_set(error, E_File, nowhere, "cannot read %s: %s", path,
                  errno ? strerror(errno) : "it became shorter meanwhile");
    }
    if (file >= 0) close(file);
    return ok;
}

/* Is it one of ours, whole and as it was written? False: error set. */
static bool check_file(const char *file, size_t size, const char *path, StoreHeader *header, Error *error) {
    size_t start = size < sizeof magic ? size : sizeof magic;
    if (size == 0 || memcmp(file, magic, start) != 0)
        return error_set(error, E_File, nowhere, "%s holds no value: another program wrote it", path);
    if (size < sizeof *header)
        return error_set(error, E_File, nowhere, "%s is cut off: it ends within its header", path);
    memcpy(header, file, sizeof *header);
    if (header->version != VERSION) {
        return error_set(error, E_File, nowhere, "%s is of version %u of such files; version %d can be read",
                         path, header->version, VERSION);
    }
    size_t rest = size - sizeof *header;
    if (header->type > rest || header->value > rest - header->type) {
        return error_set(error, E_File, nowhere, "%s is cut off: %zu of its bytes are there", path, size);
    }
    if (header->value < rest - header->type)
        return error_set(error, E_File, nowhere, "%s is damaged: bytes follow its value", path);
    const char *type = file + sizeof *header;
    Hash check = check_of(header, type, type + header->type);
    if (check.low == header->check.low && check.high == header->check.high) return true;
    return error_set(error, E_File, nowhere, "%s is damaged: its checksum is not that of its bytes", path);
}

/* The type that the text says, and nothing else. */
static bool read_type(Stored *stored, const char *text, const char *path, Error *error) {
    stored->program = program_new("type", "", 0);
    if (!stored->program) return out_of_memory(error, path);
    stored->type = type_parse(stored->program, text);
    if (stored->program->error.code == E_OutOfMemory) return out_of_memory(error, path);
    Buf again = {0};
    if (stored->type) type_print(&again, stored->type);
    bool ok = stored->type && !stored->type->open && !stored->type->builders && !again.failed && again.text &&
              strcmp(again.text, text) == 0;
    bool failed = again.failed;
    buf_release(&again);
    if (failed) return out_of_memory(error, path);
    return ok || error_set(error, E_File, nowhere, "%s is damaged: its type is none", path);
}

bool store_open(Stored *stored, const char *path, Error *error) {
    size_t size = 0;
    StoreHeader header;
    *stored = (Stored){0};
    if (!read_whole(stored, path, &size, error) || !check_file(stored->file, size, path, &header, error))
        return false;
    char *type = strndup(stored->file + sizeof header, header.type);
    if (!type) return out_of_memory(error, path);
    bool ok = read_type(stored, type, path, error);
    free(type);
    stored->bytes = (Vec){stored->file + sizeof header + header.type, (int64_t)header.value};
    return ok;
}

bool store_value(const Stored *stored, Worker *worker, void *out, Error *error) {
    ErrorCode code = value_deserialize(worker, nowhere, stored->type, &stored->bytes, out);
    if (code == E_None) return true;
    *error = worker->error;
    return error_set(error, code, nowhere, "the file's bytes are no value of its type");
}

void store_close(Stored *stored) {
    program_free(stored->program);
    free(stored->file);
    *stored = (Stored){0};
}

/* ---- the C interface ---- */

bool weld_value_save(weld_value_t value, const char *path, weld_error_t handle) {
    const Type *type = value_type(value);
    Error error = {.code = E_None};
    bool ok = false;
    if (!path)
        error_set(&error, E_Argument, nowhere, "the path is NULL");
    else if (!type || type->builders)
        error_set(&error, E_Argument, nowhere, "this is not a result that can be written");
    else
        ok = store_write(path, type, weld_value_data(value), &error);
    report(handle, &error, NULL);
    return ok;
}

/* The value in the context's memory. NULL: error set. */
static Value *load(Context *context, const Stored *stored, const char *path, Error *error) {
    Type *none = type_make(&stored->program->types, TY_struct, OP_none, 0, NULL);
    Signature *signature = none ? signature_new(stored->program, none, stored->type) : NULL;
    Value *value = signature ? value_new_result(context, signature, NULL, 0) : NULL;
    signature_drop(signature);
    if (!value) {
        out_of_memory(error, path);
        return NULL;
    }
    const int32_t never = 0;
    Worker worker = {.cancel = &never, .region = value->region};
    value->run = -1; /* no run made it */
    if (store_value(stored, &worker, value->data, error)) {
        value_finish(value);
        return value;
    }
    object_drop(value);
    return NULL;
}

weld_value_t weld_value_load(weld_context_t context_handle, const char *path, weld_error_t handle) {
    Context *context = handle_as(context_handle, HANDLE_CONTEXT);
    Error error = {.code = E_None};
    Stored stored = {0};
    Value *value = NULL;
    if (!context)
        error_set(&error, E_Argument, nowhere, "this is not a context");
    else if (!path)
        error_set(&error, E_Argument, nowhere, "the path is NULL");
    else if (store_open(&stored, path, &error))
        value = load(context, &stored, path, &error);
    store_close(&stored);
    report(handle, &error, NULL);
    return value;
}
