/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listeners, and the way of a request through libmicrohttpd.
 *
 * The library calls on_access() once when the headers are there, again for
 * each piece of the body, and once more when all of it has come.  A request
 * whose answer is not there by then is put to sleep (suspended); whoever
 * answers wakes it, and the library calls once more to fetch the reply.
 *
 * A body that goes to a sink is not copied: the connection sleeps while the
 * spool thread works on the library's own buffer, and what was written is
 * taken off when it wakes.
 *
 * An error that is known before the body has come is answered at once when
 * the client waits for a 100 (Expect); otherwise the body is read and dropped
 * first, since a closed socket with unread bytes would reset the connection
 * and most clients would never see the answer.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/mem.h"
#include "server/admit.h"
#include "server/api.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/http.h"
#include "server/listen.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/notify.h"
#include "server/peer.h"
#include "server/request.h"
#include "server/stats.h"
#include "server/tasks.h"
#include "server/thread.h"

enum {
    CONNECTION_MEMORY = 256 << 10, /* measured best for 600 KB bodies */
    FIRST_BODY = 1 << 20, /* a promise of more is not paid for in advance */
    N_LISTENERS = 2,
};

/* Bytes of an unwanted body that are read for the sake of the answer. */
static const uint64_t DISCARD_BYTES = (uint64_t)256 << 20;

struct http {
    struct daemon *daemon;
    struct listener listeners[N_LISTENERS];
    int n_listeners;
    _Atomic int in_flight;
    _Atomic bool quiet;
    struct peers *peers;
    struct loop_timer *timer;
};

/* --- connections ------------------------------------------------------- */

static void
on_connection(void *arg, struct MHD_Connection *c, void **context,
              enum MHD_ConnectionNotificationCode what)
{
    struct listener *l = arg;
    const union MHD_ConnectionInfo *info;

    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        peer_free((struct peer **)context);
        return;
    }
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = peer_new(l->home->peers, info == NULL ? -1 : info->connect_fd);
}

static void
set_turn(struct MHD_Connection *c, enum turn turn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (info != NULL && info->socket_context != NULL)
        peer_turn(info->socket_context, turn);
}

static void
check_peers(void *arg)
{
    struct http *h = arg;

    peers_check(h->peers);
}

/* --- answers ----------------------------------------------------------- */

void
request_add_header(struct request *r, const char *name, const char *value)
{
    if (r->n_headers == REQUEST_HEADERS)
        return;
    r->headers[r->n_headers].name = name;
    r->headers[r->n_headers++].value = mem_strdup(value);
}

/* Hands the reply over; r is the HTTP thread's from then on. */
static void
finish(struct request *r, int status, const char *type,
       struct MHD_Response *response, uint64_t bytes)
{
    struct MHD_Connection *c = r->conn;

    if (response == NULL)
        abort(); /* a few hundred bytes could not be had */
    if (type != NULL)
        MHD_add_response_header(response, "Content-Type", type);
    for (int i = 0; i < r->n_headers; i++)
        MHD_add_response_header(response, r->headers[i].name,
                                r->headers[i].value);
    if (r->listener->home->quiet)
        MHD_add_response_header(response, "Connection", "close");
    r->status = status;
    r->response = response;
    r->response_bytes = bytes;
    if (atomic_exchange(&r->reply, REPLY_READY) == REPLY_PARKED)
        MHD_resume_connection(c);
}

void
request_reply(struct request *r, int status, const char *type, const void *body,
              size_t n)
{
    finish(
        r, status, type,
        MHD_create_response_from_buffer(n, (void *)body, MHD_RESPMEM_MUST_COPY),
        n);
}

struct parts {
    int n;
    struct buf *at[];
};

static void
free_parts(void *arg)
{
    struct parts *p = arg;

    for (int i = 0; i < p->n; i++)
        buf_free(&p->at[i]);
    mem_free(p);
}

void
request_reply_bufs(struct request *r, int status, const char *type,
                   struct buf **parts, int n_parts)
{
    struct parts *p = mem_new(1, sizeof *p + (size_t)n_parts * sizeof p->at[0]);
    struct MHD_IoVec *iov = mem_new((size_t)n_parts, sizeof *iov);
    struct MHD_Response *response;
    unsigned n_iov = 0;
    uint64_t bytes = 0;

