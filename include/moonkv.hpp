/*
 * moonkv for C++17: moonkv.h with owners that release what they hold, and exceptions.
 *
 *     #include <moonkv.hpp>
 *     #include <iostream>
 *
 *     int main() {
 *         moonkv::Engine engine;
 *         engine.command({"SET", "greeting", "hello"});
 *         auto reply = engine.eval("return redis.call('GET', KEYS[1]) .. ', ' .. ARGV[1]",
 *                                  {"greeting"}, {"world"});
 *         std::cout << reply.str() << '\n';
 *     }
 *
 * What moonkv.h says of threads, of fork() and of each function holds here too. Strings are
 * std::string_view of any bytes and are only borrowed for the call. A reply that is an error as a
 * whole is thrown as moonkv::Error; errors inside a larger reply are elements like any other.
 * Header only: link with -lmoonkv.
 */
#ifndef MOONKV_HPP
#define MOONKV_HPP

#include "moonkv.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace moonkv {

/* An error that a command, a script or the engine answered with; what() is its text. */
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;

    /* The first word of the text, such as ERR, WRONGTYPE or NOSCRIPT. */
    std::string code() const {
        const std::string_view text = what();
        return std::string(text.substr(0, text.find(' ')));
    }
};

/* What a reply is. */
enum class Type : std::uint32_t {
    String = KV_REPLY_STRING,
    Array = KV_REPLY_ARRAY,
    Integer = KV_REPLY_INTEGER,
    Nil = KV_REPLY_NIL,
    Status = KV_REPLY_STATUS,
    Error = KV_REPLY_ERROR,
    Double = KV_REPLY_DOUBLE,
    Bool = KV_REPLY_BOOL,
    Map = KV_REPLY_MAP,
    Set = KV_REPLY_SET,
    BigNumber = KV_REPLY_BIGNUM,
    Verbatim = KV_REPLY_VERB
};

/* What an engine is opened with: the fields of kv_options, with its defaults. */
struct Options : kv_options {
    Options() noexcept { kv_options_init(this); }

    /* Parameters of CONFIG SET and their values, such as {"hash-max-listpack-entries", "64"}; they
     * take the place of the fields config and config_count. */
    std::vector<std::pair<std::string, std::string>> parameters;
    /* Where SAVE and its like write and Engine::load reads, empty for nowhere; takes the place of the
     * field of this name. */
    std::string directory;
};

/* Limits for one run in place of the engine's own: the fields of kv_limits, each as it is. */
struct Limits : kv_limits {
    Limits() noexcept : kv_limits{} { struct_size = sizeof(kv_limits); }
};

/* How an engine listens for Redis clients: what kv_listen_options has, with its defaults. */
struct ListenOptions {
    std::string host;       /* Empty for 127.0.0.1. */
    std::uint16_t port = 0; /* 0 for one that is free. */
    bool tcp = true;
    bool exposed = false;
    std::string unix_path;
    std::uint32_t unix_permissions = 0;
    std::string password;
};

namespace detail {

inline kv_bytes bytes(std::string_view text) noexcept {
    kv_bytes bytes;
    bytes.data = text.data();
    bytes.len = text.size();
    return bytes;
}

/* Throws the error that a handle could not be made for. */
[[noreturn]] inline void fail(kv_reply &error) {
    const std::string text(error.str ? error.str : "", error.len);
    kv_reply_free(&error);
    throw Error(text);
}

} // namespace detail

/* Strings to pass: a list in braces, or any container of what std::string_view is made from. */
class Strings {
public:
    Strings() = default;

    Strings(std::initializer_list<std::string_view> texts) { take(texts); }

    template <class Container,
              class = std::enable_if_t<std::is_convertible_v<
                  decltype(*std::begin(std::declval<const Container &>())), std::string_view>>>
    Strings(const Container &texts) {
        take(texts);
    }

