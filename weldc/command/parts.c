/* parts.c: reads a large file with several threads.
 *
 * To bring a page of a new block into being and to copy the file's bytes to it takes as long as to compute on them. So
 * a file of some megabytes is read in as many parts as there are processors for this process, up to MOST_PARTS:
 *
 *     |---- part 0: this thread ----|---- part 1 ----|---- part 2 ----|---- part 3 ----|
 *
 * Parts are whole huge pages but for the last. Where a thread cannot be started this one reads its part.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "command.h"

enum { MOST_PARTS = 4, LEAST_PART = 2 << 20, HUGE_PAGE = 2 << 20, CHUNK = 64 << 20 };

typedef struct Part {
    pthread_t thread;
    int file;
    off_t at; /* in the file */
    char *into;
    size_t bytes, done;
    int error; /* errno; 0: none */
} Part;

/* In chunks, so that a cancel is noticed. */
static void *part_read(void *data) {
    Part *part = data;
    while (part->done < part->bytes && !part->error) {
        size_t left = part->bytes - part->done;
        ssize_t got = pread(part->file, part->into + part->done, left < CHUNK ? left : CHUNK,
                            part->at + (off_t)part->done);
        if (got < 0 && errno == EINTR && !cancel_flag) continue;
        if (got < 0 || cancel_flag)
            part->error = got < 0 ? errno : EINTR;
        else if (got == 0)
            break;
        else
            part->done += (size_t)got;
    }
    return NULL;
}

static int part_count(size_t bytes) {
    cpu_set_t processors;
    int count = sched_getaffinity(0, sizeof processors, &processors) ? 1 : CPU_COUNT(&processors);
    if (count > MOST_PARTS) count = MOST_PARTS;
    return (size_t)count > bytes / LEAST_PART ? (int)(bytes / LEAST_PART) : count;
}

bool parts_pay(size_t bytes) {
    return part_count(bytes) > 1;
}

ssize_t parts_read(int file, int64_t at, void *into, size_t bytes) {
    Part parts[MOST_PARTS];
    int count = part_count(bytes);
    if (count < 1) count = 1;
    size_t each = (bytes / (size_t)count + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, begin = 0, done = 0;
    bool started[MOST_PARTS] = {false};
    for (int i = 0; i < count; i++) {
        size_t end = i == count - 1 || begin + each > bytes ? bytes : begin + each;
        parts[i] = (Part){
            .file = file, .at = (off_t)at + (off_t)begin, .into = (char *)into + begin, .bytes = end - begin};
        begin = end;
        if (i > 0) started[i] = pthread_create(&parts[i].thread, NULL, part_read, &parts[i]) == 0;
    }
    for (int i = 0; i < count; i++) {
        if (started[i])
            pthread_join(parts[i].thread, NULL);
        else
            part_read(&parts[i]);
    }
    for (int i = 0; i < count; i++) {
        if (parts[i].error) {
            errno = parts[i].error;
            return -1;
        }
        done += parts[i].done;
        if (parts[i].done < parts[i].bytes) break; /* the file ends here */
    }
    return (ssize_t)done;
}
