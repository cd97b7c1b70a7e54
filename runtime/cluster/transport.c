/* transport.c: which transport the ranks use, why, and how fast it is.
 *
 * weld.transport names one, or is auto: then it is the first row of transports.def that is meant for so many hosts and that
 * opens on all ranks. What was chosen is measured once, between rank 0 and a rank of another host if there is one: the
 * time that 8 bytes take one way, and how fast many bytes come.
 */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Row {
    const char *name;
    int hosts;
    TransportOpen *open;
} Row;

static const Row rows[] = {
#define TRANSPORT(id, hosts, doc) {#id, hosts, transport_##id##_open},
#include "transports.def"
};
enum { ROWS = sizeof rows / sizeof *rows };

static const Span nowhere = {0, 0, 0};

/* ---- agreeing ---- */

typedef struct Ability {
    bool able;
    char why[120];
} Ability;

/* The reasons of those that are not able, as far as there is room. */
static void join_reasons(const Launch *launch, const Ability *all, char *why) {
    int used = 0, unable = 0;
    for (int rank = 0; rank < launch->ranks; rank++) unable += !all[rank].able;
    for (int rank = 0; rank < launch->ranks && unable; rank++) {
        if (all[rank].able) continue;
        int room = TRANSPORT_WHY - used;
        int wrote = snprintf(why + used, (size_t)room, "%srank %d (%s): %s", used ? "; " : "", rank,
                             launch->host_of(rank), all[rank].why);
        if (wrote >= room - 32) { /* the last ones are counted */
            snprintf(why + used, (size_t)room, "%sand %d more", used ? "; " : "", unable);
            return;
        }
        used += wrote;
        unable--;
    }
}

bool transport_agree(const Launch *launch, bool able, char *why, Error *error) {
    Ability own = {.able = able}, *all = calloc((size_t)launch->ranks, sizeof *all);
    if (!able) snprintf(own.why, sizeof own.why, "%s", why);
    if (!all) return error_set(error, E_OutOfMemory, nowhere, "no memory for the cluster");
    bool can = launch->gather(&own, sizeof own, all, error) == E_None;
    bool told = can;
    for (int rank = 0; rank < launch->ranks; rank++) can = can && all[rank].able;
    if (told && !can) join_reasons(launch, all, why);
    free(all);
    return can;
}

/* ---- choosing ---- */

/* All ranks must want the same. */
static bool same_wish(const Launch *launch, Error *error) {
    enum { WORD = 16 };
    char own[WORD] = "", *all = calloc((size_t)launch->ranks, WORD);
    snprintf(own, sizeof own, "%s", launch->host->transport);
    bool same = all && launch->gather(own, WORD, all, error) == E_None;
    for (int rank = 0; same && rank < launch->ranks; rank++) {
        const char *other = all + rank * WORD;
        if (strcmp(other, own) != 0)
            same = error_set(error, E_Setting, nowhere, "weld.transport is %s on rank %d, %s on rank %d", own,
                             launch->rank, other, rank);
    }
    free(all);
    return same;
}

static bool choose_named(const Launch *launch, const Row *row, Chosen *chosen, Error *error) {
    char why[TRANSPORT_WHY] = "";
    chosen->name = row->name;
    chosen->transport = row->open(launch, why, error);
    snprintf(chosen->reason, sizeof chosen->reason, "asked for%s%s", *why ? "; " : "", why);
    if (chosen->transport) return true;
    return error_set(error, E_Cluster, nowhere, "weld.transport=%s cannot be used: %s", row->name, why);
}

/* Why the rows before this one were not taken goes before what it says itself. */
static bool choose_first(const Launch *launch, Chosen *chosen, Error *error) {
    char before[TRANSPORT_WHY + 40] = "";
    for (int i = 0; i < ROWS; i++) {
        char why[TRANSPORT_WHY] = "";
        const Row *row = &rows[i];
        if (launch->hosts < row->hosts) {
            snprintf(before, sizeof before, "all ranks are on one host");
            continue;
        }
        chosen->name = row->name;
        chosen->transport = row->open(launch, why, error);
        if (chosen->transport) {
            snprintf(chosen->reason, sizeof chosen->reason, "%s%s%s", before, *before && *why ? "; " : "",
                     why);
            return true;
        }
        if (error->code) return false;
        snprintf(before, sizeof before, "no %s: %s", row->name, why);
    }
    return error_set(error, E_Cluster, nowhere, "there is no transport: %s", before);
}

