/* hiredis at work on a listener, with its blocking calls and by an event loop: hiredis PORT */
#define _POSIX_C_SOURCE 200112L
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(holds) \
    do { \
        if (!(holds)) { \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #holds); \
            exit(1); \
        } \
    } while (0)

static int port;

static redisContext *connected(void) {
    redisContext *context = redisConnect("127.0.0.1", port);
    CHECK(context != NULL && context->err == 0);
    return context;
}

static redisReply *ask(redisContext *context, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    CHECK(reply != NULL);
    return reply;
}

static void is_text(redisReply *reply, int type, const char *text) {
    CHECK(reply->type == type && strcmp(reply->str, text) == 0);
    freeReplyObject(reply);
}

static void is_integer(redisReply *reply, long long integer) {
    CHECK(reply->type == REDIS_REPLY_INTEGER && reply->integer == integer);
    freeReplyObject(reply);
}

/* The blocking calls. */

static void commands(redisContext *context) {
    is_text(ask(context, "FLUSHALL"), REDIS_REPLY_STATUS, "OK");
    is_text(ask(context, "SET %s %b", "key", "a\0b", (size_t)3), REDIS_REPLY_STATUS, "OK");
    redisReply *reply = ask(context, "GET key");
    CHECK(reply->type == REDIS_REPLY_STRING && reply->len == 3 && memcmp(reply->str, "a\0b", 3) == 0);
    freeReplyObject(reply);
    reply = ask(context, "GET missing");
    CHECK(reply->type == REDIS_REPLY_NIL);
    freeReplyObject(reply);
    reply = ask(context, "INCR key");
    CHECK(reply->type == REDIS_REPLY_ERROR);
    CHECK(strcmp(reply->str, "ERR value is not an integer or out of range") == 0);
    freeReplyObject(reply);
    reply = ask(context, "EVAL %s 1 n x", "return {KEYS[1], {redis.call('INCR', KEYS[1])}, false}");
    CHECK(reply->type == REDIS_REPLY_ARRAY && reply->elements == 3);
    CHECK(reply->element[1]->elements == 1 && reply->element[1]->element[0]->integer == 1);
    CHECK(reply->element[2]->type == REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

static void pipeline(redisContext *context) {
    for (int i = 0; i < 10000; i++) CHECK(redisAppendCommand(context, "INCR pipelined") == REDIS_OK);
    for (int i = 0; i < 10000; i++) {
        redisReply *reply;
        CHECK(redisGetReply(context, (void **)&reply) == REDIS_OK);
        is_integer(reply, i + 1);
    }
}

static void transaction(redisContext *context) {
    is_text(ask(context, "MULTI"), REDIS_REPLY_STATUS, "OK");
    is_text(ask(context, "INCR t"), REDIS_REPLY_STATUS, "QUEUED");
    is_text(ask(context, "LPUSH t x"), REDIS_REPLY_STATUS, "QUEUED");
    redisReply *reply = ask(context, "EXEC");
    CHECK(reply->elements == 2 && reply->element[0]->integer == 1);
    CHECK(reply->element[1]->type == REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static void large(redisContext *context) {
    size_t len = 8 << 20;
    char *bytes = malloc(len);
    for (size_t i = 0; i < len; i++) bytes[i] = (char)(i * 31);
    is_text(ask(context, "SET large %b", bytes, len), REDIS_REPLY_STATUS, "OK");
    redisReply *reply = ask(context, "GET large");
    CHECK(reply->len == len && memcmp(reply->str, bytes, len) == 0);
    freeReplyObject(reply);
    free(bytes);
}

static void channels(redisContext *context) {
    redisContext *listens = connected();
    redisReply *reply = ask(listens, "SUBSCRIBE news");
    CHECK(reply->elements == 3 && reply->element[2]->integer == 1);
    freeReplyObject(reply);
    is_integer(ask(context, "PUBLISH news hello"), 1);
    CHECK(redisGetReply(listens, (void **)&reply) == REDIS_OK);
    CHECK(reply->elements == 3 && strcmp(reply->element[2]->str, "hello") == 0);
    freeReplyObject(reply);
    redisFree(listens);
}

/* The event loop's calls. */

static struct {
    int fd, reads, writes;
} loop = {-1, 0, 0};

static void add_read(void *data) { (void)data, loop.reads = 1; }
static void del_read(void *data) { (void)data, loop.reads = 0; }
static void add_write(void *data) { (void)data, loop.writes = 1; }
static void del_write(void *data) { (void)data, loop.writes = 0; }
static void cleanup(void *data) { (void)data, loop.fd = -1; }

static void run_loop(redisAsyncContext *context) {
    while (loop.fd >= 0) {
        short events = (short)((loop.reads ? POLLIN : 0) | (loop.writes ? POLLOUT : 0));
        struct pollfd polled = {loop.fd, events, 0};
        CHECK(poll(&polled, 1, 60000) > 0);
        if (polled.revents & (POLLIN | POLLHUP)) redisAsyncHandleRead(context);
        if (loop.fd >= 0 && (polled.revents & POLLOUT)) redisAsyncHandleWrite(context);
    }
}

static int counted, heard, gone;

static void on_count(redisAsyncContext *context, void *reply, void *expected) {
    (void)context;
    CHECK(reply != NULL && ((redisReply *)reply)->integer == (long)expected);
    counted++;
}

static void on_message(redisAsyncContext *context, void *data, void *publisher) {
    redisReply *reply = data;
    if (reply == NULL) return;
    CHECK(reply->type == REDIS_REPLY_ARRAY && reply->elements == 3);
    if (strcmp(reply->element[0]->str, "subscribe") == 0) {
        for (int i = 0; i < 100; i++) is_integer(ask(publisher, "PUBLISH news %d", i), 1);
    } else if (strcmp(reply->element[0]->str, "message") == 0) {
        CHECK(atoi(reply->element[2]->str) == heard);
        if (++heard == 100) redisAsyncCommand(context, NULL, NULL, "UNSUBSCRIBE news");
    } else {
        CHECK(strcmp(reply->element[0]->str, "unsubscribe") == 0);
        redisAsyncDisconnect(context);
    }
}

static void on_gone(const redisAsyncContext *context, int status) {
    (void)context;
    CHECK(status == REDIS_OK);
    gone = 1;
}

static void event_loop(redisContext *publisher) {
    redisAsyncContext *context = redisAsyncConnect("127.0.0.1", port);
    CHECK(context != NULL && context->err == 0);
    loop.fd = context->c.fd;
    context->ev.addRead = add_read, context->ev.delRead = del_read;
    context->ev.addWrite = add_write, context->ev.delWrite = del_write;
    context->ev.cleanup = cleanup;
    redisAsyncSetDisconnectCallback(context, on_gone);
    for (long i = 1; i <= 5000; i++) {
        CHECK(redisAsyncCommand(context, on_count, (void *)i, "INCR async") == REDIS_OK);
    }
    CHECK(redisAsyncCommand(context, on_message, publisher, "SUBSCRIBE news") == REDIS_OK);
    add_write(NULL);
    run_loop(context);
    CHECK(counted == 5000 && heard == 100 && gone);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    alarm(400);
    port = atoi(argv[1]);
    redisContext *context = connected();
    commands(context);
    pipeline(context);
    transaction(context);
    large(context);
    channels(context);
    event_loop(context);
    redisFree(context);
    return 0;
}
