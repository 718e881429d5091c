/* Every function of moonkv.h: what it does, and what it does with what it should not be given. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if UINTPTR_MAX == UINT64_MAX
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define FROZEN(condition) _Static_assert(condition, #condition)
#else
#define FROZEN_NAME(line) frozen_at_line_##line
#define FROZEN_AT(condition, line) typedef char FROZEN_NAME(line)[(condition) ? 1 : -1]
#define FROZEN(condition) FROZEN_AT(condition, __LINE__)
#pragma GCC diagnostic ignored "-Wunused-local-typedefs"
#endif
static void layouts(void) {
    FROZEN(sizeof(kv_bytes) == 16);
    FROZEN(sizeof(kv_reply) == 64);
    FROZEN(offsetof(kv_reply, format) == 4);
    FROZEN(offsetof(kv_reply, integer) == 8);
    FROZEN(offsetof(kv_reply, number) == 16);
    FROZEN(offsetof(kv_reply, str) == 24);
    FROZEN(offsetof(kv_reply, len) == 32);
    FROZEN(offsetof(kv_reply, count) == 40);
    FROZEN(offsetof(kv_reply, elements) == 48);
    FROZEN(offsetof(kv_reply, owner) == 56);
    FROZEN(sizeof(kv_options) == 112);
    FROZEN(offsetof(kv_options, on_error) == 8);
    FROZEN(offsetof(kv_options, lua_random) == 12);
    FROZEN(offsetof(kv_options, lua_false) == 16);
    FROZEN(offsetof(kv_options, protocol) == 20);
    FROZEN(offsetof(kv_options, clock) == 24);
    FROZEN(offsetof(kv_options, script_statistics) == 28);
    FROZEN(offsetof(kv_options, clock_start_ms) == 32);
    FROZEN(offsetof(kv_options, script_timeout_ms) == 40);
    FROZEN(offsetof(kv_options, script_memory_bytes) == 48);
    FROZEN(offsetof(kv_options, script_instructions) == 56);
    FROZEN(offsetof(kv_options, databases) == 64);
    FROZEN(offsetof(kv_options, busy_timeout_ms) == 72);
    FROZEN(offsetof(kv_options, config_count) == 80);
    FROZEN(offsetof(kv_options, config) == 88);
    FROZEN(offsetof(kv_options, directory) == 96);
    FROZEN(KV_REPLY_STRING == 1 && KV_REPLY_ERROR == 6 && KV_REPLY_VERB == 14);
}
#else
static void layouts(void) {}
#endif

static void versions(void) {
    CHECK(same(kv_version(), KV_VERSION));
    CHECK(kv_abi_version() == KV_ABI_VERSION);
}

static void nulls(void) {
    kv_bytes word = KV_BYTES("PING"), nothing = {NULL, 0}, broken = {NULL, 3};
    kv_bytes endless = {"x", SIZE_MAX};
    kv_engine *engine = kv_open(NULL, NULL);
    kv_reply error;
    size_t expired = 7;
    bool complete = true;

    IS_ERROR(kv_command(NULL, 1, &word), "ERR the engine is NULL");
    IS_ERROR(kv_eval(NULL, word, 0, NULL, 0, NULL), "ERR the engine is NULL");
    IS_ERROR(kv_evalsha(NULL, word, 0, NULL, 0, NULL), "ERR the engine is NULL");
    IS_ERROR(kv_script_load(NULL, word), "ERR the engine is NULL");
    IS_ERROR(kv_script_exists(NULL, 1, &word), "ERR the engine is NULL");
    IS_ERROR(kv_script_flush(NULL), "ERR the engine is NULL");
    IS_ERROR(kv_script_run(NULL, 0, NULL, 0, NULL), "ERR the script is NULL");
    IS_ERROR(kv_tick(NULL, 1, &expired, &complete), "ERR the engine is NULL");
    CHECK(expired == 0 && !complete);
    IS_ERROR(kv_tick(NULL, 1, NULL, NULL), "ERR the engine is NULL");
    IS_ERROR(kv_clock_advance(NULL, 1), "ERR the engine is NULL");
    IS_ERROR(kv_log_set(NULL, NULL, NULL), "ERR the engine is NULL");
    CHECK(kv_script_prepare(NULL, word, NULL) == NULL);
    CHECK(kv_script_prepare(NULL, word, &error) == NULL);
    IS_ERROR(error, "ERR the engine is NULL");
    CHECK(kv_fork(NULL, NULL) == NULL);
    CHECK(kv_fork(NULL, &error) == NULL);
    IS_ERROR(error, "ERR the engine is NULL");
    CHECK(kv_script_sha1(NULL).data == NULL && kv_script_sha1(NULL).len == 0);
    kv_cancel(NULL);
    kv_close(NULL);
    kv_script_free(NULL);
    kv_reply_free(NULL);
    kv_options_fill(NULL, sizeof(kv_options));

    CHECK(engine != NULL);
    IS_TEXT(kv_command(engine, 1, &word), KV_REPLY_STATUS, "PONG");
    HAS_ERROR(kv_command(engine, 0, &word), "ERR a command needs");
    HAS_ERROR(kv_command(engine, 0, NULL), "ERR a command needs");
    HAS_ERROR(kv_command(engine, 1, NULL), "ERR a list of strings is NULL");
    HAS_ERROR(kv_command(engine, SIZE_MAX, &word), "ERR a list's count is out of range");
    HAS_ERROR(kv_command(engine, SIZE_MAX, NULL), "ERR a list of strings is NULL");
    HAS_ERROR(kv_command(engine, 1, &broken), "ERR a string's data is NULL");
    HAS_ERROR(kv_command(engine, 1, &endless), "ERR a string's length is out of range");
    HAS_ERROR(kv_command(engine, 1, &nothing), "ERR unknown command ''");
    HAS_ERROR(kv_eval(engine, KV_BYTES("return 1"), 1, NULL, 0, NULL), "is NULL");
    HAS_ERROR(kv_eval(engine, KV_BYTES("return 1"), 0, NULL, 1, NULL), "is NULL");
    HAS_ERROR(kv_eval(engine, broken, 0, NULL, 0, NULL), "is NULL");
    IS_NIL(kv_eval(engine, nothing, 0, NULL, 0, NULL));
    IS_NIL(kv_eval(engine, kv_str(NULL), 0, NULL, 0, NULL));
    HAS_ERROR(kv_evalsha(engine, nothing, 0, NULL, 0, NULL), "NOSCRIPT");
    HAS_ERROR(kv_script_load(engine, broken), "is NULL");
    HAS_ERROR(kv_script_exists(engine, 2, NULL), "is NULL");
    CHECK(kv_script_prepare(engine, broken, NULL) == NULL);
    HAS_ERROR(kv_clock_advance(engine, 1), "ERR invalid options: the clock is the system's");
    kv_close(engine);
}

static void refuses(kv_options options, const char *text) {
    kv_reply error;
    CHECK(kv_open(&options, NULL) == NULL);
    CHECK(kv_open(&options, &error) == NULL);
    IS_ERROR(error, text);
}

static void options(void) {
    kv_options defaults, changed, first;
    kv_reply error;
    kv_engine *engine;
    kv_bytes broken[2] = {{"no-such-parameter", 17}, {NULL, 1}};
    kv_bytes parameters[4] = {{"hash-max-listpack-entries", 25}, {"2", 1},
                              {"hash-max-listpack-value", 23}, {"64", 2}};
    unsigned char small[sizeof(kv_options)];
    size_t size = sizeof(size_t) + sizeof(uint32_t), i;

    memset(&defaults, 0xff, sizeof defaults);
    kv_options_init(&defaults);
    CHECK(defaults.struct_size == sizeof(kv_options));
    CHECK(defaults.on_error == KV_ON_ERROR_ROLLBACK && defaults.lua_false == KV_LUA_FALSE_NIL);
    CHECK(defaults.lua_random == KV_LUA_RANDOM_DENIED && defaults.clock == KV_CLOCK_SYSTEM);
    CHECK(defaults.script_timeout_ms == 5000 && defaults.script_memory_bytes == 256 << 20);
    CHECK(defaults.script_instructions == 0 && defaults.protocol == 0 && !defaults.script_statistics);
    CHECK(defaults.databases == 16 && defaults.busy_timeout_ms == 5000);
    CHECK(defaults.config_count == 0 && defaults.config == NULL);

    /* No byte beyond the caller's size is written. */
    memset(small, 0xee, sizeof small);
    kv_options_fill((kv_options *)(void *)small, size);
    CHECK(memcmp(small, &size, sizeof size) == 0 && small[size - 1] == 0);
    for (i = size; i < sizeof small; i++) CHECK(small[i] == 0xee);

    engine = kv_open(&defaults, &error);
    CHECK(engine != NULL && error.type == KV_REPLY_NIL);
    kv_close(engine);

    memset(&changed, 0, sizeof changed);
    refuses(changed, "ERR invalid options: struct_size is not the size of kv_options; "
                     "use kv_options_init");
    changed = defaults, changed.struct_size = 3;
    refuses(changed, "ERR invalid options: struct_size is not the size of kv_options; "
                     "use kv_options_init");
    changed = defaults, changed.struct_size = SIZE_MAX;
    refuses(changed, "ERR invalid options: struct_size is not the size of kv_options; "
                     "use kv_options_init");
    changed = defaults, changed.struct_size += 8;
    refuses(changed, "ERR invalid options: struct_size is of a newer moonkv.h than the library");
    changed = defaults, changed.struct_size -= 4;
    refuses(changed, "ERR invalid options: struct_size is not the size of kv_options; "
                     "use kv_options_init");
    changed = defaults, changed.on_error = 2;
    refuses(changed, "ERR invalid options: on_error must be one of KV_ON_ERROR_...");
    changed = defaults, changed.lua_random = 9;
    refuses(changed, "ERR invalid options: lua_random must be one of KV_LUA_RANDOM_...");
    changed = defaults, changed.lua_false = UINT32_MAX;
    refuses(changed, "ERR invalid options: lua_false must be one of KV_LUA_FALSE_...");
    changed = defaults, changed.protocol = 1;
    refuses(changed, "ERR invalid options: protocol must be 0, 2 or 3");
    changed = defaults, changed.clock = 2;
    refuses(changed, "ERR invalid options: clock must be one of KV_CLOCK_...");
    changed = defaults, changed.script_statistics = 2;
    refuses(changed, "ERR invalid options: script_statistics must be 0 or 1");
    changed = defaults, changed.script_memory_bytes = 1;
    refuses(changed, "ERR invalid options: script_memory must be at least 65536 bytes, or none");

    changed = defaults, changed.databases = 0;
    refuses(changed, "ERR invalid options: databases must be 1 to 65536");
    changed = defaults, changed.databases = UINT64_MAX;
    refuses(changed, "ERR invalid options: databases must be 1 to 65536");
    changed = defaults, changed.config_count = 1;
    refuses(changed, "ERR a list of strings is NULL and its count is not 0");
    changed.config = broken, changed.config_count = SIZE_MAX;
    refuses(changed, "ERR a list's count is out of range");
    changed.config_count = 1;
    refuses(changed, "ERR a string's data is NULL and its length is not 0");
    broken[1] = KV_BYTES("64");
    CHECK(kv_open(&changed, &error) == NULL);
    HAS_ERROR(error, "ERR invalid options: ");

    /* A program that knows only the first version's fields: nothing behind them is read. */
    first = defaults, first.struct_size = offsetof(kv_options, databases);
    first.databases = 0, first.config_count = 7, first.lua_false = KV_LUA_FALSE_INTEGER;
    engine = kv_open(&first, &error);
    CHECK(engine != NULL && error.type == KV_REPLY_NIL);
    IS_OK(words(engine, "SELECT 15"));
    IS_INTEGER(eval(engine, "return false"), 0);
    kv_close(engine);

    changed = defaults, changed.databases = 2, changed.config_count = 2;
    changed.config = parameters;
    engine = kv_open(&changed, NULL);
    IS_OK(words(engine, "SELECT 1"));
    HAS_ERROR(words(engine, "SELECT 2"), "ERR DB index is out of range");
    IS_INTEGER(words(engine, "HSET h a 1 b 2"), 2);
    IS_STRING(words(engine, "OBJECT ENCODING h"), "listpack");
    IS_INTEGER(words(engine, "HSET h c 3"), 1);
    IS_STRING(words(engine, "OBJECT ENCODING h"), "hashtable");
    kv_close(engine);

    changed = defaults, changed.lua_false = KV_LUA_FALSE_INTEGER;
    changed.lua_random = KV_LUA_RANDOM_SEEDED, changed.script_timeout_ms = 0;
    changed.script_memory_bytes = 0, changed.script_instructions = 100000;
    engine = kv_open(&changed, NULL);
    IS_INTEGER(eval(engine, "return false"), 0);
    IS_INTEGER(eval(engine, "return math.random(1, 10) <= 10"), 1);
    HAS_ERROR(eval(engine, "while true do end"), "script_instructions");
    kv_close(engine);

    changed = defaults, changed.lua_random = KV_LUA_RANDOM_CONTINUED;
    engine = kv_open(&changed, NULL);
    IS_INTEGER(eval(engine, "return math.random(1, 100)"), 18);
    IS_INTEGER(eval(engine, "return math.random(1, 100)"), 75);
    kv_close(engine);
}