    const kv_bytes *data() const noexcept { return list_.data(); }
    std::size_t size() const noexcept { return list_.size(); }

private:
    template <class Container> void take(const Container &texts) {
        for (const std::string_view text : texts) list_.push_back(detail::bytes(text));
    }

    std::vector<kv_bytes> list_;
};

class View;

/* What replies and their elements have in common: reading them. A field that the type does not
 * have is 0 or empty, except where it says that it throws. */
template <class Self> class Readable {
public:
    Type type() const noexcept { return static_cast<Type>(raw().type); }
    bool is_nil() const noexcept { return type() == Type::Nil; }
    bool is_error() const noexcept { return type() == Type::Error; }
    explicit operator bool() const noexcept { return !is_nil(); }

    std::int64_t integer() const noexcept { return raw().integer; }
    double number() const noexcept { return raw().number; }
    bool boolean() const noexcept { return raw().integer != 0; }

    /* The text of a string, status, error, big number or verbatim string. */
    std::string_view str() const noexcept {
        return raw().str ? std::string_view(raw().str, raw().len) : std::string_view();
    }
    /* Of a verbatim string, such as "txt". */
    std::string_view format() const noexcept { return raw().format; }

    /* Elements; of a map, keys and values in turn. */
    std::size_t size() const noexcept { return raw().count; }
    bool empty() const noexcept { return size() == 0; }
    /* Throws std::out_of_range. */
    View operator[](std::size_t index) const;

    class Iterator;
    Iterator begin() const noexcept;
    Iterator end() const noexcept;

    const kv_reply &raw() const noexcept { return static_cast<const Self *>(this)->get(); }
};

/* An element of a reply, or a whole one, that somebody else owns. */
class View : public Readable<View> {
public:
    explicit View(const kv_reply &reply) noexcept : reply_(&reply) {}
    const kv_reply &get() const noexcept { return *reply_; }

private:
    const kv_reply *reply_;
};

template <class Self> class Readable<Self>::Iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = View;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = View;

    explicit Iterator(const kv_reply *at) noexcept : at_(at) {}
    View operator*() const noexcept { return View(*at_); }
    Iterator &operator++() noexcept {
        ++at_;
        return *this;
    }
    Iterator operator++(int) noexcept { return Iterator(at_++); }
    bool operator==(const Iterator &other) const noexcept { return at_ == other.at_; }
    bool operator!=(const Iterator &other) const noexcept { return at_ != other.at_; }

private:
    const kv_reply *at_;
};

template <class Self> View Readable<Self>::operator[](std::size_t index) const {
    if (index >= size()) throw std::out_of_range("moonkv: no such element in the reply");
    return View(raw().elements[index]);
}

template <class Self> typename Readable<Self>::Iterator Readable<Self>::begin() const noexcept {
    return Iterator(raw().elements);
}

template <class Self> typename Readable<Self>::Iterator Readable<Self>::end() const noexcept {
    return Iterator(raw().elements ? raw().elements + raw().count : nullptr);
}

/* A reply and all below it. Can be moved, not copied. Stays valid after its engine is closed. */
class Reply : public Readable<Reply> {
public:
    Reply() noexcept : reply_{} { reply_.type = KV_REPLY_NIL; }
    /* Takes a reply of the C interface over; does not throw if it is an error. */
    explicit Reply(kv_reply reply) noexcept : reply_(reply) {}
    Reply(Reply &&other) noexcept : Reply() { std::swap(reply_, other.reply_); }
    Reply &operator=(Reply &&other) noexcept {
        Reply old(std::move(*this));
        std::swap(reply_, other.reply_);
        return *this;
    }
    Reply(const Reply &) = delete;
    Reply &operator=(const Reply &) = delete;
    ~Reply() { kv_reply_free(&reply_); }

    const kv_reply &get() const noexcept { return reply_; }

