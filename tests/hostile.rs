//! Scripts that mean harm: that do not end, take all memory, nest without end, catch the error
//! that is to stop them, or try to leave something behind for the next run. The host lives on.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Call, Engine, Error, LuaRandom, Options, Protocol, Reply, ReplyBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const NONE: [&str; 0] = [];

fn open(change: impl FnOnce(&mut Options)) -> Engine {
    let mut options = Options::default();
    change(&mut options);
    Engine::open(&options).expect("an engine opens")
}

fn show(reply: &Result<Reply, Error>) -> String {
    match reply {
        Ok(reply) => text(reply),
        Err(error) => error.to_string().split(" script: ").next().unwrap_or_default().to_owned(),
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Null => "null".to_owned(),
        Reply::Integer(value) => value.to_string(),
        Reply::Array(elements) => {
            format!("[{}]", elements.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        other => other.as_str().map_or_else(|| format!("{other:?}"), str::to_owned),
    }
}

fn eval(engine: &Engine, script: &str) -> String {
    show(&engine.eval(script, &NONE, &NONE))
}

/// Plays a transcript: what each script answers, in short.
fn check(engine: &Engine, transcript: &[(&str, &str)]) {
    for (script, expected) in transcript {
        assert_eq!(eval(engine, script), *expected, "{script}");
    }
}

/// What every script must still be able to do.
fn check_alive(engine: &Engine, after: &str) {
    let script =
        "redis.call('SET', 'alive', 'yes') return {redis.call('GET', 'alive'), #('x'):rep(9)}";
    assert_eq!(eval(engine, script), "[yes 9]", "after {after}");
}

// ---- Time.

/// Scripts that never end by themselves.
const ENDLESS: [&str; 26] = [
    "while true do end",
    "repeat until false",
    "local function f() return f() end f()",
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(error, 'again') end",
    "pcall(function() pcall(function() while true do end end) while true do end end) while true do end",
    "xpcall(error, function() while true do end end)",
    "xpcall(function() while true do end end, function() while true do end end) while true do end",
    "coroutine.wrap(function() while true do end end)()",
    "while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end",
    "while true do coroutine.wrap(function() end)() end",
    "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
    "pcall(coroutine.wrap(function() pcall(function() while true do end end) end)) while true do end",
    "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    "local t = setmetatable({}, {__tostring = function() while true do end end}) tostring(t)",
    "table.sort({3, 2, 1, 4}, function() while true do end end)",
    "string.gsub('x', 'x', function() while true do end end)",
    "return string.rep('a', 40):match(string.rep('a?', 40) .. string.rep('a', 41))",
    "return string.rep('a', 200):find(string.rep('a*', 30) .. 'b')",
    "return string.rep('a', 200):gsub(string.rep('a-', 30) .. 'b', '')",
    "return string.rep('a', 200):gsub(string.rep('.-', 30) .. 'b', function() end)",
    "for word in string.rep('a', 200):gmatch(string.rep('a+', 30) .. 'b') do end",
    "while true do pcall(string.match, string.rep('a', 200), string.rep('a*', 30) .. 'b') end",
    "load(function() while true do end end)",
    "while true do redis.pcall('NOSUCH') end",
    "while true do redis.call('SET', 'k', 'v') end",
];

#[test]
fn no_script_outlives_its_time() {
    let engine = open(|options| options.script_timeout = Some(Duration::from_millis(50)));
    for script in ENDLESS {
        let start = Instant::now();
        let error = eval(&engine, script);
        assert!(
            error.starts_with("ERR script exceeded its time limit of 50 ms"),
            "{script}: {error}"
        );
        assert!(start.elapsed() < Duration::from_secs(5), "{script}: {:?}", start.elapsed());
        check_alive(&engine, script);
    }
}

#[test]
fn no_script_outlives_its_instructions() {
    let engine = open(|options| options.script_instructions = Some(200_000));
    for script in ENDLESS {
        let error = eval(&engine, script);
        let says = "ERR script exceeded its limit of 200000 instructions";
        assert!(error.starts_with(says), "{script}: {error}");
        check_alive(&engine, script);
    }
}

/// Single calls into the library that take long: no instruction ends while they run.
#[test]
fn no_library_call_outlives_the_time() {
    let engine = open(|options| options.script_timeout = Some(Duration::from_millis(50)));
    let cases = [
        "while true do table.concat({'a', 'b', 'c'}) end",
        "local t = {} for i = 1, 3e5 do t[i] = i % 7 end while true do table.sort(t) end",
        "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do table.insert(t, 1, 'y') end",
        "local s = string.rep('x', 1e7) while true do s:byte(1, 100) s:lower() end",
        "local s = string.rep('x', 1e7) while true do s:reverse() end",
        "while true do redis.sha1hex(string.rep('x', 1e6)) end",
        "local s = string.rep('a', 1e4) while true do s:gsub('a', 'b') end",
        "local s = string.rep('a', 1e7) while true do s:gsub('a', 'b') end",
        "local s = string.rep('a', 1e7) while true do s:find('b', 1, true) end",
        "local s = string.rep('a', 1e7) while true do ('b'):find(s) end",
        "local s = string.rep('a', 1e6) return s:find('.-.-b')",
        "local s = string.rep('(', 3e6) return s:find('%b()')",
        "local s = string.rep('a', 1e6) return s:match('^(.*).-%1b')",
        "local s, p = 'b', string.rep('[a-z]', 1e6) while true do s:match(p) s:find('[' .. p) end",
        "local s = string.rep('\\n', 1e7) while true do string.format('%q', s) end",
        "local s = string.rep('x', 1e7) while true do string.format('%s%s%s', s, s, s) end",
    ];
    let mut late = Vec::new();
    for script in cases {
        let start = Instant::now();
        let error = eval(&engine, script);
        let took = start.elapsed();
        let stopped = error.starts_with("ERR script exceeded its time limit");
        if !stopped || took > Duration::from_secs(3) {
            let error: String = error.chars().take(100).collect();
            late.push(format!("{script}\n  {error} after {took:?}"));
        }
        check_alive(&engine, script);
    }
    assert!(late.is_empty(), "{} of {}:\n{}", late.len(), cases.len(), late.join("\n"));
}

/// What a host's thread may have. AddressSanitizer's own share of each frame is on top of it.
const STACK_BYTES: usize = if cfg!(moonkv_asan) { 4 << 20 } else { 256 * 1024 };

/// Hosts call from threads with little stack of their own.
#[test]
fn a_small_stack_is_enough_for_patterns() {
    let deep = "return ('a'):rep(3e5):match(('a?'):rep(2e5)):len()";
    let nested = "local depth = 0
        local function f() return (('a'):gsub('a', function() depth = depth + 1 return f() end)) end
        pcall(f) return depth > 150 and 200000";
    for script in [deep, nested] {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        let run = move || eval(&Engine::new().expect("an engine opens"), script);
        let answer = thread.spawn(run).expect("a thread starts").join();
        assert_eq!(answer.expect("the thread ends"), "200000", "{script}");
    }
}

// ---- Memory.

#[test]
fn no_script_takes_all_memory() {
    // No limit of time: on a busy machine it might be met first.
    let engine = open(|options| {
        options.script_memory = Some(8 << 20);
        options.script_timeout = None;
    });
    let bombs = [
        "return string.rep('x', 1e9)",
        "return string.rep('x', 2^31)",
        "return string.rep('x', 2^53)",
        "return string.rep(string.rep('x', 1e6), 1e6)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local s = {} for i = 1, 1e6 do s[i] = string.rep('x', 100) .. i end return table.concat(s)",
        "return ('x'):rep(1e6):gsub('x', ('y'):rep(1000))",
        "return ('x'):rep(1e4):gsub('x', function() return ('y'):rep(1e4) end)",
        "return ('x'):rep(1e4):gsub('x', {x = ('y'):rep(1e4)})",
        "return ('a'):rep(1e6):match(('a?'):rep(1e6))",
        "local s = 'x' while true do s = string.format('%s%s', s, s) end",
        "local s = ('\\0'):rep(3e6) return string.format('%q', s)",
        "return string.rep('x', 9e6)",
        "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
        "local f = function() end while true do local g = f f = function() return g() end end",
        "pcall(string.rep, 'x', 1e9) return 'caught'",
        "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
        "local t = {} pcall(function() while true do t[#t + 1] = {} end end) return #t",
    ];
    for script in bombs {
        let error = eval(&engine, script);
        let says = "ERR script exceeded its memory limit of 8388608 bytes";
        assert!(error.starts_with(says), "{script}: {error}");
        check_alive(&engine, script);
    }
    assert_eq!(eval(&engine, "return #string.rep('x', 4e6)"), "4000000", "what fits, fits");
}

#[test]
fn memory_is_given_back_between_runs() {
    let engine = open(|options| options.script_memory = Some(8 << 20));
    for i in 0..50 {
        assert_eq!(eval(&engine, "return #string.rep('x', 5e6)"), "5000000", "run {i}");
    }
}

// ---- Results.

#[test]
fn results_may_be_deep_but_not_endless() {
    let engine = Engine::new().expect("an engine opens");
    let depth_of = |mut reply: &Reply| {
        let mut depth = 0;
        while let Some([inner]) = reply.as_array() {
            (reply, depth) = (inner, depth + 1);
        }
        (depth, text(reply))
    };
    let nested =
        |levels: usize| format!("local t = 'end' for i = 1, {levels} do t = {{t}} end return t");
    let deep = engine.eval(nested(900), &NONE, &NONE).expect("it is a reply");
    assert_eq!(depth_of(&deep), (900, "end".to_owned()));
    for script in [nested(2000), nested(200_000), "local t = {} t[1] = t return t".to_owned()] {
        let reply = engine.eval(&script, &NONE, &NONE).expect("it is a reply");
        let (depth, end) = depth_of(&reply);
        assert!(depth >= 900, "{script}: {depth}");
        assert_eq!(end, "Error(\"ERR reached lua stack limit\")", "{script}");
        check_alive(&engine, &script);
    }
    let maps = "redis.setresp(3) local t = {} t.map = {a = t} return t";
    assert!(engine.eval(maps, &NONE, &NONE).is_ok());
    let sets = "redis.setresp(3) local t = {} t.set = {[t] = true} return t";
    assert!(engine.eval(sets, &NONE, &NONE).is_ok());
    check_alive(&engine, sets);
}

/// A table that holds another twice is two in the reply: few tables, many elements.
#[test]
fn a_result_that_grows_by_sharing_meets_the_limits() {
    let script = "local t = {1} for i = 1, 21 do t = {t, t} end return t";
    let time = open(|options| options.script_timeout = Some(Duration::from_millis(20)));
    let memory = open(|options| options.script_memory = Some(1 << 20));
    for (engine, says) in [(time, "time limit"), (memory, "memory limit")] {
        let mut reply = ReplyBuf::new();
        engine.call(Call::Eval(script.as_bytes(), &[], &[]), &mut reply).expect("a reply");
        assert!(reply.is_error(), "millions of elements in spite of a {says}");
        assert!(text(&reply.to_reply(Protocol::Resp2)).contains(says));
        check_alive(&engine, script);
    }
}

const YIELD: &str = match cfg!(feature = "luajit") {
    true => "ERR user_script:1: attempt to yield across C-call boundary",
    false => "ERR attempt to yield across metamethod/C-call boundary",
};

#[test]
fn errors_of_every_kind_have_a_text() {
    let engine = Engine::new().expect("an engine opens");
    check(
        &engine,
        &[
            ("error({})", "ERR unknown error (an error object without err)"),
            ("error({err = {}})", "ERR unknown error (an error object without err)"),
            ("error({err = 'OWN text'})", "OWN text"),
            ("error('text')", "ERR user_script:1: text"),
            ("error('text', 0)", "ERR text"),
            ("error()", "ERR nil"),
            ("error(nil)", "ERR nil"),
            ("error(true)", "ERR true"),
            ("error(false)", "ERR false"),
            ("error(12)", "ERR user_script:1: 12"),
            ("error(function() end)", "ERR (error object is a function value)"),
            ("error(coroutine.create(function() end))", "ERR (error object is a thread value)"),
            ("error('two\\r\\nlines', 0)", "ERR two  lines"),
            (
                "error(setmetatable({}, {__index = {err = 'x'}}))",
                "ERR unknown error (an error object without err)",
            ),
            ("error(redis)", "ERR (error object is a table value)"),
            ("return {pcall(error, {err = 'x'})}", "[null x]"),
            ("return select(2, pcall(error, {err = 'x'}))", "x"),
            (
                "return select(2, xpcall(function() error('a', 0) end, function(e) return e .. 'b' end))",
                "ab",
            ),
            ("return select(2, xpcall(error, error))", "error in error handling"),
            (
                "local ok, e = coroutine.resume(coroutine.create(function() error('in', 0) end)) return e",
                "in",
            ),
            ("coroutine.wrap(function() error('in', 0) end)()", "ERR user_script:1: in"),
            (
                "local co = coroutine.create(function() end) coroutine.resume(co) return select(2, coroutine.resume(co))",
                "cannot resume dead coroutine",
            ),
            ("coroutine.yield(1)", YIELD),
            (
                "return coroutine.wrap(function() coroutine.yield(redis.call('SET', 'k', 'v')) end)()",
                "OK",
            ),
            (
                "return coroutine.wrap(function() return redis.pcall('NOSUCH').err end)()",
                "ERR Unknown Redis command called from script",
            ),
        ],
    );
    check_alive(&engine, "errors");
}

// ---- Runs do not see each other.

/// Scripts that try to leave something behind; most end in an error.
const POLLUTE: [&str; 24] = [
    "left = 1",
    "_G.left = 1",
    "rawset(_G, 'left', 1)",
    "setmetatable(_G, nil) left = 1",
    "getmetatable(_G).__newindex = nil left = 1",
    "getmetatable('').__index = function() return 'left' end",
    "getmetatable('').left = 1",
    "setmetatable(getmetatable(''), {})",
    "string.rep = function() return 'left' end",
    "string.left = 1",
    "rawset(string, 'left', 1)",
    "redis.call = function() return 'left' end",
    "redis.left = 1",
    "rawset(redis, 'left', 1)",
    "table.insert(redis, 'left')",
    "table.insert(table, 'left')",
    "math.floor = nil",
    "coroutine.wrap = nil",
    "KEYS.left = 1 KEYS = nil ARGV = {'left'}",
    "for k, v in pairs(_G) do if type(v) == 'table' then v.left = 1 end end",
    "_G._G = {} pcall = nil",
    "redis.setresp(3)",
    "local k, v = next(redis) v = nil redis[k] = nil",
    "__redis__err__handler = nil",
];

/// What every run must find, whatever came before.
const PRISTINE: &str = "
    local mt = getmetatable('')
    return {
        tostring(rawget(_G, 'left')), tostring(string.left), tostring(redis.left),
        ('x'):rep(3), tostring(mt == nil or rawget(mt, 'left') == nil), #redis, #table,
        math.floor(1.5), type(coroutine.wrap), #KEYS, #ARGV, type(pcall), type(redis.call),
        redis.call('SET', 'k', 'v').ok, type(redis.call('HGETALL', 'none')),
        tostring(redis.call('HGETALL', 'none').map), tostring({}), type(rawget(_G, 'KEYS')),
    }";

#[test]
fn nothing_is_left_for_the_next_run() {
    let fresh = Engine::new().expect("an engine opens");
    let expected = eval(&fresh, PRISTINE);
    assert!(expected.starts_with("[nil nil nil xxx true 0 0 1 function 0 0 "), "{expected}");
    let engine = Engine::new().expect("an engine opens");
    for script in POLLUTE {
        for argv in [&["secret"][..], &[]] {
            let _ = engine.eval(script, argv, argv);
            assert_eq!(eval(&engine, PRISTINE), expected, "after {script}");
        }
    }
}

#[test]
fn keys_and_arguments_of_one_run_are_not_those_of_the_next() {
    let engine = Engine::new().expect("an engine opens");
    let secret = ["the", "secret"];
    engine.eval("return KEYS[1] .. ARGV[1]", &secret, &secret).expect("it runs");
    // Ways to the globals that do not say their names.
    check(
        &engine,
        &[
            ("return #KEYS + #ARGV", "0"),
            ("return #_G['KE' .. 'YS'] + #_G['AR' .. 'GV']", "0"),
            ("return #loadstring('return K' .. 'EYS')()", "0"),
            ("return #loadstring('return A' .. 'RGV')()", "0"),
            (
                "local n = 0 for k, v in pairs(_G) do if k == 'KEYS' then n = #v end end return n",
                "0",
            ),
            (
                "return tostring(getfenv)",
                "ERR user_script:1: Script attempted to access nonexistent global variable 'getfenv'",
            ),
            (
                "return tostring(debug)",
                "ERR user_script:1: Script attempted to access nonexistent global variable 'debug'",
            ),
        ],
    );
    let prepared = engine.prepare("return {#KEYS, #ARGV, KEYS[1], ARGV[1]}").expect("it compiles");
    assert_eq!(show(&prepared.run(&["a", "b"], &["c"])), "[2 1 a c]");
    assert_eq!(show(&prepared.run(&NONE, &["d"])), "[0 1]");
    let local = engine.prepare("local seen = seen_before or KEYS return 1").expect("it compiles");
    assert!(local.run(&["a"], &NONE).is_err(), "an unknown global");
}

#[test]
fn chance_is_denied_or_the_same_in_every_run() {
    let engine = Engine::new().expect("an engine opens");
    for script in ["return math.random()", "math.randomseed(1)"] {
        let error = eval(&engine, script);
        assert!(error.contains("lua_random"), "{script}: {error}");
    }
    let seeded = || open(|options| options.lua_random = LuaRandom::Seeded);
    let script = "return {math.random(1e6), math.random(1e6), math.random(1e6)}";
    let (one, other) = (seeded(), seeded());
    let first = eval(&one, script);
    assert!(first.starts_with('[') && !first.contains("null"), "{first}");
    assert_eq!(eval(&one, script), first);
    eval(&one, "math.randomseed(99) math.random()");
    assert_eq!(eval(&one, script), first, "a seed ends with its run");
    assert_eq!(eval(&other, script), first);
}

// ---- What might take the process down is tried in another one.

/// Names the script that this process is to run as the child of another test.
const CHILD: &str = "MOONKV_HOSTILE_SCRIPT";

/// The child's half; without a script there is nothing to do. Its memory is limited by its parent.
#[test]
fn child() {
    let Some(script) = std::env::var_os(CHILD) else { return };
    let engine = open(|options| {
        options.script_timeout = Some(Duration::from_millis(200));
        options.script_memory = Some(64 << 20);
    });
    let script = script.to_str().expect("a script is text");
    let mut reply = ReplyBuf::new();
    engine.call(Call::Eval(script.as_bytes(), &[], &[]), &mut reply).expect("a reply");
    check_alive(&engine, script);
}

/// How a shell starts the child. AddressSanitizer has terabytes of addresses for itself.
const START: &str = if cfg!(moonkv_asan) {
    "exec \"$0\" --exact child --test-threads=1"
} else {
    "ulimit -v 4000000; exec \"$0\" --exact child --test-threads=1"
};

/// Runs a script in a process of its own; tells what became of it.
fn run_in_child(script: &str) -> Result<(), String> {
    let this = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new("sh")
        .args(["-c", START])
        .arg(this)
        .env(CHILD, script)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell starts");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        match child.try_wait().expect("the child can be asked") {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("it ended with {status}")),
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
    child.kill().expect("the child can be stopped");
    child.wait().expect("the child ends");
    Err("it did not end".to_owned())
}

#[test]
fn no_script_takes_the_process_down() {
    if !cfg!(unix) {
        println!("skipped: 1, there is no sh to limit a child with");
        return;
    }
    let scripts = [
        "local t = {} t[1] = t t[2] = t return t",
        "local t = {} t[1] = t t[2] = t return {ok = t, t}",
        "redis.setresp(3) local t = {} t.map = {a = t, b = t} return t",
        "return unpack({1, 2, 3}, -2, 2^31 - 1)",
        "return unpack({}, 1, 1e8)",
        "return #{unpack({}, 1, 7000)}",
        "return loadstring(('('):rep(1e5))",
        "return loadstring('return ' .. ('{'):rep(1e5))",
        "return loadstring('return ' .. ('a.'):rep(1e6) .. 'a')",
        "return loadstring('\\27Lua')",
        "local f = function() end for i = 1, 1e5 do local g = f f = coroutine.wrap(function() g() end) end f()",
        "local t = setmetatable({}, {}) for i = 1, 1e5 do t = setmetatable({}, {__index = t}) end return t.x",
        "local t = {} for i = 1, 1e5 do t = setmetatable({}, {__tostring = function() return tostring(t) end}) end return tostring(t)",
        "return tostring(string.format('%s', ('x'):rep(1e7)):len())",
        "return ('a'):rep(3e5):match(('a?'):rep(2e5)):len()",
        "return ('a'):rep(3e5):find(('a-'):rep(2e5) .. 'b')",
        "return ('a'):rep(3e5):gsub(('(a*)'):rep(32) .. '%32', '%9')",
        "local function f(n) return (('a'):gsub('a', function() return f(n + 1) end)) end return pcall(f, 1)",
        "local f = setmetatable({}, {}) getmetatable(f).__index = function(_, k) return (k:gsub('.', f)) end return pcall(string.gsub, 'x', 'x', f)",
        "return string.format('%99999999d', 1)",
        "return string.format('%99.99f', 1e308) .. string.format('%-99.99s|', ('x'):rep(1e6))",
        "return pcall(string.format, '%100s', 'x')",
        "return pcall(string.format, ('%s'):rep(1e5), 'x')",
        "return string.format('%.99999999f', 1)",
        "local s = 'return ' .. ('-'):rep(1e6) .. '1' return loadstring(s)",
        "local a = {} for i = 1, 250 do a[i] = 'local a' .. i end return loadstring(table.concat(a, ' '))",
        "return table.concat({}, ('x'):rep(1e6), 1, 1e9)",
        "return select(-2^31, 1)",
        "return ('x'):byte(-2^31, 2^31)",
        "return ('x'):sub(-2^63, 2^63)",
        "return redis.call(unpack({}, 1, 5000))",
        "local a = {'MSET'} for i = 2, 7001 do a[i] = 'k' .. i end return redis.call(unpack(a))",
        "return redis.sha1hex(('x'):rep(3e7))",
        "redis.log(1, ('x'):rep(3e7))",
    ];
    let wrong: Vec<String> = scripts
        .iter()
        .filter_map(|script| run_in_child(script).err().map(|what| format!("{script}\n  {what}")))
        .collect();
    println!("{} scripts in processes of their own", scripts.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), scripts.len(), wrong.join("\n"));
}

/// Scripts without an instruction that sets a global see the real globals, all others a proxy: to the
/// script it is the same.
#[test]
fn globals_are_the_same_to_a_script_that_sets_some_and_to_one_that_does_not() {
    let engine = open(|_| ());
    let refused = "ERR user_script:1: Attempt to modify a readonly table";
    let missing = "ERR user_script:1: Script attempted to access nonexistent global variable 'x'";
    let reads = "_G == _G._G and type(_G) == 'table' and rawget(_G, 'tostring') == tostring";
    for setting in ["", "if false then x = 1 end ", "local f = function() x = 1 end "] {
        let script = |rest: &str| format!("{setting}{rest}");
        check(
            &engine,
            &[
                (&script(&format!("return {reads} and 1")), "1"),
                (&script("return x"), missing),
                (&script("local f = function() return function() return x end end f()()"), missing),
                (&script("_G.x = 1"), refused),
                (&script("rawset(_G, 'x', 1)"), "ERR Attempt to modify a readonly table"),
                (
                    &script("loadstring('x = 1')()"),
                    "ERR [string \"x = 1\"]:1: Attempt to modify a readonly table",
                ),
                (
                    // `wrap` adds its own position.
                    &script("coroutine.wrap(function() _G.x = 1 end)()"),
                    "ERR user_script:1: user_script:1: Attempt to modify a readonly table",
                ),
                (&script("return {KEYS[1] or 'none', #ARGV}"), "[none 0]"),
                (
                    &script("local n = 0 for k in pairs(_G) do n = n + 1 end return n > 20 and 1"),
                    "1",
                ),
            ],
        );
    }
    check(
        &engine,
        &[
            ("x = 1", refused),
            ("local f = function() return function() x = 1 end end f()()", refused),
            ("function x() end", refused),
            ("KEYS = {}", refused),
            ("return x", missing),
        ],
    );
    check_alive(&engine, "globals");
}

/// A run that goes on has its heap collected more often; what it keeps stays.
#[test]
fn what_a_long_run_keeps_is_kept() {
    // No limit of time: it has to last, on a slow machine too.
    let engine = open(|options| options.script_timeout = None);
    let script = "local kept, weak = {}, setmetatable({}, {__mode = 'v'}) \
        for i = 1, 300000 do local t = 'item' .. i if i % 100 == 0 then kept[#kept + 1] = t end \
        weak[i % 10] = {i} end \
        for i = 1, #kept do if kept[i] ~= 'item' .. i * 100 then return 'lost ' .. i end end \
        return #kept";
    assert_eq!(eval(&engine, script), "3000");
    assert_eq!(eval(&engine, script), "3000");
}
