//! What scripts see of the globals. A script that is seen to set none has the real table for its
//! environment, one that only takes fields of libraries has the real libraries in it, and any other
//! one a read-only proxy (`src/script/vm/chunk.rs`): nothing that a script does may tell which it
//! has, and nothing that it does may be seen by the next one.
//!
//! `TRICKS` has redis-server 7.0.15's own answers.

// LuaJIT's code is not read: there all scripts have the proxy.
#![cfg(feature = "lua51")]
#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod dialect;

use dialect::plain;
use moonkv::{Engine, Error, Options, Protocol, Reply};
use serde_json::Value;
use std::path::Path;

/// In front of a script these change nothing but what it is seen to do: set a global, or hold a
/// library.
const SETS_ONE: &str = "local function never() never_set = 1 end ";
const HOLDS_ONE: &str = "local function never() return string end ";
const BEFORE: [&str; 3] = ["", SETS_ONE, HOLDS_ONE];

/// At least so many recorded scripts are compared.
const RECORDED_LEAST: usize = 895;

/// What a script tries, and what it gets. KEYS and ARGV have one element each.
#[rustfmt::skip]
const TRICKS: &[(&str, &str)] = &[
    ("return {type(rawget(_G, 'getfenv')), type(rawget(_G, 'setfenv')), type(rawget(_G, 'module')), type(rawget(_G, 'debug'))}", "[nil nil nil nil]"),
    ("x = 1", "ERR user_script:1: Attempt to modify a readonly table"),
    ("function f() end", "ERR user_script:1: Attempt to modify a readonly table"),
    ("_G.x = 1", "ERR user_script:1: Attempt to modify a readonly table"),
    ("_G['x'] = 1", "ERR user_script:1: Attempt to modify a readonly table"),
    ("rawset(_G, 'x', 1)", "ERR Attempt to modify a readonly table"),
    ("local g = _G g.x = 1", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local function f() _G.x = 1 end return {pcall(f)}", "[null user_script:1: Attempt to modify a readonly table]"),
    ("local function f() return function() return function() _G.x = 1 end end end f()()()", "ERR user_script:1: Attempt to modify a readonly table"),
    ("return {pcall(loadstring('x = 1'))}", "[null [string \"x = 1\"]:1: Attempt to modify a readonly table]"),
    ("return {pcall(loadstring('return x'))}", "[null [string \"return x\"]:1: Script attempted to access nonexistent global variable 'x']"),
    ("return {pcall(loadstring('function f() end'))}", "[null [string \"function f() end\"]:1: Attempt to modify a readonly table]"),
    ("return {pcall(loadstring('local function g() y = 2 end return g')())}", "[null [string \"local function g() y = 2 end return g\"]:1: Attempt to modify a readonly table]"),
    ("local n = 0 return {pcall(load(function() n = n + 1 return ({'x', ' = ', '1'})[n] end))}", "[null (load):1: Attempt to modify a readonly table]"),
    ("local f = loadstring('return function() return loadstring(\"x = 1\") end') return {pcall(f()())}", "[null [string \"x = 1\"]:1: Attempt to modify a readonly table]"),
    ("return {pcall(coroutine.wrap(function() _G.x = 1 end))}", "[null user_script:1: Attempt to modify a readonly table]"),
    ("return {coroutine.resume(coroutine.create(function() return coroutine.yield(pcall(loadstring('x = 1'))) end))}", "[1 null [string \"x = 1\"]:1: Attempt to modify a readonly table]"),
    ("return {pcall(setmetatable, _G, {})}", "[null Attempt to modify a readonly table]"),
    ("return {pcall(setmetatable, getmetatable(_G), {})}", "[null Attempt to modify a readonly table]"),
    ("getmetatable(_G).__newindex = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("getmetatable(_G).__index = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("return {pcall(getmetatable(_G).__index, _G, 'x')}", "[null Script attempted to access nonexistent global variable 'x']"),
    ("return {pcall(getmetatable(_G).__index, {}, 'server')}", "[null Script attempted to access nonexistent global variable 'server']"),
    ("for k, v in pairs(_G) do if k == 'x' then return v end end return 'none'", "none"),
    ("local n, t = pairs(_G) t.x = 1", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local n, t = pairs(_G) rawset(t, 'x', 1)", "ERR Attempt to modify a readonly table"),
    ("local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) return table.concat(t, ' ')", "ARGV KEYS _G _VERSION __redis__err__handler assert bit cjson cmsgpack collectgarbage coroutine error gcinfo getmetatable ipairs load loadstring math next pairs pcall rawequal rawget rawset redis select setmetatable string struct table tonumber tostring type unpack xpcall"),
    ("return {type(next(_G)), type(next(_G, '_G'))}", "[string string]"),
    ("return {tostring(_G == _G._G), tostring(rawequal(_G, _G._G)), tostring(rawget(_G, '_G') == _G)}", "[true true true]"),
    ("return {pcall(function() return nowhere end)}", "[null user_script:1: Script attempted to access nonexistent global variable 'nowhere']"),
    ("return nowhere", "ERR user_script:1: Script attempted to access nonexistent global variable 'nowhere'"),
    ("nowhere()", "ERR user_script:1: Script attempted to access nonexistent global variable 'nowhere'"),
    ("return nowhere.x", "ERR user_script:1: Script attempted to access nonexistent global variable 'nowhere'"),
    ("return {pcall(function() return _G.nowhere end)}", "[null user_script:1: Script attempted to access nonexistent global variable 'nowhere']"),
    ("return {tostring(rawget(_G, 'nowhere'))}", "[nil]"),
    ("return {KEYS[1], ARGV[1], #KEYS, #ARGV}", "[k1 a1 1 1]"),
    ("KEYS[1] = 'x' return KEYS[1]", "x"),
    ("KEYS = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("_G.KEYS = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local t = setmetatable({}, {__index = _G}) return {type(t.pairs), pcall(function() return t.nowhere end)}", "[function null user_script:1: Script attempted to access nonexistent global variable 'nowhere']"),
    ("local t = setmetatable({}, {__newindex = _G}) t.x = 1", "ERR user_script:1: Attempt to modify a readonly table"),
    ("table.foreach(_G, function(k, v) if v ~= _G and type(v) == 'table' and k ~= 'KEYS' and k ~= 'ARGV' then v.x = 1 end end)", "ERR user_script:1: Attempt to modify a readonly table"),
    ("table.insert(_G, 1)", "ERR Attempt to modify a readonly table"),
    ("return {tostring(table.remove(_G)), #_G, select('#', unpack(_G)), table.concat(_G)}", "ERR user_script:1: bad argument #1 to 'tostring' (value expected)"),
    ("string.rep = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local s = string s.rep = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("redis.call = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("redis = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local redis = {call = function() return 1 end} return redis.call()", "1"),
    ("local e = {} for k, v in pairs(_G) do e[k] = v end e.string.rep = nil", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local e = {} for k, v in pairs(_G) do e[k] = v end e.x = 1 return {e.x, tostring(rawget(_G, 'x'))}", "[1 nil]"),
    ("local ok, e = xpcall(function() error(_G) end, function(e) e.x = 1 end) return tostring(e)", "error in error handling"),
    ("('x'):gsub('x', function() _G.y = 1 end)", "ERR user_script:1: Attempt to modify a readonly table"),
    ("return ('pairs'):gsub('pairs', _G)", "ERR user_script:1: invalid replacement value (a function)"),
    ("local t = {} for i = 1, 3 do t[i] = function() _G.x = i end end t[2]()", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local t = {} function t.f() _G.x = 1 end t.f()", "ERR user_script:1: Attempt to modify a readonly table"),
    ("local t = {x = 1} t.x = 2 t.y = 3 return {t.x, t.y}", "[2 3]"),
    ("local x, y = 1 y = 2 local function f() x = y end f() return {x, y}", "[2 2]"),
    ("local function f(...) arg = {...} return arg end return f(1)", "[1]"),
    ("local function f() local a = 1 return function() a = a + 1 return a end end local g = f() g() return g()", "3"),
    ("return {(tostring(_G):match('^%a+')), type(_G)}", "[table table]"),
    ("redis.call('set', 'k', _G)", "ERR Lua redis lib command arguments must be strings or integers"),
    ("return type(string.dump(function() _G.x = 1 end))", "string"),
    ("return {pcall(loadstring(string.dump(function() x = 1 end)) or error)}", "[null]"),
    ("collectgarbage() return type(pairs)", "function"),
    ("return redis.call('get', 'k') or _VERSION", "Lua 5.1"),
    ("local a = pairs for i = 1, 2 do local pairs = 5 end return tostring(a == pairs)", "true"),
    ("return {pcall(string.rep)}", "[null bad argument #1 to '?' (string expected, got no value)]"),
    ("string.rep()", "ERR user_script:1: bad argument #1 to 'rep' (string expected, got no value)"),];

/// All that there is to be seen of the globals and of the libraries among them.
const CENSUS: &str = "local seen = {} \
    for name, value in pairs(_G) do \
        seen[#seen + 1] = name .. type(value) \
        if type(value) == 'table' and value ~= _G then \
            for key, inner in pairs(value) do \
                local shown = type(inner) ~= 'table' and tostring(inner) or '' \
                seen[#seen + 1] = name .. '.' .. key .. type(inner) .. shown \
            end \
        end \
    end \
    table.sort(seen) return table.concat(seen, ' ')";

fn open() -> Engine {
    Engine::open(&Options::redis()).expect("an engine opens")
}

/// A script's answer in short, with the key and the argument that `TRICKS` has.
fn answer(engine: &Engine, script: &str) -> String {
    show(&engine.eval(script, &["k1"], &["a1"]))
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
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Array(elements) => {
            format!("[{}]", elements.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        other => panic!("no trick answers {other:?}"),
    }
}

#[test]
fn tricks_get_redis_answers_whatever_the_environment() {
    for (script, expected) in TRICKS {
        for before in BEFORE {
            let script = format!("{before}{script}");
            assert_eq!(plain(&answer(&open(), &script)), plain(expected), "{script}");
        }
    }
}

#[test]
fn no_trick_is_seen_by_the_next_script() {
    let (engine, fresh) = (open(), open());
    for (script, _) in TRICKS {
        answer(&engine, script);
        assert_eq!(answer(&engine, CENSUS), answer(&fresh, CENSUS), "{script}");
        assert_eq!(
            answer(&engine, &format!("{SETS_ONE}{CENSUS}")),
            answer(&fresh, CENSUS),
            "{script}"
        );
    }
}

#[test]
fn keys_and_arguments_are_those_of_the_run() {
    let engine = open();
    let read = "return {KEYS[1], ARGV[1], #KEYS, _G.KEYS == KEYS and 1}";
    let plain = "return {KEYS[1], ARGV[1], #KEYS, 1}";
    let scripts =
        BEFORE.iter().flat_map(|before| [read, plain].map(|script| format!("{before}{script}")));
    for script in scripts.collect::<Vec<_>>() {
        for (key, argument) in [("a", "b"), ("c", "d")] {
            let reply = show(&engine.eval(&script, &[key], &[argument]));
            assert_eq!(reply, format!("[{key} {argument} 1 1]"));
        }
        let empty = show(&engine.eval(&script, &[""; 0], &[""; 0]));
        assert_eq!(empty, "[]");
    }
}

/// Each script that was recorded from Redis, without what was done before it.
#[test]
fn recorded_scripts_answer_alike_in_all_environments() {
    let scripts = recorded();
    for script in &scripts {
        let ask = |source: &[u8]| {
            let words: [&[u8]; 5] = [b"EVAL", source, b"1", b"k1", b"a1"];
            let reply = open().command_resp(&words, Protocol::Resp2);
            without_digests(&reply.expect("every command gets a reply"))
        };
        let [alone, others @ ..] = BEFORE.map(|before| ask(&[before.as_bytes(), script].concat()));
        for other in others {
            assert_eq!(alone, other, "{}", String::from_utf8_lossy(script));
        }
    }
    let count = scripts.len();
    assert!(count >= RECORDED_LEAST, "only {count} scripts, {RECORDED_LEAST} there were before");
}

fn recorded() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/lua.jsonl");
    let lines = std::fs::read_to_string(path).expect("the records are there");
    let script = |line: &str| {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let is_eval = case["cmd"][0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("EVAL"));
        is_eval.then(|| case["cmd"][1].as_str().map(|text| text.as_bytes().to_vec())).flatten()
    };
    let scripts = lines.lines().filter_map(script);
    // Flags of scripts stand in front of everything.
    scripts.filter(|script| !script.starts_with(b"#")).collect()
}

/// A reply with each digest of a script, forty digits, made the same.
fn without_digests(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    let is_digest = |word: &str| word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = text.split_inclusive([' ', ',']).map(|word| {
        let bare = word.trim_end_matches([' ', ',']);
        if is_digest(bare) { word.replace(bare, "digest") } else { word.to_owned() }
    });
    words.collect()
}

/// KEYS and ARGV of scripts that only read their elements lie in tables that the next run has too:
/// nothing of one run is seen in another, and who has the tables in hand has some of its own.
#[test]
fn nothing_of_keys_and_argv_is_left_to_the_next_run() {
    let engine = Engine::new().expect("an engine opens");
    let eval = |script: &str, keys: &[&str], args: &[&str]| {
        engine.eval(script, keys, args).expect("it runs")
    };
    let texts = |texts: &[&str]| {
        Reply::Array(texts.iter().map(|text| Reply::Bulk(text.as_bytes().to_vec())).collect())
    };
    let read =
        "return {KEYS[1] or '-', KEYS[2] or '-', KEYS[3] or '-', ARGV[1] or '-', ARGV[2] or '-'}";
    let long = "x".repeat(2000);
    let many: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for _ in 0..3 {
        assert_eq!(eval(read, &["a", "b", "c"], &["d", "e"]), texts(&["a", "b", "c", "d", "e"]));
        assert_eq!(eval(read, &["f"], &[]), texts(&["f", "-", "-", "-", "-"]));
        assert_eq!(eval(read, &[], &["g"]), texts(&["-", "-", "-", "g", "-"]));
        assert_eq!(eval(read, &[&long], &[]), texts(&[&long, "-", "-", "-", "-"]));
        assert_eq!(eval(read, &many, &many), texts(&["0", "1", "2", "0", "1"]));
        assert_eq!(eval(read, &[], &[]), texts(&["-", "-", "-", "-", "-"]));
        for keeps in [
            "KEYS[2] = 'mine' ARGV.x = KEYS return #KEYS",
            "setmetatable(KEYS, {__index = function() return 'meta' end}) return #KEYS",
            "local t = KEYS t[3] = 'mine' t[1] = nil return 2",
            "local function f() return KEYS end f()[2] = 'mine' return 2",
            "_G['KEYS'][2] = 'mine' return #KEYS",
            "for i, key in ipairs(KEYS) do KEYS[i] = nil ARGV[i] = 'mine' end return 2",
            "table.insert(ARGV, 'mine') return #ARGV",
            "return #unpack({KEYS})",
        ] {
            eval(keeps, &["k", "l"], &["m"]);
            assert_eq!(eval(read, &["f"], &[]), texts(&["f", "-", "-", "-", "-"]), "{keeps}");
        }
        let fails = "if KEYS[1] then error(KEYS[2]) end";
        assert!(engine.eval(fails, &["a", "b"], &["c"]).is_err());
        assert_eq!(eval(read, &[], &[]), texts(&["-", "-", "-", "-", "-"]));
    }
}
