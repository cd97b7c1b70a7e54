/* exchange_launch.c: exchanges beside the program: launches, and waits for them.
 *
 *     program        launch a     computes      wait a
 *     other thread         ...a under way...
 *
 * What is launched is put into a list, with a copy of its operand's value, and a region of its own for what it makes, which counts
 * to the same limit. A thread of the run carries out one after the other, in the order of the launches, by the same functions as
 * without (exchange_run). A wait gives the region's memory to the program's. Any other exchange waits until the list is done; so on
 * all ranks the same exchanges follow each other, and the engine is called by one thread at a time.
 *
 * A launch of few bytes is not worth waking a thread: it is left in the list until another one is, or until it is waited for; then, if
 * the thread has nothing to do, the program carries it out itself. The same is done where the engine allows no other thread. Which
 * ranks do so does not matter to the others: the order is that of the launches.
 *
 * Errors: the first exchange that fails ends all that follow (E_Cancelled); the wait for it, or the next exchange, tells its error. When
 * the program fails itself, launcher_stop ends what is under way, and keeps the memory that it may still use until the engine has
 * ended the run.
 */
#include "exchange.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FEW = 16 << 10, /* bytes of launches that wait for others */
    LOOK_MS = 20    /* how often a wait looks whether the run is cancelled */
};

/* An exchange that was launched; in the list until it was waited for. */
typedef struct Launched {
    struct Launched *next;
    int64_t number;
    ExchangeCall call; /* its operand and result lie behind this struct */
    Worker worker;
    ErrorCode code;
    bool done;
} Launched;

typedef struct Launcher {
    Exchanges *all;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running, closing, failed;
    volatile int32_t stop; /* what transfers look at */
    Launched *first, **end;
    int64_t launched, handed; /* the last number; up to which one the thread carries them out */
    int64_t bytes;            /* of those that were not handed over */
} Launcher;

static Launched *next_undone(const Launcher *l, int64_t last) {
    Launched *item = l->first;
    while (item && item->done) item = item->next;
    return item && item->number <= last ? item : NULL;
}

/* Carries out all up to the last number. The lock is held, but for the time that each takes. */
static void carry_out(Launcher *l, int64_t last) {
    for (Launched *item; (item = next_undone(l, last)) != NULL;) {
        ErrorCode code = E_Cancelled;
        if (!l->failed && !l->stop) {
            pthread_mutex_unlock(&l->lock);
            code = exchange_run(l->all, &item->worker, &item->call);
            pthread_mutex_lock(&l->lock);
        }
        item->code = code;
        item->done = true;
        l->failed |= code != E_None;
        pthread_cond_broadcast(&l->changed);
    }
}

