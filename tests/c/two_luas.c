/* The host's own Lua 5.4 beside the Lua 5.1 inside moonkv: each keeps its version and its data,
 * also while one is called from the other. */
#include "check.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* kv(script): runs a script in moonkv from Lua 5.4. */
static int kv(lua_State *lua) {
    kv_engine *engine = (kv_engine *)lua_touserdata(lua, lua_upvalueindex(1));
    kv_bytes script;
    kv_reply reply;
    script.data = luaL_checklstring(lua, 1, &script.len);
    reply = kv_eval(engine, script, 0, NULL, 0, NULL);
    if (reply.type == KV_REPLY_INTEGER) {
        lua_pushinteger(lua, (lua_Integer)reply.integer);
    } else {
        lua_pushlstring(lua, reply.str ? reply.str : "", reply.len);
    }
    kv_reply_free(&reply);
    return 1;
}

/* redis.log of moonkv's Lua, on to a function of the host's. */
static void on_log(void *user_data, uint32_t level, kv_bytes message) {
    lua_State *lua = (lua_State *)user_data;
    (void)level;
    lua_getglobal(lua, "logged");
    lua_pushlstring(lua, message.data, message.len);
    CHECK(lua_pcall(lua, 1, 0, 0) == LUA_OK);
}

int main(void) {
    kv_engine *engine = kv_open(NULL, NULL);
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    lua_pushlightuserdata(lua, engine);
    lua_pushcclosure(lua, kv, 1);
    lua_setglobal(lua, "kv");
    IS_OK(kv_log_set(engine, on_log, lua));
    if (luaL_dostring(lua,
                      "local seen\n"
                      "function logged(text) seen = text .. ' // ' .. (7 // 2) end\n"
                      "assert(_VERSION == 'Lua 5.4')\n"
                      "assert(kv('return _VERSION') == 'Lua 5.1')\n"
                      "for i = 1, 1000 do assert(kv('return redis.call(\"INCR\", \"n\")') == i) end\n"
                      "assert(kv('redis.log(redis.LOG_NOTICE, _VERSION) return 1') == 1)\n"
                      "assert(seen == 'Lua 5.1 // 3', seen)\n"
                      "assert(kv('return 7 // 2'):find('compiling'))\n"
                      "assert(not pcall(error, kv('error(\"inner\")')))\n"
                      "collectgarbage()\n")) {
        fprintf(stderr, "%s\n", lua_tostring(lua, -1));
        failures++;
    }
    IS_STRING(eval(engine, "return redis.call('GET', 'n')"), "1000");
    lua_close(lua);
    IS_OK(kv_log_set(engine, NULL, NULL));
    IS_STRING(eval(engine, "return _VERSION"), "Lua 5.1");
    kv_close(engine);
    return finish("two_luas");
}
