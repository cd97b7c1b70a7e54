/* file.c: bytes of files: all of them or failure, their checksum, and files that are replaced as a whole.
 *
 * A file that is replaced is written under another name in its folder, given to the disk and then renamed. Whoever opens it
 * meanwhile, or after a crash, finds the old bytes or the new ones.
 *
 *     model.ckpt.new-node7-4711-123456789         written by process 4711 of node7
 *
 * A process that is killed while it writes leaves such a file. The next one that writes the file removes it: if the writer's host is
 * this one, and has no such process, or if the file is an hour old.
 *
 * The checksum finds accidents. It protects from nobody who means it.
 */
#include "rt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOST = 64, STALE_SECONDS = 3600 };

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

static void host_name(char name[HOST]) {
    if (gethostname(name, HOST)) name[0] = 0;
    name[HOST - 1] = 0;
}

/* Does `HOST-PID-TIME` name a process of this host that there is no more? */
static bool is_dead(const char *writer) {
    char host[HOST];
    host_name(host);
    size_t length = strlen(host);
    if (strncmp(writer, host, length) != 0 || writer[length] != '-') return false;
    char *end;
    long pid = strtol(writer + length + 1, &end, 10);
    if (*end != '-') return false;
    strtol(end + 1, &end, 10);
    return !*end && pid > 0 && kill((pid_t)pid, 0) && errno == ESRCH;
}

/* What writers of the file of this name left in the folder. */
static void remove_stale(DIR *folder, const char *name) {
    static const char mark[] = ".new-";
    size_t length = strlen(name);
    struct stat status;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *found = entry->d_name;
        if (strncmp(found, name, length) != 0 || strncmp(found + length, mark, strlen(mark)) != 0) continue;
        if (fstatat(dirfd(folder), found, &status, AT_SYMLINK_NOFOLLOW) || !S_ISREG(status.st_mode)) continue;
        if (is_dead(found + length + strlen(mark)) || status.st_mtime < time(NULL) - STALE_SECONDS)
            unlinkat(dirfd(folder), found, 0);
    }
}

char *file_fresh(const char *path) {
    struct timespec now;
    char host[HOST];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t room = strlen(path) + HOST + 64, before = (size_t)(name - path);
    char *fresh = malloc(room);
    if (!fresh) return NULL;
    memcpy(fresh, slash ? path : ".", slash ? before : 1);
    fresh[slash ? before : 1] = 0;
    DIR *folder = opendir(fresh);
    if (folder) remove_stale(folder, name);
    if (folder) closedir(folder);
    clock_gettime(CLOCK_MONOTONIC, &now);
    host_name(host);
    snprintf(fresh, room, "%s.new-%s-%ld-%ld", path, host, (long)getpid(), now.tv_nsec);
    return fresh;
}

bool file_replace(const char *path, const char *const *parts, const size_t *sizes, int count) {
    char *fresh = file_fresh(path);
    if (!fresh) return false;
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
