/* exchange_server_layout.c: where things are in the window of a parameter server, and in what is pushed to it.
 *
 *     versions[rank]     how many versions of its ranges that rank has shown: one before the first update; it sets it
 *     arrived[worker]    how many steps this worker has pushed; the worker sets it
 *     lags[worker]       how far this worker was ahead of the slowest, at most; the worker sets it
 *     cut                after which update all write a checkpoint; rank 0 sets it
 *     changed[page]      after which update a page of what this rank shows last changed
 *     shown[ring]        its ranges after update k, at k modulo the ring
 *     inbox[ring]        for each worker what it pushed in step t, at t modulo the ring, and which pages of it say something
 *
 * All is in pages, so that those that say nothing, or nothing new, need not travel.
 */
#include "exchange_server.h"

int64_t server_padded(int64_t bytes) {
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

int64_t server_begin_of(const Server *s, int64_t length, int rank) {
    return rank < s->servers ? block_begin(length, rank, s->servers) : length;
}
int64_t server_length_at(const Server *s, const Item *item, int rank) {
    if (!item->vector) return 1;
    return server_begin_of(s, item->length, rank + 1) - server_begin_of(s, item->length, rank);
}
int64_t server_bytes_at(const Server *s, const Item *item, int rank) {
    return server_length_at(s, item, rank) * item->type->size;
}

int64_t server_shown_bytes(const Server *s, int rank) {
    int64_t bytes = 0;
    for (int i = 0; i < s->nparts; i++)
        bytes += s->parts[i].shown ? server_padded(server_bytes_at(s, &s->parts[i], rank)) : 0;
    return bytes;
}
int64_t server_paged_bytes(const Server *s, int rank) {
    int64_t bytes = 0;
    for (int i = 0; i < s->nsums; i++)
        bytes += s->sums[i].vector ? server_padded(server_bytes_at(s, &s->sums[i], rank)) : 0;
    return bytes;
}
int64_t server_scalars_bytes(const Server *s) {
    int64_t bytes = 0;
    for (int i = 0; i < s->nsums; i++)
        bytes += s->sums[i].vector ? 0 : (s->sums[i].type->size + 15) / 16 * 16;
    return bytes;
}
int64_t server_head_bytes(const Server *s, int rank) {
    return server_scalars_bytes(s) + server_paged_bytes(s, rank) / PAGE;
}
int64_t server_push_bytes(const Server *s, int rank) {
    return server_padded(server_head_bytes(s, rank)) + server_paged_bytes(s, rank);
}

Place server_first_place(const Server *s, int rank) {
    return (Place){0, server_scalars_bytes(s), server_padded(server_head_bytes(s, rank))};
}
Place server_next_place(const Server *s, Place place, const Item *item, int rank) {
    int64_t bytes = server_bytes_at(s, item, rank);
    if (!item->vector) place.scalar += (bytes + 15) / 16 * 16;
    if (item->vector) place.flag += server_padded(bytes) / PAGE, place.page += server_padded(bytes);
    return place;
}

int64_t server_version_at(int rank) {
    return rank * 8;
}
int64_t server_arrived_at(const Server *s, int worker) {
    return (s->ranks + worker) * 8;
}
int64_t server_lag_at(const Server *s, int worker) {
    return server_arrived_at(s, s->ranks + worker);
}
int64_t server_cut_at(const Server *s) {
    return server_lag_at(s, s->ranks);
}
int64_t server_changed_at(const Server *s) {
    return server_padded(server_cut_at(s) + 8);
}
int64_t server_shown_at(const Server *s, int rank, int64_t k) {
    return server_changed_at(s) + server_padded(server_shown_bytes(s, rank) / PAGE * 8) +
           k % s->ring * server_shown_bytes(s, rank);
}
int64_t server_inbox_at(const Server *s, int rank, int64_t t, int worker) {
    int64_t all = server_changed_at(s) + server_padded(server_shown_bytes(s, rank) / PAGE * 8) +
                  s->ring * server_shown_bytes(s, rank);
    return all + (t % s->ring * s->ranks + worker) * server_push_bytes(s, rank);
}
int64_t server_window_bytes(const Server *s, int rank) {
    return server_inbox_at(s, rank, 0, 0) + s->ring * s->ranks * server_push_bytes(s, rank);
}
