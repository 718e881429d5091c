/* A very small game that lets its rules be scripts: one prepared script runs in each frame, under
 * a budget of instructions and time, on a clock that the game moves itself. A mod that hangs is
 * stopped by its budget or by the watchdog thread, and leaves the world as it was.
 *
 *     cc game.c -lmoonkv -lpthread -o game && ./game
 */
#define _POSIX_C_SOURCE 200809L
#include <moonkv.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FRAMES = 60, FRAME_MS = 16, EXPIRY_BUDGET_US = 200 };

/* The rules: gold trickles in, a shield lasts for half a second. */
static const char RULES[] =
    "local frame = tonumber(ARGV[1])\n"
    "local gold = redis.call('HINCRBY', KEYS[1], 'gold', 2)\n"
    "if frame == 10 then redis.call('SET', KEYS[2], 'on', 'PX', 500) end\n"
    "redis.call('HSET', KEYS[1], 'frame', frame)\n"
    "return {gold, redis.call('EXISTS', KEYS[2])}\n";

/* A bad mod: takes all the gold, then never ends. */
static const char BAD_MOD[] =
    "redis.call('HSET', KEYS[1], 'gold', 0)\n"
    "while true do end\n";

static void require(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "game: %s\n", what);
        exit(1);
    }
}

static kv_engine *open_world(uint64_t script_instructions, uint64_t script_timeout_ms) {
    kv_options options;
    kv_options_init(&options);
    options.clock = KV_CLOCK_MANUAL; /* Time stands still while the game is paused. */
    options.script_instructions = script_instructions;
    options.script_timeout_ms = script_timeout_ms;
    options.script_memory_bytes = 8 << 20;
    kv_engine *world = kv_open(&options, NULL);
    require(world != NULL, "no world");
    return world;
}

/* Plays one second; returns in how many frames the shield was up. */
static int play(kv_engine *world, const kv_bytes *keys) {
    kv_script *rules = kv_script_prepare(world, kv_str(RULES), NULL);
    int shielded = 0;
    require(rules != NULL, "the rules do not compile");
    for (int frame = 0; frame < FRAMES; frame++) {
        char number[16];
        snprintf(number, sizeof number, "%d", frame);
        kv_bytes arg = kv_str(number);
        kv_reply reply = kv_script_run(rules, 2, keys, 1, &arg);
        require(reply.type == KV_REPLY_ARRAY, reply.str ? reply.str : "no array");
        shielded += (int)reply.elements[1].integer;
        kv_reply_free(&reply);

        /* The frame is over: time moves, what is past its time goes. */
        kv_reply now = kv_clock_advance(world, FRAME_MS);
        kv_reply_free(&now);
        kv_reply tick = kv_tick(world, EXPIRY_BUDGET_US, NULL, NULL);
        kv_reply_free(&tick);
    }
    kv_script_free(rules);
    return shielded;
}

static int64_t gold(kv_engine *world, const kv_bytes *keys) {
    kv_reply reply =
        kv_eval(world, KV_BYTES("return tonumber(redis.call('HGET', KEYS[1], 'gold'))"), 1, keys,
                0, NULL);
    int64_t amount = reply.type == KV_REPLY_INTEGER ? reply.integer : -1;
    kv_reply_free(&reply);
    return amount;
}

/* Runs the bad mod and checks why it ended and that nothing is lost. */
static void survive(kv_engine *world, const kv_bytes *keys, const char *reason) {
    int64_t before = gold(world, keys);
    kv_reply reply = kv_eval(world, kv_str(BAD_MOD), 1, keys, 0, NULL);
    require(reply.type == KV_REPLY_ERROR && strstr(reply.str, reason), "the mod was not stopped");
    printf("bad mod: %s\n", reply.str);
    kv_reply_free(&reply);
    require(gold(world, keys) == before, "the mod left a trace");
}

struct watchdog {
    kv_engine *world;
    pthread_mutex_t lock;
    int done;
};

/* What the window's thread would do when the player presses Escape. */
static void *watch(void *user_data) {
    struct watchdog *dog = user_data;
    const struct timespec pause = {0, 5000000};
    for (int done = 0; !done;) {
        nanosleep(&pause, NULL);
        kv_cancel(dog->world);
        pthread_mutex_lock(&dog->lock);
        done = dog->done;
        pthread_mutex_unlock(&dog->lock);
    }
    return NULL;
}

int main(void) {
    const kv_bytes keys[] = {KV_BYTES("player:1"), KV_BYTES("player:1:shield")};

    /* A budget in instructions is the same on every machine. */
    kv_engine *world = open_world(100000, 0);
    int shielded = play(world, keys);
    printf("gold %lld, shielded for %d frames\n", (long long)gold(world, keys), shielded);
    require(gold(world, keys) == 2 * FRAMES, "the gold is wrong");
    require(shielded == 500 / FRAME_MS + 1, "the shield is wrong");
    survive(world, keys, "script_instructions");

    /* What would happen if? A copy is nearly free, and is thrown away. */
    kv_engine *what_if = kv_fork(world, NULL);
    require(what_if != NULL, "no copy");
    play(what_if, keys);
    require(gold(what_if, keys) == 4 * FRAMES && gold(world, keys) == 2 * FRAMES, "no copy");
    kv_close(what_if);
    kv_close(world);

    /* A budget in time. */
    world = open_world(0, 20);
    play(world, keys);
    survive(world, keys, "script_timeout_ms");
    kv_close(world);

    /* No budget at all, but somebody watches. */
    world = open_world(0, 0);
    play(world, keys);
    struct watchdog dog = {world, PTHREAD_MUTEX_INITIALIZER, 0};
    pthread_t thread;
    kv_reply reply;
    require(pthread_create(&thread, NULL, watch, &dog) == 0, "no thread");
    reply = kv_eval(world, kv_str(BAD_MOD), 1, keys, 0, NULL);
    require(reply.type == KV_REPLY_ERROR && strstr(reply.str, "cancelled"), "not cancelled");
    printf("bad mod: %s\n", reply.str);
    kv_reply_free(&reply);
    pthread_mutex_lock(&dog.lock);
    dog.done = 1;
    pthread_mutex_unlock(&dog.lock);
    pthread_join(thread, NULL);
    require(gold(world, keys) == 2 * FRAMES, "the mod left a trace");
    kv_close(world);
    return 0;
}
