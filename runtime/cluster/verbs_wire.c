/* verbs_wire.c: transfers of ranks that write into each other's memory.
 *
 * For each other rank there is a queue pair and a ring of slots here that it writes messages into, one behind the other, each
 * by a write with an immediate value, which says of what kind it is:
 *
 *     EAGER      a short transfer, as it is
 *     INVITE     long ones may be written: the addresses and keys of where they belong
 *     PIECE      a part of a long one whose memory, here or there, no device knows: it is copied through slots
 *     CREDIT     not a message, takes no slot
 *
 *     sender                                  receiver
 *       |                     <- INVITE         a transfer of 1 GB into address A
 *       | == write A ... A + 1 GB ==>           straight from memory to memory; nobody copies
 *       |   (the last one: WRITTEN)   ->        done
 *
 * Long transfers go by other queue pairs, the *lanes*: a large one by all of them at once, a stripe each, of which the last write says
 * WRITTEN and the number of the invitation. So what a device does for one queue pair, such as to wait for an answer, holds up no other.
 *
 * Both ranks name as many bytes of a transfer, so both know how it goes; short ones match in their order, and long ones are invited in theirs.
 * A message is sent only if its slot is free there: every immediate tells how many messages its sender has taken so far,
 * and where nothing is to be said for long, a CREDIT does. Of a lane the invitations are the credits: there are no more of them than it has
 * receives. So a receiver is never overrun, and a receive is always posted.
 *
 * Memory is registered once, in large parts (pinned.c), in which the runtime puts what is large. When a run failed, each rank
 * waits until its own writes are complete, then for all others to have said so: nothing comes late into memory that is
 * in use for something else. When a rank was lost, all queue pairs are destroyed before the program goes on.
 */
#include "verbs.h"

#if WELD_VERBS

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Verbs verbs;

static const Span nowhere = {0, 0, 0};

/* ---- completions ---- */

uint64_t wire_id(int rank, int link) {
    return (uint64_t)link << 56 | (uint64_t)rank << 32;
}

static int rank_of(uint64_t id) {
    return (int)(id >> 32 & 0xffffff);
}

static int link_of(uint64_t id) {
    return (int)(id >> 56 & 0x7f);
}

Link *peer_link(Peer *peer, int link) {
    return link ? &peer->lanes[link - 1] : &peer->link;
}

static void take_immediate(Peer *peer, uint32_t immediate) {
    Kind kind = (Kind)(immediate >> 16);
    uint16_t news = (uint16_t)(immediate - peer->taken_there);
    peer->taken_there += news;
    if (kind != CREDIT) peer->kinds[peer->arrived++ % SLOTS] = (uint8_t)kind;
}

/* The long transfer from there that has this invitation, or NULL. */
static Item *find_invited(const Peer *peer, uint16_t number) {
    Item *item = peer->long_in.first;
    while (item && item != peer->to_invite && item->to.number != number) item = item->next;
    return item == peer->to_invite ? NULL : item;
}

static void finish_coming(Peer *peer, Item *item) {
    item->done = true;
    peer->open--;
}

/* After a failure there may be no such transfer any more. */
static void take_stripe(Peer *peer, int lane, uint32_t immediate) {
    peer->lane_arrived[lane]++;
    Item *item = verbs.carries ? find_invited(peer, (uint16_t)immediate) : NULL;
    if (item && item->missing && --item->missing == 0) finish_coming(peer, item);
}

static ErrorCode lose_link(int rank, const char *what, Error *error) {
    char why[160];
    snprintf(why, sizeof why, "was lost: the queue pair to it failed (%s)", what);
    return verbs.launch->lose(rank, why, error);
}

static ErrorCode complete(const struct ibv_wc *done, Error *error) {
    int rank = rank_of(done->wr_id), number = link_of(done->wr_id);
    Peer *peer = &verbs.peers[rank];
    Link *link = peer_link(peer, number);
    if (done->status != IBV_WC_SUCCESS)
        return lose_link(rank, verbs.device.ibv.wc_status_str(done->status), error);
    if (!(done->wr_id & IS_RECEIVE)) {
        link->completed = (uint32_t)done->wr_id + 1;
        return E_None;
    }
    if (number)
        take_stripe(peer, number - 1, be32toh(done->imm_data));
    else
        take_immediate(peer, be32toh(done->imm_data));
    return link_receive(link, done->wr_id) ? E_None : lose_link(rank, "no receive can be posted", error);
}