    for (int i = 0; i < n_parts; i++) {
        struct buf *b = parts[i];

        parts[i] = NULL;
        p->at[p->n++] = b;
        if (b->n == 0)
            continue;
        iov[n_iov].iov_base = b->p;
        iov[n_iov++].iov_len = b->n;
        bytes += b->n;
    }
    response = MHD_create_response_from_iovec(iov, n_iov, free_parts, p);
    mem_free(iov);
    finish(r, status, type, response, bytes);
}

void
request_reply_file(struct request *r, int status, const char *type, int fd,
                   uint64_t bytes)
{
    r->is_file = true;
    finish(r, status, type, MHD_create_response_from_fd64(bytes, fd), bytes);
}

/* Queues the reply that is ready. */
static enum MHD_Result
send_reply(struct request *r, struct MHD_Connection *c)
{
    struct MHD_Response *response = r->response;
    enum MHD_Result ok;

    r->response = NULL;
    set_turn(c, r->is_file ? TURN_OURS : TURN_PEER_READS);
    ok = MHD_queue_response(c, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return ok;
}

/* Sends the reply, or sleeps until there is one. */
static enum MHD_Result
reply_or_park(struct request *r, struct MHD_Connection *c)
{
    if (atomic_load(&r->reply) == REPLY_READY)
        return send_reply(r, c);
    MHD_suspend_connection(c);
    if (atomic_exchange(&r->reply, REPLY_PARKED) == REPLY_READY) {
        /* Answered between the two lines above; keep it ready. */
        atomic_store(&r->reply, REPLY_READY);
        MHD_resume_connection(c);
    }
    return MHD_YES;
}

/* --- running ----------------------------------------------------------- */

static void
run_endpoint(void *arg)
{
    struct request *r = arg;

    r->endpoint->run(r->daemon, r);
}

static void
run_or_post(struct request *r)
{
    if ((r->endpoint->flags & BLOCKING) != 0)
        tasks_post(r->daemon->control, run_endpoint, r);
    else
        run_endpoint(r);
}

/* On a decode thread: takes the content coding off first. */
static void
unpack_and_run(void *arg)
{
    struct request *r = arg;
    struct err e;
    struct buf *plain;

    if (unpack_whole(r->coding, r->body,
                     (size_t)r->daemon->config->server.max_body, &plain,
                     &e) != 0) {
        if (e.code == ERR_TOO_LARGE)
            stats_reject(r->daemon->stats, REJECT_too_large);
        api_fail(r->daemon, r, &e);
        return;
    }
    buf_free(&r->body);
    r->body = plain;
    run_or_post(r);
}

static void
close_sink(void *arg)
{
    struct request *r = arg;
    void *state = r->sink_state;

    r->sink_open = false;
    r->endpoint->sink->close(state, true);
}

/* The sink of a request that is going away. */
struct orphan {
    const struct sink *sink;
    void *state;
};

static void
close_orphan(void *arg)
{
    struct orphan *o = arg;

    o->sink->close(o->state, false);
    mem_free(o);
}

static void
abandon_sink(struct request *r)
{
    struct orphan *o;

    if (!r->sink_open)
        return;
    o = mem_new(1, sizeof *o);
    o->sink = r->endpoint->sink;
    o->state = r->sink_state;
    r->sink_open = false;
    tasks_post(r->daemon->control, close_orphan, o);
}

/* --- sinks: on the spool thread ---------------------------------------- */

/* Wakes the connection for more of its body. */
static void
more_please(struct request *r)
{
    struct MHD_Connection *c = r->conn;

    /* PARKED was set before the task was posted, so the way is clear. */
    atomic_store(&r->reply, REPLY_NONE);
    MHD_resume_connection(c);
}

static void
spool_open(void *arg)
{
    struct request *r = arg;

    r->sink_err.code = ERR_OK;
    if (r->endpoint->sink->open(r->daemon, r, &r->sink_state, &r->sink_err) ==
        0)
        r->sink_open = true;
    more_please(r);
}

static int
spool_put(void *arg, const void *p, size_t n, struct err *e)
{
    struct request *r = arg;

    return r->endpoint->sink->write(r->sink_state, p, n, e);
}

static void
spool_write(void *arg)
{
    struct request *r = arg;

    if (r->unpack == NULL)
        spool_put(r, r->body->p, r->body->n, &r->sink_err);
    else
        unpack_feed(r->unpack, r->body->p, r->body->n,
                    (uint64_t)r->daemon->config->server.max_upload, spool_put,
                    r, &r->sink_err);
    r->chunk_done = true;
    more_please(r);
}

/* Sleeps while run(r) works on the spool thread. */
static enum MHD_Result
spool(struct request *r, struct MHD_Connection *c, void (*run)(void *arg))
{
    MHD_suspend_connection(c);
    atomic_store(&r->reply, REPLY_PARKED);
    tasks_post(r->daemon->spool, run, r);
    return MHD_YES;
}

/* --- the steps of a request, on the HTTP thread ------------------------ */

/* Answers without the endpoint; what comes of the body is dropped. */
static void
refuse(struct request *r, const struct err *e)
{
    abandon_sink(r);
    admit_refuse(r, e);
}

static bool
start_body(struct request *r)
{
    size_t want =
        r->content_length < FIRST_BODY ? (size_t)r->content_length : FIRST_BODY;
    struct err e;

    if (r->content_length == UINT64_MAX)
        want = 0;
    r->phase = REQUEST_BODY;
    if (buf_new(want, &r->body, &e) != 0) {
        stats_reject(r->daemon->stats, REJECT_memory_full);
        refuse(r, &e);
        return false;
    }
    return true;
}

/* Refused.  Now, if the body can be left unsent or is too much to read; else
 * behind the body. */
static enum MHD_Result
reply_early(struct request *r, struct MHD_Connection *c)
{
    if (r->content_length == 0 || request_header(r, "Expect") != NULL ||
        (r->content_length != UINT64_MAX && r->content_length > DISCARD_BYTES))
        return send_reply(r, c);
    return MHD_YES;
}

static enum MHD_Result
look_at_header(void *arg, enum MHD_ValueKind kind, const char *name,
               const char *value)
{
    (void)kind;
    admit_header(arg, name, value);
    return MHD_YES;
}

/* Headers are there. */
static enum MHD_Result
first_step(struct request *r, struct MHD_Connection *c, const char *method)
{
    struct framing f = {0};
    bool go;

    r->conn = c;
    r->since_ns = thread_now_ns();
    set_turn(c, TURN_PEER_SENDS);
    MHD_get_connection_values(c, MHD_HEADER_KIND, look_at_header, &f);
    go = admit(r, method, &f);
    if (go && r->endpoint->sink != NULL) {
        r->phase = REQUEST_OPENING;
        set_turn(c, TURN_PEER_UPLOADS);
        if (r->coding != CODING_IDENTITY)
            r->unpack = unpack_new(r->coding);
        return spool(r, c, spool_open);
    }
    if (go && start_body(r))
        return MHD_YES;
    return reply_early(r, c);
}

/* The sink is open, or could not be opened: the library calls once more for
 * the headers, since the connection slept at its first call. */
static enum MHD_Result
opened_step(struct request *r, struct MHD_Connection *c)
{
    r->phase = REQUEST_SINK;
    if (r->sink_err.code == ERR_OK)
        return MHD_YES;
    refuse(r, &r->sink_err);
    return reply_early(r, c);
}

static void
take_body(struct request *r, const char *p, size_t n)
{
    struct err e;
    size_t most = (size_t)r->daemon->config->server.max_body;

    if (n > most - r->body->n) {
        stats_reject(r->daemon->stats, REJECT_too_large);
        err_set(&e, ERR_TOO_LARGE, "the body has more than %zu bytes", most);
        refuse(r, &e);
    } else if (buf_add(r->body, p, n, &e) != 0) {
        if (e.code == ERR_BUSY)
            stats_reject(r->daemon->stats, REJECT_memory_full);
        refuse(r, &e);
    }
    if (r->phase == REQUEST_DISCARD)
        buf_free(&r->body);
}

/* The first call for a piece: starts its write.  The piece is copied, for the
 * library moves its buffer when this returns; and it is left there, or the
 * library would go on to the next one while the connection sleeps. */
static enum MHD_Result
write_chunk(struct request *r, struct MHD_Connection *c, const char *p,
            size_t n, struct err *e)
{
    uint64_t most = (uint64_t)r->daemon->config->server.max_upload;

    r->received += n;
    if (r->received > most) {
        err_set(e, ERR_TOO_LARGE, "the upload has more than %llu bytes",
                (unsigned long long)most);
        return MHD_NO;
    }
    if (r->body == NULL && buf_new(n, &r->body, e) != 0)
        return MHD_NO;
    r->body->n = 0;
    if (buf_add(r->body, p, n, e) != 0)
        return MHD_NO;
    return spool(r, c, spool_write);
}

/* A piece of the body for a sink: starts its write, or is back from it. */
static enum MHD_Result
take_chunk(struct request *r, struct MHD_Connection *c, const char *p,
           size_t *n)
{
    struct err e = r->sink_err;

    if (e.code == ERR_OK && r->chunk_done) {
        r->chunk_done = false;
        *n -= r->body->n;
        if (*n > 0) { /* more was read meanwhile: ask to be called for it */
            MHD_suspend_connection(c);
            MHD_resume_connection(c);
        }
        return MHD_YES;
    }
    if (e.code == ERR_OK && write_chunk(r, c, p, *n, &e) == MHD_YES)
        return MHD_YES;
    refuse(r, &e);
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result
body_step(struct request *r, struct MHD_Connection *c, const char *p, size_t *n)
{
    switch (r->phase) {
    case REQUEST_SINK:
        return take_chunk(r, c, p, n);
    case REQUEST_BODY:
        take_body(r, p, *n);
        break;
    default:
        break;
    }
    if (r->phase == REQUEST_DISCARD) {
        r->received += *n;
        if (r->received > DISCARD_BYTES)
            return MHD_NO; /* closes the connection */
    }
    *n = 0;
    return MHD_YES;
}

/* All of the body has come. */
static enum MHD_Result
last_step(struct request *r, struct MHD_Connection *c)
{
    struct err e;

    if (r->phase == REQUEST_SINK && r->sink_err.code == ERR_OK &&
        r->unpack != NULL && unpack_end(r->unpack, &e) != 0)
        r->sink_err = e;
    if (r->phase == REQUEST_SINK && r->sink_err.code != ERR_OK)
        refuse(r, &r->sink_err);
    if (r->phase == REQUEST_SINK) {
        r->phase = REQUEST_RUN;
        set_turn(c, TURN_OURS);
        tasks_post(r->daemon->control, close_sink, r);
    } else if (r->phase == REQUEST_BODY) {
        r->phase = REQUEST_RUN;
        set_turn(c, TURN_OURS);
        r->body->p[r->body->n] = '\0';
        if (r->coding != CODING_IDENTITY && r->body->n > 0)
            tasks_post(r->daemon->decode, unpack_and_run, r);
        else
            run_or_post(r);
    }
    return reply_or_park(r, c);
}

/* --- callbacks of the library ------------------------------------------ */

static void *
on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
    struct listener *l = arg;
    struct request *r =
        request_new(uri, l->home->daemon->config->server.base_path);

    (void)c;
    r->listener = l;
    r->daemon = l->home->daemon;
    atomic_fetch_add(&l->home->in_flight, 1);
    return r;
}

static enum MHD_Result
on_access(void *arg, struct MHD_Connection *c, const char *url,
          const char *method, const char *version, const char *p, size_t *n,
          void **context)
{
    struct request *r = *context;

    (void)arg;
    (void)url;
    (void)version;
    if (r->phase == REQUEST_NEW)
        return first_step(r, c, method);
    if (r->phase == REQUEST_OPENING)
        return opened_step(r, c);
    if (*n > 0)
        return body_step(r, c, p, n);
    return last_step(r, c);
}

static void
on_completed(void *arg, struct MHD_Connection *c, void **context,
             enum MHD_RequestTerminationCode why)
{
    struct listener *l = arg;
    struct request *r = *context;
    const struct config *conf;

    if (r == NULL)
        return;
    conf = r->daemon->config;
    set_turn(c, TURN_PEER_SENDS);
    abandon_sink(r);
    if (r->response != NULL)
        MHD_destroy_response(r->response);
    if (conf->log.access && r->status != 0)
        log_event(LOG_INFO, "access",
                  "method=%s path=%s status=%d bytes=%lu us=%lu who=%s "
                  "complete=%s",
                  r->method == GET    ? "GET"
                  : r->method == POST ? "POST"
                  : r->method == PUT  ? "PUT"
                  : r->method != 0    ? "DELETE"
                                      : "?",
                  r->path, r->status, (unsigned long)r->response_bytes,
                  (unsigned long)((thread_now_ns() - r->since_ns) / 1000),
                  r->principal,
                  why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "yes" : "no");
    request_free(&r);
    *context = NULL;
    atomic_fetch_sub(&l->home->in_flight, 1);
}

const char *
request_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

static void __attribute__((format(printf, 2, 0)))
on_log(void *arg, const char *fmt, va_list ap)
{
    char text[256];

    (void)arg;
    if (!log_wants(LOG_DEBUG))
        return;
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_event(LOG_DEBUG, "http", "text=%s", text);
}

/* --- the server -------------------------------------------------------- */

static int
start_listener(struct listener *l, struct err *e)
{
    const struct config *conf = l->home->daemon->config;
    unsigned seconds = (unsigned)(conf->server.request_timeout / 1000000);
    sigset_t all, before;

    /* The library's thread inherits the mask: signals are the main thread's.*/
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    l->mhd = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_access, l, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, l->fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, l,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, l,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)conf->server.max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, seconds, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (l->mhd == NULL)
        return err_set(e, ERR_IO, "%s: the HTTP server did not start",
                       l->address);
    return 0;
}

