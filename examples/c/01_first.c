/* Open an engine, store something, run a script on it, let everything go.
 *
 *     cc 01_first.c -lmoonkv -o first && ./first
 */
#include <moonkv.h>
#include <stdio.h>

int main(void) {
    kv_reply error;
    kv_engine *engine = kv_open(NULL, &error);
    if (!engine) {
        fprintf(stderr, "%s\n", error.str);
        kv_reply_free(&error);
        return 1;
    }

    /* A command is a list of strings, as in redis-cli. */
    kv_bytes set[] = {KV_BYTES("SET"), KV_BYTES("greeting"), KV_BYTES("hello")};
    kv_reply reply = kv_command(engine, 3, set);
    printf("SET: %s\n", reply.str);
    kv_reply_free(&reply);

    /* A script runs as one atomic step. */
    kv_bytes keys[] = {KV_BYTES("greeting")}, args[] = {KV_BYTES("world")};
    reply = kv_eval(engine, KV_BYTES("return redis.call('GET', KEYS[1]) .. ', ' .. ARGV[1]"),
                    1, keys, 1, args);
    int ok = reply.type == KV_REPLY_STRING;
    printf("EVAL: %s\n", reply.str);
    kv_reply_free(&reply);

    kv_close(engine);
    return ok ? 0 : 1;
}
