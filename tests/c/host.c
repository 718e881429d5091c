/* Functions of C that are registered as commands, and limits for one run. */
#include "check.h"

static kv_engine *the_engine;

/* GAME.SPAWN area monster: pushes it, counts the calls, and fails for a dragon. */
static void spawn(kv_call *call, size_t argc, const kv_bytes *argv, void *user_data) {
    kv_bytes push[3];
    kv_reply reply;
    int *calls = user_data;

    ++*calls;
    CHECK(argc == 3 && !kv_call_is_read_only(call));
    push[0] = kv_str("RPUSH");
    push[1] = argv[1];
    push[2] = argv[2];
    reply = kv_call_command(call, 3, push);
    if (reply.type == KV_REPLY_ERROR) {
        kv_call_error(call, kv_str(reply.str));
    } else if (argv[2].len == 6 && memcmp(argv[2].data, "dragon", 6) == 0) {
        kv_call_reply_integer(call, 7);
        kv_call_error(call, kv_str("not in this game"));
    } else {
        kv_call_reply_integer(call, reply.integer);
    }
    kv_reply_free(&reply);
}

/* Replies with what its first argument names. */
static void answer(kv_call *call, size_t argc, const kv_bytes *argv, void *user_data) {
    kv_bytes broken = {NULL, 3}, ping = KV_BYTES("PING");
    char what = argc > 1 && argv[1].len ? argv[1].data[0] : 0;

    CHECK(user_data == NULL);
    switch (what) {
    case 'n': kv_call_reply_nil(call); break;
    case 'i': kv_call_reply_integer(call, -5); break;
    case 'd': kv_call_reply_double(call, 0.5); break;
    case 'b': kv_call_reply_bool(call, true); break;
    case 's': kv_call_reply_string(call, argv[1]); break;
    case 't': kv_call_reply_status(call, kv_str("FINE")); break;
    case 'a':
        kv_call_reply_array(call, 2);
        kv_call_reply_map(call, 1);
        kv_call_reply_string(call, kv_str("k"));
        kv_call_reply_array(call, 0);
        kv_call_reply_integer(call, 2);
        break;
    case 'u': /* Two elements are promised. */
        kv_call_reply_array(call, 2);
        kv_call_reply_integer(call, 1);
        break;
    case 'h': kv_call_reply_array(call, SIZE_MAX); break;
    case 'm': kv_call_reply_map(call, SIZE_MAX); break;
    case 'x': /* One reply too many. */
        kv_call_reply_integer(call, 1);
        kv_call_reply_integer(call, 2);
        break;
    case '0': kv_call_reply_string(call, broken); break;
    case '1': kv_call_reply_status(call, broken); break;
    case '2': kv_call_error(call, broken); break;
    case 'c': kv_call_error(call, kv_str("NOGOLD left")); break;
    case 'r': IS_ERROR(kv_command(the_engine, 1, &ping),
        "ERR the engine was called from inside one of its own callbacks");
        kv_close(the_engine); /* Does nothing. */
        break;
    case 'l': /* Lists that are none. */
        IS_ERROR(kv_call_command(call, 0, NULL), "ERR a command needs at least its name");
        HAS_ERROR(kv_call_command(call, 1, NULL), "ERR a list of strings is NULL");
        HAS_ERROR(kv_call_command(call, 1, &broken), "ERR a string's data is NULL");
        break;
    default: break;
    }
}

