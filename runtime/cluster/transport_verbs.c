/* transport_verbs.c: the transport of RDMA devices, of which verbs_wire.c tells how it moves bytes: opened and closed.
 *
 * Each rank opens a port (verbs_device.c), registers memory, in which are the slots that others write messages into, and makes a
 * queue pair for each other rank (verbs_link.c). The launcher carries their numbers, and each is tried. All ranks must get as
 * far as that, or none uses it.
 */
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if WELD_VERBS

enum { LANES_FOR = 256 /* lanes of a rank in all, if it has no more than so many others */ };

static void stats(TransportStats *stats) {
    *stats = (TransportStats){verbs.copied, verbs.device.registrations};
}

static bool register_part(void *base, size_t bytes) {
    return device_register(&verbs.device, base, bytes);
}

static void close_verbs(void) {
    for (int rank = 0; verbs.peers && rank < verbs.launch->ranks; rank++)
        for (int i = 0; i <= verbs.lanes; i++) link_close(peer_link(&verbs.peers[rank], i), &verbs.device);
    if (verbs.pinned) {
        verbs_window_close();
        verbs.pinned->close();
    }
    if (verbs.slots) verbs.pinned->give(verbs.slots, verbs.slot_bytes);
    if (verbs.device.context) device_close(&verbs.device);
    free(verbs.peers);
    free(verbs.active);
    verbs.peers = NULL;
    verbs.active = NULL;
    verbs.slots = NULL;
    verbs.pinned = NULL;
}

static bool take_slots(const Launch *launch, char *why) {
    size_t peers = (size_t)launch->ranks - 1, each = 2 * SLOTS * sizeof(Slot), rings = peers * each;
    size_t first = (size_t)(launch->host->memory > 0 ? launch->host->memory : 0);
    verbs.slot_bytes = rings + STAGE;
    if (first < verbs.slot_bytes + SLOT) first = verbs.slot_bytes + SLOT;
    bool pinned = launch->host->pinned->open(register_part, first);
    verbs.slots = pinned ? launch->host->pinned->take(verbs.slot_bytes) : NULL;
    if (verbs.slots) {
        verbs.pinned = launch->host->pinned;
        verbs.stage = verbs.slots + rings;
        verbs.slot_memory = device_memory(&verbs.device, verbs.slots, (int64_t)verbs.slot_bytes);
    }
    if (!verbs.slots || !verbs.slot_memory)
        snprintf(why, TRANSPORT_WHY, "%s cannot register %zu bytes of memory (see ulimit -l)",
                 verbs.device.name, first);
    return verbs.slots && verbs.slot_memory;
}

static bool open_link(int rank, int link, char *why) {
    Link *opened = peer_link(&verbs.peers[rank], link);
    int receives = link ? LANE_RECEIVES : SLOTS + SPARE_RECEIVES;
    bool ok = link_open(opened, &verbs.device, receives, why, TRANSPORT_WHY);
    for (int i = 0; ok && i < receives; i++) ok = link_receive(opened, IS_RECEIVE | wire_id(rank, link));
    return ok;
}

static bool open_links(const Launch *launch, char *why) {
    char *at = verbs.slots;
    bool ok = true;
    for (int rank = 0; ok && rank < launch->ranks; rank++) {
        Peer *peer = &verbs.peers[rank];
        if (rank == launch->rank) continue;
        peer->out = (Slot *)(void *)at;
        peer->in = peer->out + SLOTS;
        at += 2 * SLOTS * sizeof(Slot);
        for (int link = 0; ok && link <= verbs.lanes; link++) ok = open_link(rank, link, why);
    }
    return ok;
}

static bool prepare(const Launch *launch, char *why) {
    int lanes = LANES_FOR / launch->ranks;
    verbs = (Verbs){.launch = launch, .lanes = lanes < 1 ? 1 : lanes < LANES_MOST ? lanes : LANES_MOST};
    int entries = launch->ranks * (LINK_SENDS + LINK_SPARE + SLOTS + SPARE_RECEIVES +
                                   verbs.lanes * (LINK_SENDS + LINK_SPARE + LANE_RECEIVES));
    if (!device_open(&verbs.device, launch->local_rank, entries, why, TRANSPORT_WHY)) return false;
    verbs.peers = calloc((size_t)launch->ranks, sizeof *verbs.peers);
    verbs.active = calloc((size_t)launch->ranks, sizeof *verbs.active);
    if (!verbs.peers || !verbs.active) {
        snprintf(why, TRANSPORT_WHY, "no memory");
        return false;
    }
    return take_slots(launch, why) && open_links(launch, why);
}

