/*
 * moonkv: an embedded, in-process, Redis-compatible key-value engine whose point is atomic
 * Lua 5.1 scripting. What SQLite is to a SQL server, moonkv is to Redis.
 *
 * Generated from src/ffi/ by `UPDATE=1 cargo test --test header`. Not to be edited.
 *
 * EXAMPLE
 *
 *     #include <moonkv.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         kv_engine *engine = kv_open(NULL, NULL);
 *         kv_bytes keys[] = {KV_BYTES("visits")}, args[] = {KV_BYTES("3")};
 *         kv_reply reply = kv_eval(engine,
 *             KV_BYTES("local n = redis.call('INCR', KEYS[1])\n"
 *                      "if n > tonumber(ARGV[1]) then return redis.error_reply('LIMIT') end\n"
 *                      "return n"),
 *             1, keys, 1, args);
 *         if (reply.type == KV_REPLY_INTEGER) printf("%lld\n", (long long)reply.integer);
 *         if (reply.type == KV_REPLY_ERROR) printf("%s\n", reply.str);
 *         kv_reply_free(&reply);
 *         kv_close(engine);
 *         return 0;
 *     }
 *
 *     cc example.c -lmoonkv
 *
 * ERRORS
 *
 * A function that returns a kv_reply reports every error as a reply of type KV_REPLY_ERROR; one
 * that returns a handle returns NULL and, if asked, leaves such a reply in out_error. No function
 * aborts, exits, prints or throws, and a failure inside the library is caught and becomes an error:
 * "ERR the engine is poisoned ..." from then on, for that engine.
 *
 * OWNERSHIP
 *
 * What a function takes is borrowed for the call and copied where it is kept; only kv_close,
 * kv_listener_close, kv_session_close, kv_script_free and kv_reply_free consume. What it returns is the caller's: each
 * kv_engine goes to kv_close, each kv_session to kv_session_close, each kv_script to
 * kv_script_free, each outermost kv_reply to kv_reply_free. All of them may go in any order. A reply of type INTEGER, NIL, DOUBLE or BOOL, an empty
 * container or text, and the status OK own no memory, so that leaving them out of kv_reply_free
 * leaks nothing; calling it always is the simpler rule. Memory is never shared with free().
 *
 * THREADS
 *
 * Every function may be called from any thread. Calls on one engine wait for each other and each
 * is one atomic step; calls on different engines do not touch. No thread is started, but by
 * kv_listen. A reply
 * belongs to who holds it: use it from one thread at a time. kv_close, kv_session_close,
 * kv_script_free and kv_reply_free need the last word: nobody else may be using what they release.
 * A callback runs inside the call that caused it, and may not call the same engine: it gets an
 * error, not a deadlock. A function that is registered as a command has kv_call_command instead.
 *
 * A command that waits for a key, such as BLPOP, sleeps on the calling thread; the engine is free
 * meanwhile. While a session's transaction is open (kv_session_begin), calls of other threads wait
 * for its end, at most busy_timeout_ms; a call on the very thread that holds it, but not through
 * its session, could never go on and is an error at once.
 *
 * fork()
 *
 * The child has a copy of each engine, which lives on by itself. It may be used if no other thread
 * was inside a call on it at the moment of fork(); otherwise its lock may be held for ever by a
 * thread that the child does not have. Open engines after fork(), or call exec.
 *
 * LUA
 *
 * The shared library keeps its Lua 5.1 to itself and shows only names that begin with kv_. It
 * lives in one process with any other Lua. The static library shows its Lua to the linker: do not
 * link it with another one.
 */

#ifndef MOONKV_H
#define MOONKV_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The header's version; kv_version tells the library's. */
#define KV_VERSION "0.1.0"
#define KV_VERSION_MAJOR 0
#define KV_VERSION_MINOR 1
#define KV_VERSION_PATCH 0

/**
 * The number of the binary interface: it grows when a program has to be compiled anew.
 */
#define KV_ABI_VERSION 1

/**
 * A string of any bytes: str, len.
 */
#define KV_REPLY_STRING 1

/**
 * Elements in order: count, elements.
 */
#define KV_REPLY_ARRAY 2

/**
 * An integer: integer.
 */
#define KV_REPLY_INTEGER 3

/**
 * No value: a missing key, or a script's nil or false.
 */
#define KV_REPLY_NIL 4

/**
 * A status such as OK: str, len.
 */
#define KV_REPLY_STATUS 5

/**
 * An error: str, len. The first word tells which, such as ERR, WRONGTYPE or NOSCRIPT.
 */
#define KV_REPLY_ERROR 6

/**
 * A double: number. Only under protocol 3, like all that follow.
 */
#define KV_REPLY_DOUBLE 7

/**
 * A boolean: integer, which is 0 or 1.
 */
#define KV_REPLY_BOOL 8

/**
 * Keys and values in turn: count is twice the number of pairs, elements.
 */
#define KV_REPLY_MAP 9

/**
 * Elements without order: count, elements.
 */
#define KV_REPLY_SET 10

/**
 * A number of any size in decimal digits: str, len.
 */
#define KV_REPLY_BIGNUM 13

/**
 * A text with a format such as "txt": str, len, format.
 */
#define KV_REPLY_VERB 14

/**
 * A script that raises an error, is stopped at a limit or cancelled leaves no trace. The default.
 */
#define KV_ON_ERROR_ROLLBACK 0

/**
 * As in Redis: what a script wrote before its error stays.
 */
#define KV_ON_ERROR_KEEP 1

/**
 * math.random is an error in scripts. The default.
 */
#define KV_LUA_RANDOM_DENIED 0

/**
 * As in Redis: math.random gives the same sequence in every run.
 */