/* Takes what has completed. *moved: there was something. */
static ErrorCode poll_device(bool *moved, Error *error) {
    struct ibv_wc done[POLLED];
    int count = ibv_poll_cq(verbs.device.cq, POLLED, done);
    if (count < 0) return verbs.launch->lose(verbs.launch->rank, "was lost: its RDMA device failed", error);
    for (int i = 0; i < count; i++) {
        ErrorCode code = complete(&done[i], error);
        if (code) return code;
    }
    *moved |= count > 0;
    return E_None;
}

/* ---- messages ---- */

static bool may_send(const Peer *peer) {
    return peer->sent - peer->taken_there < SLOTS && !link_full(&peer->link);
}

static uint32_t immediate_of(Peer *peer, Kind kind) {
    peer->told = peer->taken;
    return (uint32_t)kind << 16 | (peer->taken & 0xffff);
}

static ErrorCode write_to(Peer *peer, int link, const LinkWrite *write, Error *error) {
    int rank = (int)(peer - verbs.peers);
    if (link_write(peer_link(peer, link), write, wire_id(rank, link))) return E_None;
    return lose_link(rank, "no request can be posted", error);
}

/* Sends the slot that is next, which holds so many bytes of data. */
static ErrorCode send_slot(Peer *peer, Kind kind, size_t bytes, Error *error) {
    Slot *slot = &peer->out[peer->sent % SLOTS];
    LinkWrite write = {.data = slot,
                       .bytes = (uint32_t)(sizeof *slot - sizeof slot->data + bytes),
                       .local_key = verbs.slot_memory->lkey,
                       .remote = peer->remote + peer->sent % SLOTS * sizeof *slot,
                       .remote_key = peer->remote_key,
                       .immediate = immediate_of(peer, kind),
                       .tells = true};
    peer->sent++;
    return write_to(peer, 0, &write, error);
}

static ErrorCode send_credit(Peer *peer, Error *error) {
    LinkWrite write = {.remote = peer->remote,
                       .remote_key = peer->remote_key,
                       .immediate = immediate_of(peer, CREDIT),
                       .tells = true};
    return write_to(peer, 0, &write, error);
}

static ErrorCode return_credits(Peer *peer, Error *error) {
    bool due = peer->taken - peer->told >= SLOTS / 2;
    return due && !link_full(&peer->link) ? send_credit(peer, error) : E_None;
}

/* ---- lists ---- */

static void list_clear(List *list) {
    list->first = NULL;
    list->end = &list->first;
}

static void list_add(List *list, Item *item) {
    *list->end = item;
    list->end = &item->next;
}

static void list_pop(List *list) {
    list->first = list->first->next;
    if (!list->first) list->end = &list->first;
    verbs.undone--;
}

static void peer_clear(Peer *peer) {
    list_clear(&peer->eager_in);
    list_clear(&peer->eager_out);
    list_clear(&peer->long_in);
    list_clear(&peer->long_out);
    peer->to_invite = peer->invited = peer->to_write = NULL;
    peer->open = 0;
}

/* ---- what arrives ---- */

static void copy_in(Item *item, const void *data, int64_t bytes) {
    memcpy((char *)item->transfer.data + item->at, data, (size_t)bytes);
    item->at += bytes;
    verbs.copied += bytes;
}

static bool take_piece(Peer *peer, const Slot *slot) {
    Item *item = find_invited(peer, (uint16_t)slot->number);
    if (!item || slot->bytes > item->transfer.bytes - item->at) return false;
    copy_in(item, slot->data, slot->bytes);
    if (item->at == item->transfer.bytes) finish_coming(peer, item);
    return true;
}

static bool take_eager(Peer *peer, const Slot *slot, bool *fits) {
    Item *item = peer->eager_in.first;
    if (!item) return false;
    *fits = slot->bytes == item->transfer.bytes;
    if (!*fits) return false;
    copy_in(item, slot->data, slot->bytes);
    list_pop(&peer->eager_in);
    return true;
}

/* Some of them may be for transfers that have begun here, others not. */
static bool take_invitations(Peer *peer, const Slot *slot, bool *fits) {
    const Invitation *list = (const Invitation *)(const void *)slot->data;
    *fits = slot->bytes <= LANE_RECEIVES;
    for (; *fits && peer->noted < slot->bytes; peer->noted++) {
        Item *item = peer->invited;
        if (!item) return false;
        *fits = list[peer->noted].bytes == item->transfer.bytes;
        if (!*fits) return false;
        item->to = list[peer->noted];
        peer->invited = item->next;
    }
    peer->noted = 0;
    return *fits;
}

