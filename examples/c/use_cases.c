/* Seven things scripts are good for, each a function that prints what it does and checks it.
 *
 *     cc use_cases.c -lmoonkv -o use_cases && ./use_cases
 */
#include <moonkv.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what, const kv_reply *reply) {
    fprintf(stderr, "%s: unexpected reply of type %u: %s\n", what, (unsigned)reply->type,
            reply->str ? reply->str : "");
    exit(1);
}

/* Checks an integer and releases the reply. */
static void expect_integer(const char *what, kv_reply reply, long long expected) {
    if (reply.type != KV_REPLY_INTEGER || reply.integer != expected) fail(what, &reply);
    printf("  %s: %lld\n", what, (long long)reply.integer);
    kv_reply_free(&reply);
}

/* Checks a type and the beginning of a text, and releases the reply. */
static void expect_text(const char *what, kv_reply reply, uint32_t type, const char *expected) {
    if (reply.type != type || strncmp(reply.str, expected, strlen(expected)) != 0) {
        fail(what, &reply);
    }
    printf("  %s: %s\n", what, reply.str);
    kv_reply_free(&reply);
}

static kv_reply get(kv_engine *engine, const char *key) {
    kv_bytes argv[] = {KV_BYTES("GET"), kv_str(key)};
    return kv_command(engine, 2, argv);
}

static void set(kv_engine *engine, const char *key, const char *value) {
    kv_bytes argv[] = {KV_BYTES("SET"), kv_str(key), kv_str(value)};
    kv_reply reply = kv_command(engine, 3, argv);
    if (reply.type != KV_REPLY_STATUS) fail("SET", &reply);
    kv_reply_free(&reply);
}

/* 1. A counter that stops at a limit: -1 once it is reached. */
static void counter_with_a_limit(kv_engine *engine) {
    const kv_bytes script = KV_BYTES(
        "local n = tonumber(redis.call('GET', KEYS[1]) or '0')\n"
        "if n >= tonumber(ARGV[1]) then return -1 end\n"
        "return redis.call('INCR', KEYS[1])\n");
    kv_bytes key = KV_BYTES("visits"), limit = KV_BYTES("2");
    puts("counter with a limit");
    expect_integer("first", kv_eval(engine, script, 1, &key, 1, &limit), 1);
    expect_integer("second", kv_eval(engine, script, 1, &key, 1, &limit), 2);
    expect_integer("third", kv_eval(engine, script, 1, &key, 1, &limit), -1);
}

/* 2. A transfer between two keys that happens whole or not at all. */
static void atomic_transfer(kv_engine *engine) {
    /* The check comes last: the error that it raises undoes what the script has done. */
    const kv_bytes script = KV_BYTES(
        "local left = redis.call('DECRBY', KEYS[1], ARGV[1])\n"
        "redis.call('INCRBY', KEYS[2], ARGV[1])\n"
        "if left < 0 then error({err = 'INSUFFICIENT by ' .. -left}) end\n"
        "return left\n");
    kv_bytes keys[] = {KV_BYTES("alice"), KV_BYTES("bob")};
    kv_bytes thirty = KV_BYTES("30"), hundred = KV_BYTES("100");
    puts("atomic transfer");
    set(engine, "alice", "100");
    set(engine, "bob", "5");
    expect_integer("alice after 30", kv_eval(engine, script, 2, keys, 1, &thirty), 70);
    expect_text("100 more", kv_eval(engine, script, 2, keys, 1, &hundred), KV_REPLY_ERROR,
                "INSUFFICIENT by 30");
    expect_text("alice still", get(engine, "alice"), KV_REPLY_STRING, "70");
    expect_text("bob still", get(engine, "bob"), KV_REPLY_STRING, "35");
}

/* 3. Many keys at once: those above a threshold, in one reply. */
static void batch_with_a_filter(kv_engine *engine) {
    const kv_bytes script = KV_BYTES(
        "local found = {}\n"
        "for _, key in ipairs(KEYS) do\n"
        "  local value = tonumber(redis.call('GET', key) or '0')\n"
        "  if value > tonumber(ARGV[1]) then\n"
        "    found[#found + 1] = key\n"
        "    found[#found + 1] = value\n"
        "  end\n"
        "end\n"
        "return found\n");
    kv_bytes keys[] = {KV_BYTES("temp:a"), KV_BYTES("temp:b"), KV_BYTES("temp:c"),
                       KV_BYTES("temp:missing")};
    kv_bytes threshold = KV_BYTES("20");
    puts("batch with a filter");
    set(engine, "temp:a", "18");
    set(engine, "temp:b", "21");
    set(engine, "temp:c", "35");
    kv_reply reply = kv_eval(engine, script, 4, keys, 1, &threshold);
    if (reply.type != KV_REPLY_ARRAY || reply.count != 4) fail("batch", &reply);
    for (size_t i = 0; i < reply.count; i += 2) {
        printf("  %s = %lld\n", reply.elements[i].str, (long long)reply.elements[i + 1].integer);
    }
    if (strcmp(reply.elements[0].str, "temp:b") != 0 || reply.elements[3].integer != 35) {
        fail("batch", &reply);
    }
    kv_reply_free(&reply);
}

