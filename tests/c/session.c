/* Sessions: transactions as in Redis and of the host's own, calls that wait, and misuse. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <time.h>

static void pause_ms(long ms) {
    struct timespec pause;
    pause.tv_sec = ms / 1000;
    pause.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&pause, NULL);
}

static void nulls(void) {
    kv_bytes word = KV_BYTES("PING"), broken = {NULL, 3};
    kv_engine *engine = kv_open(NULL, NULL);
    kv_session *session;
    kv_script *script = kv_script_prepare(engine, KV_BYTES("return #KEYS"), NULL);
    kv_reply error;
    const char *none = "ERR the session is NULL";

    CHECK(kv_session_open(NULL, NULL) == NULL);
    CHECK(kv_session_open(NULL, &error) == NULL);
    IS_ERROR(error, "ERR the engine is NULL");
    IS_ERROR(kv_session_command(NULL, 1, &word), none);
    IS_ERROR(kv_session_eval(NULL, word, 0, NULL, 0, NULL), none);
    IS_ERROR(kv_session_evalsha(NULL, word, 0, NULL, 0, NULL), none);
    IS_ERROR(kv_session_run(NULL, script, 0, NULL, 0, NULL), none);
    IS_ERROR(kv_session_begin(NULL), none);
    IS_ERROR(kv_session_commit(NULL), none);
    IS_ERROR(kv_session_rollback(NULL), none);
    IS_ERROR(kv_session_in_transaction(NULL), none);
    IS_ERROR(kv_session_savepoint(NULL), none);
    IS_ERROR(kv_session_rollback_to(NULL, 1), none);
    IS_ERROR(kv_session_release(NULL, 1), none);
    kv_session_cancel(NULL);
    kv_session_close(NULL);

    session = kv_session_open(engine, &error);
    CHECK(session != NULL && error.type == KV_REPLY_NIL);
    IS_TEXT(kv_session_command(session, 1, &word), KV_REPLY_STATUS, "PONG");
    HAS_ERROR(kv_session_command(session, 0, NULL), "ERR a command needs");
    HAS_ERROR(kv_session_command(session, 1, NULL), "ERR a list of strings is NULL");
    HAS_ERROR(kv_session_command(session, SIZE_MAX, &word), "count is out of range");
    HAS_ERROR(kv_session_command(session, 1, &broken), "ERR a string's data is NULL");
    HAS_ERROR(kv_session_eval(session, broken, 0, NULL, 0, NULL), "is NULL");
    HAS_ERROR(kv_session_eval(session, word, 1, NULL, 0, NULL), "is NULL");
    HAS_ERROR(kv_session_evalsha(session, word, 0, NULL, 1, NULL), "is NULL");
    HAS_ERROR(kv_session_evalsha(session, word, 0, NULL, 0, NULL), "NOSCRIPT");
    HAS_ERROR(kv_session_run(session, NULL, 0, NULL, 0, NULL), "ERR the script is NULL");
    HAS_ERROR(kv_session_run(session, script, 1, NULL, 0, NULL), "is NULL");
    IS_INTEGER(kv_session_run(session, script, 1, &word, 0, NULL), 1);
    kv_session_cancel(session); /* Nothing waits. */
    kv_session_close(session);
    kv_script_free(script);
    kv_close(engine);
}