static void functions(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_bytes name = KV_BYTES("GAME.SPAWN"), flags = KV_BYTES("write denyoom");
    kv_bytes broken = {NULL, 3}, latin = KV_BYTES("\xe9");
    int calls = 0, others = 0;
    kv_reply reply;

    the_engine = engine;
    IS_OK(kv_register(engine, name, 3, flags, 1, 1, 1, spawn, &calls));
    IS_INTEGER(words(engine, "game.spawn cave rat"), 1);
    IS_INTEGER(eval(engine, "return redis.call('GAME.SPAWN', 'cave', 'bat')"), 2);
    CHECK(calls == 2);
    IS_ERROR(words(engine, "GAME.SPAWN cave dragon"), "ERR not in this game");
    HAS_ERROR(eval(engine, "redis.call('GAME.SPAWN', 'den', 'fox')"
                           "return redis.call('GAME.SPAWN', 'den', 'dragon')"),
              "ERR not in this game script: ");
    IS_INTEGER(words(engine, "LLEN cave"), 2);
    IS_INTEGER(words(engine, "EXISTS den"), 0);
    IS_OK(words(engine, "SET text x"));
    HAS_ERROR(words(engine, "GAME.SPAWN text rat"), "WRONGTYPE");
    IS_ERROR(words(engine, "GAME.SPAWN"), "ERR wrong number of arguments for 'game.spawn' command");

    /* Again, and away. */
    IS_OK(kv_register(engine, name, 3, flags, 1, 1, 1, spawn, &others));
    IS_INTEGER(words(engine, "GAME.SPAWN cave owl"), 3);
    CHECK(calls == 6 && others == 1);
    IS_INTEGER(kv_unregister(engine, kv_str("game.SPAWN")), 1);
    IS_INTEGER(kv_unregister(engine, name), 0);
    HAS_ERROR(words(engine, "GAME.SPAWN cave owl"), "ERR unknown command 'GAME.SPAWN'");

    /* All replies. */
    IS_OK(kv_register(engine, kv_str("ANSWER"), -1, kv_str("readonly"), 0, 0, 0, answer, NULL));
    IS_NIL(words(engine, "ANSWER"));
    IS_NIL(words(engine, "ANSWER n"));
    IS_INTEGER(words(engine, "ANSWER i"), -5);
    IS_STRING(words(engine, "ANSWER d"), "0.5");
    IS_INTEGER(words(engine, "ANSWER b"), 1);
    IS_STRING(words(engine, "ANSWER sss"), "sss");
    IS_TEXT(words(engine, "ANSWER t"), KV_REPLY_STATUS, "FINE");
    reply = words(engine, "ANSWER a");
    CHECK(reply.type == KV_REPLY_ARRAY && reply.count == 2);
    CHECK(reply.elements[0].count == 2 && reply.elements[1].integer == 2);
    CHECK(same(reply.elements[0].elements[0].str, "k"));
    kv_reply_free(&reply);
    IS_ERROR(words(engine, "ANSWER u"), "ERR the host function left its reply unfinished");
    IS_ERROR(words(engine, "ANSWER h"), "ERR the host function left its reply unfinished");
    IS_ERROR(words(engine, "ANSWER m"), "ERR the host function left its reply unfinished");
    IS_ERROR(words(engine, "ANSWER x"), "ERR the host function replied with more than one reply");
    IS_ERROR(words(engine, "ANSWER 0"), "ERR a string's data is NULL");
    IS_ERROR(words(engine, "ANSWER 1"), "ERR a string's data is NULL");
    IS_ERROR(words(engine, "ANSWER 2"), "ERR the message is NULL");
    IS_ERROR(words(engine, "ANSWER c"), "NOGOLD left");
    IS_NIL(words(engine, "ANSWER r"));
    IS_NIL(words(engine, "ANSWER l"));
    IS_INTEGER(eval(engine, "return #redis.call('ANSWER', 'a')"), 2);

    /* Misuse. */
    IS_ERROR(kv_register(NULL, name, 1, flags, 0, 0, 0, spawn, NULL), "ERR the engine is NULL");
    IS_ERROR(kv_register(engine, name, 1, flags, 0, 0, 0, NULL, NULL), "ERR the function is NULL");
    HAS_ERROR(kv_register(engine, kv_str("GET"), 1, flags, 0, 0, 0, spawn, NULL), "would hide");
    HAS_ERROR(kv_register(engine, name, 0, flags, 0, 0, 0, spawn, NULL), "arity");
    HAS_ERROR(kv_register(engine, name, 1, name, 0, 0, 0, spawn, NULL), "flags are");
    HAS_ERROR(kv_register(engine, name, 1, flags, 2, 1, 1, spawn, NULL), "keys are");
    HAS_ERROR(kv_register(engine, broken, 1, flags, 0, 0, 0, spawn, NULL), "is NULL");
    HAS_ERROR(kv_register(engine, latin, 1, flags, 0, 0, 0, spawn, NULL), "UTF-8");
    HAS_ERROR(kv_unregister(engine, broken), "is NULL");
    IS_ERROR(kv_unregister(NULL, name), "ERR the engine is NULL");
    IS_ERROR(kv_call_command(NULL, 1, &name), "ERR the call is NULL");
    kv_call_reply_nil(NULL);
    kv_call_reply_string(NULL, broken);
    kv_call_error(NULL, name);
    CHECK(!kv_call_is_read_only(NULL));
    kv_close(engine);
}

static void limits(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    kv_bytes forever = KV_BYTES("while true do end"), one = KV_BYTES("return 1");
    kv_bytes large = KV_BYTES("return #string.rep('x', 1000000)");
    kv_limits limits;
    kv_script *script = kv_script_prepare(engine, forever, NULL);
    kv_script *rep = kv_script_prepare(engine, large, NULL);

    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    IS_INTEGER(kv_eval_limited(engine, &limits, one, 0, NULL, 0, NULL), 1);
    IS_INTEGER(kv_eval_limited(engine, NULL, one, 0, NULL, 0, NULL), 1);
    limits.timeout_ms = 20;
    HAS_ERROR(kv_eval_limited(engine, &limits, forever, 0, NULL, 0, NULL), "time limit of 20 ms");
    HAS_ERROR(kv_script_run_limited(script, &limits, 0, NULL, 0, NULL), "time limit of 20 ms");
    limits.timeout_ms = KV_LIMIT_NONE;
    limits.instructions = 50000;
    HAS_ERROR(kv_script_run_limited(script, &limits, 0, NULL, 0, NULL), "50000 instructions");
    limits.instructions = KV_LIMIT_NONE;
    limits.memory_bytes = 100000;
    HAS_ERROR(kv_script_run_limited(rep, &limits, 0, NULL, 0, NULL), "100000 bytes");
    IS_INTEGER(kv_script_run(rep, 0, NULL, 0, NULL), 1000000);
    limits.memory_bytes = KV_LIMIT_NONE;
    IS_INTEGER(kv_script_run_limited(rep, &limits, 0, NULL, 0, NULL), 1000000);
    IS_INTEGER(kv_script_run_limited(rep, NULL, 0, NULL, 0, NULL), 1000000);
    limits.memory_bytes = 5;
    HAS_ERROR(kv_eval_limited(engine, &limits, one, 0, NULL, 0, NULL), "script_memory");
    limits.struct_size = 8;
    HAS_ERROR(kv_eval_limited(engine, &limits, one, 0, NULL, 0, NULL), "struct_size");
    IS_ERROR(kv_eval_limited(NULL, NULL, one, 0, NULL, 0, NULL), "ERR the engine is NULL");
    IS_ERROR(kv_script_run_limited(NULL, NULL, 0, NULL, 0, NULL), "ERR the script is NULL");
    kv_script_free(script);
    kv_script_free(rep);
    kv_close(engine);
}

