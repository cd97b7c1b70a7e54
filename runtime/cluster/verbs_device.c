/* verbs_device.c: a port of an RDMA device, and memory that is registered with it.
 *
 * The ports of all devices that are active are listed; of those that are fastest each rank of a host takes another one, in
 * turn, so that several ports are used by several ranks. On Ethernet (RoCE) an address of the port is chosen by its type: the
 * first of RoCE v2 that stands for an IPv4 address, else the first of RoCE v2. Types are read from sysfs, for no
 * function of old libraries tells them.
 */
#include "verbs.h"

#if WELD_VERBS

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { PORTS = 64, GIDS = 1024 };

static bool load(Ibv *ibv, char *why, size_t room) {
    void *library = dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL);
    bool all = library != NULL;
    void *found;
#define CALL(call)                                         \
    found = library ? dlsym(library, "ibv_" #call) : NULL; \
    memcpy(&ibv->call, &found, sizeof found);              \
    all = all && found;
    IBV_CALLS(CALL)
#undef CALL
    if (!all)
        snprintf(why, room, "%s",
                 library ? "libibverbs.so.1 is too old" : "libibverbs.so.1 is not installed");
    return all;
}

/* ---- which port ---- */

typedef struct Port {
    struct ibv_device *device;
    uint8_t number;
    int speed;
} Port;

/* Bits per second, in units of 100 million or so: lanes by their speed. */
static int speed_of(const struct ibv_port_attr *attr) {
    static const struct {
        uint8_t code;
        int speed;
    } speeds[] = {{1, 25}, {2, 50}, {4, 100}, {8, 100}, {16, 140}, {32, 250}, {64, 500}, {128, 1000}};
    static const struct {
        uint8_t code;
        int lanes;
    } widths[] = {{1, 1}, {2, 4}, {4, 8}, {8, 12}, {16, 2}};
    int speed = 1, lanes = 1;
    for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++) {
        if (attr->active_speed == speeds[i].code) speed = speeds[i].speed;
    }
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        if (attr->active_width == widths[i].code) lanes = widths[i].lanes;
    }
    return speed * lanes;
}

static bool query_port(const Ibv *ibv, struct ibv_context *context, uint8_t port,
                       struct ibv_port_attr *attr) {
    memset(attr, 0, sizeof *attr); /* the library may know fewer fields */
    return ibv->query_port(context, port, (struct _compat_ibv_port_attr *)attr) == 0;
}

/* Active ports of a device are added. */
static int list_ports(const Ibv *ibv, struct ibv_device *device, Port *ports, int count) {
    struct ibv_context *context = ibv->open_device(device);
    struct ibv_device_attr attr;
    if (!context) return count;
    if (ibv->query_device(context, &attr) != 0) attr.phys_port_cnt = 0;
    for (uint8_t port = 1; port <= attr.phys_port_cnt && count < PORTS; port++) {
        struct ibv_port_attr state;
        if (query_port(ibv, context, port, &state) && state.state == IBV_PORT_ACTIVE)
            ports[count++] = (Port){device, port, speed_of(&state)};
    }
    ibv->close_device(context);
    return count;
}

static const Port *choose_port(Port *ports, int count, int local_rank) {
    int best = 0, fastest = 0;
    for (int i = 0; i < count; i++) best = ports[i].speed > best ? ports[i].speed : best;
    for (int i = 0; i < count; i++) {
        if (ports[i].speed == best) ports[fastest++] = ports[i];
    }
    return &ports[local_rank % fastest];
}

/* ---- which address ---- */

static bool gid_is_v2(const char *device, int port, int index) {
    char path[200], type[32] = "";
    snprintf(path, sizeof path, "/sys/class/infiniband/%s/ports/%d/gid_attrs/types/%d", device, port, index);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool read = fgets(type, sizeof type, file) != NULL; /* an index without an address cannot be read */
    fclose(file);
    return read && strncmp(type, "RoCE v2", 7) == 0;
}

static bool gid_is_ipv4(const union ibv_gid *gid) {
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(gid->raw, prefix, sizeof prefix) == 0;
}

static bool find_gid(Device *d, const char *name, int count) {
    bool found = false;
    for (int i = 0; i < count && i < GIDS && i < 256; i++) {
        union ibv_gid gid;
        if (!gid_is_v2(name, d->port, i) || d->ibv.query_gid(d->context, d->port, i, &gid) != 0) continue;
        bool ipv4 = gid_is_ipv4(&gid);
        if (found && !ipv4) continue;
        d->gid = gid;
        d->gid_index = (uint8_t)i;
        found = true;
        if (ipv4) break;
    }
    return found;
}

static bool set_up_port(Device *d, const char *name, char *why, size_t room) {
    struct ibv_port_attr attr;
    if (!query_port(&d->ibv, d->context, d->port, &attr)) {
        snprintf(why, room, "%s cannot be asked", d->name);
        return false;
    }
    d->lid = attr.lid;
    d->mtu = attr.active_mtu;
    d->largest = attr.max_msg_sz;
    d->roce = attr.link_layer == IBV_LINK_LAYER_ETHERNET;
    if (!d->roce)
        return d->ibv.query_gid(d->context, d->port, 0, &d->gid) == 0 ||
               (snprintf(why, room, "%s has no address", d->name), false);
    if (find_gid(d, name, attr.gid_tbl_len)) return true;
    snprintf(why, room, "%s has no address of RoCE v2", d->name);
    return false;
}