    /* Throws if the reply as a whole is an error. */
    Reply &&checked() && {
        if (is_error()) throw Error(std::string(str()));
        return std::move(*this);
    }

private:
    kv_reply reply_;
};

/* A compiled script. Throws when it is run after its engine was closed. */
class Script {
public:
    Reply run(const Strings &keys = {}, const Strings &args = {}) const {
        return Reply(kv_script_run(script_.get(), keys.size(), keys.data(), args.size(),
                                   args.data()))
            .checked();
    }

    Reply run_limited(const Limits &limits, const Strings &keys = {},
                      const Strings &args = {}) const {
        return Reply(kv_script_run_limited(script_.get(), &limits, keys.size(), keys.data(),
                                           args.size(), args.data()))
            .checked();
    }

    /* Valid as long as the script. */
    std::string_view sha1() const noexcept {
        const kv_bytes sha1 = kv_script_sha1(script_.get());
        return {sha1.data, sha1.len};
    }

    kv_script *get() const noexcept { return script_.get(); }

private:
    friend class Engine;
    struct Free {
        void operator()(kv_script *script) const noexcept { kv_script_free(script); }
    };
    explicit Script(kv_script *script) noexcept : script_(script) {}
    std::unique_ptr<kv_script, Free> script_;
};

/* One who calls an engine with a state of its own: the selected database, MULTI and WATCH, and
 * transactions that can be rolled back. Can be moved, not copied. Calls throw after the engine was
 * closed. As it goes, what it has begun is rolled back. */
class Session {
public:
    /* The command's name, then its arguments. */
    Reply command(const Strings &argv) {
        return Reply(kv_session_command(get(), argv.size(), argv.data())).checked();
    }

    Reply eval(std::string_view script, const Strings &keys = {}, const Strings &args = {}) {
        return Reply(kv_session_eval(get(), detail::bytes(script), keys.size(), keys.data(),
                                     args.size(), args.data()))
            .checked();
    }

    Reply evalsha(std::string_view sha1, const Strings &keys = {}, const Strings &args = {}) {
        return Reply(kv_session_evalsha(get(), detail::bytes(sha1), keys.size(), keys.data(),
                                        args.size(), args.data()))
            .checked();
    }

    /* The script must be of the session's engine. */
    Reply run(const Script &script, const Strings &keys = {}, const Strings &args = {}) {
        return Reply(kv_session_run(get(), script.get(), keys.size(), keys.data(), args.size(),
                                    args.data()))
            .checked();
    }

    Reply eval_limited(const Limits &limits, std::string_view script, const Strings &keys = {},
                       const Strings &args = {}) {
        return Reply(kv_session_eval_limited(get(), &limits, detail::bytes(script), keys.size(),
                                             keys.data(), args.size(), args.data()))
            .checked();
    }

    Reply evalsha_limited(const Limits &limits, std::string_view sha1, const Strings &keys = {},
                          const Strings &args = {}) {
        return Reply(kv_session_evalsha_limited(get(), &limits, detail::bytes(sha1), keys.size(),
                                                keys.data(), args.size(), args.data()))
            .checked();
    }

    Reply run_limited(const Limits &limits, const Script &script, const Strings &keys = {},
                      const Strings &args = {}) {
        return Reply(kv_session_run_limited(get(), &limits, script.get(), keys.size(),
                                            keys.data(), args.size(), args.data()))
            .checked();
    }

    /* Ends the call that waits for a key, from any thread. */
    void cancel() noexcept { kv_session_cancel(get()); }

    /* Better use Transaction, which ends by itself. */
    void begin() { Reply(kv_session_begin(get())).checked(); }
    void commit() { Reply(kv_session_commit(get())).checked(); }
    void rollback() { Reply(kv_session_rollback(get())).checked(); }
    bool in_transaction() {
        return Reply(kv_session_in_transaction(get())).checked().integer() != 0;
    }

