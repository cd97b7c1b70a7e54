/* exchange_server.h: what the files of the parameter server share: the server, and where things are in its windows. */
#ifndef EXCHANGE_SERVER_H
#define EXCHANGE_SERVER_H

#include "exchange.h"

enum { PAGE = 512, MOST = 64 /* parameters, or sums */ };

/* A vector of which servers own ranges, or a sum. */
typedef struct Item {
    const Type *type;   /* of a vector that of its elements */
    bool vector, shown; /* shown: a parameter that workers read */
    int64_t length;
    Op op;
} Item;

struct Server {
    const Engine *engine;
    int rank, ranks, servers;
    int64_t staleness, ring;
    int64_t published,
        pushed; /* how many versions were shown, one before the first update; how many steps pushed */
    int64_t cut,
        kept;    /* of rank 0: after which update a checkpoint is to be written; after which the last was */
    int64_t lag; /* the most steps that this rank was ahead of the slowest */
    Item parts[MOST], sums[MOST];
    const Type *parts_type, *sums_type;
    int nparts, nsums;
    char *window;
    /* By server, of each page that it shows: */
    char **mirrors;  /* what it was */
    int64_t **have;  /* after which update; -1: it was never pulled */
    int64_t **marks; /* after which it last changed */
    char **needed;   /* the step reads it */
    char **outboxes; /* by rank */
    Budget *budget;
    int64_t charged; /* to it: the window and all these */
    Access *accesses;
    int count, room;
    ServerStats *stats;
};

/* ---- exchange_server_layout.c ---- */

int64_t server_padded(int64_t bytes);
/* A rank's range of a vector. */
int64_t server_begin_of(const Server *s, int64_t length, int rank);
int64_t server_length_at(const Server *s, const Item *item, int rank);
int64_t server_bytes_at(const Server *s, const Item *item, int rank);
int64_t server_shown_bytes(const Server *s, int rank);
/* A push: what is no vector, a byte for each page, the pages. */
int64_t server_scalars_bytes(const Server *s);
int64_t server_head_bytes(const Server *s, int rank); /* with the bytes for pages */
int64_t server_paged_bytes(const Server *s, int rank);
int64_t server_push_bytes(const Server *s, int rank);
/* Where the sums are in a push: the first by {0, scalars_bytes, padded(head_bytes)}. */
typedef struct Place {
    int64_t scalar, flag, page;
} Place;
Place server_first_place(const Server *s, int rank);
Place server_next_place(const Server *s, Place place, const Item *item, int rank);
/* In a window: */
int64_t server_version_at(int rank);
int64_t server_arrived_at(const Server *s, int worker);
int64_t server_lag_at(const Server *s, int worker);
int64_t server_cut_at(const Server *s);
int64_t server_changed_at(const Server *s);
int64_t server_shown_at(const Server *s, int rank, int64_t k);
int64_t server_inbox_at(const Server *s, int rank, int64_t t, int worker);
int64_t server_window_bytes(const Server *s, int rank);

/* ---- exchange_server_host.c ---- */

ErrorCode server_host(Exchanges *x, Worker *worker, const ExchangeCall *call);

/* ---- exchange_server_keep.c ---- */

ErrorCode server_resume(Worker *worker, const ExchangeCall *call);
ErrorCode server_keep(Server *s, Worker *worker, const ExchangeCall *call);
/* Before this rank's push of step t: is a checkpoint due by the clock? */
void server_note_due(Server *s, const Worker *worker, int64_t t);

/* ---- exchange_server.c ---- */

/* The code; the worker's error says it, if it is one. */
ErrorCode server_say(Worker *worker, Span span, ErrorCode code);

#endif