#define KV_LUA_RANDOM_SEEDED 1

/**
 * As in a Redis server: that sequence goes on from run to run.
 */
#define KV_LUA_RANDOM_CONTINUED 2

/**
 * As in Redis: a script's false becomes nil. The default.
 */
#define KV_LUA_FALSE_NIL 0

/**
 * A script's false becomes the integer 0, as its true becomes 1.
 */
#define KV_LUA_FALSE_INTEGER 1

/**
 * The time is the system's. The default.
 */
#define KV_CLOCK_SYSTEM 0

/**
 * The time is the program's own: it moves by kv_clock_advance only.
 */
#define KV_CLOCK_MANUAL 1

/**
 * redis.LOG_DEBUG
 */
#define KV_LOG_DEBUG 0

/**
 * redis.LOG_VERBOSE
 */
#define KV_LOG_VERBOSE 1

/**
 * redis.LOG_NOTICE
 */
#define KV_LOG_NOTICE 2

/**
 * redis.LOG_WARNING
 */
#define KV_LOG_WARNING 3

/**
 * No limit, whatever the engine's own is.
 */
#define KV_LIMIT_NONE 18446744073709551615ull

/**
 * A call of a registered function, for as long as that runs: what it runs commands by and leaves
 * its reply with. To be used on the thread of the call only, and not after the function returns.
 */
typedef struct kv_call kv_call;

/**
 * An engine: keys and values in this process, and the scripts that work on them. Any number of
 * them may be open; they know nothing of each other. May be used from any thread.
 */
typedef struct kv_engine kv_engine;

/**
 * A listener: any Redis client can call its engine through a socket.
 */
typedef struct kv_listener kv_listener;

/**
 * A script that is compiled and kept for one engine. It holds its engine's memory, but does not
 * keep the engine open.
 */
typedef struct kv_script kv_script;

/**
 * One who calls an engine with a state of its own, as a connection does a server: the selected
 * database, commands that MULTI has begun to queue, watched keys, and a transaction that can be
 * rolled back. Any number of them may be open. It holds its engine's memory, but does not keep
 * the engine open.
 *
 * May be used from any thread; as a rule each thread has its own.
 */
typedef struct kv_session kv_session;

/**
 * One who listens to channels. It holds its engine's memory, but does not keep the engine open.
 *
 * May be used from any thread.
 */
typedef struct kv_subscription kv_subscription;

/**
 * What a call answers. The type, whose numbers are hiredis's, tells which fields are set; the
 * others are 0 or NULL. Everything below a reply lies in one block that the outermost reply owns.
 *
 * Read the fields, do not change them. A copy of the struct is a second name for the same
 * memory: release only one of them.
 */
typedef struct kv_reply {
    /**
     * One of KV_REPLY_...
     */
    uint32_t type;
    /**
     * Of KV_REPLY_VERB: three letters and a NUL.
     */
    char format[4];
    /**
     * Of KV_REPLY_INTEGER and KV_REPLY_BOOL.
     */
    int64_t integer;
    /**
     * Of KV_REPLY_DOUBLE.
     */
    double number;
    /**
     * Of the types with a text: its bytes, any bytes, with a NUL behind the last.
     */
    const char *str;
    /**
     * The text's length in bytes, without the NUL.
     */
    size_t len;
    /**
     * How many elements there are.
     */
    size_t count;
    /**
     * Of KV_REPLY_ARRAY, KV_REPLY_MAP and KV_REPLY_SET: the elements, NULL if there are none.
     * They go when the outermost reply is released.
     */
    const struct kv_reply *elements;
    /**
     * Private.
     */
    void *owner;
} kv_reply;

/**
 * A string of any bytes: where it begins and how long it is. Passed by value, always borrowed:
 * no function keeps it after it returns. It needs no NUL at its end and may have NULs within.
 * NULL with length 0 is the empty string; NULL with another length is answered with an error.
 */
typedef struct kv_bytes {
    /**
     * The first byte.
     */
    const char *data;
    /**
     * The number of bytes.
     */
    size_t len;
} kv_bytes;

/**
 * What an engine is opened with. Fill it with kv_options_init, then change what you like: a
 * struct of zeros has no limits on scripts and a struct_size that is refused.
 */
typedef struct kv_options {
    /**
     * The size of the struct the program was compiled with, in bytes; set by kv_options_init.
     * Later versions add fields at the end; a program that does not know them gets defaults.
     */
    size_t struct_size;
    /**
     * What becomes of a failed script's writes: one of KV_ON_ERROR_...
     */
    uint32_t on_error;
    /**
     * What math.random does in scripts: one of KV_LUA_RANDOM_...
     */
    uint32_t lua_random;
    /**
     * What a script's false becomes: one of KV_LUA_FALSE_...
     */
    uint32_t lua_false;
    /**
     * The shape of replies: 2 or 3 as in HELLO of Redis, 0 for the default, which is 2. Only
     * under 3 there are doubles, booleans, maps, sets, big numbers and verbatim strings; under 2
     * they are strings, integers and arrays.
     */
    uint32_t protocol;
    /**
     * Where the time comes from: one of KV_CLOCK_...
     */
    uint32_t clock;
    /**
     * 1 to keep the time that scripts take, for kv_script_stats. Default 0: the clock would be read
     * twice in each run.
     */
    uint32_t script_statistics;
    /**
     * Where KV_CLOCK_MANUAL begins, in milliseconds since 1970. Default 0.
     */
    int64_t clock_start_ms;
    /**
     * The longest a script may run, in milliseconds. Default 5000; 0 for no limit.
     */
    uint64_t script_timeout_ms;
    /**
     * The most memory a script may add to the Lua heap, in bytes. Default 256 MiB, at least
     * 65536; 0 for no limit.
     */
    uint64_t script_memory_bytes;
    /**
     * The most Lua instructions a script may execute, checked every few thousand. Unlike time the
     * same on every machine. Default 0, no limit.
     */
    uint64_t script_instructions;
    /**
     * How many databases there are, for SELECT. Default 16.
     */
    uint64_t databases;
    /**
     * How long a call waits for the end of another session's transaction before it is an error,
     * in milliseconds. Default 5000; 0 for as long as it takes.
     */
    uint64_t busy_timeout_ms;
    /**
     * The number of pairs in config. Default 0.
     */
    size_t config_count;
    /**
     * Borrowed for the call of kv_open. Parameters of CONFIG SET such as
     * hash-max-listpack-entries, each followed by its value: twice config_count strings. May be
     * NULL if that is 0.
     */
    const struct kv_bytes *config;
    /**
     * Borrowed for the call of kv_open. The directory in which SAVE and its like write files and
     * from which kv_load reads. Default empty: an engine touches no file unless it is asked to, so
     * those are errors.
     */
    struct kv_bytes directory;
} kv_options;

