//! Lua's patterns here and in stock Lua 5.1: the same results and the same errors, to the byte.
//!
//! Random patterns, subjects and replacements are run by the same Lua text in an engine and in a bare
//! state with the stock library. Subjects are short, so that the stock matcher ends.

#![cfg(feature = "lua51")] // LuaJIT's stock library reads numbers and classes otherwise.
#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use mlua_sys as ffi;
use moonkv::{Engine, Reply, Script};
use std::ffi::CString;

/// Calls the function that the first argument names and writes all it gives, or its error, as text.
/// It ends with the number of what follows as a text of its own, so that nothing runs together.
const CALL: &str = "
    local name, subject, pattern, extra, number = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
    local function show(...)
        local out = {}
        for i = 1, select('#', ...) do
            local value = select(i, ...)
            out[i] = type(value) .. ' ' .. tostring(value)
        end
        return table.concat(out, ', ')
    end
    local calls = {}
    function calls.find() return string.find(subject, pattern, number) end
    function calls.plain() return string.find(subject, pattern, number, true) end
    function calls.match() return string.match(subject, pattern, number) end
    function calls.gmatch()
        local out = {}
        for a, b, c in string.gmatch(subject, pattern) do out[#out + 1] = show(a, b, c) end
        return table.concat(out, '; ')
    end
    function calls.text() return string.gsub(subject, pattern, extra, number) end
    function calls.table()
        return string.gsub(subject, pattern, {a = extra, b = false, ['1'] = 2, [1] = 'one'}, number)
    end
    calls['function'] = function()
        local seen = {}
        local function by(...)
            seen[#seen + 1] = show(...)
            if #seen % 3 == 1 then return extra end
            if #seen % 3 == 2 then return #seen end
        end
        local result, count = string.gsub(subject, pattern, by, number)
        return result, count, table.concat(seen, '; ')
    end
    return show(pcall(calls[name]))";

const NAMES: [&str; 7] = ["find", "plain", "match", "gmatch", "text", "table", "function"];

/// A state with the stock libraries, and the script compiled in it.
struct Stock(*mut ffi::lua_State);

impl Stock {
    fn new() -> Stock {
        let text = CString::new(CALL).expect("a script without a zero");
        // SAFETY: a fresh state, which keeps the compiled script at index 1.
        unsafe {
            let l = ffi::luaL_newstate();
            ffi::luaL_openlibs(l);
            let (text, name) = (text.as_bytes(), c"@user_script");
            let status = ffi::luaL_loadbuffer(l, text.as_ptr().cast(), text.len(), name.as_ptr());
            assert_eq!(status, ffi::LUA_OK);
            Stock(l)
        }
    }

    fn call(&self, argv: &[&[u8]]) -> Vec<u8> {
        // SAFETY: the state is open, and a handful of values fits its stack.
        unsafe {
            let l = self.0;
            ffi::lua_createtable(l, 0, 0);
            for (index, text) in (1..).zip(argv) {
                ffi::lua_pushlstring_(l, text.as_ptr().cast(), text.len());
                ffi::lua_rawseti_(l, -2, index);
            }
            ffi::lua_setglobal(l, c"ARGV".as_ptr());
            ffi::lua_pushvalue(l, 1);
            assert_eq!(ffi::lua_pcall(l, 0, 1, 0), ffi::LUA_OK);
            let mut length = 0;
            let text = ffi::lua_tolstring(l, -1, &raw mut length).cast::<u8>();
            let answer = std::slice::from_raw_parts(text, length).to_vec();
            ffi::lua_settop(l, 1);
            answer
        }
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        // SAFETY: made by new.
        unsafe { ffi::lua_close(self.0) };
    }
}

fn ours(script: &Script, argv: &[&[u8]]) -> Vec<u8> {
    match script.run(&[""; 0], argv).expect("the script runs") {
        Reply::Bulk(text) => text.to_vec(),
        other => unreachable!("{other:?}"),
    }
}

/// Numbers that are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }

    /// Up to `most` pieces in a row.
    fn pieces(&mut self, most: usize, from: &[&[u8]]) -> Vec<u8> {
        (0..self.below(most + 1)).flat_map(|_| self.pick(from).to_vec()).collect()
    }
}

/// What subjects are made of: few different bytes, so that patterns find something.
const SUBJECT: &[&[u8]] = &[
    b"a", b"a", b"a", b"b", b"b", b"A", b"1", b"2", b" ", b"(", b")", b"[", b"]", b"%", b"^", b"$",
    b"-", b".", b"_", b"\0", b"\xe9", b"aa", b"ab", b"\t", b"\x7f",
];

/// What patterns are made of: whole pieces, and bytes that make pieces wrong.
const PATTERN: &[&[u8]] = &[
    b"a",
    b"a",
    b"b",
    b"1",
    b".",
    b".",
    b"%a",
    b"%d",
    b"%s",
    b"%w",
    b"%p",
    b"%u",
    b"%l",
    b"%x",
    b"%c",
    b"%z",
    b"%A",
    b"%D",
    b"%S",
    b"%W",
    b"%P",
    b"%Z",
    b"%q",
    b"%%",
    b"%.",
    b"[ab]",
    b"[^ab]",
    b"[a-z]",
    b"[%a_]",
    b"[]]",
    b"[^]]",
    b"[a-]",
    b"[%]a]",
    b"[x-%%]",
    b"[%z-b]",
    b"[^%d]",
    b"[\x80-\xff]",
    b"*",
    b"*",
    b"+",
    b"+",
    b"-",
    b"-",
    b"?",
    b"?",
    b"(",
    b"(",
    b"(",
    b")",
    b")",
    b")",
    b"()",
    b"(a)",
    b"(%w+)",
    b"(.-)",
    b"(a*)",
    b"%1",
    b"%2",
    b"%0",
    b"%b()",
    b"%b[]",
    b"%baa",
    b"%bab",
    b"%b",
    b"%f[%a]",
    b"%f[^a]",
    b"%f[%z]",
    b"%f",
    b"^",
    b"$",
    b"$",
    b"[",
    b"]",
    b"%",
    b"\0",
    b"a*",
    b"b-",
    b".*",
    b".-",
    b"%w+",
    b"^^",
    b"\xe9",
];

const REPLACEMENT: &[&[u8]] =
    &[b"x", b"", b"%0", b"%1", b"%2", b"%9", b"%%", b"%", b"%a", b"<%1>", b"12", b"\0", b"aaaa"];

const NUMBERS: &[&[u8]] =
    &[b"", b"", b"", b"1", b"2", b"3", b"0", b"-1", b"-2", b"-100", b"100", b"1.9", b"4294967297"];

/// One case: what the script gets.
fn case(chance: &mut Chance) -> [Vec<u8>; 5] {
    [
        NAMES[chance.below(NAMES.len())].into(),
        chance.pieces(14, SUBJECT),
        chance.pieces(7, PATTERN),
        chance.pieces(3, REPLACEMENT),
        chance.pick(NUMBERS).to_vec(),
    ]
}

fn compare(cases: impl Iterator<Item = [Vec<u8>; 5]>) -> (usize, usize) {
    let engine = Engine::new().expect("an engine opens");
    let script = engine.prepare(CALL).expect("the script compiles");
    let stock = Stock::new();
    let (mut errors, mut found) = (0, 0);
    for case in cases {
        let argv = [&case[0][..], &case[1], &case[2], &case[3], &case[4]];
        let (here, there) = (ours(&script, &argv), stock.call(&argv));
        let shown = argv.map(|text| text.escape_ascii().to_string());
        assert_eq!(here.escape_ascii().to_string(), there.escape_ascii().to_string(), "{shown:?}");
        errors += usize::from(here.starts_with(b"boolean false"));
        found += usize::from(here.starts_with(b"boolean true, number"));
    }
    (errors, found)
}

#[test]
fn random_patterns_do_as_in_stock_lua() {
    const CASES: usize = 200_000;
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let (errors, found) = compare((0..CASES).map(|_| case(&mut chance)));
    println!("{CASES} cases: {errors} errors, {found} with a place found");
    assert!(errors > CASES / 20 && errors < CASES / 2, "{errors} errors");
    assert!(found > CASES / 20, "{found} found");
}

/// Every class and every set of two bytes, byte by byte.
#[test]
fn every_byte_is_of_its_classes() {
    let patterns = (0..=u8::MAX).flat_map(|byte| {
        [
            vec![b'%', byte],
            vec![b'[', byte, b']'],
            vec![b'[', b'%', byte, b']'],
            vec![b'[', b'^', byte, b'-', b'z', b']'],
        ]
    });
    let subject: Vec<u8> = (0..=u8::MAX).collect();
    let cases = patterns.flat_map(|pattern| {
        let subject = subject.clone();
        ["text", "gmatch"].map(|name| {
            [name.into(), subject.clone(), pattern.clone(), b"<%0>".to_vec(), b"".to_vec()]
        })
    });
    compare(cases);
}
