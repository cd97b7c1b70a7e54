/* progress.c: what takes longer than a second tells on a terminal what it is doing and for how long.
 *
 *     running 12 s
 *
 * A thread of its own wakes ten times a second and rewrites one line of standard error. Nothing is written
 * when standard error is no terminal, or for phases that are shorter than a second.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

struct Progress {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *phase; /* NULL: nothing runs */
    struct timespec since;
    bool shown, stop;
};

static void clear_line(Progress *progress) {
    if (!progress->shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->shown = false;
}

static void show_line(Progress *progress, const struct timespec *now, unsigned tick) {
    long seconds = now->tv_sec - progress->since.tv_sec - (now->tv_nsec < progress->since.tv_nsec);
    if (!progress->phase || seconds < 1) return;
    fprintf(stderr, "\r\033[K%c %s %ld s", "|/-\\"[tick % 4], progress -> phase, seconds);
    fflush(stderr);
    progress->shown = true;
}

static void *watch(void *data) {
    Progress *progress = data;
    pthread_mutex_lock(&progress->lock);
    for (unsigned tick = 0; !progress->stop; tick++) {
        struct timespec now, next;
        clock_gettime(CLOCK_MONOTONIC, &now);
        show_line(progress, &now, tick);
        next = now;
        next.tv_nsec += 100000000;
        if (next.tv_nsec >= 1000000000) next.tv_nsec -= 1000000000, next.tv_sec++;
        pthread_cond_timedwait(&progress->changed, &progress->lock, &next);
    }
    clear_line(progress);
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

Progress *progress_start(void) {
    if (!isatty(STDERR_FILENO)) return NULL;
    Progress *progress = calloc(1, sizeof *progress);
    if (!progress) return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&progress->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&progress->lock, NULL);
    /* Ctrl-C is for the thread that runs the program. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&progress->thread, NULL, watch, progress);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) return progress;
    pthread_cond_destroy(&progress->changed);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
    return NULL;
}

void progress_phase(Progress *progress, const char *phase) {
    if (!progress) return;
    pthread_mutex_lock(&progress->lock);
    progress->phase = phase;
    clock_gettime(CLOCK_MONOTONIC, &progress->since);
    clear_line(progress);
    pthread_mutex_unlock(&progress->lock);
}

void progress_stop(Progress *progress) {
    if (!progress) return;
    pthread_mutex_lock(&progress->lock);
    progress->stop = true;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    pthread_cond_destroy(&progress->changed);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}
