//! What scripts see of the pattern functions, and that nothing in them escapes the limits.

use std::time::{Duration, Instant};

use crate::script::vm::guard::Limits;
use crate::script::vm::math::RandomMode;
use crate::script::vm::sandbox::tests::{Engine, plain};

/// Runs each source in one engine; `!` marks an error.
fn check(cases: &[(&str, &str)]) {
    let engine = Engine::new(RandomMode::Denied);
    for (source, expected) in cases {
        let found = engine.run(source).unwrap_or_else(|error| format!("!{error}"));
        assert_eq!(plain(&found), plain(expected), "{source}");
    }
}

#[test]
fn arguments_are_checked_as_lua_does() {
    check(&[
        (
            "return string.find()",
            "!ERR user_script:1: bad argument #1 to 'find' (string expected, got no value)",
        ),
        (
            "return (('x'):match())",
            "!ERR user_script:1: bad argument #1 to 'match' (string expected, got no value)",
        ),
        (
            "return string.match('x',{})",
            "!ERR user_script:1: bad argument #2 to 'match' (string expected, got table)",
        ),
        (
            "return string.find('x','x','y')",
            "!ERR user_script:1: bad argument #3 to 'find' (number expected, got string)",
        ),
        (
            "return string.gmatch('x')",
            "!ERR user_script:1: bad argument #2 to 'gmatch' (string expected, got no value)",
        ),
        (
            "return string.gsub('x','x')",
            "!ERR user_script:1: bad argument #3 to 'gsub' (string/function/table expected)",
        ),
        (
            "return string.gsub('x','x',nil,{})",
            "!ERR user_script:1: bad argument #4 to 'gsub' (number expected, got table)",
        ),
        ("return {string.find(1234,23)}", "[int:2,int:3]"),
        ("return {string.find('a1b2','%d','3')}", "[int:4,int:4]"),
        ("return {string.gsub(11,1,2)}", "[bulk:22,int:2]"),
        ("return {('aaa'):gsub('a','b',-1)}", "[bulk:aaa,int:0]"),
        ("return {('aaa'):gsub('a','b',2^32+1)}", "[bulk:baa,int:1]"),
        ("return {('abc'):find('',10)}", "[int:4,int:3]"),
        ("return {('abc'):find('c',-1)}", "[int:3,int:3]"),
        ("return {('abc'):find('a',-10)}", "[int:1,int:1]"),
        ("return {('a.c'):find('.c',1,true)}", "[int:2,int:3]"),
        ("return {('a\\0b\\0*'):find('b\\0*')}", "[int:3,int:5]"),
        ("return string.gfind==string.gmatch", "int:1"),
    ]);
}

#[test]
fn replacements() {
    check(&[
        ("return {('abc'):gsub('%w',{a='1',b=2,c=false})}", "[bulk:12c,int:3]"),
        (
            "return {('abc'):gsub('%w',function(c) if c=='b' then return 7 end end)}",
            "[bulk:a7c,int:3]",
        ),
        ("return {('abc'):gsub('()(%w)',function(at,c) return c..at end)}", "[bulk:a1b2c3,int:3]"),
        ("return {('abc'):gsub('',function() return '-' end)}", "[bulk:-a-b-c-,int:4]"),
        ("return {('abc'):gsub('^%w',function(c) return c..c end)}", "[bulk:aabc,int:1]"),
        ("return {('abc'):gsub('x',error)}", "[bulk:abc,int:0]"),
        ("return {('abc'):gsub('%w',{},2)}", "[bulk:abc,int:2]"),
        (
            "local t=setmetatable({},{__index=function(t,k) return k:upper() end}) return (('abc'):gsub('%w',t))",
            "bulk:ABC",
        ),
        (
            "return ('abc'):gsub('b',function() return {} end)",
            "!ERR user_script:1: invalid replacement value (a table)",
        ),
        (
            "return ('abc'):gsub('b',{b=true})",
            "!ERR user_script:1: invalid replacement value (a boolean)",
        ),
        ("return ('abc'):gsub('b','%2')", "!ERR user_script:1: invalid capture index"),
        ("return ('abc'):gsub('(b','%1')", "!ERR user_script:1: unfinished capture"),
        ("return ('abc'):gsub('(b',{})", "!ERR user_script:1: unfinished capture"),
        (
            "local seen='' pcall(string.gsub,'abx','(%w)%f[x]%2',function(c) seen=seen..c end) return seen",
            "bulk:",
        ),
        (
            "return (('x'):rep(1000):gsub('x',function() return ('y'):rep(1000) end)):len()",
            "int:1000000",
        ),
    ]);
}

#[test]
fn callbacks_may_search_raise_and_nest() {
    check(&[
        (
            "return (('a b'):gsub('%w',function(c) return (c:gsub('.',function(d) return '<'..d..'>' end)) end))",
            "bulk:<a> <b>",
        ),
        (
            "local n=0 for i=1,2000 do pcall(string.gsub,('x'):rep(50),'x',function() n=n+1 error('no') end) end return n",
            "int:2000",
        ),
        (
            "return (('abc'):gsub('%w',function(c) return select(2,pcall(string.gsub,c,'(','%1')) end))",
            "bulk:unfinished captureunfinished captureunfinished capture",
        ),
        (
            "local f f=function(n) if n==0 then return 'x' end return (('a'):gsub('a',function() return f(n-1)..'.' end)) end \
             return f(150):len()",
            "int:151",
        ),
        (
            "local f f=function(n) return (('a'):gsub('a',function() return f(n+1) end)) end \
             return (select(2,pcall(f,1)):match('C stack overflow') or 'other')",
            "bulk:C stack overflow",
        ),
        (
            "local co=coroutine.wrap(function() return ('a'):gsub('a',coroutine.yield) end) return (select(2,pcall(co)))",
            "bulk:attempt to yield across metamethod/C-call boundary",
        ),
        (
            "local co=coroutine.create(function() for w in ('a b c'):gmatch('%w') do coroutine.yield(w) end end) \
             local s='' for i=1,3 do local _,w=coroutine.resume(co) s=s..w..(('x'):gsub('x','y')) end return s",
            "bulk:aybycy",
        ),
    ]);
}

