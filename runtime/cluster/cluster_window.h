/* cluster_window.h: memory of each rank that the others read and write without its doing, by windows of MPI; for cluster_mpi.c. */
#ifndef CLUSTER_WINDOW_H
#define CLUSTER_WINDOW_H

#include "cluster.h"

#include <mpi.h>

typedef struct WindowHost {
    MPI_Comm comm;
    int rank, ranks;
    bool threads; /* MPI may be called by several threads */
    /* Whether to go on waiting, as Launch.idle. */
    ErrorCode (*idle)(int *spins, const volatile int32_t *cancel, Error *error);
    /* The same, but other ranks' failures do not count. */
    ErrorCode (*settling)(int *spins, Error *error);
} WindowHost;

/* As Engine.window_open and .window_access. */
ErrorCode window_open(const WindowHost *host, int64_t bytes, void **own, const volatile int32_t *cancel,
                      Error *error);
ErrorCode window_access(const Access *accesses, int count, const volatile int32_t *cancel, Error *error);

/* An access of this rank to its own window, wherever that is. */
void window_access_own(const Access *access, char *window);

/* How often this rank began to open or to close a window, which all ranks do together, or one after the other. */
int64_t window_steps(void);
/* At the end of a run that failed, on all ranks: until as many steps are taken, the most of all ranks, and nothing is under way. */
ErrorCode window_join(const WindowHost *host, int64_t steps, Error *error);
/* All ranks together; what is not open stays closed. */
ErrorCode window_close(Error *error);
/* At the end of the process. */
void window_leave(void);

#endif