static void binary(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_bytes set[] = {KV_BYTES("set"), KV_BYTES("k\0\xff"), KV_BYTES("a\0b\xfe\r\n")};
    kv_bytes get[] = {KV_BYTES("get"), KV_BYTES("k\0\xff")};
    kv_bytes arg = KV_BYTES("\0\xc3(");
    kv_reply reply;
    IS_OK(kv_command(engine, 3, set));
    reply = kv_command(engine, 2, get);
    CHECK(reply.type == KV_REPLY_STRING && reply.len == 6);
    CHECK(memcmp(reply.str, "a\0b\xfe\r\n", 7) == 0);
    kv_reply_free(&reply);
    reply = kv_eval(engine, KV_BYTES("return KEYS[1] .. ARGV[1] .. '\0'"), 1, &get[1], 1, &arg);
    CHECK(reply.len == 7 && memcmp(reply.str, "k\0\xff\0\xc3(\0", 8) == 0);
    kv_reply_free(&reply);
    IS_STRING(eval(engine, "return ''"), "");
    HAS_ERROR(kv_eval(engine, KV_BYTES("\xff\xfe"), 0, NULL, 0, NULL), "ERR Error compiling");
    HAS_ERROR(kv_eval(engine, KV_BYTES("error('\xff\xfe')"), 0, NULL, 0, NULL), "\xff\xfe");
    HAS_ERROR(kv_command(engine, 1, &arg), "ERR unknown command");
    kv_close(engine);
}