    /* Returns the savepoint's number. */
    std::int64_t savepoint() { return Reply(kv_session_savepoint(get())).checked().integer(); }
    /* Undoes what was done since a savepoint, which stays. */
    void rollback_to(std::int64_t savepoint) {
        Reply(kv_session_rollback_to(get(), savepoint)).checked();
    }
    /* Forgets a savepoint and those after it. */
    void release(std::int64_t savepoint) { Reply(kv_session_release(get(), savepoint)).checked(); }

    kv_session *get() const noexcept { return session_.get(); }

private:
    friend class Engine;
    struct Close {
        void operator()(kv_session *session) const noexcept { kv_session_close(session); }
    };
    explicit Session(kv_session *session) noexcept : session_(session) {}
    std::unique_ptr<kv_session, Close> session_;
};

/* A transaction of a session, for a scope: rolled back at its end unless it was committed. The
 * session must outlive it and stay where it is. */
class Transaction {
public:
    explicit Transaction(Session &session) : session_(&session) { session.begin(); }
    Transaction(const Transaction &) = delete;
    Transaction &operator=(const Transaction &) = delete;
    ~Transaction() {
        if (!session_) return;
        kv_reply reply = kv_session_rollback(session_->get());
        kv_reply_free(&reply);
    }

    void commit() { end().commit(); }
    void rollback() { end().rollback(); }

private:
    Session &end() {
        if (!session_) throw Error("ERR the transaction has ended");
        return *std::exchange(session_, nullptr);
    }

    Session *session_;
};

/* Messages of channels, kept until they are taken, or told to a callback as they come. Can be moved,
 * not copied; as it goes, the callback is not called any more. */
class Subscription {
public:
    /* Takes one message; the texts are borrowed, and a pattern of no data means that there was none:
     * the channel was listened to by its name. It runs on the thread that has published the message,
     * once the engine can be called again, so it may call the engine. It may not let go of its own
     * subscription. What it throws is dropped. */
    using Hear = std::function<void(std::string_view channel, std::string_view pattern,
                                    std::string_view message)>;

    /* An array of the channel, the pattern or nil, and the message; nil if none came in time. 0
     * does not wait, a negative number waits for as long as it takes. */
    Reply next(std::int64_t timeout_ms) {
        return Reply(kv_subscription_next(subscription_.get(), timeout_ms)).checked();
    }

    kv_subscription *get() const noexcept { return subscription_.get(); }

private:
    friend class Engine;
    struct Close {
        void operator()(kv_subscription *subscription) const noexcept {
            kv_subscription_close(subscription);
        }
    };
    explicit Subscription(kv_subscription *subscription, std::unique_ptr<Hear> hear) noexcept
        : hear_(std::move(hear)), subscription_(subscription) {}

    static void on_message(void *user_data, kv_bytes channel, kv_bytes pattern,
                           kv_bytes message) noexcept {
        try {
            (*static_cast<Hear *>(user_data))({channel.data, channel.len},
                                              {pattern.data, pattern.len},
                                              {message.data, message.len});
        } catch (...) {
        }
    }

    // Declared first, so that it goes after the subscription that calls it.
    std::unique_ptr<Hear> hear_;
    std::unique_ptr<kv_subscription, Close> subscription_;
};

/* An engine's port for Redis clients; as it goes, they are disconnected. Can be moved, not
 * copied. */
class Listener {
public:
    /* The TCP port, 0 if there is none. */
    std::uint16_t port() const noexcept { return kv_listener_port(listener_.get()); }

    kv_listener *get() const noexcept { return listener_.get(); }

private:
    friend class Engine;
    struct Close {
        void operator()(kv_listener *listener) const noexcept { kv_listener_close(listener); }
    };
    explicit Listener(kv_listener *listener) noexcept : listener_(listener) {}
    std::unique_ptr<kv_listener, Close> listener_;
};

