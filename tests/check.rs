//! The checker of scripts, and the program `moonkv` around it.

#![cfg(feature = "cli")]

use moonkv::check::{Checker, Severity};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// What is found, each as `line:column rule`.
fn found(script: &str) -> Vec<String> {
    let findings = Checker::new().unwrap().check(script.as_bytes());
    findings.iter().map(|f| format!("{}:{} {}", f.line, f.column, f.rule)).collect()
}

#[track_caller]
fn check(script: &str, expected: &[&str]) {
    assert_eq!(found(script), expected, "{script}");
}

#[test]
fn what_is_no_lua_is_told_as_lua_tells_it() {
    check("local x = = 1", &["1:11 syntax"]);
    check("return redis.call('GET', KEYS[1]", &["1:1 syntax"]);
    check("local a = 1\n  goto x", &["2:8 syntax"]);
    check("local t = {}\nt[1] += 2\nreturn t", &["2:6 syntax"]);
    check("for i = 1, 2 do\n  local x = i // 2\nend", &["2:16 syntax"]);
    check("", &[]);
    check("\u{1b}Lua", &["1:1 shebang"]);
    let deep = format!("return {}1{}", "(".repeat(300), ")".repeat(300));
    assert_eq!(found(&deep).len(), 1, "too deep for Lua");
}

#[test]
fn first_lines_are_held_to_what_redis_takes() {
    check("#!lua flags=no-writes,allow-stale\nreturn 1", &[]);
    check("#!lua flags=no-write\nreturn 1", &["1:1 shebang"]);
    check("#!js\nreturn 1", &["1:1 shebang"]);
    check("#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)", &["2:19 no-writes"]);
    check("#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])", &[]);
    check("#!lua\nlocal x = = 1", &["2:11 syntax"]);
}

#[test]
fn globals_are_those_of_the_sandbox() {
    check("return cjson.encode({bit.band(1, 3), struct.size('i'), tostring(_VERSION)})", &[]);
    check("return foo", &["1:8 undefined-global"]);
    check("counter = 1\nreturn counter", &["1:1 global-assignment"]);
    check("function helper() end", &["1:10 global-assignment"]);
    check("local t = {} function t.f() end function t:g() return self end return t", &[]);
    check("print('x')", &["1:1 undefined-global"]);
    check("return string.nosuch('x')", &["1:15 unknown-function"]);
    check("local f = string.nosuch and string.nosuch return f", &[]);
    check("local x = 1 do local y = x return y end", &[]);
    check("do local y = 1 end return y", &["1:10 unused-local", "1:27 undefined-global"]);
    check("local function f(n) return n == 0 or f(n - 1) end return f(3)", &[]);
    check("--- @include \"includes/take\"\nreturn take()", &["2:8 undefined-global"]);
    let included = Checker::new().unwrap().check(b"--- @include \"x\"\nreturn x()");
    assert_eq!(included[0].severity, Severity::Note);
}

#[test]
fn calls_meet_the_gate_they_will_meet() {
    check("return redis.call('GTE', KEYS[1])", &["1:19 unknown-command"]);
    check("return redis.call('get')", &["1:19 arity"]);
    check("return redis.call('GET', KEYS[1], 1)", &["1:19 arity"]);
    check("return redis.call('HSET', KEYS[1], unpack(ARGV))", &[]);
    check("return redis.call('GET', 'a', 'b', unpack(ARGV))", &["1:19 arity"]);
    check("local function f(...) return redis.call('SET', KEYS[1], ...) end return f(1)", &[]);
    check("return redis.call('SCRIPT', 'FLUSH')", &["1:19 forbidden-command"]);
    check("return redis.call('OBJECT', ARGV[1], KEYS[1])", &[]);
    check("return redis.call('OBJECT', 'NOSUCH', KEYS[1])", &["1:19 unknown-command"]);
    check("return redis.call('GAME.SPAWN', 1)", &[]);
    check("return redis.call(ARGV[1], 'k')", &[]);
    check("local call = redis.call return call('GET')", &["1:37 arity"]);
    check("local r = redis return r.call('GET')", &["1:31 arity"]);
    check(
        "local call = redis.call call = print or call return call('GET')",
        &["1:32 undefined-global"],
    );
    let caught = Checker::new().unwrap().check(b"return redis.pcall('NOSUCH')");
    assert_eq!(caught[0].severity, Severity::Warning, "an error is an answer there");
}