static void replies(void) {
    kv_options options;
    kv_engine *engine = kv_open(NULL, NULL);
    kv_reply reply, copy, *child;
    const kv_reply *at;
    int depth = 0;

    reply = eval(engine, "return {1, 'two', {ok='THREE'}, {err='ERR four'}, false, {{}, {5}}, ''}");
    kv_close(engine); /* A reply outlives its engine. */
    CHECK(reply.type == KV_REPLY_ARRAY && reply.count == 7);
    at = reply.elements;
    CHECK(at[0].type == KV_REPLY_INTEGER && at[0].integer == 1);
    CHECK(at[1].type == KV_REPLY_STRING && same(at[1].str, "two"));
    CHECK(at[2].type == KV_REPLY_STATUS && same(at[2].str, "THREE"));
    CHECK(at[3].type == KV_REPLY_ERROR && same(at[3].str, "ERR four"));
    CHECK(at[4].type == KV_REPLY_NIL && at[4].str == NULL);
    CHECK(at[5].type == KV_REPLY_ARRAY && at[5].count == 2);
    CHECK(at[5].elements[0].type == KV_REPLY_ARRAY && at[5].elements[0].count == 0);
    CHECK(at[5].elements[0].elements == NULL && at[5].elements[1].elements[0].integer == 5);
    CHECK(at[6].type == KV_REPLY_STRING && at[6].len == 0 && same(at[6].str, ""));
    copy = at[1];
    kv_reply_free(&copy); /* An element owns nothing. */
    child = (kv_reply *)&at[1];
    kv_reply_free(child);
    kv_reply_free(&reply);
    CHECK(reply.type == KV_REPLY_NIL && reply.elements == NULL && reply.count == 0);
    kv_reply_free(&reply);
    kv_reply_free(&reply);
    memset(&reply, 0, sizeof reply);
    kv_reply_free(&reply);

    kv_options_init(&options);
    options.protocol = 3;
    options.script_timeout_ms = 0; /* Under valgrind a machine may be slow. */
    engine = kv_open(&options, NULL);
    IS_INTEGER(words(engine, "HSET h a 1 b 2"), 2);
    reply = words(engine, "HGETALL h");
    CHECK(reply.type == KV_REPLY_MAP && reply.count == 4 && same(reply.elements[3].str, "2"));
    kv_reply_free(&reply);
    IS_INTEGER(words(engine, "ZADD z 1.5 m"), 1);
    reply = words(engine, "ZSCORE z m");
    CHECK(reply.type == KV_REPLY_DOUBLE && reply.number == 1.5 && reply.owner == NULL);
    kv_reply_free(&reply);
    reply = words(engine, "ZRANGE z 0 -1 WITHSCORES");
    CHECK(reply.count == 1 && reply.elements[0].count == 2);
    CHECK(reply.elements[0].elements[1].number == 1.5);
    kv_reply_free(&reply);
    IS_NIL(words(engine, "GET nothing"));
    reply = eval(engine, "redis.setresp(3) return {double=0.5}");
    CHECK(reply.type == KV_REPLY_DOUBLE && reply.number == 0.5);
    kv_reply_free(&reply);
    reply = eval(engine, "redis.setresp(3) return {map={a=true}}");
    CHECK(reply.type == KV_REPLY_MAP && reply.count == 2);
    CHECK(reply.elements[1].type == KV_REPLY_BOOL && reply.elements[1].integer == 1);
    kv_reply_free(&reply);

    /* As deep as conversion goes, and wide. */
    reply = eval(engine, "local t = {} for i = 1, 50 do t = {t, i} end return t");
    for (at = &reply; at->count == 2; at = at->elements) depth++;
    CHECK(depth == 50);
    kv_reply_free(&reply);
    reply = eval(engine, "local t = {} for i = 1, 100000 do t[i] = 'n' .. i end return t");
    CHECK(reply.count == 100000 && same(reply.elements[99999].str, "n100000"));
    kv_reply_free(&reply);
    kv_close(engine);
}

