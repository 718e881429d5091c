/* Loads the library at run time, with every symbol of both Luas in sight of all: the worst case.
 * argv[1] is the library. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

typedef uint32_t (*abi_version_fn)(void);
typedef kv_engine *(*open_fn)(const kv_options *, kv_reply *);
typedef void (*close_fn)(kv_engine *);
typedef kv_reply (*eval_fn)(kv_engine *, kv_bytes, size_t, const kv_bytes *, size_t,
                            const kv_bytes *);
typedef void (*reply_free_fn)(kv_reply *);

/* ISO C has no way from an object pointer to a function pointer; POSIX asks for this one. */
#define LOAD(name, type)                          \
    type name;                                    \
    *(void **)(&name) = dlsym(library, "kv_" #name); \
    if (!name) return 2

int main(int argc, char **argv) {
    lua_State *lua = luaL_newstate();
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    kv_engine *engine;
    kv_reply reply;
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    LOAD(abi_version, abi_version_fn);
    LOAD(open, open_fn);
    LOAD(close, close_fn);
    LOAD(eval, eval_fn);
    LOAD(reply_free, reply_free_fn);
    CHECK(abi_version() == KV_ABI_VERSION);
    luaL_openlibs(lua);
    engine = open(NULL, NULL);
    reply = eval(engine, KV_BYTES("return _VERSION"), 0, NULL, 0, NULL);
    CHECK(reply.type == KV_REPLY_STRING && same(reply.str, "Lua 5.1"));
    reply_free(&reply);
    CHECK(!luaL_dostring(lua, "return _VERSION"));
    CHECK(same(lua_tostring(lua, -1), "Lua 5.4"));
    close(engine);
    lua_close(lua);
    return finish("loaded");
}