/**
 * Takes one message of a channel: the channel, the pattern by which it was listened for (NULL data
 * if it was by the channel's name), and what was published. All are borrowed until the callback
 * returns. It runs on the thread that has published the message, once the engine can be called
 * again: it may call the engine. Messages come one after the other and in order. It may not close
 * its own subscription, nor leave by longjmp or by a C++ exception.
 */
typedef void (*kv_message_fn)(void *user_data,
                              struct kv_bytes channel,
                              struct kv_bytes pattern,
                              struct kv_bytes message);

/**
 * Takes one message of redis.log, on the thread that runs the script and while it runs. The
 * message is borrowed until the callback returns. It may not call the engine, which answers with
 * an error, except for kv_cancel; it may not leave by longjmp or by a C++ exception.
 */
typedef void (*kv_log_fn)(void *user_data, uint32_t level, struct kv_bytes message);

/**
 * A function that is a command. It runs inside the call that names it, on that thread, and leaves
 * its reply by kv_call_reply_... or kv_call_error; without any the reply is nil. It may not call
 * the engine but by kv_call_command: the engine answers with an error, except to kv_cancel. It
 * may not leave by longjmp or by a C++ exception.
 *
 * argv has the command's name and its arguments; they are borrowed until the function returns.
 */
typedef void (*kv_call_fn)(struct kv_call *call,
                           size_t argc,
                           const struct kv_bytes *argv,
                           void *user_data);

/**
 * Limits for one run in place of those the engine was opened with, narrower or wider. A struct of
 * zeros but for its size leaves all of them as they are; KV_LIMIT_NONE lifts one.
 */
typedef struct kv_limits {
    /**
     * sizeof(kv_limits), as the program was compiled with it.
     */
    size_t struct_size;
    /**
     * The longest the script may run, in milliseconds; 0 for the engine's limit.
     */
    uint64_t timeout_ms;
    /**
     * The most memory it may add to the Lua heap, in bytes, at least 65536; 0 for the engine's
     * limit.
     */
    uint64_t memory_bytes;
    /**
     * The most Lua instructions it may execute; 0 for the engine's limit.
     */
    uint64_t instructions;
} kv_limits;

/**
 * How an engine listens. A struct of zeros but for struct_size has the defaults: 127.0.0.1, a free
 * port, no password. How many clients there may be, how long they may be silent and so on are
 * parameters of CONFIG SET, as in Redis: maxclients, timeout, client-output-buffer-limit ...
 */
typedef struct kv_listen_options {
    /**
     * sizeof(kv_listen_options), as the program was compiled with.
     */
    size_t struct_size;
    /**
     * The address or name of a host to listen on. Empty for 127.0.0.1, which nobody can reach from
     * elsewhere; "*" for all of this machine's.
     */
    struct kv_bytes host;
    /**
     * The TCP port; 0 picks one that is free, see kv_listener_port.
     */
    uint16_t port;
    /**
     * 1 for no TCP at all, only a Unix socket.
     */
    uint8_t no_tcp;
    /**
     * 1 to let others than this machine's own connect without a password; otherwise an address that
     * they can reach is an error unless a password is set.
     */
    uint8_t exposed;
    /**
     * The permissions of the Unix socket, such as 0700; 0 for those that the umask leaves.
     */
    uint32_t unix_permissions;
    /**
     * The path of a Unix socket; empty for none.
     */
    struct kv_bytes unix_path;
    /**
     * The password that clients have to give first; empty for none.
     */
    struct kv_bytes password;
} kv_listen_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Which version the library has, as opposed to the header's KV_VERSION.
 *
 * @return Static text such as "0.1.0". Never NULL, never freed.
 *
 * Thread-safe.
 */
const char *kv_version(void);

/**
 * Which binary interface the library has. A program that loads the library at run time should
 * compare it with the KV_ABI_VERSION it was compiled with, and go on only if they are equal.
 *
 * @return The library's KV_ABI_VERSION.
 *
 * Thread-safe.
 */
uint32_t kv_abi_version(void);

/**
 * Releases a reply and all below it, and makes it a nil.
 *
 * @param reply  The outermost reply of a call. Harmless on NULL, on a reply that was released
 *               already or that owns no memory, and on an element of another reply, which is
 *               released with the whole.
 *
 * Thread-safe for different replies; a reply may be released on another thread than made it, and
 * after its engine is closed.
 */
void kv_reply_free(struct kv_reply *reply);