/* ---- opening ---- */

static bool does_not_block(int file) {
    int flags = fcntl(file, F_GETFL);
    return flags >= 0 && fcntl(file, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* How many reads a queue pair can have under way, and answer. */
static int reads_of(const Device *d) {
    enum { MOST = 16 };
    struct ibv_device_attr attr;
    if (d->ibv.query_device(d->context, &attr) != 0) return 1;
    int most =
        attr.max_qp_rd_atom < attr.max_qp_init_rd_atom ? attr.max_qp_rd_atom : attr.max_qp_init_rd_atom;
    return most < 1 ? 1 : most < MOST ? most : MOST;
}

static bool set_up(Device *d, const Port *port, int entries, char *why, size_t room) {
    const char *name = d->ibv.get_device_name(port->device);
    snprintf(d->name, sizeof d->name, "%.32s port %d", name, port->number);
    d->port = port->number;
    d->context = d->ibv.open_device(port->device);
    if (!d->context) return snprintf(why, room, "%s cannot be opened", d->name), false;
    if (!set_up_port(d, name, why, room)) return false;
    d->reads = reads_of(d);
    d->pd = d->ibv.alloc_pd(d->context);
    d->channel = d->pd ? d->ibv.create_comp_channel(d->context) : NULL;
    d->cq = d->channel ? d->ibv.create_cq(d->context, entries, NULL, d->channel, 0) : NULL;
    if (!d->cq)
        return snprintf(why, room, "%s has no completion queue of %d entries", d->name, entries), false;
    return (does_not_block(d->context->async_fd) && does_not_block(d->channel->fd)) ||
           (snprintf(why, room, "%s has no events", d->name), false);
}

bool device_open(Device *d, int local_rank, int entries, char *why, size_t room) {
    Port ports[PORTS];
    int devices = 0, count = 0;
    memset(d, 0, sizeof *d);
    if (!load(&d->ibv, why, room)) return false;
    struct ibv_device **list = d->ibv.get_device_list(&devices);
    for (int i = 0; list && i < devices; i++) count = list_ports(&d->ibv, list[i], ports, count);
    bool ok = count > 0;
    if (!ok)
        snprintf(why, room, "%s",
                 devices > 0 ? "no port of an RDMA device is active" : "there is no RDMA device");
    ok = ok && set_up(d, choose_port(ports, count, local_rank), entries, why, room);
    if (list) d->ibv.free_device_list(list);
    if (!ok) device_close(d);
    return ok;
}

void device_close(Device *d) {
    device_forget(d);
    if (d->cq) d->ibv.destroy_cq(d->cq);
    if (d->channel) d->ibv.destroy_comp_channel(d->channel);
    if (d->pd) d->ibv.dealloc_pd(d->pd);
    if (d->context) d->ibv.close_device(d->context);
    d->cq = NULL;
    d->channel = NULL;
    d->pd = NULL;
    d->context = NULL;
}

const char *device_fault(Device *d) {
    struct pollfd ready = {.fd = d->context->async_fd, .events = POLLIN};
    while (poll(&ready, 1, 0) > 0) {
        struct ibv_async_event event;
        if (d->ibv.get_async_event(d->context, &event) != 0) return NULL;
        d->ibv.ack_async_event(&event);
        if (event.event_type == IBV_EVENT_DEVICE_FATAL) return d->ibv.event_type_str(event.event_type);
    }
    return NULL;
}

Sleep device_sleep(Device *d, int milliseconds) {
    struct pollfd ready = {.fd = d->channel->fd, .events = POLLIN};
    struct ibv_cq *cq;
    void *context;
    if (!d->asked) {
        d->asked = ibv_req_notify_cq(d->cq, 0) == 0;
        return SLEEP_ASKED;
    }
    if (poll(&ready, 1, milliseconds) <= 0 || d->ibv.get_cq_event(d->channel, &cq, &context) != 0)
        return SLEEP_PASSED;
    d->ibv.ack_cq_events(cq, 1);
    d->asked = false;
    return SLEEP_WOKEN;
}

/* ---- memory ---- */

bool device_register(Device *d, void *base, size_t bytes) {
    if (d->memories == MEMORY_MOST) return false;
    struct ibv_mr *memory = (d->ibv.reg_mr)(
        d->pd, base, bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ);
    if (!memory) return false;
    int count = d->memories;
    d->memory[count] = memory;
    d->memories = count + 1; /* only now: another thread may look while it transfers */
    d->registrations++;
    return true;
}

void device_forget(Device *d) {
    while (d->memories) d->ibv.dereg_mr(d->memory[--d->memories]);
}

const struct ibv_mr *device_memory(const Device *d, const void *data, int64_t bytes) {
    const char *at = data;
    for (int i = d->memories - 1; i >= 0; i--) { /* the last one is the largest */
        const char *base = d->memory[i]->addr;
        if (at >= base && at + bytes <= base + d->memory[i]->length) return d->memory[i];
    }
    return NULL;
}

#endif
