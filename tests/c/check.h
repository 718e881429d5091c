/* What the C tests share: a failed check tells where, and makes the program fail at the end. */
#ifndef CHECK_H
#define CHECK_H

#include <moonkv.h>
#include <stdio.h>

static int failures = 0;

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            failures++;                                                          \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
        }                                                                        \
    } while (0)

static inline int same(const char *a, const char *b) {
    return a && strcmp(a, b) == 0;
}

/* Each of these checks a reply and releases it. */
#define IS_INTEGER(call, expected)                                  \
    do {                                                            \
        kv_reply r_ = (call);                                       \
        CHECK(r_.type == KV_REPLY_INTEGER && r_.integer == (expected)); \
        if (r_.type == KV_REPLY_ERROR) fprintf(stderr, "  it is: %s\n", r_.str); \
        kv_reply_free(&r_);                                         \
    } while (0)

#define IS_TEXT(call, expected_type, expected)                              \
    do {                                                                    \
        kv_reply r_ = (call);                                               \
        CHECK(r_.type == (expected_type) && same(r_.str, expected));        \
        CHECK(!r_.str || r_.len == strlen(r_.str));                         \
        if (r_.str && !same(r_.str, expected)) fprintf(stderr, "  it is: %s\n", r_.str); \
        kv_reply_free(&r_);                                                 \
    } while (0)

#define IS_STRING(call, expected) IS_TEXT(call, KV_REPLY_STRING, expected)
#define IS_ERROR(call, expected) IS_TEXT(call, KV_REPLY_ERROR, expected)
#define IS_OK(call) IS_TEXT(call, KV_REPLY_STATUS, "OK")

#define HAS_ERROR(call, part)                                               \
    do {                                                                    \
        kv_reply r_ = (call);                                               \
        CHECK(r_.type == KV_REPLY_ERROR && strstr(r_.str, part));           \
        if (r_.str && !strstr(r_.str, part)) fprintf(stderr, "  it is: %s\n", r_.str); \
        kv_reply_free(&r_);                                                 \
    } while (0)

#define IS_NIL(call)                     \
    do {                                 \
        kv_reply r_ = (call);            \
        CHECK(r_.type == KV_REPLY_NIL);  \
        kv_reply_free(&r_);              \
    } while (0)

/* Cuts a line into words without spaces in them, at most 16; returns how many. */
static inline size_t split(const char *line, kv_bytes argv[16]) {
    size_t argc = 0;
    while (argc < 16 && *line) {
        size_t len = strcspn(line, " ");
        argv[argc].data = line;
        argv[argc++].len = len;
        line += len;
        line += strspn(line, " ");
    }
    return argc;
}

/* A command of such words. */
static inline kv_reply words(kv_engine *engine, const char *line) {
    kv_bytes argv[16];
    size_t argc = split(line, argv);
    return kv_command(engine, argc, argv);
}

static inline kv_reply session_words(kv_session *session, const char *line) {
    kv_bytes argv[16];
    size_t argc = split(line, argv);
    return kv_session_command(session, argc, argv);
}

static inline kv_reply eval(kv_engine *engine, const char *script) {
    return kv_eval(engine, kv_str(script), 0, NULL, 0, NULL);
}

static inline int finish(const char *name) {
    if (failures) {
        fprintf(stderr, "%s: %d checks failed\n", name, failures);
        return 1;
    }
    printf("%s: ok\n", name);
    return 0;
}

#endif
