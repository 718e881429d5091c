/* moonkv.h alone and first, twice, as C and as C++. */
#include <moonkv.h>
#include <moonkv.h>

#if KV_VERSION_MAJOR == 0 && KV_VERSION_MINOR == 0 && KV_VERSION_PATCH == 0
#error "the version macros are numbers for the preprocessor"
#endif

int main(void) {
    kv_bytes argv[1] = {KV_BYTES("PING")};
    kv_bytes binary = KV_BYTES("a\0b"), text = kv_str("abc"), none = kv_str(NULL);
    kv_options options;
    kv_engine *engine;
    kv_reply reply;
    int ok;
    kv_options_init(&options);
    engine = kv_open(&options, NULL);
    reply = kv_command(engine, 1, argv);
    ok = reply.type == KV_REPLY_STATUS && strcmp(reply.str, "PONG") == 0 && binary.len == 3 &&
         text.len == 3 && none.len == 0 && strcmp(kv_version(), KV_VERSION) == 0;
    kv_reply_free(&reply);
    kv_close(engine);
    return ok ? 0 : 1;
}