/**
 * Fills in the defaults for a struct of a given size. Programs in C call kv_options_init, which
 * passes the size they were compiled with; this is for those who cannot use it, such as bindings.
 *
 * @param options      Written. NULL does nothing.
 * @param struct_size  The size of what options points to, in bytes; no more is written.
 *
 * Thread-safe.
 */
void kv_options_fill(struct kv_options *options, size_t struct_size);

/**
 * Opens an empty engine.
 *
 * @param options    Borrowed for the call. NULL for the defaults.
 * @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
 * @return Owned; release with kv_close. NULL on an error, such as an option out of range.
 *
 * Thread-safe.
 */
struct kv_engine *kv_open(const struct kv_options *options, struct kv_reply *out_error);

/**
 * Opens a second engine with the same options and a copy of all keys. What both hold is shared
 * until one of them changes it, so this takes well under a millisecond for a million keys.
 * Cached scripts and the log callback are not copied. This has nothing to do with fork().
 *
 * @param engine     Borrowed for the call. NULL is an error.
 * @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
 * @return Owned; release with kv_close. NULL on an error.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_engine *kv_fork(struct kv_engine *engine, struct kv_reply *out_error);

/**
 * Closes an engine and releases its keys. Replies stay valid; its prepared scripts and sessions
 * may still be released, and answer with an error if they are used. Calls of sessions that wait
 * for a key on other threads end with that error.
 *
 * @param engine  Consumed; no other thread may be using it. NULL does nothing. From inside one of
 *                the engine's own callbacks this does nothing either: the engine stays open.
 */
void kv_close(struct kv_engine *engine);

/**
 * Runs one command, such as SET, ZADD or HGETALL; see docs/commands.md for those there are.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param argc    The number of strings in argv.
 * @param argv    Borrowed. The command's name in any case, then its arguments.
 * @return Owned; release with kv_reply_free. What Redis 7.0 answers, errors included. Stays
 *         valid after the engine is closed.
 *
 * Thread-safe: calls on one engine are serialised. A command that waits for a key, such as
 * BLPOP, does so on the calling thread and keeps nobody else from the engine. Commands that need
 * a connection of their own, such as MULTI and WATCH, are for kv_session_command.
 */
struct kv_reply kv_command(struct kv_engine *engine,
                           size_t argc,
                           const struct kv_bytes *argv);

/**
 * Reads a file of all data, as SAVE or a Redis server wrote it, in place of what the engine holds.
 * A damaged file changes nothing.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param path    Borrowed. The file; empty for dbfilename in the directory of kv_options.
 * @return How many keys the file has, an integer; nil if there is no such file; or an error,
 *         which kv_reply_free releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_load(struct kv_engine *engine, struct kv_bytes path);

/**
 * Stops the script that the engine is running, if it is running one: that ends with an error
 * and, under KV_ON_ERROR_ROLLBACK, leaves no trace. A script that begins later is not stopped.
 * Calls that wait for a key end with an error too, those of all sessions.
 *
 * @param engine  Borrowed. NULL does nothing.
 *
 * Thread-safe: made to be called from another thread, does not wait, and may be called from the
 * log callback. Not for signal handlers on the thread that runs the script.
 */
void kv_cancel(struct kv_engine *engine);

/**
 * Removes keys whose time has passed, for a while. Without it such keys go when they are next
 * asked for, and hold their memory until then. Made to be called once in a frame or a second.
 *
 * @param engine        Borrowed. NULL gives an error reply.
 * @param budget_us     About how long it may take, in microseconds.
 * @param out_expired   Written if not NULL: how many keys were removed; 0 on an error.
 * @param out_complete  Written if not NULL: whether nothing more was due; false when the budget
 *                      ran out first or on an error.
 * @return Status OK, or an error, which kv_reply_free releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_tick(struct kv_engine *engine,
                        uint64_t budget_us,
                        size_t *out_expired,
                        bool *out_complete);

/**
 * Moves the time of an engine with KV_CLOCK_MANUAL forward.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param ms      By how many milliseconds; 0 to ask for the time.
 * @return The new time in milliseconds since 1970, an integer, or an error, which kv_reply_free
 *         releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_clock_advance(struct kv_engine *engine, uint64_t ms);

/**
 * Runs a script as one atomic step: nothing else happens meanwhile, and if it raises an error, is
 * stopped at a limit or cancelled, nothing it did remains (see KV_ON_ERROR_KEEP). It is compiled
 * at the first time and cached by its SHA-1. As EVAL.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param script  Borrowed. Lua 5.1.
 * @param nkeys   The number of keys.
 * @param keys    Borrowed. Becomes the table KEYS. May be NULL if nkeys is 0.
 * @param nargs   The number of arguments.
 * @param args    Borrowed. Becomes the table ARGV. May be NULL if nargs is 0.
 * @return Owned; release with kv_reply_free. What the script returned, or an error with the
 *         script's SHA-1 and line. Stays valid after the engine is closed.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_eval(struct kv_engine *engine,
                        struct kv_bytes script,
                        size_t nkeys,
                        const struct kv_bytes *keys,
                        size_t nargs,
                        const struct kv_bytes *args);

/**
 * Runs a script that kv_eval or kv_script_load has cached. As EVALSHA.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param sha1    Borrowed. 40 hexadecimal digits.
 * @param nkeys   The number of keys.
 * @param keys    Borrowed. As for kv_eval.
 * @param nargs   The number of arguments.
 * @param args    Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_eval; an error that begins with NOSCRIPT if
 *         no such script is cached.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_evalsha(struct kv_engine *engine,
                           struct kv_bytes sha1,
                           size_t nkeys,
                           const struct kv_bytes *keys,
                           size_t nargs,
                           const struct kv_bytes *args);

/**
 * Compiles and caches a script without running it. As SCRIPT LOAD.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param script  Borrowed. Lua 5.1.
 * @return Owned; release with kv_reply_free. The SHA-1, a string of 40 hexadecimal digits, or an
 *         error if it does not compile.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_script_load(struct kv_engine *engine, struct kv_bytes script);

/**
 * Tells which scripts are cached. As SCRIPT EXISTS.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param count   The number of SHA-1s.
 * @param sha1s   Borrowed. May be NULL if count is 0.
 * @return Owned; release with kv_reply_free. An array with 1 or 0 for each, or an error.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_script_exists(struct kv_engine *engine,
                                 size_t count,
                                 const struct kv_bytes *sha1s);

/**
 * Empties the script cache. Prepared scripts stay. As SCRIPT FLUSH.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @return Status OK, or an error, which kv_reply_free releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_script_flush(struct kv_engine *engine);

/**
 * Compiles a script and returns a handle to run it by: the fastest way to run one often.
 *
 * @param engine     Borrowed for the call. NULL is an error.
 * @param script     Borrowed. Lua 5.1.
 * @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
 * @return Owned; release with kv_script_free. NULL on an error, such as one of syntax. When the
 *         engine is closed, running the script is an error from then on.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_script *kv_script_prepare(struct kv_engine *engine,
                                    struct kv_bytes script,
                                    struct kv_reply *out_error);

/**
 * Runs a prepared script as one atomic step, as kv_eval does.
 *
 * @param script  Borrowed; not to be freed while it runs. NULL gives an error reply.
 * @param nkeys   The number of keys.
 * @param keys    Borrowed. As for kv_eval.
 * @param nargs   The number of arguments.
 * @param args    Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_eval.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_script_run(struct kv_script *script,
                              size_t nkeys,
                              const struct kv_bytes *keys,
                              size_t nargs,
                              const struct kv_bytes *args);

/**
 * The SHA-1 of a prepared script, for kv_evalsha.
 *
 * @param script  Borrowed. NULL gives NULL with length 0.
 * @return Borrowed from the script until it is freed: 40 hexadecimal digits, with a NUL behind.
 *
 * Thread-safe.
 */
