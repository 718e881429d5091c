// Engine, script, session, replies and errors from C++17.
//
//     c++ -std=c++17 -pthread first.cpp -lmoonkv -o first && ./first
#include <moonkv.hpp>

#include <cassert>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#ifdef NDEBUG
#error "this example checks itself with assert"
#endif

static void first_steps() {
    moonkv::Engine engine;
    engine.command({"SET", "greeting", "hello"});
    const auto reply = engine.eval("return redis.call('GET', KEYS[1]) .. ', ' .. ARGV[1]",
                                   {"greeting"}, {"world"});
    std::cout << reply.str() << '\n';
    assert(reply.type() == moonkv::Type::String && reply.str() == "hello, world");
    assert(!engine.command({"GET", "nothing"}));
}

static void elements() {
    moonkv::Engine engine;
    const std::vector<std::string> push = {"RPUSH", "queue", "a", "b", "c"};
    engine.command(push);
    moonkv::Reply queue = engine.command({"LRANGE", "queue", "0", "-1"});
    std::string all;
    for (const auto element : queue) all += element.str();
    std::cout << queue.size() << " elements: " << all << '\n';
    assert(all == "abc" && queue[2].str() == "c");

    moonkv::Reply moved = std::move(queue);
    assert(moved.size() == 3 && queue.is_nil());
    moved = engine.eval("return {1, {err = 'ERR inside'}, {}}");
    assert(moved[0].integer() == 1 && moved[1].is_error() && moved[2].empty());
    for (const auto nothing : moved[2]) assert(nothing.is_nil() && false);
    try {
        moved[3];
        assert(false);
    } catch (const std::out_of_range &) {
    }
}

static void scripts() {
    moonkv::Engine engine;
    moonkv::Script add = engine.prepare("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    assert(add.run({"n"}, {"2"}).integer() == 2);
    assert(add.run({"n"}, {std::to_string(3)}).integer() == 5);
    assert(engine.evalsha(add.sha1(), {"n"}, {"1"}).integer() == 6);
    const std::string sha1 = engine.script_load("return 1");
    assert(engine.script_exists({sha1, "ffff"}) == (std::vector<bool>{true, false}));
    engine.script_flush();
    assert(engine.script_exists({sha1}) == std::vector<bool>{false});

    std::string heard;
    engine.set_log([&](std::uint32_t level, std::string_view text) {
        heard = std::to_string(level) + " " + std::string(text);
        throw 1; // Dropped.
    });
    engine.eval("redis.log(redis.LOG_NOTICE, 'ready')");
    std::cout << "log: " << heard << '\n';
    assert(heard == "2 ready");
    engine.set_log(nullptr);

    moonkv::Engine elsewhere = std::move(engine);
    assert(add.run({"n"}, {"1"}).integer() == 7);
    { moonkv::Engine closed = std::move(elsewhere); }
    try {
        add.run({"n"}, {"1"});
        assert(false);
    } catch (const moonkv::Error &error) {
        std::cout << error.what() << '\n';
    }
}

static void errors() {
    moonkv::Engine engine;
    try {
        engine.eval("redis.call('SET', 'a', 1) return redis.call('LPUSH', 'a', 'x')");
        assert(false);
    } catch (const moonkv::Error &error) {
        std::cout << error.what() << '\n';
        assert(error.code() == "WRONGTYPE");
    }
    assert(engine.command({"EXISTS", "a"}).integer() == 0);
    try {
        engine.prepare("no Lua");
        assert(false);
    } catch (const moonkv::Error &error) {
        assert(error.code() == "ERR");
    }
    moonkv::Options options;
    options.protocol = 7;
    try {
        moonkv::Engine never(options);
        assert(false);
    } catch (const moonkv::Error &error) {
        std::cout << error.what() << '\n';
    }
}

static void time_and_copies() {
    moonkv::Options options;
    options.clock = KV_CLOCK_MANUAL;
    options.protocol = 3;
    moonkv::Engine engine(options);
    engine.command({"SET", "shield", "on", "PX", "500"});
    moonkv::Engine copy = engine.fork();
    assert(engine.advance_clock(501) == 501);
    assert(engine.tick(1000000).complete);
    assert(!engine.command({"GET", "shield"}) && copy.command({"GET", "shield"}));
    copy.command({"ZADD", "board", "1.5", "ann"});
    assert(copy.command({"ZSCORE", "board", "ann"}).number() == 1.5);
    copy.cancel();
}

static void files() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    const std::filesystem::path place =
        std::filesystem::temp_directory_path() / ("moonkv-cpp-" + std::to_string(now));
    std::filesystem::create_directory(place);
    moonkv::Options options;
    options.directory = place.string();
    moonkv::Engine game(options);
    assert(!game.load());
    game.command({"SET", "gold", "10"});
    game.command({"SAVE"});
    moonkv::Engine later(options), elsewhere;
    assert(later.load() == 1 && later.command({"GET", "gold"}).str() == "10");
    assert(elsewhere.load((place / "dump.rdb").string()) == 1);
    std::filesystem::remove_all(place);
    try {
        elsewhere.load();
        assert(false);
    } catch (const moonkv::Error &error) {
        std::cout << error.what() << '\n';
    }
}

static void sessions() {
    moonkv::Options options;
    options.databases = 2;
    options.parameters = {{"list-max-listpack-size", "2"}, {"hash-max-listpack-entries", "1"}};
    moonkv::Engine engine(options);
    moonkv::Session session = engine.session();
    {
        moonkv::Transaction transaction(session);
        session.command({"HSET", "purse", "gold", "10", "silver", "5"});
        const std::int64_t before = session.savepoint();
        session.command({"DEL", "purse"});
        session.rollback_to(before);
        session.release(before);
        transaction.commit();
        try {
            transaction.commit();
            assert(false);
        } catch (const moonkv::Error &error) {
            assert(error.what() == std::string("ERR the transaction has ended"));
        }
    }
    try {
        moonkv::Transaction transaction(session);
        session.eval("return redis.call('DEL', KEYS[1])", {"purse"});
        engine.command({"PING"}); // Not through the session that holds the engine.
        assert(false);
    } catch (const moonkv::Error &error) {
        std::cout << error.what() << '\n';
    }
    assert(!session.in_transaction());
    std::cout << "gold: " << session.command({"HGET", "purse", "gold"}).str() << '\n';
    assert(engine.command({"OBJECT", "ENCODING", "purse"}).str() == "hashtable");

    moonkv::Script add = engine.prepare("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    session.command({"SELECT", "1"});
    session.command({"MULTI"});
    assert(session.run(add, {"n"}, {"2"}).str() == "QUEUED");
    assert(session.evalsha(add.sha1(), {"n"}, {"3"}).str() == "QUEUED");
    assert(session.command({"EXEC"})[1].integer() == 5);
    assert(!engine.command({"GET", "n"}));
    options.parameters = {{"no-such-parameter", "1"}};
    try {
        moonkv::Engine never(options);
        assert(false);
    } catch (const moonkv::Error &error) {
        assert(error.code() == "ERR");
    }
}

static void workers() {
    moonkv::Engine engine;
    moonkv::Session worker = engine.session();
    std::string got;
    std::thread waiting([&] {
        const auto job = worker.command({"BLPOP", "jobs", "0"});
        got = job[1].str();
    });
    engine.command({"RPUSH", "jobs", "first"});
    waiting.join();
    std::cout << "worker: " << got << '\n';
    assert(got == "first");
    worker.cancel();
}

int main() {
    first_steps();
    elements();
    scripts();
    errors();
    time_and_copies();
    files();
    sessions();
    workers();
}