/* 4. At most so many requests in any window of so many milliseconds. The time is an argument, so
 * that the script does the same whenever it is run again. */
static void sliding_window(kv_engine *engine) {
    const kv_bytes source = KV_BYTES(
        "local key, now = KEYS[1], tonumber(ARGV[1])\n"
        "local window, limit = tonumber(ARGV[2]), tonumber(ARGV[3])\n"
        "redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)\n"
        "if redis.call('ZCARD', key) >= limit then return 0 end\n"
        "redis.call('ZADD', key, now, ARGV[4])\n"
        "redis.call('EXPIRE', key, math.ceil(window / 1000))\n"
        "return 1\n");
    static const struct {
        const char *now_ms;
        long long allowed;
    } requests[] = {{"1000", 1}, {"1200", 1}, {"1400", 1}, {"1500", 0}, {"2001", 1}, {"2100", 0}};
    kv_bytes key = KV_BYTES("limit:user:7");
    kv_script *script = kv_script_prepare(engine, source, NULL);
    puts("sliding-window rate limiter: 3 in 1000 ms");
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        char id[32], what[32];
        snprintf(id, sizeof id, "request-%zu", i);
        snprintf(what, sizeof what, "at %s ms", requests[i].now_ms);
        kv_bytes args[] = {kv_str(requests[i].now_ms), KV_BYTES("1000"), KV_BYTES("3"),
                           kv_str(id)};
        expect_integer(what, kv_script_run(script, 1, &key, 4, args), requests[i].allowed);
    }
    kv_script_free(script);
}

/* 5. Load a script once, run it by its SHA-1. */
static void load_once(kv_engine *engine) {
    puts("load once, run by SHA-1");
    kv_reply sha1 = kv_script_load(engine, KV_BYTES("return tonumber(ARGV[1]) * 2"));
    if (sha1.type != KV_REPLY_STRING) fail("SCRIPT LOAD", &sha1);
    printf("  SHA-1: %s\n", sha1.str);
    kv_bytes name = {sha1.str, sha1.len};
    for (int i = 1; i <= 3; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        kv_bytes arg = kv_str(number);
        expect_integer(number, kv_evalsha(engine, name, 0, NULL, 1, &arg), 2 * i);
    }
    kv_reply found = kv_script_exists(engine, 1, &name);
    if (found.count != 1 || found.elements[0].integer != 1) fail("SCRIPT EXISTS", &found);
    kv_reply_free(&found);
    kv_reply flushed = kv_script_flush(engine);
    kv_reply_free(&flushed);
    expect_text("after a flush", kv_evalsha(engine, name, 0, NULL, 0, NULL), KV_REPLY_ERROR,
                "NOSCRIPT");
    kv_reply_free(&sha1);
}

/* 6. redis.pcall hands an error to the script, which goes on. */
static void error_handling(kv_engine *engine) {
    const kv_bytes script = KV_BYTES(
        "local reply = redis.pcall('LPUSH', KEYS[1], ARGV[1])\n"
        "if type(reply) == 'table' and reply.err then\n"
        "  redis.call('SET', 'last-error', reply.err)\n"
        "  return 'handled: ' .. reply.err\n"
        "end\n"
        "return reply\n");
    kv_bytes text = KV_BYTES("a-string"), list = KV_BYTES("a-list"), arg = KV_BYTES("x");
    puts("pcall");
    set(engine, "a-string", "text");
    expect_text("on a string", kv_eval(engine, script, 1, &text, 1, &arg), KV_REPLY_STRING,
                "handled: WRONGTYPE");
    expect_text("kept", get(engine, "last-error"), KV_REPLY_STRING, "WRONGTYPE");
    expect_integer("on a list", kv_eval(engine, script, 1, &list, 1, &arg), 1);
    /* redis.call raises the same error, which ends the script. */
    expect_text("with call",
                kv_eval(engine, KV_BYTES("return redis.call('LPUSH', KEYS[1], 'x')"), 1, &text, 0,
                        NULL),
                KV_REPLY_ERROR, "WRONGTYPE");
}

/* 7. Status and error replies of a script's own. */
static void status_replies(kv_engine *engine) {
    const kv_bytes script = KV_BYTES(
        "if ARGV[1] == 'open' then return redis.status_reply('READY') end\n"
        "if ARGV[1] == 'ok' then return {ok = 'OK'} end\n"
        "return redis.error_reply('CLOSED come back later')\n");
    kv_bytes open = KV_BYTES("open"), ok = KV_BYTES("ok"), other = KV_BYTES("other");
    puts("status replies");
    expect_text("open", kv_eval(engine, script, 0, NULL, 1, &open), KV_REPLY_STATUS, "READY");
    expect_text("ok", kv_eval(engine, script, 0, NULL, 1, &ok), KV_REPLY_STATUS, "OK");
    expect_text("other", kv_eval(engine, script, 0, NULL, 1, &other), KV_REPLY_ERROR,
                "CLOSED come back later");
}

int main(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    if (!engine) return 1;
    counter_with_a_limit(engine);
    atomic_transfer(engine);
    batch_with_a_filter(engine);
    sliding_window(engine);
    load_once(engine);
    error_handling(engine);
    status_replies(engine);
    kv_close(engine);
    return 0;
}