static void queued(void) {
    kv_engine *engine = kv_open(NULL, NULL), *other = kv_open(NULL, NULL);
    kv_session *one = kv_session_open(engine, NULL), *two = kv_session_open(engine, NULL);
    kv_bytes key = KV_BYTES("n"), by = KV_BYTES("5");
    kv_bytes source = KV_BYTES("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    kv_script *script = kv_script_prepare(engine, source, NULL);
    kv_script *strange = kv_script_prepare(other, source, NULL);
    kv_reply reply;

    HAS_ERROR(words(engine, "MULTI"), "need a session");
    IS_OK(session_words(one, "MULTI"));
    IS_TEXT(session_words(one, "SET n 1"), KV_REPLY_STATUS, "QUEUED");
    IS_TEXT(kv_session_eval(one, source, 1, &key, 1, &by), KV_REPLY_STATUS, "QUEUED");
    IS_TEXT(kv_session_evalsha(one, kv_script_sha1(script), 1, &key, 1, &by), KV_REPLY_STATUS,
            "QUEUED");
    IS_TEXT(kv_session_run(one, script, 1, &key, 1, &by), KV_REPLY_STATUS, "QUEUED");
    HAS_ERROR(kv_session_run(one, strange, 1, &key, 1, &by), "another engine's");
    HAS_ERROR(kv_session_begin(one), "ERR the session is queueing commands since MULTI");
    IS_INTEGER(session_words(two, "EXISTS n"), 0);
    reply = session_words(one, "EXEC");
    CHECK(reply.type == KV_REPLY_ARRAY && reply.count == 4);
    CHECK(same(reply.elements[0].str, "OK") && reply.elements[3].integer == 16);
    kv_reply_free(&reply);

    /* A watched key that changed: nothing happens. */
    IS_OK(session_words(one, "WATCH n"));
    IS_INTEGER(session_words(two, "INCR n"), 17);
    IS_OK(session_words(one, "MULTI"));
    IS_TEXT(session_words(one, "DEL n"), KV_REPLY_STATUS, "QUEUED");
    IS_NIL(session_words(one, "EXEC"));

    /* Each has its own database. */
    IS_OK(session_words(one, "SELECT 3"));
    IS_NIL(session_words(one, "GET n"));
    IS_STRING(session_words(two, "GET n"), "17");

    kv_script_free(script);
    kv_script_free(strange);
    kv_session_close(one);
    kv_session_close(two);
    kv_close(other);
    kv_close(engine);
}

static void transactions(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_session *session = kv_session_open(engine, NULL), *other = kv_session_open(engine, NULL);

    HAS_ERROR(kv_session_commit(session), "ERR no transaction is open");
    HAS_ERROR(kv_session_rollback(session), "ERR no transaction is open");
    HAS_ERROR(kv_session_savepoint(session), "ERR no transaction is open");
    IS_INTEGER(kv_session_in_transaction(session), 0);

    IS_OK(kv_session_begin(session));
    IS_INTEGER(kv_session_in_transaction(session), 1);
    HAS_ERROR(kv_session_begin(session), "use a savepoint");
    IS_INTEGER(session_words(session, "RPUSH l a"), 1);
    IS_INTEGER(kv_session_savepoint(session), 1);
    IS_INTEGER(session_words(session, "RPUSH l b"), 2);
    IS_INTEGER(kv_session_savepoint(session), 2);
    IS_INTEGER(session_words(session, "RPUSH l c"), 3);
    IS_OK(kv_session_rollback_to(session, 2));
    IS_INTEGER(session_words(session, "LLEN l"), 2);
    IS_OK(kv_session_release(session, 2));
    HAS_ERROR(kv_session_rollback_to(session, 2), "ERR there is no savepoint 2");
    HAS_ERROR(kv_session_rollback_to(session, -1), "ERR there is no savepoint");
    HAS_ERROR(kv_session_release(session, INT64_MAX), "ERR there is no savepoint");
    IS_OK(kv_session_rollback_to(session, 1));
    IS_INTEGER(session_words(session, "LLEN l"), 1);
    /* This thread holds the transaction: another call of it could never go on. */
    HAS_ERROR(words(engine, "PING"), "ERR another session's transaction is open");
    HAS_ERROR(kv_session_begin(other), "ERR another session's transaction is open");
    /* Nothing waits in a transaction. */
    IS_NIL(session_words(session, "BLPOP nothing 0"));
    IS_OK(kv_session_commit(session));
    IS_INTEGER(words(engine, "LLEN l"), 1);

    IS_OK(kv_session_begin(session));
    IS_INTEGER(session_words(session, "DEL l"), 1);
    IS_OK(kv_session_rollback(session));
    IS_INTEGER(words(engine, "LLEN l"), 1);

    /* A session that is closed undoes what it began. */
    IS_OK(kv_session_begin(session));
    IS_INTEGER(session_words(session, "DEL l"), 1);
    kv_session_close(session);
    IS_INTEGER(words(engine, "LLEN l"), 1);
    kv_session_close(other);
    kv_close(engine);
}

static void closed(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_session *session = kv_session_open(engine, NULL);
    const char *text = "ERR the engine is closed";
    IS_OK(kv_session_begin(session));
    kv_close(engine);
    IS_ERROR(session_words(session, "PING"), text);
    IS_ERROR(kv_session_eval(session, KV_BYTES("return 1"), 0, NULL, 0, NULL), text);
    IS_ERROR(kv_session_begin(session), text);
    IS_ERROR(kv_session_commit(session), text);
    IS_ERROR(kv_session_in_transaction(session), text);
    IS_ERROR(kv_session_savepoint(session), text);
    kv_session_cancel(session);
    kv_session_close(session);
}

/* A call that waits on a thread of its own. */
struct worker {
    kv_session *session;
    pthread_t thread;
    pthread_mutex_t lock;
    int done;
    kv_reply reply;
};

static int is_done(struct worker *self) {
    int done;
    pthread_mutex_lock(&self->lock);
    done = self->done;
    pthread_mutex_unlock(&self->lock);
    return done;
}

static void *work(void *user_data) {
    struct worker *self = (struct worker *)user_data;
    self->reply = session_words(self->session, "BLPOP jobs 0");
    pthread_mutex_lock(&self->lock);
    self->done = 1;
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void start(struct worker *self, kv_engine *engine) {
    self->session = kv_session_open(engine, NULL);
    self->done = 0;
    pthread_mutex_init(&self->lock, NULL);
    CHECK(pthread_create(&self->thread, NULL, work, self) == 0);
    pause_ms(50);
    CHECK(!is_done(self));
}

static void stop(struct worker *self) {
    pthread_join(self->thread, NULL);
    pthread_mutex_destroy(&self->lock);
    kv_reply_free(&self->reply);
    kv_session_close(self->session);
}

static void waiting(void) {
    struct worker worker;
    kv_engine *engine = kv_open(NULL, NULL);
    kv_session *session = kv_session_open(engine, NULL);

    /* Woken by a push; the engine is free meanwhile. */
    start(&worker, engine);
    IS_INTEGER(words(engine, "DBSIZE"), 0);
    IS_INTEGER(session_words(session, "RPUSH jobs first second"), 2);
    pthread_join(worker.thread, NULL);
    CHECK(worker.reply.type == KV_REPLY_ARRAY && worker.reply.count == 2);
    CHECK(same(worker.reply.elements[1].str, "first"));
    kv_reply_free(&worker.reply);
    CHECK(pthread_create(&worker.thread, NULL, work, &worker) == 0);
    pthread_join(worker.thread, NULL);
    CHECK(worker.reply.count == 2 && same(worker.reply.elements[1].str, "second"));
    kv_reply_free(&worker.reply);

    /* Ended by cancel, which is for what waits now: so it is called until that has happened. */
    worker.done = 0;
    CHECK(pthread_create(&worker.thread, NULL, work, &worker) == 0);
    kv_session_cancel(session); /* Another session's. */
    while (!is_done(&worker)) {
        kv_session_cancel(worker.session);
        pause_ms(1);
    }
    CHECK(worker.reply.type == KV_REPLY_ERROR);
    CHECK(same(worker.reply.str, "ERR the call was cancelled by the host"));
    stop(&worker);
    start(&worker, engine);
    while (!is_done(&worker)) {
        kv_cancel(engine);
        pause_ms(1);
    }
    CHECK(same(worker.reply.str, "ERR the call was cancelled by the host"));
    stop(&worker);
    IS_INTEGER(words(engine, "RPUSH jobs kept"), 1);
    IS_INTEGER(words(engine, "DEL jobs"), 1);

    /* By its timeout, and by the end of the engine. */
    IS_NIL(session_words(session, "BLPOP jobs 0.01"));
    start(&worker, engine);
    kv_close(engine);
    pthread_join(worker.thread, NULL);
    CHECK(same(worker.reply.str, "ERR the engine is closed"));
    kv_reply_free(&worker.reply);
    pthread_mutex_destroy(&worker.lock);
    kv_session_close(worker.session);
    kv_session_close(session);
}

static void *read_while_busy(void *user_data) {
    HAS_ERROR(words((kv_engine *)user_data, "GET k"), "ERR another session's transaction is open");
    return NULL;
}

static void *read_patiently(void *user_data) {
    IS_STRING(words((kv_engine *)user_data, "GET k"), "new");
    return NULL;
}

static void busy(void) {
    pthread_t thread;
    kv_options options;
    kv_engine *engine;
    kv_session *session;
    kv_options_init(&options);
    options.busy_timeout_ms = 20;
    engine = kv_open(&options, NULL);
    session = kv_session_open(engine, NULL);
    IS_OK(kv_session_begin(session));
    CHECK(pthread_create(&thread, NULL, read_while_busy, engine) == 0);
    pthread_join(thread, NULL);
    kv_session_close(session);
    kv_close(engine);

    options.busy_timeout_ms = 0;
    engine = kv_open(&options, NULL);
    session = kv_session_open(engine, NULL);
    IS_OK(kv_session_begin(session));
    CHECK(pthread_create(&thread, NULL, read_patiently, engine) == 0);
    pause_ms(50);
    IS_OK(session_words(session, "SET k new"));
    IS_OK(kv_session_commit(session));
    pthread_join(thread, NULL);
    kv_session_close(session);
    kv_close(engine);
}

struct listener {
    kv_engine *engine;
    kv_session *session;
    int refused;
};

static void listen(void *user_data, uint32_t level, kv_bytes message) {
    struct listener *self = (struct listener *)user_data;
    kv_reply error;
    (void)level, (void)message;
    CHECK(kv_session_open(self->engine, &error) == NULL);
    HAS_ERROR(error, "own callbacks");
    HAS_ERROR(session_words(self->session, "PING"), "own callbacks");
    HAS_ERROR(kv_session_begin(self->session), "own callbacks");
    HAS_ERROR(kv_session_rollback(self->session), "own callbacks");
    kv_session_cancel(self->session);
    kv_session_close(self->session); /* Does nothing here. */
    self->refused++;
}

static void callbacks(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    struct listener listener = {NULL, NULL, 0};
    listener.engine = engine;
    listener.session = kv_session_open(engine, NULL);
    IS_OK(kv_log_set(engine, listen, &listener));
    IS_OK(kv_session_begin(listener.session));
    IS_INTEGER(kv_session_eval(listener.session, KV_BYTES("redis.log(3, 'x') return 1"), 0, NULL,
                               0, NULL),
               1);
    CHECK(listener.refused == 1);
    IS_OK(kv_session_commit(listener.session));
    kv_session_close(listener.session);
    kv_close(engine);
}

int main(void) {
    nulls();
    queued();
    transactions();
    closed();
    waiting();
    busy();
    callbacks();
    return finish("session");
}
