/* A transaction with a savepoint, and a worker that waits on a thread of its own.
 *
 *     cc -pthread sessions.c -lmoonkv -o sessions && ./sessions
 */
#include <moonkv.h>
#include <pthread.h>
#include <stdio.h>

/* Runs a command on a session and says what it answered; returns an integer reply. */
static long long ask(kv_session *session, size_t argc, const kv_bytes *argv) {
    kv_reply reply = kv_session_command(session, argc, argv);
    long long value = reply.integer;
    for (size_t i = 0; i < argc; i++) printf("%.*s ", (int)argv[i].len, argv[i].data);
    if (reply.type == KV_REPLY_INTEGER) printf("-> %lld\n", value);
    else printf("-> %s\n", reply.str ? reply.str : "(nil)");
    kv_reply_free(&reply);
    return value;
}

/* Takes jobs until one says stop, or the wait is cancelled. */
static void *work(void *user_data) {
    kv_session *session = kv_session_open((kv_engine *)user_data, NULL);
    kv_bytes pop[] = {KV_BYTES("BLPOP"), KV_BYTES("jobs"), KV_BYTES("0")};
    int more = 1;
    while (more) {
        kv_reply reply = kv_session_command(session, 3, pop);
        more = reply.type == KV_REPLY_ARRAY && strcmp(reply.elements[1].str, "stop") != 0;
        if (more) printf("worker: %s\n", reply.elements[1].str);
        kv_reply_free(&reply);
    }
    kv_session_close(session);
    return NULL;
}

int main(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_session *session = kv_session_open(engine, NULL);
    kv_bytes add[] = {KV_BYTES("INCRBY"), KV_BYTES("gold"), KV_BYTES("100")};
    kv_bytes take[] = {KV_BYTES("DECRBY"), KV_BYTES("gold"), KV_BYTES("70")};
    kv_bytes push[] = {KV_BYTES("RPUSH"), KV_BYTES("jobs"), KV_BYTES("sweep"), KV_BYTES("cook"),
                       KV_BYTES("stop")};
    pthread_t worker;
    kv_reply reply;
    long long left;

    /* What follows is kept or undone as a whole. A savepoint undoes the last part of it. Replies
     * that are an integer or OK own no memory; see moonkv.h. */
    kv_session_begin(session);
    ask(session, 3, add);
    ask(session, 3, take);
    reply = kv_session_savepoint(session);
    if (ask(session, 3, take) < 0) kv_session_rollback_to(session, reply.integer);
    kv_session_commit(session);

    kv_session_begin(session);
    ask(session, 3, add);
    kv_session_rollback(session);
    add[2] = KV_BYTES("0");
    left = ask(session, 3, add);

    /* The engine is free while the worker waits. */
    if (pthread_create(&worker, NULL, work, engine) != 0) return 1;
    ask(session, 5, push);
    pthread_join(worker, NULL);

    kv_session_close(session);
    kv_close(engine);
    return left == 30 ? 0 : 1;
}
