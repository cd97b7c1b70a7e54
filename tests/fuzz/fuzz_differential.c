/* fuzz_differential.c: do the interpreter and compiled code agree on random programs?
 *
 *     fuzz_differential [--jobs N] [--all] COUNT [SEED [SIZE]]
 *
 * Program number SEED + i is generated (generate.c) and checked (check.c) by one of N processes, each of which takes
 * the next number when it is done with one; --all: with machine code of every variant of it:
 *
 *     this process:  counts, shows progress on a terminal, watches
 *         +- worker: check(17), check(19), ...        killed by a signal, or stuck: this process says by which
 *         +- worker: check(18), check(20), ...        program, and starts another one
 *
 * A disagreement is printed with the smallest size at which the same seed still disagrees. After MOST_REPORTS of
 * them it is enough. Exit status: 0 all agree; 1 some do not, crash or do not end; 2 misuse.
 */
#include "differential.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_REPORTS = 10, MOST_JOBS = 64, STUCK_SECONDS = 120, TICK_MS = 50 };

/* In memory that all processes share. */
typedef struct Shared {
    _Atomic long next, done, disagree, failed, dropped, exact;
    struct {
        _Atomic long at; /* the program that it works on, or -1 */
    } worker[MOST_JOBS];
} Shared;

typedef struct Fuzz {
    long count;
    uint64_t seed;
    int size, jobs; /* size: of every program; 0: by its number */
    bool machine_code, all;
    Shared *shared;
    pid_t process[MOST_JOBS];
    /* Looks of the watching process, TICK_MS apart: the time that a worker had, too, were all of them stopped. */
    long ticks;
    struct {
        long at, since;
    } seen[MOST_JOBS];
} Fuzz;

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int size_of_program(const Fuzz *fuzz, long i) {
    return fuzz->size ? fuzz->size : 20 + (int)(i % 7) * 30;
}

/* All at once, so that processes do not cut into each other's. */
static void print(const Buf *text) {
    fflush(stdout);
    for (size_t done = 0; done < text->length;) {
        ssize_t put = write(STDOUT_FILENO, text->text + done, text->length - done);
        if (put < 0 && errno != EINTR) return;
        if (put > 0) done += (size_t)put;
    }
}

/* ---- in a worker ---- */

/* The same seed makes a smaller program at a smaller size: print the first that disagrees. */
static void report_smallest(const Checker *checker, uint64_t seed, int size) {
    Verdict verdict;
    for (int smaller = 1;; smaller += smaller < 40 ? 1 : smaller / 10) {
        if (smaller + smaller / 10 > size) smaller = size;
        check_program(checker, seed, smaller, &verdict);
        if (!verdict.agree || smaller == size) break;
        buf_release(&verdict.report);
    }
    if (verdict.agree) {
        show_program(&verdict.report, seed, size);
        buf_printf(&verdict.report, "(agrees when run again)\n");
    }
    print(&verdict.report);
    buf_release(&verdict.report);
}

static void work(const Fuzz *fuzz, int number) {
    Shared *shared = fuzz->shared;
    Checker checker;
    if (!checker_init(&checker, fuzz->machine_code, fuzz->all)) _exit(3);
    for (;;) {
        long i = atomic_fetch_add(&shared->next, 1);
        if (i >= fuzz->count || shared->disagree >= MOST_REPORTS) break;
        Verdict verdict;
        shared->worker[number].at = i;
        check_program(&checker, fuzz->seed + (uint64_t)i, size_of_program(fuzz, i), &verdict);
        shared->done++;
        shared->failed += verdict.failed;
        shared->dropped += verdict.dropped;
        shared->exact += verdict.exact;
        buf_release(&verdict.report);
        if (!verdict.agree && atomic_fetch_add(&shared->disagree, 1) < MOST_REPORTS)
            report_smallest(&checker, fuzz->seed + (uint64_t)i, size_of_program(fuzz, i));
    }
    shared->worker[number].at = -1;
    checker_release(&checker);
    exit(0);
}

/* ---- in the process that watches ---- */

static bool worker_start(Fuzz *fuzz, int number) {
    fuzz->shared->worker[number].at = -1;
    fflush(NULL);
    pid_t process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        work(fuzz, number);
    }
    fuzz->process[number] = process;
    if (process < 0) perror("fuzz_differential: fork");
    return process > 0;
}

/* A worker has ended. False: it was not to: it is counted as a disagreement, and its program printed. */
static bool worker_ended(Fuzz *fuzz, int number, int status) {
    long at = fuzz->shared->worker[number].at;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && at < 0) return true;
    Buf report = {0};
    if (at >= 0) show_program(&report, fuzz->seed + (uint64_t)at, size_of_program(fuzz, at));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        buf_printf(&report, "killed, after %d seconds if by us\n", STUCK_SECONDS);
    else if (WIFSIGNALED(status))
        buf_printf(&report, "the process died: %s\n", strsignal(WTERMSIG(status)));
    else
        buf_printf(&report, "the process ended with status %d\n", WEXITSTATUS(status));
    print(&report);
    buf_release(&report);
    fuzz->shared->disagree++;
    return false;
}

