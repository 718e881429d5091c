// Limits for one run, statistics, profiles, channels and a listener from C++17.
//
//     c++ -std=c++17 -pthread tools.cpp -lmoonkv -o tools && ./tools
#include <moonkv.hpp>

#include <cassert>
#include <iostream>
#include <string>

#ifdef NDEBUG
#error "this example checks itself with assert"
#endif

static const char *FOREVER = "while true do end";

// What a call answers with, which is an error.
template <class Call> static std::string error_of(Call call) {
    try {
        call();
    } catch (const moonkv::Error &error) {
        return error.what();
    }
    assert(!"it has to fail");
    return {};
}

static void limits() {
    moonkv::Engine engine;
    moonkv::Session session = engine.session();
    moonkv::Script forever = engine.prepare(FOREVER);
    moonkv::Limits limits;
    limits.instructions = 100000;
    const std::string error = error_of([&] { engine.eval_limited(limits, FOREVER); });
    std::cout << error << '\n';
    assert(error.find("100000") != std::string::npos);
    const std::string start = error.substr(0, 40);
    const auto fails_alike = [&](auto call) { return error_of(call).substr(0, 40) == start; };
    assert(fails_alike([&] { engine.evalsha_limited(limits, forever.sha1()); }));
    assert(fails_alike([&] { forever.run_limited(limits); }));
    assert(fails_alike([&] { session.eval_limited(limits, FOREVER); }));
    assert(fails_alike([&] { session.evalsha_limited(limits, forever.sha1()); }));
    assert(fails_alike([&] { session.run_limited(limits, forever); }));
    assert(engine.eval_limited(limits, "return KEYS[1]", {"k"}).str() == "k");
}

static void tools() {
    moonkv::Engine engine;
    moonkv::Script script = engine.prepare("local n = ARGV[1] + 1\nreturn redis.call('GET', n)");
    script.run({}, {"1"});
    error_of([&] { script.run({}, {"x"}); });
    const moonkv::Reply where = moonkv::last_traceback();
    std::cout << "failed in line " << where[2].integer() << '\n';
    assert(where[0].str() == script.sha1() && where[1].is_nil() && where[2].integer() == 1);
    assert(moonkv::last_traceback().is_nil());

    const moonkv::Reply stats = engine.script_stats();
    assert(stats.size() == 1 && stats[0][0].str() == "name" && stats[0][1].str() == script.sha1());
    assert(stats[0][4].str() == "runs" && stats[0][5].integer() == 2);
    engine.reset_script_stats();
    assert(engine.script_stats()[0][5].integer() == 0);

    moonkv::Profile profile = engine.profile("return redis.call('INCR', KEYS[1])", {"n"});
    assert(profile.reply.integer() == 1);
    assert(!profile.table.empty() && !profile.stacks.empty());
    profile = engine.profile("no Lua");
    assert(profile.reply.is_error() && profile.stacks.empty());
}

static void channels() {
    moonkv::Engine engine;
    moonkv::Subscription news = engine.subscribe({"news"}, {"w*"});
    assert(news.next(0).is_nil());
    assert(engine.command({"PUBLISH", "news", "rain"}).integer() == 1);
    engine.command({"PUBLISH", "wind", "from the west"});
    const moonkv::Reply first = news.next(1000), second = news.next(-1);
    std::cout << first[0].str() << ": " << first[2].str() << '\n';
    assert(first[0].str() == "news" && first[1].is_nil() && first[2].str() == "rain");
    assert(second[0].str() == "wind" && second[1].str() == "w*");
    { moonkv::Subscription gone = std::move(news); }
    assert(engine.command({"PUBLISH", "news", "snow"}).integer() == 0);
}

// The same as they come, on the thread that publishes.
static void hearing() {
    moonkv::Engine engine;
    std::string heard;
    const auto hear = [&](std::string_view channel, std::string_view pattern,
                          std::string_view message) {
        heard.append(channel).append(pattern.data() ? " by " : "").append(pattern);
        heard.append(": ").append(message).append("; ");
        // It may call the engine. What this publishes is told once the call is over.
        if (message == "rain") engine.command({"PUBLISH", "wind", "rising"});
        if (message == "thunder") throw moonkv::Error("ERR nobody sees this");
    };
    moonkv::Subscription weather = engine.subscribe({"sky"}, {"w*"}, hear);
    engine.command({"PUBLISH", "sky", "rain"});
    assert(weather.next(0).is_nil());
    engine.command({"PUBLISH", "sky", "thunder"});
    std::cout << heard << '\n';
    assert(heard == "sky: rain; wind by w*: rising; sky: thunder; ");
    {
        const moonkv::Subscription moved = std::move(weather);
        engine.command({"PUBLISH", "world", ""});
        assert(heard.substr(heard.size() - 15) == "world by w*: ; ");
    }
    heard.clear();
    assert(engine.command({"PUBLISH", "sky", "snow"}).integer() == 0 && heard.empty());
}

static void listeners() {
    moonkv::Engine engine;
    moonkv::ListenOptions options;
    options.password = "secret";
    moonkv::Listener listener = engine.listen(options);
    assert(listener.port() != 0);
    moonkv::ListenOptions same;
    same.port = listener.port();
    std::cout << error_of([&] { engine.listen(same); }).substr(0, 3) << '\n';
    moonkv::Listener moved = std::move(listener);
    assert(moved.port() == same.port && listener.port() == 0);
}

int main() {
    limits();
    tools();
    channels();
    hearing();
    listeners();
}
