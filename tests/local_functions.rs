//! The local functions of a script are as new in each of its runs, whatever the engine keeps of them:
//! they hold nothing of the runs before, see what is theirs, and are called what they are called.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Limits, Options};
use std::time::Duration;

const RUNS: usize = 6;

/// What a script answers to the keys `k1` and `k2`, in each run: its reply, or its error.
const ALIKE: &[(&str, &str)] = &[
    (
        "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end \
         return fib(15)",
        "Integer(610)",
    ),
    (
        "local even local function odd(n) return n ~= 0 and even(n - 1) end \
         function even(n) return n == 0 or odd(n - 1) end return {even(10) and 1, odd(7) and 1}",
        "Array([Integer(1), Integer(1)])",
    ),
    // What they hold is made in the run.
    (
        "local function counter() local n = 0 return function() n = n + 1 return n end end \
         local a, b = counter(), counter() a() a() return {a(), b()}",
        "Array([Integer(3), Integer(1)])",
    ),
    (
        "local function list() return {1, {2}} end local t = list() t[1] = 5 t[2][1] = 6 \
         return list()",
        "Array([Integer(1), Array([Integer(2)])])",
    ),
    ("local n = 0 local function add() n = n + 1 return n end add() return add()", "Integer(2)"),
    // What never changes is the variable's that is in scope.
    (
        "local base, name = 1, 'x' local none local big = 1e300 local yes = true \
         local function f(n) return name .. n + base end \
         local function g() return none == nil and big == 1e300 and yes end \
         return {f(1), g() and 1}",
        "Array([Bulk(x2), Integer(1)])",
    ),
    (
        "local t = {} do local n = 1 function t.a() return n end end \
         do local n = 2 local function f() return n end t.b = f end \
         do local n = 3 local function f() return n end t.c = f end \
         return {t.a(), t.b(), t.c()}",
        "Array([Integer(1), Integer(2), Integer(3)])",
    ),
    (
        "local function f() return 1 end local r do local n = 5 \
         local function g() return n + f() end r = g() end f = nil return r",
        "Integer(6)",
    ),
    // Two of them are two, and one made twice is two, too.
    (
        "local function a() end local function b() end local t = {} \
         for i = 1, 2 do local function c() end t[c] = i end local n = 0 \
         for _ in pairs(t) do n = n + 1 end return {a == b and 1 or 0, a == a and 1 or 0, n}",
        "Array([Integer(0), Integer(1), Integer(2)])",
    ),
    (
        "local function f() return 1 end local g = f f = nil return {g(), type(f), type(g)}",
        "Array([Integer(1), Bulk(nil), Bulk(function)])",
    ),
    (
        "do local function f() return 1 end if f() > 2 then return 0 end end \
      do local function f() return 2 end local function g() return f() end return g() end",
        "Integer(2)",
    ),
    ("local function f() return KEYS[1] .. KEYS[2] end return f()", "Bulk(k1k2)"),
    (
        "local function gen() coroutine.yield(1) return 2 end \
         local co = coroutine.wrap(gen) return co() + co()",
        "Integer(3)",
    ),
    (
        "local function a() return 1 end if #KEYS == 2 then \
         local function b() return a() + 1 end return b() end return a",
        "Integer(2)",
    ),
    (
        "local pieces = {} local function add(x) pieces[#pieces + 1] = x return add end \
         add('a')('b') return table.concat(pieces)",
        "Bulk(ab)",
    ),
    // Errors name them, and tell the lines.
    (
        "local function f() end return f + 1",
        "user_script:1: attempt to perform arithmetic on local 'f' (a function value)",
    ),
    (
        "local f = function() end\nreturn f.x.y",
        "user_script:2: attempt to index local 'f' (a function value)",
    ),
    (
        "local function f() end local function g() return f .. 1 end\nreturn g()",
        "user_script:1: attempt to concatenate upvalue 'f' (a function value)",
    ),
    ("\nlocal function f()\nerror('no')\nend\nf()", "user_script:3: no"),
    (
        "local function f() local x = nil return x() end\nlocal n = f() return n",
        "user_script:1: attempt to call local 'x' (a nil value)",
    ),
];

fn run(engine: &Engine, source: &str) -> String {
    match engine.eval(source, &["k1", "k2"], &[""; 0]) {
        Ok(reply) => format!("{reply:?}"),
        Err(error) => error.to_string(),
    }
}

/// Texts in replies as texts.
fn readable(text: &str) -> String {
    let mut parts = text.split("Bulk([");
    let mut readable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (bytes, rest) = part.split_once("])").expect("a list of bytes ends");
        let bytes = bytes.split(", ").map(|byte| byte.parse::<u8>().expect("a byte"));
        let text = String::from_utf8(bytes.collect()).expect("a text");
        readable = format!("{readable}Bulk({text}){rest}");
    }
    readable
}

#[test]
fn each_run_is_like_the_first() {
    let engine = Engine::open(&Options::default()).expect("an engine opens");
    for (source, expected) in ALIKE {
        for _ in 0..RUNS {
            let text = readable(&run(&engine, source));
            assert!(text.contains(expected), "{source}: {text}");
        }
    }
}

#[test]
fn they_see_the_keys_of_their_run() {
    let engine = Engine::open(&Options::default()).expect("an engine opens");
    let source = "local function at(i) return KEYS[i] end \
                  local function all() return at(1) .. at(2) .. ARGV[1] end return all()";
    for n in 0..RUNS {
        let (keys, args) = ([format!("a{n}"), format!("b{n}")], [n.to_string()]);
        let reply = engine.eval(source, &keys, &args).expect("the script runs");
        assert_eq!(readable(&format!("{reply:?}")), format!("Bulk(a{n}b{n}{n})"));
    }
}

#[test]
fn they_are_stopped_in_each_run() {
    let engine = Engine::open(&Options::default()).expect("an engine opens");
    let source = "local function f(n) if n < 0 then return n end return f(n + 1) end return f(1)";
    for (limits, expected) in [
        (Limits::default().timeout(Duration::from_millis(20)), "exceeded its time limit"),
        (Limits::default().instructions(10_000), "limit of 10000 instructions"),
    ] {
        for _ in 0..3 {
            let run = engine.eval_with(&limits, source, &[""; 0], &[""; 0]);
            let error = run.expect_err("it is stopped").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
