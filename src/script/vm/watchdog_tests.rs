//! Compiled code is stopped, LuaJIT's own world is out of reach, and small stacks are enough.

use super::*;
use crate::script::vm::guard::Limits;
use crate::script::vm::math::RandomMode;
use crate::script::vm::sandbox::tests::Engine;

/// Loops that are compiled whole and never call anything.
const LOOPS: [&str; 6] = [
    "local n = 0 while true do n = n + 1 end",
    "local t = {1, 2, 3} local n = 0 repeat for i = 1, 3 do n = n + t[i] end until n < 0",
    "local function f(n) if n > 0 then return f(n - 1) end return f(100) end f(1)",
    "local s = 0 for i = 1, math.huge do s = math.max(s, bit_of(i)) end",
    "local t = {} while true do for i = 1, 100 do t[i] = {i} end end",
    "local function f() return 1 end while true do for i = 1, 10 do f() end end",
];

#[test]
fn what_is_compiled_is_stopped() {
    stops_what_it_compiles(&Engine::new(RandomMode::Denied));
}

fn stops_what_it_compiles(engine: &Engine) {
    let limits = Limits { time: Some(Duration::from_millis(30)), ..Limits::default() };
    assert!(engine.state.guard().watch.may_compile.get(), "the build's LuaJIT notices hooks");
    for source in LOOPS {
        let source = source.replace("bit_of(i)", "i % 7");
        for _ in 0..3 {
            let error = engine.run_within(&source, limits).unwrap_err();
            assert!(error.starts_with("ERR script exceeded its time limit of 30 ms"), "{error}");
        }
    }
    assert_eq!(
        engine.run("local n = 0 for i = 1, 1e7 do n = n + i % 3 end return n"),
        Ok("int:10000000".to_owned())
    );
}

#[test]
fn counted_runs_stop_at_the_same_place() {
    let engine = Engine::new(RandomMode::Denied);
    let counted = Limits { instructions: Some(50_000), ..Limits::default() };
    let source = "n = ... local t = {} while true do t[#t + 1] = 1 box.n = #t end";
    let source = source.replace("n = ... ", "").replace(" box.n = #t", "");
    let compiled = "local n = 0 for i = 1, 1e6 do n = n + 1 end return n";
    for _ in 0..3 {
        let error = engine.run_within(&source, counted).unwrap_err();
        assert!(error.contains("limit of 50000 instructions"), "{error}");
        assert!(!engine.state.guard().watch.compiles.get());
        assert_eq!(engine.run(compiled).as_deref(), Ok("int:1000000"));
        assert!(engine.state.guard().watch.compiles.get());
        let error = engine.run_within(compiled, counted).unwrap_err();
        assert!(error.contains("limit of 50000 instructions"), "{error}");
    }
}

#[test]
fn without_the_compiler_limits_hold_too() {
    let engine = Engine::new(RandomMode::Denied);
    engine.state.guard().watch.may_compile.set(false);
    let limits = Limits { time: Some(Duration::from_millis(20)), ..Limits::default() };
    let error = engine.run_within(LOOPS[0], limits).unwrap_err();
    assert!(error.starts_with("ERR script exceeded its time limit of 20 ms"), "{error}");
    assert!(!engine.state.guard().watch.compiles.get());
}

#[test]
fn a_thread_is_there_from_the_first_run_on() {
    let engine = Engine::new(RandomMode::Denied);
    let watch = &engine.state.guard().watch;
    assert!(watch.thread.get().is_none());
    assert_eq!(engine.run("return 1").as_deref(), Ok("int:1"));
    assert!(watch.thread.get().is_some_and(Option::is_some));
    while !watch.bell.parked.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let limits = Limits { time: Some(Duration::from_millis(10)), ..Limits::default() };
    assert!(engine.run_within(LOOPS[0], limits).is_err(), "a parked thread is woken");
}

#[test]
fn a_hook_that_an_error_ended_is_over_with_its_run() {
    let engine = Engine::new(RandomMode::Denied);
    assert_eq!(engine.run("return 1").as_deref(), Ok("int:1"));
    let watch = &engine.state.guard().watch;
    watch.bell.talk().in_hook = true;
    watch.hooked.set(true);
    assert_eq!(engine.run("return 1").as_deref(), Ok("int:1"));
    let limits = Limits { time: Some(Duration::from_millis(20)), ..Limits::default() };
    let error = engine.run_within(LOOPS[0], limits).unwrap_err();
    assert!(error.starts_with("ERR script exceeded its time limit of 20 ms"), "{error}");
}

