/* What the engine tells of scripts: where they failed, what became of their runs, where the time
 * went. */
#include "check.h"

static kv_bytes text_of(const kv_reply *reply) {
    kv_bytes text = {reply->str, reply->len};
    return text;
}

static void tracebacks(kv_engine *engine) {
    kv_bytes script = KV_BYTES("local function take()\n  error('empty')\nend\ntake()");
    kv_reply sha1 = kv_script_load(engine, script), failed, last;

    IS_NIL(kv_last_traceback());
    failed = kv_evalsha(engine, text_of(&sha1), 0, NULL, 0, NULL);
    CHECK(failed.type == KV_REPLY_ERROR);
    last = kv_last_traceback();
    CHECK(last.type == KV_REPLY_ARRAY && last.count == 4);
    if (last.count == 4) {
        const kv_reply *frames = &last.elements[3];
        CHECK(same(last.elements[0].str, sha1.str));
        CHECK(last.elements[1].type == KV_REPLY_NIL);
        CHECK(last.elements[2].type == KV_REPLY_INTEGER && last.elements[2].integer == 2);
        CHECK(frames->type == KV_REPLY_ARRAY && frames->count == 3);
        CHECK(frames->count == 3
            && same(frames->elements[1].str, "user_script:2: in function 'take'"));
    }
    IS_NIL(kv_last_traceback()); /* It was taken. */
    kv_reply_free(&last);
    kv_reply_free(&failed);
    kv_reply_free(&sha1);
    HAS_ERROR(kv_eval(engine, kv_str("return redis.error_reply('OWN')"), 0, NULL, 0, NULL), "OWN");
    IS_NIL(kv_last_traceback());
}

static void statistics(void) {
    kv_options options;
    kv_engine *engine;
    kv_reply stats;

    kv_options_init(&options);
    options.script_statistics = 1;
    engine = kv_open(&options, NULL);
    IS_INTEGER(kv_eval(engine, kv_str("return 1"), 0, NULL, 0, NULL), 1);
    stats = kv_script_stats(engine);
    CHECK(stats.type == KV_REPLY_ARRAY && stats.count == 1);
    if (stats.count == 1) {
        const kv_reply *script = &stats.elements[0];
        CHECK(script->count == 16);
        CHECK(script->count == 16 && same(script->elements[4].str, "runs")
            && script->elements[5].integer == 1
            && script->elements[9].type == KV_REPLY_INTEGER);
    }
    kv_reply_free(&stats);
    IS_OK(kv_script_stats_reset(engine));
    kv_close(engine);
    IS_ERROR(kv_script_stats(NULL), "ERR the engine is NULL");
    IS_ERROR(kv_script_stats_reset(NULL), "ERR the engine is NULL");
}

static void profiles(kv_engine *engine) {
    kv_bytes script = KV_BYTES("for i = 1, 3 do\n  redis.call('INCR', KEYS[1])\nend\nreturn 7");
    kv_bytes key = KV_BYTES("n");
    kv_reply profile;

    IS_INTEGER(kv_profile(engine, script, 1, &key, 0, NULL, &profile), 7);
    CHECK(profile.type == KV_REPLY_ARRAY && profile.count == 2);
    if (profile.count == 2) {
        CHECK(strstr(profile.elements[0].str, "redis.call INCR") != NULL);
        CHECK(strstr(profile.elements[1].str, "main:2;redis.call INCR ") != NULL);
    }
    kv_reply_free(&profile);
    IS_INTEGER(kv_profile(engine, script, 1, &key, 0, NULL, NULL), 7);
    HAS_ERROR(kv_profile(engine, kv_str("error('no')"), 0, NULL, 0, NULL, &profile), "no");
    CHECK(profile.type == KV_REPLY_ARRAY);
    kv_reply_free(&profile);
    IS_ERROR(kv_profile(NULL, script, 0, NULL, 0, NULL, &profile), "ERR the engine is NULL");
    CHECK(profile.type == KV_REPLY_NIL);
    profile = kv_last_traceback();
    CHECK(profile.type == KV_REPLY_ARRAY);
    kv_reply_free(&profile);
}

int main(void) {
    kv_engine *engine = kv_open(NULL, NULL);

    tracebacks(engine);
    statistics();
    profiles(engine);
    kv_close(engine);
    return failures != 0;
}
