/* verbs_link.c: a reliable connected queue pair to another rank.
 *
 * Requests complete in their order, so one completion tells of all before it: only every LINK_SIGNAL-th is asked for, and
 * those that are waited for. What is short is copied into the request itself (inline).
 */
#include "verbs.h"

#if WELD_VERBS

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* An unanswered request is sent again after 4.096 us * 2^TIMEOUT, half a second; after RETRIES times the other side is lost.
 * No answer for want of receives cannot be, for there are credits; should it be, it is tried for ever (7). */
enum { TIMEOUT = 17, RETRIES = 7, RNR_RETRIES = 7, RNR_TIMER = 12, HOPS = 64 };

static bool to_init(Link *link, const Device *d) {
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
                               .pkey_index = 0,
                               .port_num = d->port,
                               .qp_access_flags =
                                   IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_LOCAL_WRITE};
    return d->ibv.modify_qp(link->qp, &attr,
                            IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS) == 0;
}

bool link_open(Link *link, Device *d, int receives, char *why, size_t room) {
    static const uint32_t inlines[] = {256, 128, 64, 28, 0}; /* what devices grant differs */
    *link = (Link){.qp = NULL};
    for (size_t i = 0; !link->qp && i < sizeof inlines / sizeof *inlines; i++) {
        struct ibv_qp_init_attr init = {.send_cq = d->cq,
                                        .recv_cq = d->cq,
                                        .qp_type = IBV_QPT_RC,
                                        .cap = {.max_send_wr = LINK_SENDS + LINK_SPARE,
                                                .max_recv_wr = (uint32_t)receives,
                                                .max_send_sge = 1,
                                                .max_recv_sge = 1,
                                                .max_inline_data = inlines[i]}};
        link->qp = d->ibv.create_qp(d->pd, &init);
        link->inline_most = link->qp ? inlines[i] : 0;
    }
    if (link->qp && to_init(link, d)) return true;
    snprintf(why, room, "%s gives no queue pair: %s", d->name, strerror(errno));
    link_close(link, d);
    return false;
}

static bool to_receive(Link *link, const Device *d, const LinkAddress *other, uint32_t number) {
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTR,
                               .path_mtu = other->mtu < d->mtu ? (enum ibv_mtu)other->mtu : d->mtu,
                               .dest_qp_num = number,
                               .rq_psn = number & 0xffffff, /* any number that both sides know */
                               .max_dest_rd_atomic = (uint8_t)d->reads,
                               .min_rnr_timer = RNR_TIMER,
                               .ah_attr = {.dlid = other->lid, .port_num = d->port}};
    if (d->roce || !other->lid) {
        attr.ah_attr.is_global = 1;
        attr.ah_attr.grh.sgid_index = d->gid_index;
        attr.ah_attr.grh.hop_limit = HOPS;
        memcpy(&attr.ah_attr.grh.dgid, other->gid, sizeof other->gid);
    }
    return d->ibv.modify_qp(link->qp, &attr,
                            IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER) == 0;
}

static bool to_send(Link *link, const Device *d, const LinkAddress *other) {
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTS,
                               .timeout = TIMEOUT,
                               .retry_cnt = RETRIES,
                               .rnr_retry = RNR_RETRIES,
                               .sq_psn = link->qp->qp_num & 0xffffff,
                               .max_rd_atomic = other->reads < d->reads ? other->reads : (uint8_t)d->reads};
    return d->ibv.modify_qp(link->qp, &attr,
                            IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                                IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC) == 0;
}

bool link_connect(Link *link, const Device *d, const LinkAddress *other, uint32_t number, char *why,
                  size_t room) {
    if (!!other->roce != d->roce) {
        snprintf(why, room, "InfiniBand here, Ethernet there");
        return false;
    }
    if (to_receive(link, d, other, number) && to_send(link, d, other)) return true;
    snprintf(why, room, "a queue pair of %s cannot be connected: %s", d->name, strerror(errno));
    return false;
}

void link_close(Link *link, const Device *d) {
    if (link->qp) d->ibv.destroy_qp(link->qp);
    link->qp = NULL;
}

bool link_receive(Link *link, uint64_t id) {
    struct ibv_recv_wr request = {.wr_id = id}, *bad;
    return ibv_post_recv(link->qp, &request, &bad) == 0;
}

bool link_full(const Link *link) {
    return link->posted - link->completed >= LINK_SENDS;
}

bool link_write(Link *link, const LinkWrite *w, uint64_t id) {
    struct ibv_sge piece = {(uintptr_t)w->data, w->bytes, w->local_key};
    struct ibv_send_wr request = {.wr_id = id | link->posted,
                                  .sg_list = &piece,
                                  .num_sge = w->bytes > 0,
                                  .opcode = w->reads   ? IBV_WR_RDMA_READ
                                            : w->tells ? IBV_WR_RDMA_WRITE_WITH_IMM
                                                       : IBV_WR_RDMA_WRITE,
                                  .imm_data = htobe32(w->immediate),
                                  .wr.rdma = {w->remote, w->remote_key}},
                       *bad;
    if (w->bytes <= link->inline_most && !w->reads) request.send_flags |= IBV_SEND_INLINE;
    if (w->signals || link->posted % LINK_SIGNAL == LINK_SIGNAL - 1) request.send_flags |= IBV_SEND_SIGNALED;
    if (ibv_post_send(link->qp, &request, &bad) != 0) return false;
    link->posted++;
    return true;
}

#endif