/* On sessions and by SHA-1. */
static void limits_everywhere(void) {
    kv_engine *engine = kv_open(NULL, NULL), *other = kv_open(NULL, NULL);
    kv_session *session = kv_session_open(engine, NULL), *stranger = kv_session_open(other, NULL);
    kv_bytes forever = KV_BYTES("while true do end"), echo = KV_BYTES("return KEYS[1] .. ARGV[1]");
    kv_bytes key = KV_BYTES("k"), arg = KV_BYTES("a"), multi = KV_BYTES("MULTI");
    kv_limits limits;
    kv_script *script = kv_script_prepare(engine, forever, NULL);
    kv_script *cached = kv_script_prepare(engine, echo, NULL);
    kv_bytes sha1 = kv_script_sha1(script), echo_sha1 = kv_script_sha1(cached);

    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    limits.instructions = 50000;
    HAS_ERROR(kv_evalsha_limited(engine, &limits, sha1, 0, NULL, 0, NULL), "50000 instructions");
    HAS_ERROR(kv_session_eval_limited(session, &limits, forever, 0, NULL, 0, NULL),
              "50000 instructions");
    HAS_ERROR(kv_session_evalsha_limited(session, &limits, sha1, 0, NULL, 0, NULL),
              "50000 instructions");
    HAS_ERROR(kv_session_run_limited(session, &limits, script, 0, NULL, 0, NULL),
              "50000 instructions");
    IS_STRING(kv_evalsha_limited(engine, &limits, echo_sha1, 1, &key, 1, &arg), "ka");
    IS_STRING(kv_session_eval_limited(session, &limits, echo, 1, &key, 1, &arg), "ka");
    IS_STRING(kv_session_evalsha_limited(session, &limits, echo_sha1, 1, &key, 1, &arg), "ka");
    IS_STRING(kv_session_run_limited(session, &limits, cached, 1, &key, 1, &arg), "ka");
    HAS_ERROR(kv_session_run_limited(stranger, &limits, cached, 0, NULL, 0, NULL),
              "another engine's");
    HAS_ERROR(kv_evalsha_limited(engine, &limits, key, 0, NULL, 0, NULL), "NOSCRIPT");

    /* Limits are not queued; where there are none, the script is. */
    IS_OK(kv_session_command(session, 1, &multi));
    HAS_ERROR(kv_session_run_limited(session, &limits, cached, 1, &key, 1, &arg), "be queued");
    IS_TEXT(kv_session_eval_limited(session, NULL, echo, 1, &key, 1, &arg), KV_REPLY_STATUS,
            "QUEUED");
    IS_TEXT(kv_session_run_limited(session, NULL, cached, 1, &key, 1, &arg), KV_REPLY_STATUS,
            "QUEUED");

    limits.struct_size = 8;
    HAS_ERROR(kv_evalsha_limited(engine, &limits, sha1, 0, NULL, 0, NULL), "struct_size");
    HAS_ERROR(kv_session_run_limited(session, &limits, script, 0, NULL, 0, NULL), "struct_size");
    IS_ERROR(kv_evalsha_limited(NULL, NULL, sha1, 0, NULL, 0, NULL), "ERR the engine is NULL");
    IS_ERROR(kv_session_eval_limited(NULL, NULL, echo, 0, NULL, 0, NULL),
             "ERR the session is NULL");
    IS_ERROR(kv_session_evalsha_limited(NULL, NULL, sha1, 0, NULL, 0, NULL),
             "ERR the session is NULL");
    IS_ERROR(kv_session_run_limited(NULL, NULL, script, 0, NULL, 0, NULL),
             "ERR the session is NULL");
    IS_ERROR(kv_session_run_limited(session, NULL, NULL, 0, NULL, 0, NULL),
             "ERR the script is NULL");
    kv_script_free(script);
    kv_script_free(cached);
    kv_session_close(session);
    kv_session_close(stranger);
    kv_close(other);
    kv_close(engine);
}

int main(void) {
    functions();
    limits();
    limits_everywhere();
    return finish("host");
}