static void scripts(void) {
    kv_engine *engine = kv_open(NULL, NULL), *other = kv_open(NULL, NULL);
    kv_bytes source = KV_BYTES("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    kv_bytes key = KV_BYTES("n"), two = KV_BYTES("2"), sha1s[2];
    kv_script *script, *dropped;
    kv_reply error, sha1, reply;

    sha1 = kv_script_load(engine, source);
    CHECK(sha1.type == KV_REPLY_STRING && sha1.len == 40);
    sha1s[0].data = sha1.str, sha1s[0].len = sha1.len, sha1s[1] = KV_BYTES("ffff");
    IS_INTEGER(kv_evalsha(engine, sha1s[0], 1, &key, 1, &two), 2);
    HAS_ERROR(kv_evalsha(other, sha1s[0], 1, &key, 1, &two), "NOSCRIPT ");
    reply = kv_script_exists(engine, 2, sha1s);
    CHECK(reply.count == 2 && reply.elements[0].integer == 1 && reply.elements[1].integer == 0);
    kv_reply_free(&reply);
    reply = kv_script_exists(engine, 0, NULL);
    CHECK(reply.type == KV_REPLY_ARRAY && reply.count == 0);
    kv_reply_free(&reply);

    script = kv_script_prepare(engine, source, &error);
    CHECK(script != NULL && error.type == KV_REPLY_NIL);
    CHECK(kv_script_sha1(script).len == 40 && same(kv_script_sha1(script).data, sha1.str));
    kv_reply_free(&sha1);
    IS_OK(kv_script_flush(engine));
    HAS_ERROR(kv_evalsha(engine, kv_script_sha1(script), 1, &key, 1, &two), "NOSCRIPT ");
    IS_INTEGER(kv_script_run(script, 1, &key, 1, &two), 4);
    HAS_ERROR(kv_script_run(script, 1, NULL, 1, &two), "is NULL");

    CHECK(kv_script_prepare(engine, KV_BYTES("this is no Lua"), &error) == NULL);
    HAS_ERROR(error, "ERR Error compiling script");
    CHECK(kv_script_prepare(engine, KV_BYTES("nor this"), NULL) == NULL);
    HAS_ERROR(kv_script_load(engine, KV_BYTES("nor this")), "ERR Error compiling script");

    dropped = kv_script_prepare(engine, KV_BYTES("return 1"), NULL);
    kv_script_free(dropped);
    dropped = kv_script_prepare(engine, KV_BYTES("return 2"), NULL);
    IS_INTEGER(kv_script_run(dropped, 0, NULL, 0, NULL), 2);

    /* Handles outlive their engine, and say so. */
    kv_close(engine);
    IS_ERROR(kv_script_run(script, 1, &key, 1, &two), "ERR the engine is closed");
    CHECK(kv_script_sha1(script).len == 40);
    kv_script_free(script);
    kv_script_free(dropped);
    kv_close(other);
}

static void rollback(void) {
    const char *fails = "redis.call('SET', 'a', 'new') redis.call('RPUSH', 'l', 'x') error('no')";
    kv_options options;
    kv_engine *engine = kv_open(NULL, NULL);
    IS_OK(words(engine, "SET a old"));
    HAS_ERROR(eval(engine, fails), "no");
    IS_STRING(words(engine, "GET a"), "old");
    IS_INTEGER(words(engine, "EXISTS l"), 0);
    kv_close(engine);

    kv_options_init(&options);
    options.on_error = KV_ON_ERROR_KEEP;
    engine = kv_open(&options, NULL);
    HAS_ERROR(eval(engine, fails), "no");
    IS_STRING(words(engine, "GET a"), "new");
    IS_INTEGER(words(engine, "LLEN l"), 1);
    kv_close(engine);
}

static void clock_and_tick(void) {
    kv_options options;
    kv_engine *engine, *copy;
    size_t expired = 0;
    bool complete = false;
    kv_options_init(&options);
    options.clock = KV_CLOCK_MANUAL;
    options.clock_start_ms = 1000000;
    engine = kv_open(&options, NULL);
    IS_INTEGER(kv_clock_advance(engine, 0), 1000000);
    IS_OK(words(engine, "SET a 1 PX 100"));
    IS_OK(words(engine, "SET b 1 PX 100"));
    IS_OK(words(engine, "SET c 1"));
    IS_INTEGER(kv_clock_advance(engine, 99), 1000099);
    IS_INTEGER(words(engine, "PTTL a"), 1);
    copy = kv_fork(engine, NULL);
    IS_OK(kv_tick(engine, 1000000, &expired, &complete));
    CHECK(expired == 0 && complete);
    IS_INTEGER(kv_clock_advance(engine, 2), 1000101);
    IS_NIL(words(engine, "GET a"));
    IS_OK(kv_tick(engine, UINT64_MAX, &expired, &complete));
    CHECK(expired >= 1 && complete);
    IS_OK(kv_tick(engine, 0, NULL, NULL));
    HAS_ERROR(kv_clock_advance(engine, UINT64_MAX), "would overflow");
    kv_close(engine);

    /* The copy has the keys, the options and the time of its making. */
    IS_INTEGER(kv_clock_advance(copy, 0), 1000099);
    IS_INTEGER(words(copy, "EXISTS a b c"), 3);
    IS_INTEGER(words(copy, "DEL c"), 1);
    kv_close(copy);
}

struct listener {
    kv_engine *engine;
    kv_script *script;
    int messages, refused;
    uint32_t level;
    char last[64];
};

static void refused(struct listener *self, kv_reply reply) {
    CHECK(reply.type == KV_REPLY_ERROR && reply.str && strstr(reply.str, "own callbacks"));
    self->refused++;
    kv_reply_free(&reply);
}

static void listen(void *user_data, uint32_t level, kv_bytes message) {
    struct listener *self = (struct listener *)user_data;
    kv_reply error;
    self->messages++;
    self->level = level;
    snprintf(self->last, sizeof self->last, "%.*s", (int)message.len, message.data);
    if (self->engine) {
        refused(self, words(self->engine, "PING"));
        refused(self, eval(self->engine, "return 1"));
        refused(self, kv_script_run(self->script, 0, NULL, 0, NULL));
        refused(self, kv_script_flush(self->engine));
        refused(self, kv_tick(self->engine, 1, NULL, NULL));
        refused(self, kv_log_set(self->engine, NULL, NULL));
        CHECK(kv_fork(self->engine, &error) == NULL);
        refused(self, error);
        CHECK(kv_script_prepare(self->engine, KV_BYTES("return 1"), &error) == NULL);
        refused(self, error);
        kv_close(self->engine); /* Does nothing here. */
    }
}

static void cancel_from_log(void *user_data, uint32_t level, kv_bytes message) {
    (void)level, (void)message;
    kv_cancel((kv_engine *)user_data);
}

static void call_another(void *user_data, uint32_t level, kv_bytes message) {
    (void)level, (void)message;
    IS_INTEGER(words((kv_engine *)user_data, "INCR logged"), 1);
}

static void logging(void) {
    struct listener listener = {NULL, NULL, 0, 0, 0, ""};
    const char *logs = "redis.log(redis.LOG_WARNING, 'one', 2) return 3";
    kv_engine *engine = kv_open(NULL, NULL), *other = kv_open(NULL, NULL);
    IS_INTEGER(eval(engine, logs), 3);
    IS_OK(kv_log_set(engine, listen, &listener));
    IS_INTEGER(eval(engine, logs), 3);
    CHECK(listener.messages == 1 && listener.level == KV_LOG_WARNING);
    CHECK(same(listener.last, "one 2"));
    listener.engine = engine;
    listener.script = kv_script_prepare(engine, KV_BYTES("return 4"), NULL);
    IS_INTEGER(eval(engine, logs), 3);
    CHECK(listener.messages == 2 && listener.refused == 8);
    IS_INTEGER(kv_script_run(listener.script, 0, NULL, 0, NULL), 4);
    kv_script_free(listener.script);

    /* Another engine may be called. */
    IS_OK(kv_log_set(engine, call_another, other));
    IS_INTEGER(eval(engine, logs), 3);
    IS_STRING(words(other, "GET logged"), "1");
    IS_OK(kv_log_set(engine, cancel_from_log, engine));
    HAS_ERROR(eval(engine, "redis.log(redis.LOG_DEBUG, 'x') while true do end"), "cancelled");
    IS_OK(kv_log_set(engine, NULL, NULL));
    IS_INTEGER(eval(engine, logs), 3);
    CHECK(listener.messages == 2);
    kv_close(other);
    kv_close(engine);
}

static volatile int stop;
static pthread_mutex_t stop_lock = PTHREAD_MUTEX_INITIALIZER;

static int stopped(void) {
    int now;
    pthread_mutex_lock(&stop_lock);
    now = stop;
    pthread_mutex_unlock(&stop_lock);
    return now;
}

static void *cancel_soon(void *user_data) {
    const struct timespec pause = {0, 1000000};
    while (!stopped()) {
        nanosleep(&pause, NULL);
        kv_cancel((kv_engine *)user_data);
    }
    return NULL;
}

static void *count_up(void *user_data) {
    int i;
    for (i = 0; i < 500; i++) {
        kv_reply reply = words((kv_engine *)user_data, "INCR shared");
        CHECK(reply.type == KV_REPLY_INTEGER);
        kv_reply_free(&reply);
        reply = eval((kv_engine *)user_data, "return {'a', 'b'}");
        CHECK(reply.count == 2);
        kv_reply_free(&reply);
    }
    return NULL;
}

static void threads(void) {
    pthread_t thread, counting[4];
    int i;
    kv_options options;
    kv_engine *engine;
    kv_options_init(&options);
    options.script_timeout_ms = 0;
    engine = kv_open(&options, NULL);
    CHECK(pthread_create(&thread, NULL, cancel_soon, engine) == 0);
    HAS_ERROR(eval(engine, "redis.call('SET', 'a', 1) while true do end"),
              "ERR script was cancelled by the host");
    pthread_mutex_lock(&stop_lock);
    stop = 1;
    pthread_mutex_unlock(&stop_lock);
    pthread_join(thread, NULL);
    IS_INTEGER(words(engine, "EXISTS a"), 0);
    kv_cancel(engine); /* Nothing runs, nothing is stopped. */
    IS_INTEGER(eval(engine, "return 1"), 1);

    for (i = 0; i < 4; i++) CHECK(pthread_create(&counting[i], NULL, count_up, engine) == 0);
    for (i = 0; i < 4; i++) pthread_join(counting[i], NULL);
    IS_STRING(words(engine, "GET shared"), "2000");
    kv_close(engine);
}

static void files(void) {
    const char *base = getenv("TMPDIR");
    char directory[256], file[512];
    const kv_bytes none = {NULL, 0}, broken = {NULL, 1};
    kv_options options;
    kv_engine *engine;
    kv_bytes path;

    kv_options_init(&options);
    CHECK(options.directory.data == NULL && options.directory.len == 0);
    engine = kv_open(&options, NULL);
    HAS_ERROR(words(engine, "SAVE"), "nothing is saved");
    HAS_ERROR(kv_load(engine, none), "nothing is saved");
    IS_ERROR(kv_load(engine, broken), "ERR a string's data is NULL and its length is not 0");
    IS_ERROR(kv_load(NULL, none), "ERR the engine is NULL");
    kv_close(engine);

    options.directory = broken;
    refuses(options, "ERR a string's data is NULL and its length is not 0");

    snprintf(directory, sizeof directory, "%s/moonkv-abi-XXXXXX", base ? base : "/tmp");
    CHECK(mkdtemp(directory) != NULL);
    options.directory.data = directory, options.directory.len = strlen(directory);
    engine = kv_open(&options, NULL);
    IS_NIL(kv_load(engine, none));
    IS_OK(words(engine, "MSET gold 10 silver 20"));
    IS_OK(words(engine, "SAVE"));
    IS_OK(words(engine, "FLUSHALL"));
    IS_INTEGER(kv_load(engine, none), 2);
    IS_STRING(words(engine, "GET gold"), "10");
    kv_close(engine);

    path.data = file;
    path.len = (size_t)snprintf(file, sizeof file, "%s/dump.rdb", directory);
    engine = kv_open(NULL, NULL);
    IS_INTEGER(kv_load(engine, path), 2);
    IS_STRING(words(engine, "GET silver"), "20");
    path.len--;
    IS_NIL(kv_load(engine, path));
    IS_INTEGER(words(engine, "DBSIZE"), 2);
    kv_close(engine);
    CHECK(remove(file) == 0 && rmdir(directory) == 0);
}

int main(void) {
    layouts();
    versions();
    nulls();
    options();
    files();
    binary();
    replies();
    scripts();
    rollback();
    clock_and_tick();
    logging();
    threads();
    return finish("abi");
}