#[test]
fn nothing_of_luajits_own_is_visible() {
    let engine = Engine::new(RandomMode::Denied);
    for name in ["jit", "ffi", "require", "package", "debug", "module", "getfenv", "newproxy"] {
        let found = engine.run(&format!("return rawget(_G,'{name}') == nil"));
        assert_eq!(found.as_deref(), Ok("int:1"), "{name}");
    }
    for name in [
        "table.move",
        "table.new",
        "table.clear",
        "table.pack",
        "string.buffer",
        "coroutine.isyieldable",
        "math.type",
    ] {
        assert_eq!(engine.run(&format!("return {name} == nil")).as_deref(), Ok("int:1"), "{name}");
    }
    for source in
        ["return ('%p'):format({})", "return ('%s'):format({})", "return ('%a'):format(1)"]
    {
        assert!(engine.run(source).is_err(), "{source}");
    }
    let meta = "return ('%s'):format(setmetatable({}, {__tostring = function() return 'x' end}))";
    assert!(engine.run(meta).unwrap_err().contains("string expected, got table"));
    let found = engine.run("return ('%5.1f|%-3d|%q|%s|%%|%x|%c'):format(1.25, 7, 'a', 5, 255, 65)");
    assert_eq!(found.as_deref(), Ok("bulk:  1.2|7  |\"a\"|5|%|ff|A"));
    let binary = "local f, e = loadstring(string.dump(function() end)) return e";
    assert_eq!(engine.run(binary).as_deref(), Ok("bulk:precompiled chunks are not accepted"));
}

/// Functions that go from Lua through C into Lua, without end.
const NESTS: [&str; 10] = [
    "local function f() pcall(f) error('x') end f()",
    "local function f() xpcall(f, f) end f()",
    "local function f() error(f) end xpcall(f, f)",
    "local function f() return (('x'):gsub('x', f)) end f()",
    "local t = setmetatable({}, {__tostring = tostring}) tostring(t)",
    "local m = {} m.__tostring = function(t) return tostring(t) .. 'x' end tostring(setmetatable({}, m))",
    "local function f() table.sort({3, 2, 1}, f) end f()",
    "local function f() table.foreach({1}, f) table.foreachi({1}, f) end f()",
    "local function f() return load(f) end load(f)",
    "local function f() coroutine.wrap(f)() end f()",
];

#[test]
fn nests_of_calls_fit_a_small_stack() {
    let nests = || {
        let engine = Engine::new(RandomMode::Denied);
        let limits = Limits { time: Some(Duration::from_millis(300)), ..Limits::default() };
        for source in NESTS {
            // How it ends is the script's affair.
            drop(engine.run_within(source, limits));
            assert_eq!(engine.run("return 7").as_deref(), Ok("int:7"), "{source}");
        }
        let deep = format!("return {}1{}", "(".repeat(190), ")".repeat(190));
        assert_eq!(engine.run(&deep).as_deref(), Ok("int:1"));
    };
    let thread = thread::Builder::new().stack_size(256 * 1024);
    thread.spawn(nests).unwrap().join().unwrap();
}

#[test]
fn tables_have_the_same_order_in_every_state() {
    let source = "local t = {} for i = 1, 200 do t['k' .. i * 7] = i end local s = {} \
                  for k in pairs(t) do s[#s + 1] = k end return table.concat(s, ' ')";
    let run = || Engine::new(RandomMode::Denied).run(source);
    assert_eq!(run(), run());
}

/// Hooks that are set from beside at any moment do no harm, and none is lost for good.
#[test]
fn rings_at_any_moment_do_no_harm() {
    let engine = Engine::new(RandomMode::Denied);
    let (shared, over) = (Arc::clone(&engine.shared), Arc::new(AtomicBool::new(false)));
    let is_over = Arc::clone(&over);
    let canceller = thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            shared.cancel();
            thread::yield_now();
        }
    });
    let forever = LOOPS.map(|source| source.replace("bit_of(i)", "i % 7"));
    for round in 0..100 {
        engine.shared.begin_call();
        let source = &forever[round % forever.len()];
        let error = engine.run_within(source, Limits::default()).unwrap_err();
        assert_eq!(error, "ERR script was cancelled by the host");
    }
    over.store(true, Ordering::Relaxed);
    canceller.join().unwrap();
    engine.shared.begin_call();
    stops_what_it_compiles(&engine);
}
