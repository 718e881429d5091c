//! Which functions are made once, that a run does not notice, and that nothing is made of what is no
//! dump.

#![expect(clippy::undocumented_unsafe_blocks, reason = "tests own what they hand to Lua")]

use super::*;
use crate::script::vm::math::RandomMode;
use crate::script::vm::sandbox::tests::Engine;
use crate::script::vm::{dump, load};
use mlua_sys as ffi;

fn dumped(engine: &Engine, source: &str) -> Vec<u8> {
    let l = engine.state.raw();
    unsafe {
        load::load_text(l, source.as_ptr(), source.len(), c"@user_script".as_ptr());
        assert_eq!(ffi::lua_type(l, -1), ffi::LUA_TFUNCTION, "{source}");
        let dump = dump(l).unwrap();
        ffi::lua_settop(l, 0);
        dump
    }
}

/// How many functions of scripts are made once.
const COUNTED: &[(usize, &str)] = &[
    (0, ""),
    (0, "return 1"),
    (
        1,
        "local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end return f(9)",
    ),
    (1, "local f = function(n) return n + 1 end return f(1)"),
    (
        1,
        "local t = {1, {2, x = 'y', [3.5] = false}, nil, -1} local function f() return t end \
         local function g() return 1e300, -7, 2147483648, 'text' end return f, g",
    ),
    (
        3,
        "local function a() return 1 end local function b() return a() end \
         local function c(n) return n and c() or a() + b() end return c()",
    ),
    (
        2,
        "if #KEYS > 0 then local function a() return 1 end return a end \
         do local function b() return 2 end return b end",
    ),
    (
        2,
        "local function outer() local n = 0 return function() n = n + 1 return n end end \
         local f = outer() local function g() return outer() end return f() + g()()",
    ),
    // What they refer to is a constant.
    (1, "local n = 1 local function f() return n end return f()"),
    (
        1,
        "local a, s = 1, 'text' local b = 2.5 local c local d = false \
         local function f() return s, b, c, d end return f(a)",
    ),
    (
        2,
        "do local n = 1 local function f() return n end f() end \
         do local n = 2 local function f() return n end f() end",
    ),
    // Made more than once, or perhaps so.
    (0, "for i = 1, 2 do local function f() end f() end"),
    (0, "for k in pairs({}) do local function f() end f() end"),
    (0, "while #KEYS > 0 do local function f() end f() end"),
    (0, "repeat local function f() end until f()"),
    (0, "::again:: local function f() end if #KEYS > 5 then goto again end f()"),
    (1, "for i = 1, 2 do end local function f() end for i = 1, 2 do f() end"),
    // What they refer to may be another thing in another run, or become one.
    (0, "local key = KEYS[1] local function f() return key end return f()"),
    (0, "local n = 1 local function f() return n end n = 2 return f()"),
    (0, "local n = 1 local function f() n = 2 return n end return f()"),
    (0, "local n = KEYS and 1 local function f() return n end return f()"),
    (0, "local n = -KEYS[1] local function f() return n end return f()"),
    (0, "local n = {} local function f() return n end return f()"),
    (0, "local function f() return f end f = 1 return f"),
    (0, "local f f = function() return f end return f"),
    (0, "local a local function b() return a end function a() return b end return b"),
    (1, "local function a() return 1 end local function b() return a end a = 2 return b"),
    (
        1,
        "local a = KEYS[1] and function() return 1 end local function b() return 1 end return a, b",
    ),
    // No variable's first value: its name in errors would be another one.
    (0, "return function() end"),
    (0, "table.sort({}, function(a, b) return a < b end)"),
    (0, "local t = {f = function() end} return t"),
    (0, "return (function() return 1 end)()"),
];

#[test]
fn functions_that_are_the_same_in_every_run_are_found() {
    let engine = Engine::new(RandomMode::Seeded);
    for &(count, source) in COUNTED {
        let hoisted = hoist(&dumped(&engine, source));
        assert_eq!(hoisted.map_or(0, |hoisted| usize::from(hoisted.count)), count, "{source}");
    }
    let many =
        (0..70).map(|n| format!("do local function f{n}() end f{n}() end ")).collect::<String>();
    assert_eq!(hoist(&dumped(&engine, &many)).map(|hoisted| hoisted.count), Some(60));
}

#[test]
fn what_is_no_whole_dump_is_left_alone() {
    let engine = Engine::new(RandomMode::Seeded);
    let (_, source) = COUNTED[4];
    let whole = dumped(&engine, source);
    assert!(hoist(&whole).is_some());
    for len in 0..whole.len() {
        assert!(hoist(&whole[..len]).is_none(), "{len}");
    }
    for version in [1, 3, 0x80] {
        let mut other = whole.clone();
        other[3] = version;
        assert!(hoist(&other).is_none());
    }
    assert!(hoist(&dumped(&engine, "local function f() return 1 end return f")).is_some());
    // Bytes that are something else are no reason to read beyond what there is.
    for at in 5..whole.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut other = whole.clone();
            other[at] = byte;
            let _ = hoist(&other);
        }
    }
}

#[test]
fn a_count_is_written_as_it_is_read() {
    for count in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0xffff_ffff] {
        let mut bytes = Vec::new();
        push_count(&mut bytes, count);
        assert_eq!(Rest(&bytes).count(), Some(count));
    }
    assert_eq!(Rest(&[0xff; 20]).count(), None);
}