struct kv_bytes kv_script_sha1(struct kv_script *script);

/**
 * Releases a prepared script, before or after its engine is closed.
 *
 * @param script  Consumed; no thread may be using it. NULL does nothing.
 *
 * Thread-safe for different scripts.
 */
void kv_script_free(struct kv_script *script);

/**
 * Opens a session.
 *
 * @param engine     Borrowed for the call. NULL is an error.
 * @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
 * @return Owned; release with kv_session_close. NULL on an error. When the engine is closed,
 *         using the session is an error from then on.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_session *kv_session_open(struct kv_engine *engine, struct kv_reply *out_error);

/**
 * Closes a session: what it had queued is dropped, a transaction it had begun is rolled back.
 *
 * @param session  Consumed, before or after its engine is closed; no other thread may be using
 *                 it. NULL does nothing. From inside one of the engine's own callbacks this does
 *                 nothing either: the session stays open.
 *
 * Thread-safe for different sessions.
 */
void kv_session_close(struct kv_session *session);

/**
 * Runs one command, as kv_command does, with the session's state: SELECT, MULTI, EXEC, DISCARD,
 * WATCH and UNWATCH concern this session only.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @param argc     The number of strings in argv.
 * @param argv     Borrowed. The command's name in any case, then its arguments.
 * @return Owned; release with kv_reply_free. What Redis 7.0 answers, errors included; after MULTI
 *         the status QUEUED. Stays valid after session and engine are closed.
 *
 * Thread-safe: calls on one engine are serialised. A command that waits for a key, such as
 * BLPOP, does so on the calling thread and keeps nobody else from the engine; it ends with its
 * timeout, by kv_session_cancel, kv_cancel or kv_close. In a transaction it does not wait.
 */
struct kv_reply kv_session_command(struct kv_session *session,
                                   size_t argc,
                                   const struct kv_bytes *argv);

/**
 * Runs a script as one atomic step, as kv_eval does; after MULTI it is queued.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @param script   Borrowed. Lua 5.1.
 * @param nkeys    The number of keys.
 * @param keys     Borrowed. As for kv_eval.
 * @param nargs    The number of arguments.
 * @param args     Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_eval. In a transaction a script that fails
 *         undoes only what it did itself.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_eval(struct kv_session *session,
                                struct kv_bytes script,
                                size_t nkeys,
                                const struct kv_bytes *keys,
                                size_t nargs,
                                const struct kv_bytes *args);

/**
 * Runs a cached script by its SHA-1, as kv_evalsha does; after MULTI it is queued.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @param sha1     Borrowed. 40 hexadecimal digits.
 * @param nkeys    The number of keys.
 * @param keys     Borrowed. As for kv_eval.
 * @param nargs    The number of arguments.
 * @param args     Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_evalsha.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_evalsha(struct kv_session *session,
                                   struct kv_bytes sha1,
                                   size_t nkeys,
                                   const struct kv_bytes *keys,
                                   size_t nargs,
                                   const struct kv_bytes *args);

/**
 * Runs a prepared script, as kv_script_run does, on a session; after MULTI it is queued.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @param script   Borrowed; not to be freed while it runs. Of the session's engine; one of another
 *                 engine is an error. NULL gives an error reply.
 * @param nkeys    The number of keys.
 * @param keys     Borrowed. As for kv_eval.
 * @param nargs    The number of arguments.
 * @param args     Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_eval.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_run(struct kv_session *session,
                               struct kv_script *script,
                               size_t nkeys,
                               const struct kv_bytes *keys,
                               size_t nargs,
                               const struct kv_bytes *args);

/**
 * Ends the call of this session that waits for a key, if there is one: it answers with an error.
 * A call that begins to wait later is not ended. kv_cancel ends those of all sessions.
 *
 * @param session  Borrowed. NULL does nothing.
 *
 * Thread-safe: made to be called from another thread; does not wait.
 */
