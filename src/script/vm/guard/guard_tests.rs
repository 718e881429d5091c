//! Nothing that a script does outlasts its limits.

use std::time::{Duration, Instant};

use super::Limits;
use crate::script::vm::math::RandomMode;
use crate::script::vm::sandbox::tests::Engine;

const LIMITS: Limits = Limits {
    time: Some(Duration::from_millis(150)),
    instructions: None,
    memory: Some(32 * 1024 * 1024),
};

/// Sources that would never end, or end the process.
const BOMBS: &[&str] = &[
    "while true do end",
    "local function f() error('x') end while true do pcall(f) end",
    "while true do pcall(error) end",
    "while true do pcall(error,'x') end",
    "while true do pcall(pcall) end",
    "while true do pcall(function() while true do end end) end",
    "local function loop() while true do end end while true do xpcall(loop,loop) end",
    "local function loop() while true do end end xpcall(function() error('x') end,loop)",
    "local function loop() while true do pcall(loop) end end xpcall(function() error('x') end,loop)",
    "local function f() coroutine.wrap(f)() end while true do pcall(f) end",
    "while true do coroutine.wrap(function() end)() end",
    "while true do coroutine.resume(coroutine.create(function() error('x') end)) end",
    "local function f() while true do coroutine.yield() end end local c=coroutine.wrap(f) while true do c() end",
    "local co=coroutine.wrap(function() while true do end end) while true do pcall(co) end",
    "local function f() return pcall(coroutine.wrap(function() while true do end end)) end while true do f() end",
    "while true do loadstring('while true do end')() end",
    "local function f() return ' ' end while true do load(f) end",
    "load(function() while true do end end) while true do end",
    "local s='x' while true do s=s..s end",
    "local s='x' while true do pcall(function() s=s..s end) end",
    "return string.rep('x',2^31)",
    "return string.rep('x',2^62)",
    "while true do local s=string.rep('x',3e7) end",
    "local t={} while true do t[#t+1]=string.rep('x',1e6)..#t end",
    "while true do pcall(string.rep,'x',3e8) end",
    "local t={} for i=1,1e8 do t[#t+1]=i end",
    "local t={} for i=1,1e8 do t[#t+1]={} end",
    "local t={} while true do t[#t+1]='k'..#t end",
    "local t={} for i=1,1e5 do t[i]=('x'):rep(1e4) end return table.concat(t)",
    "local t={} local s=('x'):rep(1e4) for i=1,1e5 do t[i]=s end while true do pcall(table.concat,t) end",
    "local t={} for i=1,1e6 do t[i]=i end while true do table.insert(t,1,1) table.remove(t,1) end",
    "local t={} for i=1,1e6 do t[i]=1 end while true do table.maxn(t) end",
    "local t={} for i=1,1e5 do t[i]=i end while true do table.foreachi(t,rawequal) end",
    "local t={} for i=1,1e6 do t[i]=i%1000 end while true do table.sort(t) end",
    "local t={} for i=1,1e6 do t[i]=i%1000 end table.sort(t,rawequal) while true do end",
    "local s=('x'):rep(1e7) local r=('x'):rep(1e7)..'y' while true do local b=s<r end",
    "local s=('1'):rep(1e6) while true do local b=tonumber(s) end",
    "local s=('x'):rep(1e7) while true do s:upper() end",
    "local function f() return f() end f()",
    "local function f() pcall(f) pcall(f) end f()",
    "local t=setmetatable({},{}) getmetatable(t).__index=function(t,k) return t[k+1] end while true do pcall(function() return t[1] end) end",
    "local t={} for i=1,200 do t[i]=coroutine.wrap(function() while true do coroutine.yield() end end) end while true do for i=1,200 do t[i]() end end",
    "local t={} for i=1,2e5 do t[i]='k'..i end t=nil while true do end",
    "while true do tostring({}) end",
    "while true do unpack({},1,7000) end",
    "local t=setmetatable({},{__lt=function() return true end}) while true do pcall(table.sort,{t,t,t,t}) end",
];

#[test]
fn every_bomb_ends() {
    let engine = Engine::new(RandomMode::Denied);
    for source in BOMBS {
        let start = Instant::now();
        let error = engine.run_within(source, LIMITS).expect_err(source);
        assert!(error.contains("exceeded its"), "{source}: {error}");
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_secs(5), "{source}: {elapsed:?}");
        assert_eq!(engine.run("return 7").as_deref(), Ok("int:7"), "{source}");
    }
}

#[test]
fn every_bomb_ends_by_instructions_or_memory() {
    let engine = Engine::new(RandomMode::Denied);
    let limits = Limits { time: None, instructions: Some(100_000), ..LIMITS };
    let heavy = |source: &&&str| ["1e6", "1e7", "3e7"].iter().all(|size| !source.contains(size));
    for source in BOMBS.iter().filter(heavy) {
        let error = engine.run_within(source, limits).expect_err(source);
        assert!(error.contains("exceeded its"), "{source}: {error}");
    }
}

#[test]
fn cancel_ends_every_bomb() {
    let engine = Engine::new(RandomMode::Denied);
    for source in BOMBS.iter().filter(|source| source.starts_with("while true")) {
        engine.shared.cancel();
        let error = engine.run_within(source, Limits::default()).expect_err(source);
        assert_eq!(error, "ERR script was cancelled by the host");
        engine.shared.begin_call();
        assert_eq!(engine.run("return 7").as_deref(), Ok("int:7"));
    }
}

#[test]
fn dooms_name_option_and_extent() {
    let engine = Engine::new(RandomMode::Denied);
    let memory = Limits { memory: Some(1 << 20), ..Limits::default() };
    let error = engine.run_within("return string.rep('x',2^21)", memory).unwrap_err();
    assert!(
        error.starts_with("ERR script exceeded its memory limit of 1048576 bytes (script_memory)")
    );
    assert!(error.ends_with("asked for 2097152 more"), "{error}");
    let time = Limits { time: Some(Duration::from_millis(20)), ..Limits::default() };
    let error = engine.run_within("while true do end", time).unwrap_err();
    assert!(error.starts_with("ERR script exceeded its time limit of 20 ms (script_timeout_ms)"));
    let few = Limits { instructions: Some(7), ..Limits::default() };
    let error = engine.run_within("while true do end", few).unwrap_err();
    assert!(error.contains("limit of 7 instructions (script_instructions)"), "{error}");
    assert_eq!(engine.run_within("return 1", few).as_deref(), Ok("int:1"));
}

#[test]
fn garbage_alone_dooms_nobody() {
    let engine = Engine::new(RandomMode::Denied);
    let limits = Limits { memory: Some(4 << 20), ..Limits::default() };
    let keep = "local t={} for i=1,4e4 do t[i]={} end for i=1,1e6 do local x={} end return #t";
    let big = "for i=1,100 do local s=string.rep('x',3e6) end return 1";
    assert_eq!(engine.run_within(keep, limits).as_deref(), Ok("int:40000"));
    assert_eq!(engine.run_within(big, limits).as_deref(), Ok("int:1"));
}