static void kill_stuck(Fuzz *fuzz) {
    fuzz->ticks++;
    for (int i = 0; i < fuzz->jobs; i++) {
        long at = fuzz->shared->worker[i].at;
        if (at != fuzz->seen[i].at) {
            fuzz->seen[i].at = at;
            fuzz->seen[i].since = fuzz->ticks;
        } else if (at >= 0 && fuzz->process[i] > 0 &&
                   fuzz->ticks - fuzz->seen[i].since > STUCK_SECONDS * 1000L / TICK_MS) {
            kill(fuzz->process[i], SIGKILL);
        }
    }
}

static void show_progress(const Fuzz *fuzz, double start, bool last) {
    const Shared *shared = fuzz->shared;
    if (!isatty(STDERR_FILENO)) return;
    double rate = (double)shared->done / (now_seconds() - start + 1e-9);
    double left = rate > 0 ? (double)(fuzz->count - shared->done) / rate : 0;
    fprintf(stderr, "\r%ld of %ld programs, %.0f a second, %ld disagree, %.0f s left \033[K%s", shared->done,
            fuzz->count, rate, shared->disagree, left, last ? "\r\033[K" : "");
}

/* Until all workers have ended. */
static bool watch(Fuzz *fuzz) {
    double start = now_seconds();
    int running = 0, status;
    bool ok = true;
    for (int i = 0; i < fuzz->jobs; i++) running += worker_start(fuzz, i);
    while (running > 0) {
        pid_t process = waitpid(-1, &status, WNOHANG);
        if (process == 0) {
            nanosleep(&(struct timespec){.tv_nsec = TICK_MS * 1000 * 1000}, NULL);
            kill_stuck(fuzz);
            show_progress(fuzz, start, false);
            continue;
        }
        if (process < 0 && errno == EINTR) continue;
        if (process < 0) return false;
        for (int i = 0; i < fuzz->jobs; i++) {
            if (fuzz->process[i] != process) continue;
            fuzz->process[i] = -1;
            running--;
            bool ended = worker_ended(fuzz, i, status), working = fuzz->shared->worker[i].at >= 0;
            ok &= ended;
            /* One that died before its first program would do so again. */
            if (!ended && working && fuzz->shared->disagree < MOST_REPORTS) running += worker_start(fuzz, i);
        }
    }
    show_progress(fuzz, start, true);
    return ok;
}

/* ---- the command line ---- */

/* A number, all of the word. */
static bool read_number(const char *word, uint64_t most, uint64_t *number) {
    char *end;
    errno = 0;
    *number = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && !*end && !errno && *number <= most;
}

static bool read_words(int count, char **words, Fuzz *fuzz) {
    uint64_t number, numbers[3] = {0, 1, 0};
    int seen = 0;
    fuzz->jobs = 1;
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--jobs")) {
            if (++i == count || !read_number(words[i], MOST_JOBS, &number) || number == 0) return false;
            fuzz->jobs = (int)number;
        } else if (!strcmp(words[i], "--all")) {
            fuzz->all = true;
        } else {
            uint64_t most = seen == 1 ? UINT64_MAX : INT32_MAX;
            if (seen == 3 || !read_number(words[i], most, &numbers[seen])) return false;
            seen++;
        }
    }
    fuzz->count = (long)numbers[0];
    fuzz->seed = numbers[1];
    fuzz->size = (int)numbers[2];
    return fuzz->count > 0;
}

int main(int argc, char **argv) {
    Fuzz fuzz = {0};
    Error error = {0};
    if (!read_words(argc, argv, &fuzz)) {
        fprintf(stderr, "usage: fuzz_differential [--jobs N] [--all] COUNT [SEED [SIZE]]\n");
        return 2;
    }
    fuzz.machine_code = jit_load(&error) != NULL; /* before the workers start, so that it is loaded once */
    if (!fuzz.machine_code)
        printf("SKIPPED: machine code (%s); the interpreter alone is checked\n", error.text);
    fuzz.shared = mmap(NULL, sizeof *fuzz.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fuzz.shared == MAP_FAILED) {
        perror("fuzz_differential: mmap");
        return 1;
    }
    bool ok = watch(&fuzz);
    const Shared *shared = fuzz.shared;
    printf("%ld programs from seed %llu: %ld disagree, %ld fail, %ld failures dropped, %ld exact\n",
           shared->done, (unsigned long long)fuzz.seed, shared->disagree, shared->failed, shared->dropped,
           shared->exact);
    return ok && shared->disagree == 0 ? 0 : 1;
}