void kv_session_cancel(struct kv_session *session);

/**
 * Begins a transaction: what follows on this session is undone by kv_session_rollback. Until it
 * ends calls of others wait, for at most busy_timeout_ms, and commands that wait for a key answer
 * at once.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @return Status OK, or an error, which kv_reply_free releases: if a transaction is open on this
 *         session already, if commands are being queued since MULTI, or if another session's
 *         transaction did not end in time or is held by this very thread.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_begin(struct kv_session *session);

/**
 * Ends the transaction; its changes stay.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @return Status OK, or an error, which kv_reply_free releases: if no transaction is open.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_commit(struct kv_session *session);

/**
 * Ends the transaction and undoes all it did.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @return Status OK, or an error, which kv_reply_free releases: if no transaction is open.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_rollback(struct kv_session *session);

/**
 * Tells whether a transaction is open, one of kv_session_begin.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @return The integer 1 or 0, or an error, which kv_reply_free releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_in_transaction(struct kv_session *session);

/**
 * Sets a savepoint in the transaction. Savepoints nest.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @return The savepoint's number, an integer that counts from 1, or an error, which
 *         kv_reply_free releases: if no transaction is open.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_savepoint(struct kv_session *session);

/**
 * Undoes what was done since a savepoint, which stays; later ones are gone.
 *
 * @param session    Borrowed. NULL gives an error reply.
 * @param savepoint  The number that kv_session_savepoint gave.
 * @return Status OK, or an error, which kv_reply_free releases: if there is no such savepoint.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_rollback_to(struct kv_session *session, int64_t savepoint);

/**
 * Forgets a savepoint and those after it; what was done since stays part of the transaction.
 *
 * @param session    Borrowed. NULL gives an error reply.
 * @param savepoint  The number that kv_session_savepoint gave.
 * @return Status OK, or an error, which kv_reply_free releases: if there is no such savepoint.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_release(struct kv_session *session, int64_t savepoint);

/**
 * Listens to channels by name and by pattern.
 *
 * @param engine     Borrowed for the call. NULL is an error.
 * @param nchannels  The number of channels.
 * @param channels   Borrowed. Their names.
 * @param npatterns  The number of patterns.
 * @param patterns   Borrowed. Patterns as PSUBSCRIBE has them.
 * @param callback   Called for each message. NULL if they are to wait for kv_subscription_next.
 * @param user_data  Passed to the callback. Must live until the subscription is closed, and be fit
 *                   for every thread that publishes.
 * @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
 * @return Owned; release with kv_subscription_close. NULL on an error.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_subscription *kv_subscribe(struct kv_engine *engine,
                                     size_t nchannels,
                                     const struct kv_bytes *channels,
                                     size_t npatterns,
                                     const struct kv_bytes *patterns,
                                     kv_message_fn callback,
                                     void *user_data,
                                     struct kv_reply *out_error);

/**
 * The oldest message that was not taken yet.
 *
 * @param subscription  Borrowed. NULL gives an error reply.
 * @param timeout_ms    How long to wait for one, in milliseconds; 0 not at all, negative for as
 *                      long as it takes.
 * @return Owned; release with kv_reply_free. An array of the channel, the pattern or nil, and what
 *         was published; nil if there is none in time, or the engine was closed.
 *
 * Thread-safe. It keeps nobody else from the engine while it waits.
 */
struct kv_reply kv_subscription_next(struct kv_subscription *subscription,
                                     int64_t timeout_ms);

/**
 * Listens no more. The callback is not called any more once this returns: it waits for a thread
 * that is in it.
 *
 * @param subscription  Consumed; no other thread may be using it. NULL does nothing.
 */
void kv_subscription_close(struct kv_subscription *subscription);

/**
 * Directs what scripts log with redis.log to a callback. Without one it is dropped.
 *
 * @param engine     Borrowed. NULL gives an error reply.
 * @param callback   Called for each message. NULL for none.
 * @param user_data  Passed to the callback. Must live until the callback is replaced or the
 *                   engine closed, and be fit for every thread that runs scripts.
 * @return Status OK, or an error, which kv_reply_free releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_log_set(struct kv_engine *engine, kv_log_fn callback, void *user_data);

/**
 * Registers a function as a command: scripts reach it by redis.call, all others by its name. What
 * it does through kv_call_command is part of the atomic step it is called in: it is undone with
 * the script or transaction, and if the function answers with an error. A function of the same
 * name is replaced.
 *
 * @param engine     Borrowed. NULL gives an error reply.
 * @param name       Borrowed. 1 to 64 printable ASCII characters without spaces and |; the names
 *                   of the engine's own commands are refused.
 * @param arity      How many arguments it takes, the name counted; negative: so many or more.
 * @param flags      Borrowed. Redis's names with spaces between: "write" or "readonly", and any
 *                   of denyoom, fast, noscript, admin and no_mandatory_keys. Without "write" the
 *                   commands that it runs may not write either.
 * @param first_key  Where the keys among its arguments begin, the name being at 0; 0 for none.
 * @param last_key   The last of them; negative: from the end.
 * @param key_step   From each to the next.
 * @param function   Called for each call. NULL gives an error reply.
 * @param user_data  Passed to the function. Must live until that is replaced or unregistered or
 *                   the engine closed, and be fit for every thread that makes calls.
 * @return Status OK, or an error, which kv_reply_free releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_register(struct kv_engine *engine,
                            struct kv_bytes name,
                            int64_t arity,
                            struct kv_bytes flags,
                            int32_t first_key,
                            int32_t last_key,
                            int32_t key_step,
                            kv_call_fn function,
                            void *user_data);

/**
 * Takes back what kv_register did.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param name    Borrowed. In any case.
 * @return Integer 1, or 0 if there is no function of this name; or an error, which kv_reply_free
 *         releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_unregister(struct kv_engine *engine, struct kv_bytes name);

/**
 * Runs a command within a call, as part of the same atomic step: those that scripts may run too.
 * One that would wait for a key answers at once.
 *
 * @param call  Borrowed. NULL gives an error reply.
 * @param argc  The number of strings in argv.
 * @param argv  Borrowed. The command's name in any case, then its arguments.
 * @return Owned; release with kv_reply_free. What Redis 7.0 answers, errors included.
 *
 * Only from the function, on its thread.
 */
