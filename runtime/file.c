/* file.c: bytes of files: all of them or failure, their checksum, and files that are replaced as a whole.
 *
 * A file that is replaced is written under another name in its folder, given to the disk and then renamed. Whoever opens it
 * meanwhile, or after a crash, finds the old bytes or the new ones.
 *
 * The checksum finds accidents. It protects from nobody who means it.
 */
#include "rt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const Hash hash_start = {0x243f6a8885a308d3u, 0x13198a2e03707344u};

Hash hash_two(Hash hash, const char *bytes, size_t length) {
    hash = (Hash){hash_mix(hash.low, length), hash_mix(hash.high, ~(uint64_t)length)};
    while (length > 0) {
        uint64_t word = 0;
        size_t size = length < sizeof word ? length : sizeof word;
        memcpy(&word, bytes, size);
        hash.low = hash_mix(hash.low, word);
        hash.high = hash_mix(hash.high, word << 29 | word >> 35);
        bytes += size;
        length -= size;
    }
    return hash;
}

bool file_read(int file, char *bytes, size_t size) {
    while (size > 0) {
        ssize_t got = read(file, bytes, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

bool file_write(int file, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t put = write(file, bytes, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        bytes += put;
        size -= (size_t)put;
    }
    return true;
}

bool file_replace(const char *path, const char *const *parts, const size_t *sizes, int count) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    size_t room = strlen(path) + 64;
    char *fresh = malloc(room);
    if (!fresh) return false;
    snprintf(fresh, room, "%s.new-%ld-%ld", path, (long)getpid(), now.tv_nsec);
    int file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool ok = file >= 0;
    for (int i = 0; i < count && ok; i++) ok = file_write(file, parts[i], sizes[i]);
    ok = ok && fsync(file) == 0;
    if (file >= 0) ok = close(file) == 0 && ok;
    ok = ok && rename(fresh, path) == 0;
    int why = errno;
    if (file >= 0 && !ok) unlink(fresh);
    free(fresh);
    errno = why;
    return ok;
}