static void *work(void *data) {
    Launcher *l = data;
    pthread_mutex_lock(&l->lock);
    while (!l->closing) {
        if (next_undone(l, l->handed))
            carry_out(l, l->handed);
        else
            pthread_cond_wait(&l->changed, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static Launcher *launcher_of(Exchanges *all) {
    Launcher *l = all->launcher;
    if (l) return l;
    l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->all = all;
    l->end = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    return all->launcher = l;
}

static int64_t bytes_of(const Type *type, const void *value) {
    Vec vec;
    if (type->kind == TY_vec) {
        memcpy(&vec, value, sizeof vec);
        return vec.length * type->args[0]->size;
    }
    int64_t bytes = type->size;
    for (int i = 0; type->kind == TY_struct && i < type->count; i++)
        bytes += bytes_of(type->args[i], (const char *)value + type->offsets[i]);
    return bytes;
}

static Launched *launched_new(Launcher *l, Worker *worker, const ExchangeCall *call) {
    size_t size = ((size_t)call->type->size + 15) & ~(size_t)15, head = (sizeof(Launched) + 15) & ~(size_t)15;
    Launched *item = calloc(1, head + 2 * size);
    Region *region = item ? region_new(region_budget(worker->region)) : NULL;
    if (!region) {
        free(item);
        return NULL;
    }
    char *operand = (char *)item + head;
    memcpy(operand, call->operands[0], (size_t)call->type->size);
    item->call = *call;
    item->call.kind = exchange_launched(call->kind);
    item->call.operands[0] = operand;
    item->call.out = operand + size;
    item->worker = (Worker){.cancel = &l->stop, .region = region, .host = worker->host};
    return item;
}

ErrorCode launcher_launch(Exchanges *all, Worker *worker, const ExchangeCall *call) {
    Launcher *l = launcher_of(all);
    Launched *item = l ? launched_new(l, worker, call) : NULL;
    if (!item)
        return worker_fail(worker, E_OutOfMemory, call->span, call->type->size,
                           budget_limit(region_budget(worker->region)));
    all->figures.launched++;
    pthread_mutex_lock(&l->lock);
    item->number = ++l->launched;
    *l->end = item;
    l->end = &item->next;
    l->bytes += bytes_of(call->type, call->operands[0]);
    if (l->bytes > FEW && all->engine->threads && !l->running)
        l->running = pthread_create(&l->thread, NULL, work, l) == 0;
    if (l->bytes > FEW && l->running) {
        l->handed = l->launched;
        l->bytes = 0;
        pthread_cond_broadcast(&l->changed);
    }
    memcpy(call->out, &item->number, sizeof item->number);
    pthread_mutex_unlock(&l->lock);
    return E_None;
}

/* Waits until all up to the number are done, by the thread, and what it has not, by the program. The lock is held. */
static void finish(Launcher *l, Worker *worker, int64_t number) {
    while (next_undone(l, number < l->handed ? number : l->handed)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&l->changed, &l->lock, &until);
        int32_t cancel = __atomic_load_n(worker->cancel, __ATOMIC_RELAXED);
        if (cancel) __atomic_store_n(&l->stop, cancel, __ATOMIC_RELAXED);
    }
    if (number <= l->handed) return;
    carry_out(l, l->launched);
    l->handed = l->launched;
    l->bytes = 0;
}

static ErrorCode tell(Worker *worker, const Launched *item) {
    if (item->code != E_None && worker->error.code == E_None) worker->error = item->worker.error;
    return item->code;
}

static void launched_free(Launched *item) {
    region_free(item->worker.region);
    free(item);
}

ErrorCode launcher_wait(Exchanges *all, Worker *worker, const ExchangeCall *call) {
    Launcher *l = all->launcher;
    int64_t number;
    memcpy(&number, call->operands[1], sizeof number);
    Launched **link = l ? &l->first : NULL, *item;
    while (link && *link && (*link)->number != number) link = &(*link)->next;
    if (!link || !*link) return worker_fail(worker, E_Internal, call->span, 0, 0);
    item = *link;
    pthread_mutex_lock(&l->lock);
    finish(l, worker, number);
    ErrorCode code = tell(worker, item);
    if (code == E_None) {
        *link = item->next;
        if (!item->next) l->end = link;
    }
    pthread_mutex_unlock(&l->lock);
    if (code != E_None) return code; /* launcher_end frees it, when nothing writes there any more */
    memcpy(call->out, item->call.out, (size_t)call->type->size);
    region_adopt(worker->region, item->worker.region, true);
    launched_free(item);
    return E_None;
}

ErrorCode launcher_drain(Exchanges *all, Worker *worker) {
    Launcher *l = all->launcher;
    ErrorCode code = E_None;
    if (!l) return E_None;
    pthread_mutex_lock(&l->lock);
    finish(l, worker, l->launched);
    for (const Launched *item = l->first; item && code == E_None; item = item->next)
        code = tell(worker, item);
    pthread_mutex_unlock(&l->lock);
    return code;
}

static void join(Launcher *l, bool stop) {
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    if (stop) __atomic_store_n(&l->stop, 1, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (l->running) pthread_join(l->thread, NULL);
    l->running = false;
}

void launcher_stop(void *exchanges, Worker *worker) {
    Exchanges *all = exchanges;
    Launcher *l = all->launcher;
    if (!l) return;
    join(l, true);
    if (l->first) region_hold(worker->region);
}

ErrorCode launcher_end(Exchanges *all, Worker *worker, ErrorCode code) {
    Launcher *l = all->launcher;
    if (!l) return code;
    if (code == E_None) code = launcher_drain(all, worker);
    join(l, code != E_None);
    return code;
}

void launcher_free(Exchanges *all) {
    Launcher *l = all->launcher;
    all->launcher = NULL;
    if (!l) return;
    for (Launched *item = l->first, *next; item; item = next) {
        next = item->next;
        launched_free(item);
    }
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
