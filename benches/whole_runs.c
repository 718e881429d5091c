/* One prepared script, and the same by eval, run as often as the first argument says: prints the
 * nanoseconds of one run of each, the best of forty rounds. */
#define _POSIX_C_SOURCE 200809L
#include "moonkv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    long runs = atol(argv[1]);
    kv_bytes source = {argv[2], strlen(argv[2])};
    kv_bytes key = {"user:1000", 9};
    kv_engine *engine = kv_open(NULL, NULL);
    kv_script *script = kv_script_prepare(engine, source, NULL);
    double prepared = 1e18, eval = 1e18;
    for (int round = 0; round < 40; round++) {
        double start = now_ns();
        for (long i = 0; i < runs; i++) {
            kv_reply reply = kv_script_run(script, 1, &key, 0, NULL);
            if (reply.type != KV_REPLY_INTEGER) return 3;
            kv_reply_free(&reply);
        }
        double took = (now_ns() - start) / (double)runs;
        if (took < prepared) prepared = took;
        start = now_ns();
        for (long i = 0; i < runs; i++) {
            kv_reply reply = kv_eval(engine, source, 1, &key, 0, NULL);
            if (reply.type != KV_REPLY_INTEGER) return 4;
            kv_reply_free(&reply);
        }
        took = (now_ns() - start) / (double)runs;
        if (took < eval) eval = took;
    }
    printf("%.1f %.1f\n", prepared, eval);
    kv_script_free(script);
    kv_close(engine);
    return 0;
}