/* Where a run's time went. */
struct Profile {
    Reply reply;        /* Not thrown if it is an error: the profile is of interest all the same. */
    std::string table;  /* Lines and commands. Empty, as the stacks, if the call was refused. */
    std::string stacks; /* As flamegraph.pl and speedscope read them. */
};

/* Takes what is known of the last script that failed in a call of this thread, as
 * kv_last_traceback does. */
inline Reply last_traceback() { return Reply(kv_last_traceback()); }

/* An engine. Can be moved, not copied; may be called from any thread. */
class Engine {
public:
    using Log = std::function<void(std::uint32_t level, std::string_view message)>;

    explicit Engine(const Options &options = {}) {
        kv_options plain = options;
        std::vector<kv_bytes> parameters;
        for (const auto &[name, value] : options.parameters) {
            parameters.push_back(detail::bytes(name));
            parameters.push_back(detail::bytes(value));
        }
        plain.config = parameters.data();
        plain.config_count = options.parameters.size();
        plain.directory = detail::bytes(options.directory);
        kv_reply error;
        engine_.reset(kv_open(&plain, &error));
        if (!engine_) detail::fail(error);
    }

    /* The command's name, then its arguments. */
    Reply command(const Strings &argv) {
        return Reply(kv_command(engine_.get(), argv.size(), argv.data())).checked();
    }

    Reply eval(std::string_view script, const Strings &keys = {}, const Strings &args = {}) {
        return Reply(kv_eval(engine_.get(), detail::bytes(script), keys.size(), keys.data(),
                             args.size(), args.data()))
            .checked();
    }

    Reply evalsha(std::string_view sha1, const Strings &keys = {}, const Strings &args = {}) {
        return Reply(kv_evalsha(engine_.get(), detail::bytes(sha1), keys.size(), keys.data(),
                                args.size(), args.data()))
            .checked();
    }

    Reply eval_limited(const Limits &limits, std::string_view script, const Strings &keys = {},
                       const Strings &args = {}) {
        return Reply(kv_eval_limited(engine_.get(), &limits, detail::bytes(script), keys.size(),
                                     keys.data(), args.size(), args.data()))
            .checked();
    }

    Reply evalsha_limited(const Limits &limits, std::string_view sha1, const Strings &keys = {},
                          const Strings &args = {}) {
        return Reply(kv_evalsha_limited(engine_.get(), &limits, detail::bytes(sha1), keys.size(),
                                        keys.data(), args.size(), args.data()))
            .checked();
    }

    /* Runs a script, and tells where its time went. */
    Profile profile(std::string_view script, const Strings &keys = {}, const Strings &args = {}) {
        kv_reply told;
        Reply reply(kv_profile(engine_.get(), detail::bytes(script), keys.size(), keys.data(),
                               args.size(), args.data(), &told));
        const Reply texts(told);
        if (texts.size() != 2) return {std::move(reply), {}, {}};
        return {std::move(reply), std::string(texts[0].str()), std::string(texts[1].str())};
    }

    /* What became of the runs of each script and function, as kv_script_stats tells it. */
    Reply script_stats() { return Reply(kv_script_stats(engine_.get())).checked(); }
    void reset_script_stats() { Reply(kv_script_stats_reset(engine_.get())).checked(); }

    /* Returns the SHA-1. */
    std::string script_load(std::string_view script) {
        return std::string(
            Reply(kv_script_load(engine_.get(), detail::bytes(script))).checked().str());
    }

    std::vector<bool> script_exists(const Strings &sha1s) {
        const Reply reply =
            Reply(kv_script_exists(engine_.get(), sha1s.size(), sha1s.data())).checked();
        std::vector<bool> found;
        for (const View one : reply) found.push_back(one.boolean());
        return found;
    }

    void script_flush() { Reply(kv_script_flush(engine_.get())).checked(); }

    Script prepare(std::string_view script) {
        kv_reply error;
        kv_script *made = kv_script_prepare(engine_.get(), detail::bytes(script), &error);
        if (!made) detail::fail(error);
        return Script(made);
    }

