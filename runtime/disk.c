/* disk.c: images of compiled programs in files, for later processes.
 *
 * $XDG_CACHE_HOME/weldc (by default ~/.cache/weldc) holds a file for each, named by a hash of its key:
 *
 *     FileHeader | key | image
 *
 * The key is all that code depends on: the sources that we were built from, the processor, the settings, the
 * program's own text, whose places are in the code, and those of the adapters' functions in it. It is compared in full, so that equal hashes do no
 * harm.
 *
 * A file is written under another name and then renamed, so that it is never seen half. Whatever is wrong
 * with one (length, checksum, key, owner) makes it no file; the next store replaces it. Nothing that fails
 * here is an error: a missing or read-only folder costs time, no more. Finding a file touches it; when the
 * files exceed the limit, those that were not touched for longest go. As a file is run, only one that is this
 * user's own and that nobody else may write is believed.
 */
#include "rt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <sys/auxv.h>
#endif

typedef struct FileHeader {
    char magic[8];
    uint64_t key, image; /* bytes */
    Hash check;          /* of both */
} FileHeader;
static const char magic[8] = "weldc 1";

enum { NAME = 33, STALE_SECONDS = 3600, EXACT = 16 << 20 };

/* ---- keys ---- */

/* What tells processors apart, as far as code is concerned. */
void machine_print(Buf *key) {
#if defined(__x86_64__)
    static const unsigned leaves[][2] = {{0, 0}, {1, 0}, {7, 0}, {7, 1}, {0xd, 1}, {0x80000001u, 0}};
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        unsigned a = 0, b = 0, c = 0, d = 0;
        __get_cpuid_count(leaves[i][0], leaves[i][1], &a, &b, &c, &d);
        if (leaves[i][0] == 1) b = 0; /* which core this is */
        buf_printf(key, "%x %x %x %x ", a, b, c, d);
    }
    unsigned low = 0, high = 0, a, b, c = 0, d;
    if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE))
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    buf_printf(key, "%x", low);
#else
    buf_printf(key, "%lx %lx", getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
#endif
}

void disk_key(Buf *key, weld_conf_t conf, const char *text, size_t length, const Type *want, bool math) {
    buf_printf(key, "%s %d ", build_id, math && math_has_vectors());
    machine_print(key);
    buf_put(key, "", 1);
    conf_print(conf, true, key);
    buf_put(key, "", 1);
    if (want) type_print(key, want);
    buf_put(key, "", 1);
    buf_put(key, text, length);
}

static void name_of_key(const Buf *key, char name[NAME]) {
    Hash hash = hash_two(hash_start, key->text, key->length);
    snprintf(name, NAME, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
}

/* ---- the folder ---- */

/* Opens the folder, which is made if it is not there. -1: there is none. */
static int folder_open(bool make) {
    char path[4096];
    const char *cache = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
    int length = cache && *cache == '/' ? snprintf(path, sizeof path, "%s/weldc", cache)
                 : home && *home == '/' ? snprintf(path, sizeof path, "%s/.cache/weldc", home)
                                        : -1;
    if (length < 0 || length >= (int)sizeof path) return -1;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0 || !make || errno != ENOENT) return folder;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- finding ---- */

/* The image in the bytes of a file, if all is as it should be. */
static const char *check_file(const char *bytes, size_t size, const Buf *key, size_t *length) {
    FileHeader header;
    if (size < sizeof header) return NULL;
    memcpy(&header, bytes, sizeof header);
    size_t rest = size - sizeof header;
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.key != key->length || header.key > rest ||
        header.image != rest - header.key)
        return NULL;
    bytes += sizeof header;
    Hash check = hash_two(hash_start, bytes, rest);
    if (check.low != header.check.low || check.high != header.check.high) return NULL;
    if (memcmp(bytes, key->text, key->length) != 0) return NULL;
    *length = header.image;
    return bytes + header.key;
}