struct kv_reply kv_call_command(struct kv_call *call, size_t argc, const struct kv_bytes *argv);

/**
 * Whether commands that write are refused in a call: the function is not registered with "write",
 * or it was called by a script that promised not to.
 *
 * @param call  Borrowed. NULL gives false.
 */
bool kv_call_is_read_only(const struct kv_call *call);

/**
 * Has the call answer with an error, whatever else it replies, and undoes what it did. A text
 * without a code in front, a word in capitals such as NOGOLD, gets ERR.
 *
 * @param call     Borrowed. NULL does nothing, here and below.
 * @param message  Borrowed, here and below.
 */
void kv_call_error(struct kv_call *call, struct kv_bytes message);

/**
 * Replies with nil. A call has one reply; one that is an array or a map is followed by its
 * elements.
 */
void kv_call_reply_nil(struct kv_call *call);

/**
 * Replies with an integer.
 */
void kv_call_reply_integer(struct kv_call *call, int64_t value);

/**
 * Replies with a double, which under protocol 2 is a string.
 */
void kv_call_reply_double(struct kv_call *call, double value);

/**
 * Replies with a boolean, which under protocol 2 is an integer.
 */
void kv_call_reply_bool(struct kv_call *call, bool value);

/**
 * Replies with a string of any bytes.
 */
void kv_call_reply_string(struct kv_call *call, struct kv_bytes value);

/**
 * Replies with a status such as OK.
 */
void kv_call_reply_status(struct kv_call *call, struct kv_bytes value);

/**
 * Replies with an array of so many elements, which follow.
 */
void kv_call_reply_array(struct kv_call *call, size_t count);

/**
 * Replies with a map of so many pairs, whose keys and values follow in turn. Under protocol 2 it
 * is an array of both.
 */
void kv_call_reply_map(struct kv_call *call, size_t pairs);

/**
 * Runs a script as kv_eval does, under limits for this one run.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param limits  Borrowed. NULL for the engine's own.
 * @param script  Borrowed. Lua 5.1.
 * @param nkeys   The number of keys.
 * @param keys    Borrowed. As for kv_eval.
 * @param nargs   The number of arguments.
 * @param args    Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_eval.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_eval_limited(struct kv_engine *engine,
                                const struct kv_limits *limits,
                                struct kv_bytes script,
                                size_t nkeys,
                                const struct kv_bytes *keys,
                                size_t nargs,
                                const struct kv_bytes *args);

/**
 * Runs a cached script as kv_evalsha does, under limits for this one run.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @param limits  Borrowed. NULL for the engine's own.
 * @param sha1    Borrowed. 40 hexadecimal digits.
 * @param nkeys   The number of keys.
 * @param keys    Borrowed. As for kv_eval.
 * @param nargs   The number of arguments.
 * @param args    Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_evalsha.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_evalsha_limited(struct kv_engine *engine,
                                   const struct kv_limits *limits,
                                   struct kv_bytes sha1,
                                   size_t nkeys,
                                   const struct kv_bytes *keys,
                                   size_t nargs,
                                   const struct kv_bytes *args);

/**
 * Runs a prepared script as kv_script_run does, under limits for this one run.
 *
 * @param script  Borrowed; not to be freed while it runs. NULL gives an error reply.
 * @param limits  Borrowed. NULL for the engine's own.
 * @param nkeys   The number of keys.
 * @param keys    Borrowed. As for kv_eval.
 * @param nargs   The number of arguments.
 * @param args    Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_eval.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_script_run_limited(struct kv_script *script,
                                      const struct kv_limits *limits,
                                      size_t nkeys,
                                      const struct kv_bytes *keys,
                                      size_t nargs,
                                      const struct kv_bytes *args);

/**
 * Runs a script as kv_session_eval does, under limits for this one run. After MULTI it is refused:
 * limits are not queued.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @param limits   Borrowed. NULL for the engine's own.
 * @param script   Borrowed. Lua 5.1.
 * @param nkeys    The number of keys.
 * @param keys     Borrowed. As for kv_eval.
 * @param nargs    The number of arguments.
 * @param args     Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_session_eval.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_eval_limited(struct kv_session *session,
                                        const struct kv_limits *limits,
                                        struct kv_bytes script,
                                        size_t nkeys,
                                        const struct kv_bytes *keys,
                                        size_t nargs,
                                        const struct kv_bytes *args);

/**
 * Runs a cached script as kv_session_evalsha does, under limits for this one run. After MULTI it is
 * refused: limits are not queued.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @param limits   Borrowed. NULL for the engine's own.
 * @param sha1     Borrowed. 40 hexadecimal digits.
 * @param nkeys    The number of keys.
 * @param keys     Borrowed. As for kv_eval.
 * @param nargs    The number of arguments.
 * @param args     Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_evalsha.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_evalsha_limited(struct kv_session *session,
                                           const struct kv_limits *limits,
                                           struct kv_bytes sha1,
                                           size_t nkeys,
                                           const struct kv_bytes *keys,
                                           size_t nargs,
                                           const struct kv_bytes *args);

/**
 * Runs a prepared script as kv_session_run does, under limits for this one run. After MULTI it is
 * refused: limits are not queued.
 *
 * @param session  Borrowed. NULL gives an error reply.
 * @param limits   Borrowed. NULL for the engine's own.
 * @param script   Borrowed. As for kv_session_run.
 * @param nkeys    The number of keys.
 * @param keys     Borrowed. As for kv_eval.
 * @param nargs    The number of arguments.
 * @param args     Borrowed. As for kv_eval.
 * @return Owned; release with kv_reply_free. As kv_eval.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_session_run_limited(struct kv_session *session,
                                       const struct kv_limits *limits,
                                       struct kv_script *script,
                                       size_t nkeys,
                                       const struct kv_bytes *keys,
                                       size_t nargs,
                                       const struct kv_bytes *args);

/**
 * Has an engine listen for Redis clients, on a thread of its own. Clients and this program work on
 * the same keys; each client is a session.
 *
 * @param engine     Borrowed for the call. NULL is an error.
 * @param options    Borrowed for the call. NULL for the defaults.
 * @param out_error  Written if not NULL: nil, or the error, which kv_reply_free releases.
 * @return Owned; release with kv_listener_close. NULL on an error, such as a port that is taken.
 *
 * Thread-safe.
 */
