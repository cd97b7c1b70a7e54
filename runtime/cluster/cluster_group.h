/* cluster_group.h: small collective calls of all ranks; for cluster_mpi.c.
 *
 * Made of messages: MPI's own non-blocking collectives are not as safe with several threads, and would have to be waited for
 * in the same way.
 */
#ifndef CLUSTER_GROUP_H
#define CLUSTER_GROUP_H

#include "../../lang/lang.h"

#include <mpi.h>

enum { GROUP_TAG = 1 }; /* of its messages */

typedef struct Group {
    MPI_Comm comm;
    int rank, ranks;
    /* Waits for all requests. A failure: they may be under way for ever, so their memory stays. */
    ErrorCode (*wait)(MPI_Request *requests, int count, Error *error);
} Group;

/* Every rank's so many bytes, by rank. */
ErrorCode group_gather(const Group *group, const void *own, int64_t bytes, void *all, Error *error);
/* To each rank its so many bytes of `send`, from each its own. */
ErrorCode group_swap(const Group *group, const void *send, int64_t bytes, void *received, Error *error);
/* Everybody's data become what they are on rank `from`. */
ErrorCode group_tell(const Group *group, int from, void *data, int64_t bytes, Error *error);

#endif
