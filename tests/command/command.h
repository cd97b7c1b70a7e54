/* command.h: runs the weldc command as a user would, and looks at what comes
 * back. */
#ifndef TESTS_COMMAND_H
#define TESTS_COMMAND_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SECONDS = 120
}; /* no command of these tests takes longer, sanitizers and a busy machine
      included */

/* What a command said. */
typedef struct Outcome {
    int status; /* of exit; 1000 + the signal that ended it */
    char *out, *err;
} Outcome;

static inline const char *weldc_path(void) {
    const char *path = getenv("WELDC");
    return path ? path : WELD_BINARY_DIR "/bin/weldc";
}

static inline void outcome_release(Outcome *outcome) {
    free(outcome->out);
    free(outcome->err);
    *outcome = (Outcome){0};
}

/* A folder for the files of a test, empty at first; its name lasts as long as
 * the process. */
static inline const char *test_folder(void) {
    static char folder[64];
    if (!*folder) {
        snprintf(folder, sizeof folder, "/tmp/weldc-test-XXXXXX");
        cr_assert(mkdtemp(folder));
    }
    return folder;
}

/* Runs `rm -r` on it. */
static inline void test_folder_remove(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", test_folder());
    cr_assert(system(command) == 0);
}

/* The path of a file in the folder, in a ring of buffers. */
static inline const char *test_file(const char *name) {
    static char ring[8][200];
    static int next;
    char *path = ring[next++ % 8];
    snprintf(path, sizeof ring[0], "%s/%s", test_folder(), name);
    return path;
}

static inline void test_write(const char *name, const void *bytes, size_t length) {
    FILE *file = fopen(test_file(name), "wb");
    cr_assert(file);
    cr_assert(fwrite(bytes, 1, length, file) == length);
    cr_assert(fclose(file) == 0);
}

/* Reads both pipes to their ends. */
static inline void drain(int out, int err, Outcome *outcome, pid_t pid) {
    struct pollfd polls[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
    char **texts[2] = {&outcome->out, &outcome->err};
    size_t lengths[2] = {0, 0};
    time_t start = time(NULL);
    outcome->out = calloc(1, 1);
    outcome->err = calloc(1, 1);
    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        if (time(NULL) - start > SECONDS) kill(pid, SIGKILL);
        if (poll(polls, 2, 1000) <= 0) continue;
        for (int i = 0; i < 2; i++) {
            if (polls[i].fd < 0 || !polls[i].revents) continue;
            char chunk[4096];
            ssize_t got = read(polls[i].fd, chunk, sizeof chunk);
            if (got <= 0) {
                close(polls[i].fd);
                polls[i].fd = -1;
                continue;
            }
            *texts[i] = realloc(*texts[i], lengths[i] + (size_t)got + 1);
            cr_assert(*texts[i]);
            memcpy(*texts[i] + lengths[i], chunk, (size_t)got);
            lengths[i] += (size_t)got;
            (*texts[i])[lengths[i]] = 0;
        }
    }
}

/* The processor time that a process has used, in seconds. */
static inline double processor_time(pid_t pid) {
    char path[40], line[1000] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(line, 1, sizeof line - 1, file) : 0;
    if (file) fclose(file);
    line[got] = 0;
    unsigned long user = 0, system = 0;
    const char *after = strrchr(line, ')');
    if (after) sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Waits until a process has computed for half a second from now on: it runs what shall be interrupted. */
static inline void wait_busy(pid_t pid) {
    time_t start = time(NULL);
    double before = processor_time(pid);
    while (processor_time(pid) < before + 0.5 && time(NULL) - start < SECONDS) usleep(20000);
}

/* Starts weldc with these words (NULL-terminated, without the command's own name) in the test's folder.
 * input: for standard input, or NULL. interrupt: send it SIGINT once it computes. */
static inline Outcome weldc_run(const char *const *words, const char *input, bool interrupt) {
    int in[2], out[2], err[2];
    cr_assert(pipe(in) == 0 && pipe(out) == 0 && pipe(err) == 0);
    char *argv[64] = {(char *)weldc_path()};
    for (int i = 0; words[i]; i++) argv[i + 1] = (char *)words[i];
    const char *folder = test_folder();
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        if (chdir(folder)) _exit(125);
        dup2(in[0], 0), dup2(out[1], 1), dup2(err[1], 2);
        for (int i = 0; i < 2; i++) close(in[i]), close(out[i]), close(err[i]);
        signal(SIGINT, SIG_DFL);
        execv(argv[0], argv);
        _exit(126);
    }
    close(in[0]), close(out[1]), close(err[1]);
    if (input) cr_assert(write(in[1], input, strlen(input)) == (ssize_t)strlen(input));
    if (interrupt) {
        wait_busy(pid);
        kill(pid, SIGINT);
    }
    close(in[1]);
    Outcome outcome = {0};
    drain(out[0], err[0], &outcome, pid);
    int status;
    waitpid(pid, &status, 0);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    return outcome;
}

/* The words after the first, joined, for messages. */
static inline const char *join(const char *const *words) {
    static char text[2000];
    *text = 0;
    for (int i = 0; words[i]; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "", words[i]);
    }
    return text;
}

/* Demands exit status, the whole of standard output, and a part of standard
 * error ("": nothing on it). */
static inline void expect(const char *const *words, const char *input, int status, const char *out,
                          const char *err) {
    Outcome got = weldc_run(words, input, 0);
    cr_expect_eq(got.status, status, "weldc %s\nexit status %d instead of %d\n%s", join(words), got.status,
                 status, got.err);
    if (out)
        cr_expect_str_eq(got.out, out, "weldc %s\nprinted:\n%s\ninstead of:\n%s\n%s", join(words), got.out,
                         out, got.err);
    if (*err) {
        cr_expect(strstr(got.err, err), "weldc %s\nsaid:\n%s\nwithout:\n%s", join(words), got.err, err);
    } else {
        cr_expect_str_eq(got.err, "", "weldc %s\nsaid:\n%s", join(words), got.err);
    }
    outcome_release(&got);
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
