/* Clients of a listener and this program on the same keys; channels, with and without a callback. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int connected(const struct sockaddr *address, socklen_t len) {
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    struct timeval patience = {60, 0};
    CHECK(fd >= 0 && connect(fd, address, len) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
}

static int tcp_client(const kv_listener *listener) {
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons(kv_listener_port(listener));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connected((struct sockaddr *)&address, sizeof address);
}

static int unix_client(const char *path) {
    struct sockaddr_un address = {0};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return connected((struct sockaddr *)&address, sizeof address);
}

/* Whether a request is answered with just these bytes. */
static int answers(int fd, const char *request, const char *expected) {
    char got[256] = {0};
    size_t len = 0, wanted = strlen(expected);
    CHECK(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
    while (len < wanted) {
        ssize_t more = read(fd, got + len, sizeof got - 1 - len);
        if (more <= 0) break;
        len += (size_t)more;
    }
    if (strcmp(got, expected) != 0) fprintf(stderr, "  it is: %s\n", got);
    return strcmp(got, expected) == 0;
}

static int is_closed(int fd) {
    char byte;
    ssize_t len = read(fd, &byte, 1);
    close(fd);
    return len == 0;
}

static kv_listen_options defaults(void) {
    kv_listen_options options = {0};
    options.struct_size = sizeof options;
    return options;
}

static void listens(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_reply error;
    kv_listener *listener = kv_listen(engine, NULL, &error);
    kv_listener *other = kv_listen(engine, NULL, NULL);
    CHECK(listener != NULL && error.type == KV_REPLY_NIL && other != NULL);
    CHECK(kv_listener_port(listener) != 0);
    CHECK(kv_listener_port(listener) != kv_listener_port(other));

    int client = tcp_client(listener), second = tcp_client(other);
    CHECK(answers(client, "INCR n\r\n", ":1\r\n"));
    IS_INTEGER(words(engine, "INCR n"), 2);
    CHECK(answers(second, "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", ":3\r\n"));
    CHECK(answers(client, "EVAL 'return {KEYS[1], 7}' 1 k\r\n", "*2\r\n$1\r\nk\r\n:7\r\n"));
    CHECK(answers(client, "NOSUCH\r\nGET n\r\n",
                  "-ERR unknown command 'NOSUCH', with args beginning with: \r\n$1\r\n3\r\n"));
    kv_listener_close(listener);
    CHECK(is_closed(client));
    CHECK(answers(second, "PING\r\n", "+PONG\r\n"));
    kv_close(engine); /* The other's clients go with it. */
    CHECK(is_closed(second));
    kv_listener_close(other);
}

static void options_of_listeners(void) {
    char path[64];
    kv_engine *engine = kv_open(NULL, NULL);
    kv_listen_options options = defaults();
    snprintf(path, sizeof path, "/tmp/kv-c-%ld.sock", (long)getpid());
    options.no_tcp = 1;
    options.unix_path = kv_str(path);
    options.unix_permissions = 0700;
    options.password = kv_str("secret");
    kv_listener *listener = kv_listen(engine, &options, NULL);
    CHECK(listener != NULL && kv_listener_port(listener) == 0);
    int client = unix_client(path);
    CHECK(answers(client, "GET n\r\n", "-NOAUTH Authentication required.\r\n"));
    CHECK(answers(client, "AUTH secret\r\n", "+OK\r\n"));
    CHECK(answers(client, "GET n\r\n", "$-1\r\n"));
    CHECK(access(path, F_OK) == 0);
    kv_listener_close(listener);
    CHECK(is_closed(client) && access(path, F_OK) != 0);
    kv_close(engine);
}

static void refused(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_listener *listener = kv_listen(engine, NULL, NULL);
    kv_listen_options options = defaults();
    kv_reply error;
    options.port = kv_listener_port(listener);
    CHECK(kv_listen(engine, &options, &error) == NULL);
    HAS_ERROR(error, "ERR cannot listen: 127.0.0.1:");
    CHECK(kv_listen(engine, &options, NULL) == NULL);
    options = defaults();
    options.host = kv_str("*");
    CHECK(kv_listen(engine, &options, &error) == NULL);
    HAS_ERROR(error, "set a password");
    options = defaults();
    options.no_tcp = 1;
    CHECK(kv_listen(engine, &options, &error) == NULL);
    HAS_ERROR(error, "neither a port nor a Unix socket");
    options.struct_size = 0;
    CHECK(kv_listen(engine, &options, &error) == NULL);
    HAS_ERROR(error, "ERR ");
    CHECK(kv_listen(NULL, NULL, &error) == NULL);
    IS_ERROR(error, "ERR the engine is NULL");
    CHECK(kv_listener_port(NULL) == 0);
    kv_listener_close(NULL);
    kv_listener_close(listener);
    kv_close(engine);
}

/* What a callback was told, and how often. */
struct heard {
    kv_engine *engine;
    int messages;
    char last[64];
};

static void hear(void *user_data, kv_bytes channel, kv_bytes pattern, kv_bytes payload) {
    struct heard *heard = user_data;
    snprintf(heard->last, sizeof heard->last, "%.*s|%.*s|%.*s", (int)channel.len,
             (const char *)channel.data, (int)pattern.len,
             pattern.data ? (const char *)pattern.data : "", (int)payload.len,
             (const char *)payload.data);
    heard->messages++;
    IS_INTEGER(words(heard->engine, "INCR heard"), heard->messages);
}

static void callbacks(void) {
    struct heard heard = {kv_open(NULL, NULL), 0, ""};
    kv_bytes channel = KV_BYTES("news"), pattern = KV_BYTES("w*");
    kv_reply error;
    kv_subscription *subscription =
        kv_subscribe(heard.engine, 1, &channel, 1, &pattern, hear, &heard, &error);
    CHECK(subscription != NULL && error.type == KV_REPLY_NIL);
    IS_INTEGER(words(heard.engine, "PUBLISH news hello"), 1);
    CHECK(heard.messages == 1 && same(heard.last, "news||hello"));
    IS_INTEGER(words(heard.engine, "PUBLISH weather rain"), 1);
    CHECK(heard.messages == 2 && same(heard.last, "weather|w*|rain"));
    IS_INTEGER(words(heard.engine, "PUBLISH other x"), 0);
    kv_subscription_close(subscription);
    IS_INTEGER(words(heard.engine, "PUBLISH news nobody"), 0);
    CHECK(heard.messages == 2);
    kv_close(heard.engine);
}

static void *publish(void *listener) {
    int client = tcp_client(listener);
    CHECK(answers(client, "PUBLISH news one\r\nPUBLISH news two\r\n", ":1\r\n:1\r\n"));
    close(client);
    return NULL;
}

static int is_message(kv_reply reply, const char *channel, const char *payload) {
    int is = reply.type == KV_REPLY_ARRAY && reply.count == 3
        && same(reply.elements[0].str, channel) && reply.elements[1].type == KV_REPLY_NIL
        && same(reply.elements[2].str, payload);
    kv_reply_free(&reply);
    return is;
}

static void messages_that_wait(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_listener *listener = kv_listen(engine, NULL, NULL);
    kv_bytes channel = KV_BYTES("news");
    kv_subscription *subscription = kv_subscribe(engine, 1, &channel, 0, NULL, NULL, NULL, NULL);
    pthread_t thread;
    CHECK(subscription != NULL);
    IS_NIL(kv_subscription_next(subscription, 0));
    IS_NIL(kv_subscription_next(subscription, 5));
    CHECK(pthread_create(&thread, NULL, publish, listener) == 0);
    CHECK(is_message(kv_subscription_next(subscription, -1), "news", "one"));
    CHECK(is_message(kv_subscription_next(subscription, 60000), "news", "two"));
    pthread_join(thread, NULL);
    /* This program is heard by clients, too. */
    int client = tcp_client(listener);
    CHECK(answers(client, "SUBSCRIBE game\r\n",
                  "*3\r\n$9\r\nsubscribe\r\n$4\r\ngame\r\n:1\r\n"));
    IS_INTEGER(words(engine, "PUBLISH game over"), 1);
    CHECK(answers(client, "", "*3\r\n$7\r\nmessage\r\n$4\r\ngame\r\n$4\r\nover\r\n"));
    close(client);
    kv_close(engine);
    IS_NIL(kv_subscription_next(subscription, -1));
    kv_subscription_close(subscription);
    kv_listener_close(listener);
}

static void misuse(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_bytes channel = KV_BYTES("news"), broken = {NULL, 3};
    kv_reply error;
    CHECK(kv_subscribe(NULL, 1, &channel, 0, NULL, NULL, NULL, &error) == NULL);
    IS_ERROR(error, "ERR the engine is NULL");
    CHECK(kv_subscribe(engine, 1, NULL, 0, NULL, NULL, NULL, &error) == NULL);
    HAS_ERROR(error, "is NULL");
    CHECK(kv_subscribe(engine, 1, &broken, 0, NULL, NULL, NULL, &error) == NULL);
    HAS_ERROR(error, "is NULL");
    HAS_ERROR(kv_subscription_next(NULL, 0), "NULL");
    kv_subscription_close(NULL);
    kv_close(engine);
}

int main(void) {
    listens();
    options_of_listeners();
    refused();
    callbacks();
    messages_that_wait();
    misuse();
    return finish("listen");
}