#[test]
fn keys_belong_into_keys() {
    check("return redis.call('GET', 'config')", &["1:26 undeclared-key"]);
    check("return redis.call('GET', ARGV[1])", &["1:26 undeclared-key"]);
    check("return redis.call('GET', 'user:' .. ARGV[1])", &["1:26 undeclared-key"]);
    check("local k = 'user:' .. ARGV[1]\nreturn redis.call('GET', k)", &["2:26 undeclared-key"]);
    check("return redis.call('GET', KEYS[1] .. ':x')", &["1:26 derived-key"]);
    check("local k = KEYS[1] return redis.call('GET', k)", &[]);
    check("local function f(key) return redis.call('GET', key) end return f(KEYS[1])", &[]);
    check("local k = 'a' if ARGV[1] then k = KEYS[1] end return redis.call('GET', k)", &[]);
    check("return redis.call('GET', redis.call('GET', KEYS[1]))", &[]);
    check(
        "local all = {} for i = 1, 3 do all[i] = 'k' .. i end return redis.call('DEL', unpack(all))",
        &[],
    );
    let stored = "return redis.call('SORT', KEYS[1], 'BY', 'w_*', 'STORE', 'dest')";
    check(stored, &["1:58 undeclared-key"]);
    check("return redis.call('ZUNION', 2, KEYS[1], 'b')", &["1:41 undeclared-key"]);
    check("return redis.call('SET', KEYS[1], 'value')", &[]);
    let two = "redis.call('MSET', '{a}x', 1, '{a}y', 2) return redis.call('GET', '{b}x')";
    let expected =
        ["1:20 undeclared-key", "1:31 undeclared-key", "1:67 cross-slot", "1:67 undeclared-key"];
    check(two, &expected);
}

#[test]
fn chance_is_told() {
    check("return math.random(6)", &["1:13 random"]);
    check("return redis.call('SRANDMEMBER', KEYS[1])", &["1:14 nondeterministic"]);
    check("return redis.call('TTL', KEYS[1])", &[]);
    let writes = "local t = {a = 1}\nfor k, v in pairs(t) do redis.call('HSET', KEYS[1], k, v) end";
    check(writes, &["2:1 pairs-order"]);
    check("for _, k in pairs(KEYS) do redis.call('DEL', k) end", &[]);
    check("for i, k in pairs(KEYS) do redis.call('SET', k, i) end", &[]);
    check("local t = {a = 1} for k in pairs(t) do t[k] = 2 end return t.a", &[]);
    check(&writes.replace("pairs", "ipairs"), &[]);
}

#[test]
fn what_is_not_used_is_told() {
    check("local x = 1", &["1:7 unused-local"]);
    check("local _x, _ = 1, 2", &[]);
    check("local x x = 1", &["1:7 unused-local"]);
    check("local function f() end", &["1:16 unused-local"]);
    check("for i = 1, 2 do end local function f(a, b) return b end return f(1, 2)", &[]);
}

#[test]
fn libraries_are_loaded() {
    let library = "#!lua name=shop\nlocal function buy(keys, args)\n  return redis.call('DECRBY', \
                   keys[1], args[1])\nend\nredis.register_function('buy', buy)\n";
    check(library, &[]);
    check(library, &[]);
    check(&library.replace("keys[1]", "KEYS[1]"), &["3:31 undefined-global"]);
    check("#!lua name=empty\nlocal x = 1 return x", &["1:1 shebang"]);
    let loud = "#!lua name=l\n\nredis.call('PING')";
    assert_eq!(found(loud).len(), 1, "{:?}", found(loud));
    check("#!lua name=l\nlocal x = = 1", &["2:11 syntax"]);
}

fn program(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_moonkv"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_program_prints_and_counts() {
    let out = program(&["check", "-"], "local x = 1\nreturn foo\n");
    assert_eq!(out.status.code(), Some(1));
    let expected = "-:1:7: note: the local 'x' is never used [unused-local]\n\
                    -:2:8: error: there is no global 'foo', so reading it is an error \
                    [undefined-global]\n";
    assert_eq!(text(&out.stdout), expected);
    let quiet = program(&["check", "--quiet", "-"], "local x = 1\n");
    assert_eq!((quiet.status.code(), text(&quiet.stdout).as_str()), (Some(0), ""));
    let json = program(&["check", "--format", "json", "-"], "return 1 +");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["rule"], "syntax");
    assert_eq!(json[0]["line"], 1);
    let missing = program(&["check", "/nonexistent.lua"], "");
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).starts_with("moonkv: /nonexistent.lua: "));
}

#[test]
fn the_program_profiles() {
    let script = "for i = 1, 3 do\n  redis.call('INCRBY', KEYS[1], ARGV[1])\nend";
    let table = program(&["profile", "-", "n", ",", "-5"], script);
    assert!(table.status.success(), "{}", text(&table.stderr));
    let table = text(&table.stdout);
    assert!(table.contains("redis.call INCRBY\n") && table.ends_with("the whole run\n"), "{table}");
    let stacks = program(&["profile", "--collapsed", "-", "n", ",", "1"], script);
    assert!(text(&stacks.stdout).contains("main:2;redis.call INCRBY "));
    let failed = program(&["profile", "-"], "\nerror('no')");
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        text(&failed.stderr).contains("\tuser_script:2: in main chunk"),
        "{}",
        text(&failed.stderr)
    );
}