/* False: what it is for has not begun here, or it is not what it should be (*fits). */
static bool take_message(Peer *peer, Kind kind, const Slot *slot, bool *fits) {
    if (kind == PIECE) return *fits = take_piece(peer, slot);
    return kind == EAGER ? take_eager(peer, slot, fits) : take_invitations(peer, slot, fits);
}

static ErrorCode take_messages(Peer *peer, bool *moved, Error *error) {
    bool fits = true;
    while (peer->taken != peer->arrived) {
        uint32_t at = peer->taken % SLOTS;
        if (!take_message(peer, (Kind)peer->kinds[at], &peer->in[at], &fits)) break;
        peer->taken++;
        *moved = true;
    }
    while (peer->long_in.first && peer->long_in.first->done) {
        list_pop(&peer->long_in);
        *moved = true;
    }
    if (fits) return return_credits(peer, error);
    error_set(error, E_Cluster, nowhere, "rank %d sends another number of bytes than rank %d expects",
              (int)(peer - verbs.peers), verbs.launch->rank);
    return E_Cluster;
}

/* ---- what is sent ---- */

/* A transfer goes in so many stripes, each by another lane. */
static int stripes_of(int64_t bytes) {
    return bytes < STRIPED ? 1 : verbs.lanes;
}

static int64_t stripe_begin(int64_t bytes, int stripe) {
    enum { GRAIN = 4096 };
    int stripes = stripes_of(bytes);
    return stripe == stripes ? bytes : bytes / stripes * stripe / GRAIN * GRAIN;
}

static int lane_of(const Item *item, int stripe) {
    return (item->to.number + stripe) % verbs.lanes;
}

static void invite_one(Peer *peer, Item *item) {
    int64_t bytes = item->transfer.bytes;
    const struct ibv_mr *memory = device_memory(&verbs.device, item->transfer.data, bytes);
    item->to =
        (Invitation){(uintptr_t)item->transfer.data, bytes, memory ? memory->rkey : 0, peer->invitations++};
    item->missing = stripes_of(bytes);
    peer->to_invite = item->next;
    peer->open++;
}

static bool may_invite(const Peer *peer) {
    return peer->to_invite && peer->open < LANE_RECEIVES;
}

/* As many as may be, by one message. */
static ErrorCode invite(Peer *peer, Error *error) {
    Slot *slot = &peer->out[peer->sent % SLOTS];
    Invitation *list = (Invitation *)(void *)slot->data;
    for (slot->bytes = 0; may_invite(peer); slot->bytes++) {
        Item *item = peer->to_invite;
        invite_one(peer, item);
        list[slot->bytes] = item->to;
    }
    return send_slot(peer, INVITE, (size_t)slot->bytes * sizeof *list, error);
}

/* Copies bytes of the item into the next slot, and sends it. */
static ErrorCode send_copy(Peer *peer, Item *item, Kind kind, Error *error) {
    Slot *slot = &peer->out[peer->sent % SLOTS];
    int64_t rest = item->transfer.bytes - item->at, bytes = rest < EAGER_MOST ? rest : EAGER_MOST;
    slot->bytes = bytes;
    slot->number = item->to.number;
    memcpy(slot->data, (char *)item->transfer.data + item->at, (size_t)bytes);
    item->at += bytes;
    verbs.copied += bytes;
    return send_slot(peer, kind, (size_t)bytes, error);
}

/* The next part of a stripe, straight from its memory. */
static ErrorCode write_chunk(Peer *peer, Item *item, const struct ibv_mr *memory, int stripe, Error *error) {
    int64_t at = item->stripe_at[stripe], rest = stripe_begin(item->transfer.bytes, stripe + 1) - at;
    uint32_t most = verbs.device.largest < CHUNK ? verbs.device.largest : CHUNK;
    int lane = lane_of(item, stripe);
    bool last = rest <= most;
    LinkWrite write = {.data = (char *)item->transfer.data + at,
                       .bytes = last ? (uint32_t)rest : most,
                       .local_key = memory->lkey,
                       .remote = item->to.address + (uint64_t)at,
                       .remote_key = item->to.key,
                       .immediate = (uint32_t)WRITTEN << 16 | item->to.number,
                       .tells = last,
                       .signals = last};
    peer->lane_sent[lane] += last;
    item->stripe_at[stripe] += write.bytes;
    item->last[stripe] = peer->lanes[lane].posted;
    return write_to(peer, lane + 1, &write, error);
}

