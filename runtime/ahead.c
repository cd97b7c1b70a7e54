/* ahead.c: programs compiled ahead of time: bytes that hold a program's text and its code.
 *
 *     "weldahd1" | build id | processor | machine | name | text | image          each: i64 length, bytes
 *
 * `weldc build` writes them into a shared library. Loading reads and types the text again, which takes a fraction of
 * a millisecond and gives the module its types and its errors their lines; the code is linked by weldc/object.c, so
 * that LLVM is not needed. The bytes are refused by another version of libweld, whose layouts may differ, and on a
 * machine that lacks what the code uses: with weld.processor native any other model of processor, with a level such as
 * x86-64-v3 one below it.
 */
#include "rt.h"

#include <stdlib.h>
#include <string.h>

static const char magic[8] = "weldahd1";
static const Span nowhere = {0, 0, 0};

enum Part { BUILD, PROCESSOR, MACHINE, NAME, TEXT, IMAGE, PARTS };

typedef struct Bytes {
    const char *data;
    size_t length;
} Bytes;

static void part_write(Buf *out, const char *bytes, size_t length) {
    int64_t count = (int64_t)length;
    buf_put(out, (const char *)&count, sizeof count);
    buf_put(out, bytes, length);
}

static Origin text_origin(const char *name, const char *text, size_t length) {
    return (Origin){.name = name, .text = text, .length = length};
}

bool ahead_write(Buf *out, const char *name, const char *text, size_t length, weld_conf_t conf,
                 Signature **signature, Error *error) {
    Timings timings = {0};
    Origin origin = text_origin(name, text, length);
    weld_conf_t own = conf_copy(conf);
    if (own) weld_conf_set(own, "weld.engine", "eval"); /* its code is made here */
    Unit *unit = own ? unit_new(&origin, own, error, &timings, NULL) : NULL;
    Buf image = {0}, machine = {0};
    bool ok = unit && unit_image(unit, &image, error);
    if (ok) {
        machine_print(&machine);
        buf_put(out, magic, sizeof magic);
        part_write(out, build_id, strlen(build_id));
        part_write(out, unit->options.processor, strlen(unit->options.processor));
        part_write(out, machine.text, machine.length);
        part_write(out, name, strlen(name));
        part_write(out, text, length);
        part_write(out, image.text, image.length);
        *signature = signature_hold(unit->signature);
    }
    if (!ok || out->failed || machine.failed) {
        ok = false;
        if (error->code == E_None) error_set(error, E_OutOfMemory, nowhere, "no memory to build the program");
    }
    buf_release(&image);
    buf_release(&machine);
    unit_drop(unit);
    weld_conf_free(own);
    return ok;
}

/* Cuts the bytes into parts. False: they are damaged. */
static bool parts_read(const char *data, size_t size, Bytes parts[PARTS]) {
    if (size < sizeof magic || memcmp(data, magic, sizeof magic) != 0) return false;
    size_t at = sizeof magic;
    for (int i = 0; i < PARTS; i++) {
        int64_t length;
        if (size - at < sizeof length) return false;
        memcpy(&length, data + at, sizeof length);
        at += sizeof length;
        if (length < 0 || (uint64_t)length > size - at) return false;
        parts[i] = (Bytes){data + at, (size_t)length};
        at += (size_t)length;
    }
    return at == size;
}

static bool is_text(Bytes bytes, const char *text) {
    return bytes.length == strlen(text) && memcmp(bytes.data, text, bytes.length) == 0;
}

static bool processor_has(Bytes processor) {
#if defined(__x86_64__)
    if (is_text(processor, "x86-64")) return true;
    if (is_text(processor, "x86-64-v2"))
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    if (is_text(processor, "x86-64-v3"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi2");
    if (is_text(processor, "x86-64-v4"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512cd");
#endif
    (void)processor;
    return false;
}

static bool fits_here(const Bytes parts[PARTS], Error *error) {
    if (!is_text(parts[BUILD], build_id))
        return error_set(error, E_Library, nowhere, "the program was built by another version of weldc");
    Buf machine = {0};
    machine_print(&machine);
    bool same = !machine.failed && machine.length == parts[MACHINE].length &&
                memcmp(machine.text, parts[MACHINE].data, machine.length) == 0;
    bool failed = machine.failed;
    buf_release(&machine);
    if (failed) return error_set(error, E_OutOfMemory, nowhere, "no memory to load the program");
    if (same || processor_has(parts[PROCESSOR])) return true;
    return error_set(
        error, E_Library, nowhere,
        "the program was built for another processor (%.*s); build it with weld.processor x86-64-v3",
        (int)(parts[PROCESSOR].length < 64 ? parts[PROCESSOR].length : 64), parts[PROCESSOR].data);
}

Unit *ahead_load(const void *data, size_t size, weld_conf_t conf, Error *error, weld_error_t handle) {
    Bytes parts[PARTS];
    Timings timings = {0};
    char name[256];
    if (!parts_read(data, size, parts)) {
        error_set(error, E_Library, nowhere, "this is not a program that was built ahead of time");
        report(handle, error, NULL);
        return NULL;
    }
    if (!fits_here(parts, error)) {
        report(handle, error, NULL);
        return NULL;
    }
    size_t length = parts[NAME].length < sizeof name - 1 ? parts[NAME].length : sizeof name - 1;
    memcpy(name, parts[NAME].data, length);
    name[length] = 0;
    Origin origin = text_origin(name, parts[TEXT].data, parts[TEXT].length);
    origin.image = parts[IMAGE].data;
    origin.image_size = parts[IMAGE].length;
    return unit_new(&origin, conf, error, &timings, handle);
}