static LinkAddress address_for(Peer *peer) {
    const Device *d = &verbs.device;
    LinkAddress own = {.key = verbs.slot_memory->rkey,
                       .slots = (uintptr_t)peer->in,
                       .lid = d->lid,
                       .reads = (uint8_t)d->reads,
                       .mtu = (uint8_t)d->mtu,
                       .roce = d->roce};
    memcpy(own.gid, d->gid.raw, sizeof own.gid);
    for (int i = 0; peer->link.qp && i <= verbs.lanes; i++) own.numbers[i] = peer_link(peer, i)->qp->qp_num;
    return own;
}

/* Queue pairs have their numbers from each other by the launcher. */
static bool connect_all(const Launch *launch, char *why, Error *error) {
    int ranks = launch->ranks;
    LinkAddress *all = calloc((size_t)ranks * 2, sizeof *all), *others = all + ranks;
    if (!all) return snprintf(why, TRANSPORT_WHY, "no memory"), false;
    for (int rank = 0; rank < ranks; rank++) all[rank] = address_for(&verbs.peers[rank]);
    bool ok = launch->swap(all, sizeof *all, others, error) == E_None;
    for (int rank = 0; ok && rank < ranks; rank++) {
        Peer *peer = &verbs.peers[rank];
        if (rank == launch->rank) continue;
        peer->remote = others[rank].slots;
        peer->remote_key = others[rank].key;
        for (int i = 0; ok && i <= verbs.lanes; i++)
            ok = link_connect(peer_link(peer, i), &verbs.device, &others[rank], others[rank].numbers[i], why,
                              TRANSPORT_WHY);
    }
    free(all);
    return ok;
}

/* Whether each queue pair carries something to the other side. */
static bool try_link(const Launch *launch, int rank, Link *link, uint64_t id, char *why) {
    int spins = 0;
    Error error = {.code = E_None};
    const Peer *peer = &verbs.peers[rank];
    LinkWrite write = {.remote = peer->remote, .remote_key = peer->remote_key, .signals = true};
    if (!link_write(link, &write, id))
        return snprintf(why, TRANSPORT_WHY, "%s takes no request", verbs.device.name), false;
    while (link->posted != link->completed) {
        struct ibv_wc done;
        int count = ibv_poll_cq(verbs.device.cq, 1, &done);
        if (count > 0 && done.status == IBV_WC_SUCCESS)
            link->completed++;
        else if (count > 0)
            return snprintf(why, TRANSPORT_WHY, "rank %d (%s) does not answer %s: %s", rank,
                            launch->host_of(rank), verbs.device.name,
                            verbs.device.ibv.wc_status_str(done.status)),
                   false;
        else if (launch->settling(&spins, &error) != E_None)
            return snprintf(why, TRANSPORT_WHY, "%.100s", error.text), false;
    }
    return true;
}

static bool try_links(const Launch *launch, char *why) {
    bool ok = true;
    for (int rank = 0; ok && rank < launch->ranks; rank++) {
        Peer *peer = &verbs.peers[rank];
        for (int i = 0; ok && peer->link.qp && i <= verbs.lanes; i++)
            ok = try_link(launch, rank, peer_link(peer, i), wire_id(rank, i), why);
    }
    return ok;
}

static const Transport transport = {.begin = wire_begin,
                                    .transfer = wire_transfer,
                                    .settle = wire_settle,
                                    .stats = stats,
                                    .close = close_verbs,
                                    .window_open = verbs_window_open,
                                    .window_access = verbs_window_access,
                                    .window_finish = verbs_window_finish,
                                    .window_close = verbs_window_close};

const Transport *transport_verbs_open(const Launch *launch, char *why, Error *error) {
    if (launch->ranks == 1) return snprintf(why, TRANSPORT_WHY, "there is one rank"), NULL;
    bool ok = transport_agree(launch, prepare(launch, why), why, error);
    ok = ok && transport_agree(launch, connect_all(launch, why, error), why, error);
    ok = ok && transport_agree(launch, try_links(launch, why), why, error);
    if (!ok) {
        close_verbs();
        return NULL;
    }
    snprintf(why, TRANSPORT_WHY, "every rank has an active port, here %s, and all answer", verbs.device.name);
    return &transport;
}

#else

const Transport *transport_verbs_open(const Launch *launch, char *why, Error *error) {
    snprintf(why, TRANSPORT_WHY, "weldc was built without the headers of libibverbs");
    return transport_agree(launch, false, why, error), NULL;
}

#endif