/* As much of the item as the lanes take. */
static ErrorCode write_stripes(Peer *peer, Item *item, const struct ibv_mr *memory, bool *moved,
                               Error *error) {
    int64_t bytes = item->transfer.bytes;
    item->written = true;
    for (int stripe = 0; stripe < stripes_of(bytes); stripe++) {
        int64_t end = stripe_begin(bytes, stripe + 1);
        if (!item->stripe_at[stripe]) item->stripe_at[stripe] = stripe_begin(bytes, stripe);
        while (item->stripe_at[stripe] < end && !link_full(&peer->lanes[lane_of(item, stripe)])) {
            ErrorCode code = write_chunk(peer, item, memory, stripe, error);
            if (code) return code;
            *moved = true;
        }
        item->written &= item->stripe_at[stripe] == end;
    }
    return E_None;
}

static ErrorCode write_pieces(Peer *peer, Item *item, bool *moved, Error *error) {
    while (item->at < item->transfer.bytes && may_send(peer)) {
        ErrorCode code = send_copy(peer, item, PIECE, error);
        if (code) return code;
        *moved = true;
    }
    item->written = item->copied = item->at == item->transfer.bytes;
    return E_None;
}

static ErrorCode write_long(Peer *peer, bool *moved, Error *error) {
    while (peer->to_write && peer->to_write != peer->invited) {
        Item *item = peer->to_write;
        const struct ibv_mr *memory =
            item->to.key ? device_memory(&verbs.device, item->transfer.data, item->transfer.bytes) : NULL;
        ErrorCode code =
            memory ? write_stripes(peer, item, memory, moved, error) : write_pieces(peer, item, moved, error);
        if (code || !item->written) return code;
        peer->to_write = item->next;
    }
    return E_None;
}

/* Is the memory of a long one that was written free again? */
static bool has_left(const Peer *peer, const Item *item) {
    bool left = item->written;
    for (int stripe = 0; left && !item->copied && stripe < stripes_of(item->transfer.bytes); stripe++)
        left = (int32_t)(peer->lanes[lane_of(item, stripe)].completed - item->last[stripe]) > 0;
    return left;
}

static void finish_long(Peer *peer, bool *moved) {
    while (peer->long_out.first && has_left(peer, peer->long_out.first)) {
        list_pop(&peer->long_out);
        *moved = true;
    }
}

static ErrorCode advance(Peer *peer, bool *moved, Error *error) {
    ErrorCode code = take_messages(peer, moved, error);
    if (!code && may_invite(peer) && may_send(peer)) {
        code = invite(peer, error);
        *moved = true;
    }
    while (!code && peer->eager_out.first && may_send(peer)) {
        code = send_copy(peer, peer->eager_out.first, EAGER, error);
        list_pop(&peer->eager_out);
        *moved = true;
    }
    if (!code) code = write_long(peer, moved, error);
    if (!code) finish_long(peer, moved);
    return code;
}

/* ---- transfers ---- */

static void add_item(Peer *peer, Item *item) {
    bool sends = item->transfer.sends, is_long = item->transfer.bytes > EAGER_MOST;
    list_add(is_long ? (sends ? &peer->long_out : &peer->long_in)
                     : (sends ? &peer->eager_out : &peer->eager_in),
             item);
    verbs.undone++;
    if (!is_long) return;
    if (sends && !peer->to_write) peer->to_write = peer->invited = item;
    if (!sends && !peer->to_invite) peer->to_invite = item;
}

/* Lists the transfers at their peers. Returns how many peers there are. */
static int begin_items(Item *items, const Transfer *transfers, int count) {
    int active = 0;
    verbs.undone = 0;
    for (int rank = 0; rank < verbs.launch->ranks; rank++) peer_clear(&verbs.peers[rank]);
    for (int i = 0; i < count; i++) {
        Peer *peer = &verbs.peers[transfers[i].peer];
        bool known =
            peer->eager_in.first || peer->eager_out.first || peer->long_in.first || peer->long_out.first;
        if (!known) verbs.active[active++] = transfers[i].peer;
        items[i] = (Item){.transfer = transfers[i]};
        add_item(peer, &items[i]);
    }
    return active;
}

static ErrorCode carry_out(int active, const volatile int32_t *cancel, Error *error) {
    Wait wait = {0};
    while (verbs.undone) {
        bool moved = false;
        ErrorCode code = poll_device(&moved, error);
        for (int i = 0; !code && i < active; i++)
            code = advance(&verbs.peers[verbs.active[i]], &moved, error);
        if (!code && verbs.undone) code = verbs_rest(&wait, moved, true, cancel, error);
        if (code) return code;
    }
    return E_None;
}

