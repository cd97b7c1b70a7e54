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

/* Waits until nothing is under way of what this rank began; there may be no other rank that is lost. */
ErrorCode window_settle(Error *error);
bool window_is_open(void);
/* All ranks together, if all have one. */
ErrorCode window_close(Error *error);
void window_forget(void); /* where some have none: it stays, and is used no more */
/* At the end of the process. */
void window_leave(void);

#endif