static bool find_in(int file, const Buf *key, Buf *image) {
    struct stat status;
    if (fstat(file, &status) || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) || status.st_size <= 0 || status.st_size > (off_t)1 << 30)
        return false;
    size_t size = (size_t)status.st_size, length;
    char *bytes = malloc(size);
    const char *found = bytes && file_read(file, bytes, size) ? check_file(bytes, size, key, &length) : NULL;
    if (found) buf_put(image, found, length);
    free(bytes);
    if (!found || image->failed) return false;
    futimens(file, NULL);
    return true;
}

bool disk_find(const Buf *key, Buf *image) {
    char name[NAME];
    int folder = folder_open(false);
    if (folder < 0) return false;
    name_of_key(key, name);
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = file >= 0 && find_in(file, key, image);
    if (file >= 0) close(file);
    close(folder);
    if (!ok) buf_release(image);
    return ok;
}

/* ---- storing ---- */

typedef struct Entry {
    char name[NAME];
    int64_t bytes;
    struct timespec used;
} Entry;

typedef struct Listing {
    Entry *entries;
    size_t count, room;
    int64_t bytes;
} Listing;

static int by_use(const void *a, const void *b) {
    const struct timespec *x = &((const Entry *)a)->used, *y = &((const Entry *)b)->used;
    if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void list_file(Listing *list, int folder, const char *name) {
    struct stat status;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) || !S_ISREG(status.st_mode)) return;
    if (strncmp(name, "new-", 4) == 0) { /* left by a process that died */
        if (status.st_mtime < time(NULL) - STALE_SECONDS) unlinkat(folder, name, 0);
        return;
    }
    if (strlen(name) != NAME - 1) return;
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        Entry *entries = realloc(list->entries, room * sizeof *entries);
        if (!entries) return;
        list->entries = entries;
        list->room = room;
    }
    Entry *entry = &list->entries[list->count++];
    memcpy(entry->name, name, NAME);
    entry->bytes = status.st_size;
    entry->used = status.st_mtim;
    list->bytes += status.st_size;
}

/* Removes files until the rest is at most three quarters of the limit, if they are more than that. */
static void sweep(int folder, int64_t limit) {
    Listing list = {0};
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = again >= 0 ? fdopendir(again) : NULL;
    for (struct dirent *file; files && (file = readdir(files));) list_file(&list, folder, file->d_name);
    if (files)
        closedir(files);
    else if (again >= 0)
        close(again);
    if (list.bytes > limit) {
        qsort(list.entries, list.count, sizeof *list.entries, by_use);
        for (size_t i = 0; i < list.count && list.bytes > limit / 4 * 3; i++) {
            if (unlinkat(folder, list.entries[i].name, 0) == 0) list.bytes -= list.entries[i].bytes;
        }
    }
    free(list.entries);
}

static bool write_file(int file, const Buf *key, const Buf *image) {
    FileHeader header = {.key = key->length, .image = image->length};
    Buf both = {0};
    memcpy(header.magic, magic, sizeof magic);
    buf_put(&both, key->text, key->length);
    buf_put(&both, image->text, image->length);
    if (!both.failed) header.check = hash_two(hash_start, both.text, both.length);
    bool ok = !both.failed && file_write(file, (const char *)&header, sizeof header) &&
              file_write(file, both.text, both.length);
    buf_release(&both);
    return ok;
}

void disk_store(const Buf *key, const Buf *image, int64_t limit) {
    char name[NAME], fresh[80];
    int64_t bytes = (int64_t)(sizeof(FileHeader) + key->length + image->length);
    struct timespec now;
    if (limit && bytes > limit) return;
    int folder = folder_open(true);
    if (folder < 0) return;
    name_of_key(key, name);
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(fresh, sizeof fresh, "new-%ld-%ld-%.16s", (long)getpid(), now.tv_nsec, name);
    int file = openat(folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = file >= 0 && write_file(file, key, image);
    if (file >= 0) ok = close(file) == 0 && ok;
    ok = ok && renameat(folder, fresh, folder, name) == 0;
    if (file >= 0 && !ok) unlinkat(folder, fresh, 0);
    /* A large folder takes long to list: at one in sixteen stores it is enough. */
    if (ok && limit && (limit < EXACT || now.tv_nsec / 1000 % 16 == 0)) sweep(folder, limit);
    close(folder);
}
