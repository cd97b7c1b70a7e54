/* windows.c: ranks read and write memory of each other, which does nothing for it.
 *
 *     mpirun -n 3 windows [work|die [TRANSPORT]]
 *
 * The numbers lie in memory of the heap and in such as a device knows, if there is one, in turn. In each of several runs every rank puts numbers into the windows of all others and sets a word there; who sees the words finds the
 * numbers, and gets back what the others have put elsewhere; words that are set one after the other come in their order. Other runs fail on one rank while the rest waits for a word, and
 * leave nothing behind. With `die` the last rank kills itself: the others must be told its name in time. Exit status: 0 all did.
 */
#include <mpi.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime/cluster/cluster.h"
#include "../../runtime/rt.h"

enum { BOUND = 15, RUNS = 6, LENGTH = 40000, BYTES = LENGTH * 8 };

static const Engine *engine;
static Error error;

/* A window: a word of each rank, then numbers of each rank. */
static int64_t word_at(int rank) {
    return rank * 8;
}
static int64_t numbers_at(int rank) {
    return engine->ranks * 8 + (int64_t)rank * BYTES;
}

static bool fails(const char *what) {
    fprintf(stderr, "rank %d: %s%s%s\n", engine ? engine->rank : -1, what, error.code ? ": " : "",
            error.text);
    return false;
}

/* Waits until the word is at least so much. */
static ErrorCode await(char *own, int rank, int64_t wanted) {
    int spins = 0;
    _Atomic int64_t *word = (_Atomic int64_t *)(void *)(own + word_at(rank));
    while (atomic_load(word) < wanted) {
        ErrorCode code = engine->idle(&spins, NULL, &error);
        if (code) return code;
    }
    return E_None;
}

static ErrorCode open_window(void **window) {
    return engine->window_open(numbers_at(engine->ranks), window, NULL, &error);
}

/* round: what others may have set their words to already. */
static bool opens(char **own, int64_t round) {
    void *window;
    if (engine->begin(&error) != E_None) return fails("no run begins");
    if (open_window(&window) != E_None) return fails("no window");
    *own = window;
    for (int64_t i = 0; i < engine->ranks; i++) {
        int64_t word = atomic_load((_Atomic int64_t *)window + i);
        if (word && word != round) return fails("it is not empty");
    }
    return true;
}

static bool ends(ErrorCode code, ErrorCode wanted) {
    Outcome outcome = {.code = code, .own = code == E_OutOfBounds};
    if (engine->end(&outcome, &error) != E_None) return fails("the run does not end");
    return outcome.code == (int32_t)wanted || fails("it ended in another way");
}

static bool holds(const int64_t *numbers, int64_t first) {
    for (int64_t i = 0; i < LENGTH; i++) {
        if (numbers[i] != first + i) return false;
    }
    return true;
}

static bool writes_and_reads(int64_t round, int64_t *numbers, Access *list) {
    char *own;
    int rank = engine->rank, ranks = engine->ranks, count = 0;
    if (!opens(&own, round)) return false;
    int64_t first = round * 1000003 + rank * 17, word = round;
    for (int64_t i = 0; i < LENGTH; i++) numbers[i] = first + i;
    for (int peer = 0; peer < ranks; peer++) {
        list[count++] = (Access){ACCESS_SET, peer, word_at(rank), &word, 0};
        list[count++] = (Access){ACCESS_PUT, peer, numbers_at(rank), numbers, BYTES};
    }
    if (engine->window_access(list, count, NULL, &error) != E_None) return fails("nothing is written");
    for (int peer = 0; peer < ranks; peer++) {
        if (await(own, peer, round) != E_None) return fails("a word does not come");
        if (!holds((int64_t *)(void *)(own + numbers_at(peer)), round * 1000003 + peer * 17))
            return fails("the word came before the numbers");
    }
    /* What this rank put into the next one's window, and the word of the one before it there. */
    int64_t back = 0;
    memset(numbers, 0, BYTES);
    Access reads[] = {{ACCESS_GET, (rank + 1) % ranks, numbers_at(rank), numbers, BYTES},
                      {ACCESS_READ, (rank + 1) % ranks, word_at(rank), &back, 0}};
    if (engine->window_access(reads, 2, NULL, &error) != E_None) return fails("nothing is read");
    if (!holds(numbers, first) || back != round) return fails("what was written is not read");
    return ends(E_None, E_None);
}

