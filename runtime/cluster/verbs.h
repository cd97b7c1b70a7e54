/* verbs.h: RDMA devices by libibverbs, which is opened at run time; for transport_verbs.c and verbs_*.c alone.
 *
 * Only structs and inline functions of its header are used; its functions are looked up in the library when a device is
 * opened, so that nothing is linked. Where the header was missing, WELD_VERBS is 0, and there is no such transport.
 */
#ifndef VERBS_H
#define VERBS_H

#include "transport.h"

#if __has_include(<infiniband/verbs.h>)
#include <infiniband/verbs.h>
#define WELD_VERBS 1
#else
#define WELD_VERBS 0
#endif

#if WELD_VERBS

/* ---- verbs_device.c: a port of a device, and memory that is registered with it ---- */

#define IBV_CALLS(CALL)        \
    CALL(get_device_list)      \
    CALL(free_device_list)     \
    CALL(get_device_name)      \
    CALL(open_device)          \
    CALL(close_device)         \
    CALL(query_device)         \
    CALL(query_port)           \
    CALL(query_gid)            \
    CALL(alloc_pd)             \
    CALL(dealloc_pd)           \
    CALL(create_comp_channel)  \
    CALL(destroy_comp_channel) \
    CALL(create_cq)            \
    CALL(destroy_cq)           \
    CALL(get_cq_event)         \
    CALL(ack_cq_events)        \
    CALL(create_qp)            \
    CALL(modify_qp)            \
    CALL(destroy_qp)           \
    CALL(reg_mr)               \
    CALL(dereg_mr)             \
    CALL(get_async_event)      \
    CALL(ack_async_event)      \
    CALL(event_type_str)       \
    CALL(wc_status_str)

/* The functions of the library, without their ibv_. */
typedef struct Ibv {
#define CALL(name) typeof(ibv_##name) *name;
    IBV_CALLS(CALL)
#undef CALL
} Ibv;

enum { MEMORY_MOST = 64 }; /* registrations: each one doubles what there is, or nearly */

typedef struct Device {
    Ibv ibv;
    struct ibv_context *context;
    struct ibv_pd *pd;
    struct ibv_comp_channel *channel; /* tells of what completes, if it was asked to */
    struct ibv_cq *cq;                /* of all its queue pairs, both ways */
    bool asked;
    char name[48]; /* and the port: "mlx5_0 port 1" */
    uint8_t port;
    uint16_t lid; /* not RoCE */
    bool roce;
    uint8_t gid_index;
    union ibv_gid gid;
    enum ibv_mtu mtu;
    uint32_t largest; /* bytes of a message */
    int reads;        /* of a queue pair at the same time */
    struct ibv_mr *memory[MEMORY_MOST];
    _Atomic int memories;
    int64_t registrations; /* there ever were */
} Device;

/* A port of this process's choice: active ones, the fastest of them dealt out by the ranks of the host. entries: of its
 * completion queue. False: why says what is missing; nothing stays. */
bool device_open(Device *device, int local_rank, int entries, char *why, size_t room);
void device_close(Device *device); /* its queue pairs must be gone; takes a closed one */
bool device_register(Device *device, void *base, size_t bytes);
void device_forget(Device *device); /* no memory is registered any more */
/* The registration that these bytes lie in, or NULL. */
const struct ibv_mr *device_memory(const Device *device, const void *data, int64_t bytes);
/* What the system says of the device that ends its work, or NULL. Does not wait. */
const char *device_fault(Device *device);
/* Sleeps until something completes (SLEEP_WOKEN), but no longer than so (SLEEP_PASSED). What has completed before a call that returned
 * SLEEP_ASKED is not waited for: it must be looked for once more before the next call, which sleeps. */
typedef enum Sleep { SLEEP_ASKED, SLEEP_WOKEN, SLEEP_PASSED } Sleep;
Sleep device_sleep(Device *device, int milliseconds);

/* ---- verbs_link.c: a queue pair to another rank ---- */

/* What the other side must know to connect, and to write into this rank's slots. */
enum { LANES_MOST = 4 };
typedef struct LinkAddress {
    uint32_t numbers[1 + LANES_MOST]; /* of the queue pairs */
    uint32_t key;
    uint64_t slots;
    uint8_t gid[16];
    uint16_t lid;
    uint8_t mtu, roce, reads;
} LinkAddress;

enum { LINK_SENDS = 64, LINK_SIGNAL = 16, LINK_SPARE = 8 };

typedef struct Link {
    struct ibv_qp *qp;
    uint32_t inline_most;       /* bytes that a work request itself can hold */
    uint32_t posted, completed; /* work requests to send, of all times */
} Link;

/* receives: how many of them are kept posted. False: why is set. */
bool link_open(Link *link, Device *device, int receives, char *why, size_t room);
bool link_connect(Link *link, const Device *device, const LinkAddress *other, uint32_t number, char *why,
                  size_t room);
void link_close(Link *link, const Device *device);
bool link_receive(Link *link, uint64_t id); /* posts one; what comes has no data but its immediate */

/* One write, or read into data, with an immediate if `tells`. signals: its completion is wanted; every LINK_SIGNAL-th is in any case, which
 * completes those before it. id is completed with the number of requests in its low half. */
typedef struct LinkWrite {
    const void *data; /* registered, or as short as inline_most */
    uint32_t bytes, local_key, remote_key, immediate;
    uint64_t remote;
    bool tells, signals, reads;
} LinkWrite;
bool link_full(const Link *link);
bool link_write(Link *link, const LinkWrite *write, uint64_t id);

/* ---- verbs_wait.c: waiting for the device ---- */

