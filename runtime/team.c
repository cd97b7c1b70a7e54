/* team.c: the threads that a context's runs may use.
 *
 * A team is the thread that runs a program and up to threads - 1 helpers. They are made when the first loop
 * asks for them, sleep between loops, and end with the context. To work together, the caller offers a task,
 * does it itself as well, and takes the offer back:
 *
 *     caller    team_begin  task(data, 0) ............  team_end
 *     helper 1       wakes     task(data, 1) .......       |
 *     helper 2          wakes late                         | waits for helper 1 only
 *
 * The task decides what each does (a shared counter of things to do), so that a helper that wakes too late, or
 * could not be made, costs nothing but its share. After a fork the child's team has no helpers.
 *
 * Linux may wake a helper on the processor of the caller, where the two then take turns for milliseconds while another
 * one is idle. So a helper that finds itself on a processor that a member has moves to one that none has, by an
 * affinity without those that are taken, which it gives up at once: where it goes later is the system's affair again.
 *
 * POSIX threads rather than OpenMP: a parallel region of OpenMP that gets no thread ends the process, its
 * threads belong to the process and spin after a loop, and the thread sanitizer does not see its locks. A
 * library inside somebody else's program must fail softly and clean up after itself.
 */
#include "rt.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct Helper {
    Team *team;
    pthread_t thread;
} Helper;

struct Team {
    int threads;
    int64_t grain;
    pid_t process;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t offer, done;
    void (*task)(void *data, int member); /* NULL: none is on offer */
    void *data;
    uint64_t serial;    /* of the latest offer */
    int joined, inside; /* how many helpers took it, and are not yet through */
    cpu_set_t taken;    /* processors of the caller and of those that joined */
    bool started, over;
    int helpers;
    Helper helper[];
};

Team *team_new(int threads, int64_t grain) {
    Team *team = calloc(1, sizeof *team + sizeof *team->helper * (size_t)threads);
    if (!team) return NULL;
    team->threads = threads;
    team->grain = grain;
    team->process = getpid();
    bool lock = pthread_mutex_init(&team->lock, NULL) == 0;
    bool offer = lock && pthread_cond_init(&team->offer, NULL) == 0;
    if (offer && pthread_cond_init(&team->done, NULL) == 0) return team;
    if (offer) pthread_cond_destroy(&team->offer);
    if (lock) pthread_mutex_destroy(&team->lock);
    free(team);
    return NULL;
}

int team_threads(const Team *team) {
    return team ? team->threads : 1;
}

int64_t team_grain(const Team *team) {
    return team ? team->grain : 0;
}

/* Takes a processor for the calling thread, a free one if it may use one. */
static void take_processor(cpu_set_t *taken) {
    int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE) return;
    cpu_set_t allowed, free;
    if (CPU_ISSET(here, taken) && sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        CPU_AND(&free, &allowed, taken);
        CPU_XOR(&free, &free, &allowed);
        if (CPU_COUNT(&free) > 0 && sched_setaffinity(0, sizeof free, &free) == 0) {
            here = sched_getcpu();
            sched_setaffinity(0, sizeof allowed, &allowed);
        }
    }
    if (here >= 0 && here < CPU_SETSIZE) CPU_SET(here, taken);
}

static void *help(void *data) {
    Team *team = ((Helper *)data)->team;
    uint64_t seen = 0;
    pthread_mutex_lock(&team->lock);
    while (!team->over) {
        if (!team->task || team->serial == seen) {
            pthread_cond_wait(&team->offer, &team->lock);
            continue;
        }
        void (*task)(void *, int) = team->task;
        void *argument = team->data;
        int member = ++team->joined;
        seen = team->serial;
        team->inside++;
        take_processor(&team->taken);
        pthread_mutex_unlock(&team->lock);
        task(argument, member);
        pthread_mutex_lock(&team->lock);
        if (--team->inside == 0) pthread_cond_signal(&team->done);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static void start(Team *team) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (team->helpers < team->threads - 1) {
        Helper *helper = &team->helper[team->helpers];
        helper->team = team;
        if (pthread_create(&helper->thread, NULL, help, helper)) break;
        team->helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    team->started = true;
}

void team_begin(Team *team, void (*task)(void *data, int member), void *data) {
    if (team->process != getpid()) return;
    pthread_mutex_lock(&team->lock);
    if (!team->started) start(team);
    team->task = task;
    team->data = data;
    team->joined = 0;
    team->serial++;
    CPU_ZERO(&team->taken);
    take_processor(&team->taken);
    pthread_cond_broadcast(&team->offer);
    pthread_mutex_unlock(&team->lock);
}

void team_end(Team *team) {
    if (team->process != getpid()) return;
    pthread_mutex_lock(&team->lock);
    team->task = NULL;
    while (team->inside) pthread_cond_wait(&team->done, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

void team_run(Team *team, void (*task)(void *data, int member), void *data) {
    if (team) team_begin(team, task, data);
    task(data, 0);
    if (team) team_end(team);
}

void team_free(Team *team) {
    if (!team) return;
    if (team->process == getpid()) {
        pthread_mutex_lock(&team->lock);
        team->over = true;
        pthread_cond_broadcast(&team->offer);
        pthread_mutex_unlock(&team->lock);
        for (int i = 0; i < team->helpers; i++) pthread_join(team->helper[i].thread, NULL);
        pthread_cond_destroy(&team->done);
        pthread_cond_destroy(&team->offer);
        pthread_mutex_destroy(&team->lock);
    }
    free(team);
}
