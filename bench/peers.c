/* peers.c: talks to peers.py, which measures the Python peers in one process that lives as long as the
 * benchmark.
 *
 * A line each way. We say `engines WORKLOAD`, `prepare WORKLOAD ENGINE`, `run ENGINE DIGEST`, `versions`,
 * `quit`; the answer begins with ok, or with no and the reason. A run's answer is its milliseconds, and if
 * asked for its digest: a count, then a sum and a weighted sum for each leaf (see digest.c).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { LINE = 8192 };

struct Peer {
    pid_t process;
    FILE *to, *from;
    char line[LINE], versions[1024];
};

/* Sends a line; the answer's text after ok, else NULL and the reason in peer->line. */
static const char *ask(Peer *peer, const char *line) {
    if (fprintf(peer->to, "%s\n", line) < 0 || fflush(peer->to) || !fgets(peer->line, LINE, peer->from)) {
        snprintf(peer->line, LINE, "peers.py ended");
        return NULL;
    }
    peer->line[strcspn(peer->line, "\n")] = 0;
    if (!strncmp(peer->line, "ok", 2)) return peer->line + 2 + (peer->line[2] == ' ');
    memmove(peer->line, peer->line + (strncmp(peer->line, "no ", 3) ? 0 : 3), strlen(peer->line) + 1);
    return NULL;
}

static void become_peers(const char *python, const char *dir, int threads, int in, int out) {
    char count[16];
    static const char *const variables[] = {"OMP_NUM_THREADS",     "OPENBLAS_NUM_THREADS",
                                            "NUMBA_NUM_THREADS",   "NUMEXPR_NUM_THREADS",
                                            "NUMEXPR_MAX_THREADS", "POLARS_MAX_THREADS"};
    snprintf(count, sizeof count, "%d", threads);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) setenv(variables[i], count, 1);
    if (threads == 1)
        setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", 1);
    dup2(in, 0);
    dup2(out, 1);
    execl(python, python, WELD_SOURCE_DIR "/bench/peers.py", "--threads", count, "--data", dir, (char *)NULL);
    _exit(127);
}

Peer *peer_start(const char *python, const char *dir, int threads) {
    int to[2], from[2];
    /* Closed in later peers, or the earlier ones would never see the end of their input. */
    if (access(python, X_OK) || pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) return NULL;
    Peer *peer = calloc(1, sizeof *peer);
    peer->process = fork();
    if (peer->process == 0) become_peers(python, dir, threads, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    peer->to = fdopen(to[1], "w");
    peer->from = fdopen(from[0], "r");
    signal(SIGPIPE, SIG_IGN);
    const char *versions = ask(peer, "versions");
    if (!versions) {
        fprintf(stderr, "weldc-bench: peers: %s\n", peer->line);
        peer_stop(peer);
        return NULL;
    }
    snprintf(peer->versions, sizeof peer->versions, "%s", versions);
    return peer;
}

void peer_stop(Peer *peer) {
    if (!peer) return;
    fclose(peer->to);
    fclose(peer->from);
    waitpid(peer->process, NULL, 0);
    free(peer);
}

const char *peer_versions(Peer *peer) {
    return peer->versions;
}

bool peer_engines(Peer *peer, const char *workload, char *out, size_t size) {
    char line[128];
    snprintf(line, sizeof line, "engines %s", workload);
    const char *names = ask(peer, line);
    if (names) snprintf(out, size, "%s", names);
    return names;
}

bool peer_prepare(Peer *peer, const char *workload, const char *engine, char *note, size_t size) {
    char line[128];
    snprintf(line, sizeof line, "prepare %s %s", workload, engine);
    if (ask(peer, line)) return true;
    snprintf(note, size, "%s", peer->line);
    return false;
}

bool peer_round(Peer *peer, const char *engine, bool digest, double *ms, Digest *out, char *note,
                size_t size) {
    char line[128];
    snprintf(line, sizeof line, "run %s %d", engine, digest);
    const char *answer = ask(peer, line);
    if (!answer) {
        snprintf(note, size, "%s", peer->line);
        return false;
    }
    char *end;
    *ms = strtod(answer, &end);
    if (!digest) return true;
    *out = (Digest){.count = (int)strtol(end, &end, 10)};
    if (out->count < 0 || out->count > MOST_LEAVES) return false;
    for (int i = 0; i < out->count; i++) {
        out->sum[i] = strtod(end, &end);
        out->weighted[i] = strtod(end, &end);
    }
    return true;
}