    Session session() {
        kv_reply error;
        kv_session *made = kv_session_open(engine_.get(), &error);
        if (!made) detail::fail(error);
        return Session(made);
    }

    /* Listens to channels by name and by pattern. The messages wait for Subscription::next, or are
     * told to a function. */
    Subscription subscribe(const Strings &channels, const Strings &patterns = {},
                           Subscription::Hear hear = {}) {
        auto kept = hear ? std::make_unique<Subscription::Hear>(std::move(hear)) : nullptr;
        kv_reply error;
        kv_subscription *made =
            kv_subscribe(engine_.get(), channels.size(), channels.data(), patterns.size(),
                         patterns.data(), kept ? &Subscription::on_message : nullptr, kept.get(),
                         &error);
        if (!made) detail::fail(error);
        return Subscription(made, std::move(kept));
    }

    /* Listens for Redis clients, on a thread of its own. */
    Listener listen(const ListenOptions &options = {}) {
        kv_listen_options plain{};
        plain.struct_size = sizeof(plain);
        plain.host = detail::bytes(options.host);
        plain.port = options.port;
        plain.no_tcp = !options.tcp;
        plain.exposed = options.exposed;
        plain.unix_path = detail::bytes(options.unix_path);
        plain.unix_permissions = options.unix_permissions;
        plain.password = detail::bytes(options.password);
        kv_reply error;
        kv_listener *made = kv_listen(engine_.get(), &plain, &error);
        if (!made) detail::fail(error);
        return Listener(made);
    }

    /* Stops the script that runs and ends the calls that wait for a key, from any thread. */
    void cancel() noexcept { kv_cancel(engine_.get()); }

    struct Tick {
        std::size_t expired;
        bool complete;
    };

    Tick tick(std::uint64_t budget_us) {
        Tick tick{};
        Reply(kv_tick(engine_.get(), budget_us, &tick.expired, &tick.complete)).checked();
        return tick;
    }

    /* Reads a file of all data in place of what there is, the one in the directory of the options if
     * none is named. Returns how many keys it has, none if there is no such file. */
    std::optional<std::int64_t> load(std::string_view path = {}) {
        const Reply reply = Reply(kv_load(engine_.get(), detail::bytes(path))).checked();
        if (reply.is_nil()) return std::nullopt;
        return reply.integer();
    }

    /* Returns the new time in milliseconds since 1970. */
    std::int64_t advance_clock(std::uint64_t ms) {
        return Reply(kv_clock_advance(engine_.get(), ms)).checked().integer();
    }

    /* Takes what scripts log; an empty function for nobody. What it throws is dropped. */
    void set_log(Log log) {
        auto next = log ? std::make_unique<Log>(std::move(log)) : nullptr;
        Reply(kv_log_set(engine_.get(), next ? &Engine::on_log : nullptr, next.get())).checked();
        log_ = std::move(next);
    }

    /* A second engine with a copy of all keys; cached scripts and the log are not copied. */
    Engine fork() {
        kv_reply error;
        kv_engine *copy = kv_fork(engine_.get(), &error);
        if (!copy) detail::fail(error);
        return Engine(copy);
    }

    kv_engine *get() const noexcept { return engine_.get(); }

private:
    struct Close {
        void operator()(kv_engine *engine) const noexcept { kv_close(engine); }
    };

    explicit Engine(kv_engine *engine) noexcept : engine_(engine) {}

    static void on_log(void *user_data, std::uint32_t level, kv_bytes message) noexcept {
        try {
            (*static_cast<Log *>(user_data))(level, {message.data, message.len});
        } catch (...) {
        }
    }

    // Declared first, so that it goes after the engine that calls it.
    std::unique_ptr<Log> log_;
    std::unique_ptr<kv_engine, Close> engine_;
};

} // namespace moonkv

#endif // MOONKV_HPP
