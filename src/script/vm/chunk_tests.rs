//! What is seen of scripts, and that nothing is seen in what is no script.

use super::{HEADER, Reach, reach};

#[test]
fn what_is_not_understood_may_do_anything() {
    assert_eq!(reach(b""), Reach::Anything);
    assert_eq!(reach(&HEADER), Reach::Anything);
    assert_eq!(reach(b"\x1bLJ\x02"), Reach::Anything);
    assert_eq!(reach(&[&HEADER[..], &[0xff; 64]].concat()), Reach::Anything);
}

/// Only what PUC Lua compiles is looked into.
#[cfg(feature = "lua51")]
mod scripts {
    #![expect(clippy::undocumented_unsafe_blocks, reason = "tests own what they hand to Lua")]

    use super::Reach;
    use crate::script::vm::math::RandomMode;
    use crate::script::vm::sandbox::tests::Engine;
    use crate::script::vm::{load, reach};

    const ANYTHING: &[&str] = &[
        "x = 1",
        "function f() end",
        "local function f() return function() x = 1 end end",
        "return 1, function() string = nil end",
        "redis = redis",
    ];
    const READS_GLOBALS: &[&str] = &[
        "local s = string return s.rep",
        "local s = string s.rep = nil",
        "string.rep = nil",
        "string.rep.x = nil return string",
        "return string",
        "return {string}",
        "return pairs(string)",
        "return string:rep()",
        "return string == nil",
        "return string and string.rep",
        "return (string or table).rep",
        "return #string",
        "return string .. ''",
        "return function() return redis end",
        "local a = 1 local function f() return a end a = string.rep return a, f",
        "local s s = string return s",
        "for k in pairs(redis) do redis.call(k) end",
        "return string[string]",
        "return ({n = math}).n.pi",
        "return math.max(math)",
        "setmetatable({}, {__index = string})",
        // Named in the text, these may show what is not named.
        "return _G.x, string.rep",
        "return loadstring('return string'), string.rep",
        "return string.rep('_G', 1)",
    ];
    const READS_FIELDS: &[&str] = &[
        "",
        "return 1",
        "return KEYS[1], ARGV[1], tostring(1), nothing",
        "return redis.call('GET', KEYS[1])",
        "local call, rep = redis.call, string.rep return call, rep",
        "return function() return function() return math.floor(1.5) end end",
        "local t = {} table.insert(t, string.char(65)) return table.concat(t, bit.tohex(1))",
        "local k = 'rep' return string[k]",
        "return math.pi * 2, 2 ^ math.pi, -math.pi, not math.pi, math.pi < 3",
        "if math.pi > 3 then return cjson.null end",
        "while math.random() < 2 do return struct.pack end",
        "local s = {string = 1} return s.string",
        "return string.rep.x",
    ];

    fn seen(engine: &Engine, source: &str) -> (Reach, bool) {
        let l = engine.state.raw();
        unsafe {
            load::load_text(l, source.as_ptr(), source.len(), c"@user_script".as_ptr());
            assert_eq!(mlua_sys::lua_type(l, -1), mlua_sys::LUA_TFUNCTION, "{source}");
            let seen = reach(l, source.as_bytes());
            mlua_sys::lua_settop(l, 0);
            seen
        }
    }

    #[test]
    fn scripts_are_seen_through() {
        let engine = Engine::new(RandomMode::Seeded);
        for (sources, expected) in [
            (ANYTHING, Reach::Anything),
            (READS_GLOBALS, Reach::ReadsGlobals),
            (READS_FIELDS, Reach::ReadsFields),
        ] {
            for source in sources {
                assert_eq!(seen(&engine, source).0, expected, "{source}");
            }
        }
    }

    #[test]
    fn long_texts_are_not_looked_at() {
        let engine = Engine::new(RandomMode::Seeded);
        let long = format!("return 1 --{}", " ".repeat(64 * 1024));
        assert_eq!(seen(&engine, &long), (Reach::Anything, false));
    }

    #[test]
    fn keys_and_argv_are_in_hand_or_not() {
        let engine = Engine::new(RandomMode::Seeded);
        for source in [
            "return 1",
            "return redis.call('GET', KEYS[1])",
            "local i = 2 return KEYS[i], ARGV[i]",
            "return function() return KEYS[1] .. ARGV[2] end",
            "local KEYS = {} KEYS[1] = 2 return KEYS",
        ] {
            assert!(seen(&engine, source).1, "{source}");
        }
        for source in [
            "return KEYS",
            "return #ARGV",
            "KEYS[1] = 'x'",
            "KEYS = {}",
            "local t = ARGV",
            "return unpack(ARGV)",
            "return KEYS:x()",
            "return KEYS[f()]",
            "return KEYS[1], KEYS",
            "return function() return ARGV end",
            "x = KEYS[1]",
        ] {
            assert!(!seen(&engine, source).1, "{source}");
        }
    }
}
