/* cluster.c: runs on the ranks of a cluster.
 *
 * With weld.cluster=mpi every run is one of all ranks together: it begins and ends on all of them, and fails on all if it
 * fails on one, with the error of the first rank that failed. In between programs come to exchanges (exchange.c). Ranks
 * must run the same programs in the same order, so a process has one run at a time.
 *
 * The engine is found like the code generator (jitload.c), and stays.
 */
#include "cluster.h"
#include "../rt.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic(const Engine *) opened;
static pthread_mutex_t one_run = PTHREAD_MUTEX_INITIALIZER;
static Exchanges exchanges; /* of the one run; its figures are those of all */

static const Span nowhere = {0, 0, 0};

static EngineOpen *find_engine(Error *error) {
    static const char *const places[] = {"/libweldmpi.so", "/../lib/libweldmpi.so"};
    char folder[3500], path[3600];
    void *library = NULL;
    bool known = own_folder(folder, sizeof folder);
    for (size_t i = 0; known && !library && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s", folder, places[i]);
        library = dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* MPI's own plug-ins look for its symbols */
    }
    if (!library) library = dlopen("libweldmpi.so", RTLD_NOW | RTLD_GLOBAL);
    void *open = library ? dlsym(library, "weld_mpi") : NULL;
    EngineOpen *function = NULL;
    if (open) memcpy(&function, &open, sizeof function);
    const char *why = open ? NULL : dlerror();
    if (!open)
        error_set(error, E_Library, nowhere, "weld.cluster=mpi: libweldmpi.so cannot be loaded: %s",
                  why ? why : "this weldc was built without MPI");
    return function;
}

static const Engine *open_engine(const Options *options, Error *error) {
    EngineHost host = {
        .transport = options->transport, .memory = options->transport_memory, .pinned = &pinned_memory};
    EngineOpen *open = find_engine(error);
    const Engine *engine = open ? open(&host, error) : NULL;
    if (engine)
        rt_log(WELD_LOG_DEBUG, "rank %d of %d, transport %s: %s", engine->rank, engine->ranks,
               engine->transport, engine->reason);
    return engine;
}

const Engine *cluster_open(const Options *options, Error *error) {
    const Engine *engine = atomic_load(&opened);
    if (!engine) {
        pthread_mutex_lock(&one_run);
        engine = atomic_load(&opened);
        if (!engine) engine = open_engine(options, error);
        atomic_store(&opened, engine);
        pthread_mutex_unlock(&one_run);
    }
    const char *wanted = options->transport;
    if (!engine || strcmp(wanted, "auto") == 0 || strcmp(wanted, engine->transport) == 0) return engine;
    error_set(error, E_Setting, nowhere, "weld.transport=%s: this process has begun with %s", wanted,
              engine->transport);
    return NULL;
}

ServerStats cluster_served(void) {
    pthread_mutex_lock(&one_run);
    ServerStats stats = exchanges.stats;
    pthread_mutex_unlock(&one_run);
    return stats;
}

ExchangeStats cluster_exchanged(void) {
    pthread_mutex_lock(&one_run);
    ExchangeStats stats = exchanges.figures;
    pthread_mutex_unlock(&one_run);
    return stats;
}

bool cluster_launched(void) {
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK",
                                            "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (getenv(variables[i])) return true;
    }
    return false;
}

bool cluster_begin(ClusterRun *run, const Options *options, Worker *worker, Error *error) {
    *run = (ClusterRun){.engine = NULL};
    if (strcmp(options->cluster, "off") == 0) return true;
    const Engine *engine = cluster_open(options, error);
    if (!engine) return false;
    pthread_mutex_lock(&one_run);
    ErrorCode code = engine->begin(error);
    if (code != E_None) {
        pthread_mutex_unlock(&one_run);
        return error_set(error, code, nowhere, "%s", error_message(code));
    }
    run->engine = engine;
    exchanges.engine = engine;
    exchanges.server = NULL;
    run->exchanger = (Exchanger){engine_exchange, launcher_stop, &exchanges};
    worker->exchanger = &run->exchanger;
    return true;
}

int cluster_ranks(const ClusterRun *run) {
    return run->engine ? run->engine->ranks : 0;
}

ErrorCode cluster_end(ClusterRun *run, Worker *worker, ErrorCode code) {
    const Engine *engine = run->engine;
    Error *error = &worker->error;
    if (!engine) return code;
    code = launcher_end(&exchanges, worker, code);
    Outcome outcome = {.code = code, .span = error->span};
    /* What a rank is told of another's failure is not its own. */
    outcome.own = code != E_None && !(code == E_Cancelled && !*worker->cancel) && code != E_Cluster;
    /* Indices and lengths are those of the parts that a rank has. */
    bool numbers = outcome.own && engine->ranks > 1 && error->code &&
                   (code == E_OutOfBounds || code == E_ZipMismatch || code == E_BadIterator);
    if (code != E_None)
        snprintf(outcome.text, sizeof outcome.text, "%.400s",
                 error->code ? error->text : error_message(code));
    if (numbers) {
        size_t end = strlen(outcome.text);
        snprintf(outcome.text + end, sizeof outcome.text - end, ", of what rank %d has", engine->rank);
    }
    Error failure = {.code = E_None};
    ErrorCode ended = engine->end(&outcome, &failure);
    launcher_free(&exchanges);
    server_leave(exchanges.server);
    if (ended == E_None) server_free(exchanges.server); /* else others may still reach it */
    pthread_mutex_unlock(&one_run);
    if (ended != E_None) {
        *error = failure.code ? failure : (Error){.code = ended};
        return ended;
    }
    if (outcome.code == E_None) return E_None;
    *error = (Error){.code = (ErrorCode)outcome.code, .span = outcome.span};
    snprintf(error->text, sizeof error->text, "%s", outcome.text);
    return error->code;
}