static int
add_listener(struct http *h, const char *address, int index, bool admin,
             struct err *e)
{
    struct listener *l = &h->listeners[h->n_listeners];

    l->home = h;
    l->admin = admin;
    l->passed = index < notify_sockets();
    if (listen_open(address, index, &l->fd, l->address, &l->loopback, e) != 0)
        return e->code;
    h->n_listeners++;
    return start_listener(l, e);
}

int
http_new(struct daemon *d, struct http **out, struct err *e)
{
    const struct config *conf = d->config;
    struct http *h = mem_new(1, sizeof *h);
    bool two = conf->server.admin_listen[0] != '\0';

    h->daemon = d;
    h->peers = peers_new((uint64_t)conf->server.request_timeout * 1000);
    /* Before the listeners: requests may come at once. */
    *out = h;
    if (add_listener(h, conf->server.listen, 0, !two, e) != 0 ||
        (two && add_listener(h, conf->server.admin_listen, 1, true, e) != 0)) {
        *out = NULL;
        http_free(&h);
        return e->code;
    }
    h->timer = loop_timer_new(d->loop, 1000, 1000, check_peers, h);
    return 0;
}

/*
 * The descriptor stays open until the library's thread has ended, which may
 * still be using it.  A socket of the service manager stays as it is: what
 * connects meanwhile is for the next quantd.
 */
void
http_quiesce(struct http *h)
{
    h->quiet = true;
    for (int i = 0; i < h->n_listeners; i++) {
        struct listener *l = &h->listeners[i];

        MHD_quiesce_daemon(l->mhd);
        if (!l->passed)
            shutdown(l->fd, SHUT_RDWR);
    }
}

void
http_cut(struct http *h)
{
    peers_end(h->peers);
}

int
http_in_flight(const struct http *h)
{
    return atomic_load(&h->in_flight);
}

const char *
http_address(const struct http *h, int i)
{
    return i < h->n_listeners ? h->listeners[i].address : NULL;
}

void
http_free(struct http **hp)
{
    struct http *h = *hp;

    if (h == NULL)
        return;
    loop_timer_free(&h->timer);
    for (int i = 0; i < h->n_listeners; i++) {
        struct listener *l = &h->listeners[i];

        if (l->mhd != NULL)
            MHD_stop_daemon(l->mhd); /* closes a socket it still has */
        if (l->mhd == NULL || h->quiet)
            close(l->fd);
    }
    peers_free(&h->peers);
    mem_free(h);
    *hp = NULL;
}