/* ---- measuring ---- */

enum { PINGS = 24, WARM = 4, LARGE = 1 << 20, LARGES = 4 };

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

typedef struct Probe {
    const Transport *transport;
    int partner;
    bool first; /* it sends first */
    char *data;
} Probe;

static ErrorCode one_way(const Probe *probe, bool sends, int64_t bytes, Error *error) {
    Transfer transfer = {probe->partner, sends, probe->data, bytes};
    return probe->transport->transfer(&transfer, 1, NULL, error);
}

/* There and back again. */
static ErrorCode round_trip(const Probe *probe, int64_t bytes, int64_t answer, Error *error) {
    ErrorCode code = one_way(probe, probe->first, bytes, error);
    return code ? code : one_way(probe, !probe->first, answer, error);
}

static ErrorCode measure_between(const Probe *probe, double *figures, Error *error) {
    double start = 0;
    for (int i = 0; i < WARM + PINGS; i++) {
        if (i == WARM) start = now_us();
        ErrorCode code = round_trip(probe, 8, 8, error);
        if (code) return code;
    }
    figures[0] = (now_us() - start) / PINGS / 2;
    for (int i = 0; i <= LARGES; i++) {
        if (i == 1) start = now_us();
        ErrorCode code = round_trip(probe, LARGE, 8, error);
        if (code) return code;
    }
    double each = (now_us() - start) / LARGES - figures[0];
    figures[1] = each > 0 ? LARGE / each : 0;
    return E_None;
}

static bool measure(const Launch *launch, Chosen *chosen, Error *error) {
    int other = launch->ranks > 1;
    for (int rank = launch->ranks - 1; rank > 0; rank--) {
        if (strcmp(launch->host_of(rank), launch->host_of(0)) != 0) other = rank;
    }
    double own[2] = {0, 0}, *all = calloc((size_t)launch->ranks, sizeof own);
    bool takes_part = other && (launch->rank == 0 || launch->rank == other);
    Probe probe = {chosen->transport, launch->rank ? 0 : other, launch->rank == 0, NULL};
    char *pinned = takes_part ? launch->host->pinned->take(LARGE) : NULL;
    probe.data = pinned ? pinned : takes_part ? malloc(LARGE) : NULL;
    if (probe.data) memset(probe.data, 0, LARGE);
    bool able = all && (!takes_part || probe.data);
    char why[TRANSPORT_WHY] = "no memory";
    able = transport_agree(launch, able, why, error);
    chosen->transport->begin();
    ErrorCode code = able && takes_part ? measure_between(&probe, own, error) : E_None;
    able = able && !code && launch->gather(own, sizeof own, all, error) == E_None;
    if (able) chosen->latency_us = all[0], chosen->bandwidth_mbs = all[1];
    if (pinned)
        launch->host->pinned->give(pinned, LARGE);
    else
        free(probe.data);
    free(all);
    return able || error_set(error, E_OutOfMemory, nowhere, "%s", why);
}

bool transport_choose(const Launch *launch, Chosen *chosen, Error *error) {
    const char *wish = launch->host->transport;
    const Row *row = NULL;
    *chosen = (Chosen){.transport = NULL};
    if (!same_wish(launch, error)) return false;
    for (int i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, wish) == 0) row = &rows[i];
    }
    bool any = strcmp(wish, "auto") == 0;
    if (!any && !row) return error_set(error, E_Setting, nowhere, "this weldc has no transport %s", wish);
    if (!(any ? choose_first(launch, chosen, error) : choose_named(launch, row, chosen, error))) return false;
    return measure(launch, chosen, error);
}