#[test]
fn walks() {
    check(&[
        (
            "local t={} for k,v in ('a=1, b=2'):gmatch('(%w)=(%w)') do t[#t+1]=k t[#t+1]=v end return t",
            "[bulk:a,bulk:1,bulk:b,bulk:2]",
        ),
        ("local n=0 for p in ('abc'):gmatch('()') do n=n*10+p end return n", "int:1234"),
        ("local s='' for w in ('^a^b'):gmatch('^%w') do s=s..w end return s", "bulk:^a^b"),
        (
            "local f=('ab'):gmatch('.') return {f(),f(),tostring((f())),tostring((f()))}",
            "[bulk:a,bulk:b,bulk:nil,bulk:nil]",
        ),
        (
            "local f=('ab'):gmatch('[') return f()",
            "!ERR user_script:1: malformed pattern (missing ']')",
        ),
    ]);
}

/// Searches that would take longer than anybody waits.
const ENDLESS: [&str; 8] = [
    "return ('a'):rep(40):match(('a?'):rep(40)..('a'):rep(41))",
    "return ('a'):rep(200):find(('a*'):rep(30)..'b')",
    "return ('a'):rep(200):gsub(('a-'):rep(30)..'b','')",
    "for w in ('a'):rep(200):gmatch(('.-'):rep(20)..'b') do end",
    "return ('a'):rep(200):gsub(('a*'):rep(30)..'b',function() end)",
    "pcall(string.match,('a'):rep(200),('a*'):rep(30)..'b') while true do end",
    "return ('('):rep(3e6):find('%b()')",
    "local s=('a'):rep(1e6) return s:find('.-.-x')",
];

#[test]
fn no_search_outlives_its_time() {
    let engine = Engine::new(RandomMode::Denied);
    let limits = Limits { time: Some(Duration::from_millis(50)), ..Limits::default() };
    for source in ENDLESS {
        let start = Instant::now();
        let error = engine.run_within(source, limits).expect_err(source);
        assert!(error.starts_with("ERR script exceeded its time limit"), "{source}: {error}");
        assert!(start.elapsed() < Duration::from_secs(3), "{source}: {:?}", start.elapsed());
        assert_eq!(engine.run("return ('ab'):match('b')").as_deref(), Ok("bulk:b"));
    }
}

#[test]
fn steps_count_as_instructions() {
    let engine = Engine::new(RandomMode::Denied);
    let limits = Limits { instructions: Some(100_000), ..Limits::default() };
    for source in ENDLESS {
        let error = engine.run_within(source, limits).expect_err(source);
        assert!(error.contains("limit of 100000 instructions"), "{source}: {error}");
    }
    let short = "local n=0 for i=1,100 do n=n+#('key:12'):match('%d+') end return n";
    assert_eq!(engine.run_within(short, limits).as_deref(), Ok("int:200"));
}

#[test]
fn a_cancelled_search_ends() {
    let engine = Engine::new(RandomMode::Denied);
    let shared = std::sync::Arc::clone(&engine.shared);
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        shared.cancel();
    });
    let error = engine.run(ENDLESS[1]).unwrap_err();
    canceller.join().unwrap();
    assert_eq!(error, "ERR script was cancelled by the host");
}

#[test]
fn results_meet_the_memory_limit() {
    let engine = Engine::new(RandomMode::Denied);
    let limits = Limits { memory: Some(8 << 20), ..Limits::default() };
    let sources = [
        "return ('x'):rep(1e6):gsub('x',('y'):rep(1000))",
        "return ('x'):rep(1e4):gsub('x',function() return ('y'):rep(1e4) end)",
        "return ('x'):rep(1e4):gsub('x',{x=('y'):rep(1e4)})",
        "return ('a'):rep(1e5):match(('a?'):rep(1e6))",
        "while true do pcall(string.gsub,('x'):rep(1e4),'x',('y'):rep(1e4)) end",
    ];
    for source in sources {
        let error = engine.run_within(source, limits).expect_err(source);
        assert!(error.starts_with("ERR script exceeded its memory limit"), "{source}: {error}");
    }
    let garbage = "local n=0 for i=1,200 do n=n+#(('x'):rep(1e5):gsub('x','yyyy')) end return n";
    assert_eq!(engine.run_within(garbage, limits).as_deref(), Ok("int:80000000"));
    let called = "local n=0 for i=1,20 do n=n+#(('x'):rep(2e4):gsub('x',function() return 'yyyyyyyyyy' end)) end return n";
    assert_eq!(engine.run_within(called, limits).as_deref(), Ok("int:4000000"));
}

#[test]
fn small_stacks_are_enough() {
    let sources = [
        "return ('a'):rep(3e5):match(('a?'):rep(2e5)):len()",
        "local f f=function() return (('a'):gsub('a',function() return f() end)) end return pcall(f) and 1 or 200000",
    ];
    for source in sources {
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        let run = move || Engine::new(RandomMode::Denied).run(source);
        let result = thread.spawn(run).unwrap().join().unwrap();
        assert_eq!(result.as_deref(), Ok("int:200000"), "{source}");
    }
}