static bool has_drained(const Link *lane) {
    if (lane) return !link_full(lane);
    for (int rank = 0; rank < verbs.launch->ranks; rank++) {
        const Peer *peer = &verbs.peers[rank];
        for (int i = 0; peer->link.qp && i < verbs.lanes; i++) {
            if (peer->lanes[i].posted != peer->lanes[i].completed) return false;
        }
    }
    return true;
}

ErrorCode wire_drain(const Link *lane, bool aborts, const volatile int32_t *cancel, Error *error) {
    Wait wait = {0};
    while (!has_drained(lane)) {
        bool moved = false;
        ErrorCode code = poll_device(&moved, error);
        if (!code && !has_drained(lane)) code = verbs_rest(&wait, moved, aborts, cancel, error);
        if (code) return code;
    }
    return E_None;
}

ErrorCode wire_request(int rank, int lane, const LinkWrite *request, Error *error) {
    return write_to(&verbs.peers[rank], lane + 1, request, error);
}

ErrorCode wire_transfer(const Transfer *transfers, int count, const volatile int32_t *cancel, Error *error) {
    if (verbs.failed) return E_Cancelled;
    Item *items = malloc(((size_t)count + 1) * sizeof *items);
    if (!items) return E_OutOfMemory;
    verbs.carries = true;
    ErrorCode code = carry_out(begin_items(items, transfers, count), cancel, error);
    verbs.carries = false;
    free(items);
    verbs.failed = code != E_None;
    return code;
}

void wire_begin(void) {
    verbs.failed = false;
}

/* ---- after a failed run ---- */

/* Waits until all that this rank has sent by a link is complete. An empty write whose completion is wanted stands for those before
 * it. */
static ErrorCode flush(Peer *peer, int number, Error *error) {
    int spins = 0;
    bool asked = false;
    Link *link = peer_link(peer, number);
    while (link->posted != link->completed) {
        bool moved = false;
        ErrorCode code = poll_device(&moved, error);
        LinkWrite write = {.remote = peer->remote, .remote_key = peer->remote_key, .signals = true};
        if (!code && !asked && !link_full(link)) code = write_to(peer, number, &write, error), asked = true;
        if (!code && !moved) code = verbs_pause(&spins, false, NULL, error);
        if (code) return code;
    }
    return E_None;
}

static ErrorCode flush_all(Error *error) {
    for (int rank = 0; rank < verbs.launch->ranks; rank++) {
        Peer *peer = &verbs.peers[rank];
        for (int i = 0; peer->link.qp && i <= verbs.lanes; i++) {
            ErrorCode code = flush(peer, i, error);
            if (code) return code;
        }
    }
    return E_None;
}

/* How many messages a rank was sent, or WRITTENs, by link. */
typedef struct Counts {
    uint32_t links[1 + LANES_MOST];
} Counts;

static bool has_all(const Peer *peer, const Counts *expected) {
    bool all = peer->arrived == expected->links[0];
    for (int lane = 0; lane < verbs.lanes; lane++)
        all = all && peer->lane_arrived[lane] == expected->links[1 + lane];
    return all;
}

/* Drops what others have sent in the run, as many messages as they say. */
static ErrorCode drop_messages(const Counts *expected, Error *error) {
    int spins = 0;
    for (int rank = 0; rank < verbs.launch->ranks; rank++) {
        Peer *peer = &verbs.peers[rank];
        while (peer->link.qp && !has_all(peer, &expected[rank])) {
            bool moved = false;
            ErrorCode code = poll_device(&moved, error);
            if (!code && !moved) code = verbs_pause(&spins, false, NULL, error);
            if (code) return code;
        }
        peer->taken = peer->arrived;
        peer->noted = 0;
        ErrorCode code = peer->link.qp ? return_credits(peer, error) : E_None;
        if (code) return code;
    }
    return E_None;
}

ErrorCode wire_settle(Error *error) {
    int ranks = verbs.launch->ranks;
    Counts *sent = calloc((size_t)ranks * 2, sizeof *sent), *expected = sent + ranks;
    if (!sent) return E_OutOfMemory;
    ErrorCode code = flush_all(error);
    for (int rank = 0; rank < ranks; rank++) {
        const Peer *peer = &verbs.peers[rank];
        sent[rank].links[0] = peer->sent;
        memcpy(&sent[rank].links[1], peer->lane_sent, sizeof peer->lane_sent);
    }
    if (!code) code = verbs.launch->swap(sent, sizeof *sent, expected, error);
    if (!code) code = drop_messages(expected, error);
    free(sent);
    return code;
}

#endif