enum {
    POLL_US = 20,        /* a rank that begins to poll before it sleeps does so for so long .. */
    POLL_MOST_US = 1000, /* .. and for no longer than so */
    SLEEP_MS = 2,        /* at most; then it looks after the other ranks .. */
    LOOK_US = 10000      /* .. and if it has not for so long */
};

/* A wait, in us; begins with zeros. since: when it last moved something, 0: in the last round; looked: when the other ranks were. */
typedef struct Wait {
    int64_t since, looked;
} Wait;
/* After each look at the device; moved: there was something. aborts: see Launch. */
ErrorCode verbs_rest(Wait *wait, bool moved, bool aborts, const volatile int32_t *cancel, Error *error);
/* Looks after the device and the other ranks, as Launch.idle and .settling. */
ErrorCode verbs_pause(int *spins, bool aborts, const volatile int32_t *cancel, Error *error);

/* ---- verbs_wire.c: transfers over the links ---- */

enum {
    SLOTS = 16,
    SLOT = 8192,
    SPARE_RECEIVES = 6, /* for CREDITs: at most one for each half of the slots that its receiver has filled */
    CHUNK = 1 << 20,    /* bytes of a write */
    POLLED = 16,        /* completions at a time */
    STAGE = 64 << 10, /* bytes through which windows are read and written from memory that no device knows */
    LANE_RECEIVES = 16, /* transfers from one rank that are invited at the same time */
    STRIPED = 256 << 10 /* bytes of a transfer that goes by all lanes at once */
};

typedef enum Kind { EAGER = 1, INVITE, WRITTEN, PIECE, CREDIT } Kind;

typedef struct Slot {
    int64_t bytes;   /* of the whole transfer; of a PIECE: of it; of an INVITE: how many Invitations follow */
    uint64_t number; /* of a PIECE: of the invitation */
    char data[SLOT - 16];
} Slot;
enum { EAGER_MOST = sizeof((Slot *)0)->data };

typedef struct Invitation {
    uint64_t address;
    int64_t bytes;
    uint32_t key; /* 0: no device knows it */
    uint16_t number;
} Invitation;
_Static_assert(LANE_RECEIVES * sizeof(Invitation) <= EAGER_MOST, "all invitations fit a slot");

/* A transfer that is under way. */
typedef struct Item {
    struct Item *next; /* of the same kind, to or from the same rank */
    Transfer transfer;
    int64_t at;                    /* bytes that were copied into slots, or out of them */
    Invitation to;                 /* of a long one that was invited */
    int missing;                   /* stripes that did not come */
    bool done;                     /* a long one that came */
    bool written;                  /* a long one all whose requests are posted */
    bool copied;                   /* .. by slots */
    int64_t stripe_at[LANES_MOST]; /* of a long send: what is next of each stripe */
    uint32_t last[LANES_MOST];     /* and the number of its last request */
} Item;

typedef struct List {
    Item *first, **end;
} List;

typedef struct Peer {
    Link link;                                                /* of messages */
    Link lanes[LANES_MOST];                                   /* of long transfers */
    uint32_t lane_sent[LANES_MOST], lane_arrived[LANES_MOST]; /* WRITTENs of all times */
    uint16_t invitations;                                     /* of all times */
    int open;                                                 /* invited, and not done */
    int64_t noted;   /* invitations of the message at hand that were taken */
    Slot *out, *in;  /* copies of what is sent; what it writes */
    uint64_t remote; /* its slots for this rank */
    uint32_t remote_key;
    uint32_t sent,
        taken_there; /* messages of all times: this rank's, and how many of them the peer has taken */
    uint32_t arrived, taken, told;               /* the peer's; told: what it knows of `taken` */
    uint8_t kinds[SLOTS];                        /* of those that arrived */
    List eager_in, eager_out, long_in, long_out; /* not done */
    Item *to_invite, *invited,
        *to_write; /* the first of long_in that is not invited; of long_out that is not; that is not written */
} Peer;

typedef struct Verbs {
    const Launch *launch;
    const PinnedMemory *pinned;
    Device device;
    Peer *peers; /* by rank; this one's is not used */
    char *slots; /* of all peers, registered */
    char *stage; /* behind them: STAGE bytes */
    size_t slot_bytes;
    const struct ibv_mr *slot_memory;
    int *active;  /* ranks of a transfer */
    int undone;   /* items of a transfer */
    int lanes;    /* to each rank */
    bool carries; /* a transfer is under way, with its items */
    bool failed;  /* this run */
    int patience; /* us for which a rank polls before it sleeps */
    int64_t copied;
} Verbs;

/* The engine is one for a process. */
extern Verbs verbs;
#define IS_RECEIVE ((uint64_t)1 << 63) /* in the id of a request; the rest says which link it is of */
/* Link 0 of a rank is that of messages, then its lanes follow. The lower half of the id is free. */
uint64_t wire_id(int rank, int link);
Link *peer_link(Peer *peer, int link); /* 0 .. verbs.lanes */

void wire_begin(void);
ErrorCode wire_transfer(const Transfer *transfers, int count, const volatile int32_t *cancel, Error *error);
ErrorCode wire_settle(Error *error);
/* Waits until this rank's requests by lanes are complete: all of them, or so many that this one takes another. aborts: it ends when
 * another rank has failed. */
ErrorCode wire_drain(const Link *lane, bool aborts, const volatile int32_t *cancel, Error *error);
ErrorCode wire_request(int rank, int lane, const LinkWrite *request, Error *error);

/* ---- verbs_window.c: memory of each rank that the others read and write; as Transport has it ---- */

ErrorCode verbs_window_open(int64_t bytes, void **own, const volatile int32_t *cancel, Error *error);
ErrorCode verbs_window_access(const Access *accesses, int count, const volatile int32_t *cancel,
                              Error *error);
ErrorCode verbs_window_finish(Error *error);
void verbs_window_close(void);

#endif
#endif