/* A word of the next rank is set again and again, which waits for nothing; what is put then comes after it, and the last word after that. */
static bool counts_up(int64_t *numbers) {
    enum { COUNT = 300 };
    void *window;
    int rank = engine->rank, next = (rank + 1) % engine->ranks,
        before = (rank + engine->ranks - 1) % engine->ranks;
    if (engine->begin(&error) != E_None || open_window(&window) != E_None) return fails("no window");
    char *own = window;
    for (int64_t i = 0; i < LENGTH; i++) numbers[i] = rank + i;
    _Atomic int64_t *word = (_Atomic int64_t *)(void *)(own + word_at(before));
    int64_t seen = 0;
    int spins = 0;
    for (int64_t i = 1; i <= COUNT; i++) {
        Access list[] = {{ACCESS_SET, next, word_at(rank), &i, 0},
                         {ACCESS_PUT, next, numbers_at(rank), numbers, BYTES}};
        if (engine->window_access(list, i == COUNT ? 2 : 1, NULL, &error) != E_None)
            return fails("no word is set");
        int64_t now = atomic_load(word);
        if (now < seen) return fails("words come in another order");
        seen = now;
    }
    while (seen < COUNT) {
        if (engine->idle(&spins, NULL, &error) != E_None) return fails("the last word does not come");
        int64_t now = atomic_load(word);
        if (now < seen) return fails("words come in another order");
        seen = now;
    }
    if (!holds((int64_t *)(void *)(own + numbers_at(before)), before))
        return fails("the word came before the numbers");
    return ends(E_None, E_None);
}

/* The last rank fails while the others wait for its word, or, as it has opened the window before all others, for the window. Not
 * opened: it fails before it would open the window. */
static bool stops_waiting(bool opened) {
    void *own = NULL;
    int last = engine->ranks - 1;
    if (engine->begin(&error) != E_None) return fails("no run begins");
    ErrorCode code = opened || engine->rank != last ? open_window(&own) : E_None;
    if (engine->rank == last) return code == E_None ? ends(E_OutOfBounds, E_OutOfBounds) : fails("no window");
    if (code == E_None) code = await(own, last, 1);
    return code == E_Cancelled ? ends(code, E_OutOfBounds) : fails("the failure of a rank is not seen");
}

/* The last rank dies while the others wait for its word, or put numbers into its window. */
static bool is_told(const int64_t *numbers) {
    char *own, name[32];
    int last = engine->ranks - 1;
    if (!opens(&own, 0)) return false;
    if (engine->rank == last) raise(SIGKILL);
    double start = MPI_Wtime();
    Access put = {ACCESS_PUT, last, numbers_at(0), (void *)(uintptr_t)numbers, BYTES};
    ErrorCode code = E_None;
    while (engine->rank == 0 && code == E_None && MPI_Wtime() - start < BOUND)
        code = engine->window_access(&put, 1, NULL, &error);
    if (engine->rank) code = await(own, last, 1);
    snprintf(name, sizeof name, "rank %d ", last);
    if (code != E_Cluster || !strstr(error.text, name)) return fails("the lost rank is not named");
    Outcome outcome = {.code = E_Cluster};
    code = engine->end(&outcome, &error);
    if (code != E_Cluster || !strstr(error.text, name)) return fails("the end does not name it");
    return MPI_Wtime() - start < BOUND || fails("the status came too late");
}

int main(int count, char **words) {
    weld_conf_t conf = weld_conf_new();
    Options options;
    bool dies = count > 1 && strcmp(words[1], "die") == 0;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    weld_conf_set(conf, "weld.cluster", "mpi");
    if (count > 2) weld_conf_set(conf, "weld.transport", words[2]);
    bool ok = conf_options(conf, &options, &error);
    engine = ok ? cluster_open(&options, &error) : NULL;
    int64_t *numbers = malloc(BYTES), *known = engine ? pinned_take(BYTES) : NULL;
    Access *list = engine ? malloc(sizeof *list * 2 * (size_t)engine->ranks) : NULL;
    ok = engine && numbers && list;
    for (int round = 1; ok && round <= RUNS; round++) {
        ok = writes_and_reads(round, known && round % 2 ? known : numbers, list);
        if (ok && engine->ranks > 1) ok = stops_waiting(round % 2);
    }
    ok = ok && counts_up(numbers) && (!dies || is_told(numbers));
    if (!ok) fails("windows do not work");
    if (ok && engine->rank == 0)
        printf("windows of %s: %d runs%s\n", engine->windows, RUNS, dies ? ", a lost rank was named" : "");
    fflush(stdout);
    if (dies) _exit(!ok); /* MPI would wait for the rank that is lost */
    if (known) pinned_give(known, BYTES);
    free(numbers);
    free(list);
    weld_conf_free(conf);
    MPI_Finalize();
    return !ok;
}