struct kv_listener *kv_listen(struct kv_engine *engine,
                              const struct kv_listen_options *options,
                              struct kv_reply *out_error);

/**
 * The TCP port that a listener listens on.
 *
 * @param listener  Borrowed. NULL gives 0.
 * @return The port, or 0 if it listens on a Unix socket only.
 *
 * Thread-safe.
 */
uint16_t kv_listener_port(const struct kv_listener *listener);

/**
 * Disconnects all clients, stops listening and ends the thread; returns when that is done. Closing
 * the engine does the same, but leaves the handle to be released here.
 *
 * @param listener  Consumed. NULL does nothing. Not from inside of a callback of the engine's.
 *
 * Thread-safe.
 */
void kv_listener_close(struct kv_listener *listener);

/**
 * Takes what is known of the last script or function that failed in a call of this thread, on
 * whatever engine.
 *
 * @return Owned; release with kv_reply_free. An array of four: the script's SHA-1 or the function's
 *         name; the function's library, or nil; the line, or nil if that is not known; and the calls
 *         that were under way, an array of strings, the innermost first, as Lua's debug.traceback
 *         words them. Nil if no script has failed, or this was asked since.
 *
 * Thread-safe: each thread has its own.
 */
struct kv_reply kv_last_traceback(void);

/**
 * Tells what became of the runs of each script that is cached or prepared, and of each function.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @return Owned; release with kv_reply_free. An array with a map for each, under protocol 2 an array
 *         of names and values in turn: "name", its SHA-1 or the function's name; "library", nil for a
 *         script; "runs"; "errors"; "total-usec" and "worst-usec", the time of all runs and of the
 *         longest in microseconds, nil unless script_statistics was set in kv_options; "last-error"
 *         and "last-error-ms", the text of the last error and when it was, in milliseconds since
 *         1970, or nil.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_script_stats(struct kv_engine *engine);

/**
 * Counts what kv_script_stats tells from zero again.
 *
 * @param engine  Borrowed. NULL gives an error reply.
 * @return Status OK, or an error, which kv_reply_free releases.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_script_stats_reset(struct kv_engine *engine);

/**
 * Runs a script as kv_eval does, and tells where its time went. It takes several times as long
 * meanwhile; what looking costs is left out of the times.
 *
 * @param engine       Borrowed. NULL gives an error reply.
 * @param script       Borrowed. Lua 5.1.
 * @param nkeys        The number of keys.
 * @param keys         Borrowed. As for kv_eval.
 * @param nargs        The number of arguments.
 * @param args         Borrowed. As for kv_eval.
 * @param out_profile  Written if not NULL, to be released with kv_reply_free: an array of two
 *                     strings, a table of lines and commands, and collapsed stacks with nanoseconds,
 *                     as flamegraph.pl and speedscope read them; or nil if the script did not begin.
 * @return Owned; release with kv_reply_free. As kv_eval.
 *
 * Thread-safe: calls on one engine are serialised.
 */
struct kv_reply kv_profile(struct kv_engine *engine,
                           struct kv_bytes script,
                           size_t nkeys,
                           const struct kv_bytes *keys,
                           size_t nargs,
                           const struct kv_bytes *args,
                           struct kv_reply *out_profile);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* The bytes of a string literal, NULs within included. An expression, not for static data in C. */
#ifdef __cplusplus
#define KV_BYTES(literal) (kv_bytes{"" literal, sizeof(literal) - 1})
#else
#define KV_BYTES(literal) ((kv_bytes){"" literal, sizeof(literal) - 1})
#endif

/* The bytes of a text that ends with a NUL. NULL is the empty string. */
static inline kv_bytes kv_str(const char *text) {
    kv_bytes bytes;
    bytes.data = text;
    bytes.len = text ? strlen(text) : 0;
    return bytes;
}

/* Fills in the defaults, and the size of the struct as this program knows it. */
static inline void kv_options_init(kv_options *options) {
    kv_options_fill(options, sizeof(kv_options));
}

#endif /* MOONKV_H */
