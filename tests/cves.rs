//! What was found in the Lua of Redis and Valkey over the years, tried on ours: each script is an
//! attack in the manner of a published CVE, or of a fault that our Lua library avoids.
//!
//! Each runs in a process of its own, on a thread with little stack, as plugins have. It must leave
//! the process alive and the engine working; what a script answers that the attack would change is
//! checked too. All of them run once more under valgrind, which sees what does not crash.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Error, Options, Protocol, Reply};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

/// The stack of the thread that a script runs on. AddressSanitizer needs more for the same calls.
const STACK_BYTES: usize = if cfg!(moonkv_asan) { 4 << 20 } else { 256 * 1024 };

/// An attack: where it is from, the script, and its answer; empty for any.
struct Attack(&'static str, &'static str, &'static str);

#[rustfmt::skip]
const ATTACKS: &[Attack] = &[
    // Integer overflow in unpack: too many results for the stack.
    Attack("CVE-2025-46817", "return unpack({1, 2, 3}, -2, 2^31 - 1)", "ERR user_script:1: too many results to unpack"),
    Attack("CVE-2025-46817", "return unpack({}, -2147483648, 2147483647)", "ERR user_script:1: too many results to unpack"),
    Attack("CVE-2025-46817", "return {unpack({1, 2, 3}, 2^31 - 1, 2^31)}", "[]"),
    Attack("CVE-2025-46817", "return {pcall(unpack, {}, 0, 2^53)}", "[null too many results to unpack]"),

    // The parser's own string is collected while a reader runs: use after free.
    Attack("CVE-2025-49844", "local n = 0
        local f, e = load(function()
            n = n + 1
            if n > 200 then return nil end
            collectgarbage('collect')
            local t = {} for i = 1, 200 do t[i] = ('x'):rep(i) .. n end
            return 'local a' .. n .. ' = ' .. n .. ' '
        end, ('chunk'):rep(200))
        collectgarbage('collect')
        return {type(f), e or 'none'}", "[function none]"),
    Attack("CVE-2025-49844", "local f, e = load(function()
            collectgarbage('collect') load(function() collectgarbage('collect') return nil end)
            return nil
        end, 'name' .. tostring(1))
        return type(f)", "function"),
    Attack("CVE-2025-49844", "for i = 1, 300 do
            local f, e = loadstring('x = = ' .. i, 'chunk name of its own ' .. i)
            collectgarbage('collect')
            if f or not e:find(tostring(i)) then return e end
        end return 'ok'", "ok"),

    // Metatables of basic types: what one script sets, another one runs.
    Attack("CVE-2025-46818", "getmetatable('').__index = function() return 1 end", "ERR user_script:1: Attempt to modify a readonly table"),
    Attack("CVE-2025-46818", "rawset(getmetatable(''), '__add', function() return 1 end)", "ERR Attempt to modify a readonly table"),
    Attack("CVE-2025-46818", "setmetatable(getmetatable(''), {__index = {}})", "ERR Attempt to modify a readonly table"),
    Attack("CVE-2025-46818", "local t = {} for _, v in ipairs({1, true, type, 'x', cjson.null}) do
        local m = getmetatable(v) if m then t[#t + 1] = tostring(pcall(rawset, m, '__call', 1)) end end
        t[#t + 1] = tostring(getmetatable(nil)) return t", "[false nil]"),

    // Long brackets and long sources: reads past the end, counts of levels that overflow.
    Attack("CVE-2025-46819", "local t = {} for level = 0, 300 do
            local eq = ('='):rep(level)
            t[#t + 1] = tostring(loadstring('return [' .. eq .. '[x]' .. eq .. ']') ~= nil)
        end return table.concat(t):gsub('true', '')", ""),
    Attack("CVE-2025-46819", "return (select(2, loadstring('return [' .. ('='):rep(1e6))))", ""),
    Attack("CVE-2025-46819", "return (select(2, loadstring('--[' .. ('='):rep(1e6) .. '[' .. ('x'):rep(1e5))))", ""),
    Attack("CVE-2025-46819", "return loadstring('return [' .. ('='):rep(70000) .. '[y]' .. ('='):rep(70000) .. ']')()", "y"),
    Attack("CVE-2025-46819", "return {loadstring('[')}", "[]"),
    Attack("CVE-2025-46819", "return #loadstring('return \"' .. ('\\\\065'):rep(5e4) .. '\"')()", "50000"),

    // Finalizers, which the collector would run at a time of its own.
    Attack("CVE-2024-46981", "return tostring(rawget(_G, 'newproxy'))", "nil"),
    Attack("CVE-2024-46981", "for i = 1, 2000 do setmetatable({}, {__gc = function() error('ran') end, __mode = 'kv'}) end
        collectgarbage('collect') collectgarbage('collect') return 'quiet'", "quiet"),
    Attack("CVE-2024-46981", "return {collectgarbage('stop'), collectgarbage('setpause', 1), collectgarbage('setstepmul', 1e9), collectgarbage('count') > 0}", ""),
    Attack("CVE-2024-46981", "local t = setmetatable({}, {__mode = 'k'})
        for i = 1, 3000 do t[{}] = i if i % 100 == 0 then collectgarbage('step') end end
        local n = 0 for k in pairs(t) do n = n + 1 t[k] = nil collectgarbage('step', 100) end return 'done'", "done"),

    // bit.tohex of the smallest integer.
    Attack("CVE-2024-31449", "return {bit.tohex(65535, -2147483648), bit.tohex(1, 2147483647), bit.tohex(-1, -2^53), bit.tohex(2^40, 2^40)}", "[0000FFFF 00000001  ]"),

    // Globals and library tables that the next script would get.
    Attack("CVE-2022-24735", "redis.call = function() return 'mine' end", "ERR user_script:1: Attempt to modify a readonly table"),
    Attack("CVE-2022-24735", "function string.rep() return 'mine' end", "ERR user_script:1: Attempt to modify a readonly table"),
    Attack("CVE-2022-24735", "setfenv(1, {}) return 1", "ERR user_script:1: Script attempted to access nonexistent global variable 'setfenv'"),

    // A source that ends the function it would be wrapped in.
    Attack("CVE-2022-24736", "return 1 end redis.call('SET', 'x', 1) do", "ERR Error compiling script (new function): user_script:1: '<eof>' expected near 'end'"),
    Attack("CVE-2022-24736", "--", "null"),
    Attack("CVE-2022-24736", "return loadstring('return 1 end if 1 then')", "null"),

    // Heap overflows in cjson and cmsgpack by large inputs.
    Attack("CVE-2022-24834", "local s = ('\\0'):rep(3e5) return #cjson.encode(s)", "1800002"),
    Attack("CVE-2022-24834", "local t = {} for i = 1, 3000 do t[i] = ('\"'):rep(100) end return #cjson.encode(t)", "609001"),
    Attack("CVE-2022-24834", "return #cjson.encode({('a'):rep(1e6), ('\\1'):rep(1e5)})", "1600007"),
    Attack("CVE-2022-24834", "return #cjson.decode(cjson.encode(('\\127'):rep(1e5)))", "100000"),
    Attack("CVE-2022-24834", "return #cmsgpack.pack(('x'):rep(70000), ('y'):rep(40), ('z'):rep(300))", "70350"),

    // Nothing of the host's: package, io, os.
    Attack("CVE-2022-0543", "local t = {} for _, n in ipairs({'package', 'require', 'module', 'io', 'os', 'debug', 'dofile', 'loadfile', 'print', 'getfenv', 'setfenv', 'newproxy'})
        do t[#t + 1] = tostring(rawget(_G, n)) end return table.concat(t, ' ')", "nil nil nil nil nil nil nil nil nil nil nil nil"),

    // The Lua stack while nested replies are converted.
    Attack("CVE-2021-32626", "local t = 'x' for i = 1, 7000 do t = {t} end return t", ""),
    Attack("CVE-2021-32626", "for i = 1, 200 do redis.call('RPUSH', 'wide', i) end return #redis.call('LRANGE', 'wide', 0, -1)", "200"),
    Attack("CVE-2021-32626", "local t = {} for i = 1, 100 do t = {t, ok = nil} end return redis.pcall('EVAL', 'x', 0).err", ""),
    Attack("CVE-2021-32626", "local s = ('['):rep(900) .. (']'):rep(900) local t = cjson.decode(s) return t", ""),

    // cmsgpack: the stack while nested values are unpacked, and lengths that are not there.
    Attack("CVE-2018-11218", "return {pcall(cmsgpack.unpack, ('\\x91'):rep(1e5))}", ""),
    Attack("CVE-2018-11218", "return {pcall(cmsgpack.unpack, ('\\129\\129'):rep(5e4))}", ""),
    Attack("CVE-2018-11218", "return {pcall(cmsgpack.unpack, '\\221\\255\\255\\255\\255')}", ""),
    Attack("CVE-2018-11218", "return {pcall(cmsgpack.unpack, '\\223\\255\\255\\255\\255')}", ""),
    Attack("CVE-2018-11218", "return {pcall(cmsgpack.unpack, '\\219\\255\\255\\255\\255x')}", ""),
    Attack("CVE-2018-11218", "return {pcall(cmsgpack.unpack_limit, '\\1\\2\\3', 2^31, -1)}", ""),
    Attack("CVE-2018-11218", "return {pcall(cmsgpack.unpack_one, 'abc', 2^53)}", ""),
    Attack("CVE-2018-11218", "local t = {} for i = 1, 9000 do t[i] = '\\1' end return select('#', pcall(cmsgpack.unpack, table.concat(t)))", ""),
    Attack("CVE-2018-11218", "local t = {} for i = 1, 1e4 do t = {t} end return #cmsgpack.pack(t) < 100", "1"),
    Attack("CVE-2018-11218", "local t = {} t[1] = t return #cmsgpack.pack(t) < 100", "1"),

    // struct: sizes and offsets that overflow.
    Attack("CVE-2018-11219", "return {pcall(struct.unpack, 'I2147483648', 'x')}", ""),
    Attack("CVE-2018-11219", "return {pcall(struct.unpack, 'c2147483647', 'x')}", "[null bad argument #2 to '?' (data string too short)]"),
    Attack("CVE-2018-11219", "return {pcall(struct.unpack, 'c4294967295', 'x')}", ""),
    Attack("CVE-2018-11219", "return {pcall(struct.unpack, 'i', 'abcd', 2^31)}", ""),
    Attack("CVE-2018-11219", "return {pcall(struct.unpack, 's', 'abcd', 4)}", ""),
    Attack("CVE-2018-11219", "return {pcall(struct.unpack, '>I' .. ('9'):rep(40), 'x')}", ""),
    Attack("CVE-2018-11219", "return {pcall(struct.unpack, ('b'):rep(9000), ('x'):rep(9000))}", ""),
    Attack("CVE-2020-14147", "return {pcall(struct.pack, '>I2147483648', 10)}", "[null integral size overflow]"),
    Attack("CVE-2020-14147", "return {pcall(struct.pack, '>I4294967297', 10)}", ""),
    Attack("CVE-2020-14147", "return {pcall(struct.pack, 'c2147483647', 'x')}", ""),
    Attack("CVE-2020-14147", "return {pcall(struct.pack, ('x2147483647'):rep(8))}", ""),
    Attack("CVE-2020-14147", "return {pcall(struct.size, 'c2147483647c2147483647c9')}", ""),
    Attack("CVE-2020-14147", "return {pcall(struct.pack, '!2147483648 i', 1)}", ""),

    // Bytecode by every way in.
    Attack("CVE-2015-4335", "return {loadstring(string.dump(function() return 1 end))}", "[]"),
    Attack("CVE-2015-4335", "local s = string.dump(function() end) local given
        return {load(function() if given then return nil end given = true return s end)}", "[]"),
    Attack("CVE-2015-4335", "local s, i = string.dump(function() end), 0
        return {load(function() i = i + 1 if i <= #s then return s:sub(i, i) end end)}", "[]"),
    Attack("CVE-2015-4335", "\x1bLuaQ", "ERR Error compiling script (new function): precompiled chunks are not accepted"),
    Attack("CVE-2015-8080", "return {pcall(struct.pack, '!0 i', 1)}", ""),

    // Functions with a variable number of arguments and many fixed ones.
    Attack("CVE-2014-5461", "local names = {} for i = 1, 190 do names[i] = 'p' .. i end
        local f = loadstring('return function(' .. table.concat(names, ', ') .. ', ...) local a = 1 return p1 end')()
        for i = 1, 50 do coroutine.wrap(f)() coroutine.wrap(f)(unpack(names)) end return 'ok'", "ok"),

    // A status or an error with line ends in it would be several replies.
    Attack("CVE-2025-67733", "return {ok = 'a\\r\\n-ERR b'}", "a  -ERR b"),
    Attack("CVE-2025-67733", "return {err = 'a\\r\\n+OK'}", "a  +OK"),
    Attack("CVE-2025-67733", "return redis.status_reply('x\\n\\r:1')", "x  :1"),
    Attack("CVE-2025-67733", "error('a\\r\\nb', 0)", "ERR a  b"),

    // The VM may not go while a run is on it.
    Attack("CVE-2026-23631", "return redis.pcall('SCRIPT', 'FLUSH').err", "ERR This Redis command is not allowed from script"),
    Attack("CVE-2026-23631", "return redis.pcall('FUNCTION', 'FLUSH').err", "ERR This Redis command is not allowed from script"),
    Attack("CVE-2026-23631", "return redis.pcall('FUNCTION', 'RESTORE', 'x').err", "ERR This Redis command is not allowed from script"),
    Attack("CVE-2026-23631", "return redis.pcall('EVAL', 'return 1', '0').err", "ERR This Redis command is not allowed from script"),

    // Patterns of keys that take for ever.
    Attack("CVE-2022-36021", "redis.call('SET', ('a'):rep(2000), 1) return #redis.call('KEYS', ('*a'):rep(400) .. 'b')", ""),
    Attack("CVE-2024-31228", "redis.call('SET', ('a'):rep(2000), 1) return #redis.call('KEYS', ('*?'):rep(20000))", ""),

    // Depth, in every place that has some.
    Attack("parser", "return loadstring('return ' .. ('('):rep(1e5) .. '1' .. (')'):rep(1e5))", "null"),
    Attack("parser", "return loadstring('return ' .. ('{'):rep(1e5) .. ('}'):rep(1e5))", "null"),
    Attack("parser", "return loadstring(('do '):rep(1e5) .. ('end '):rep(1e5))", "null"),
    Attack("parser", "return loadstring(('function f() '):rep(1e4) .. ('end '):rep(1e4))", "null"),
    Attack("parser", "return loadstring(('if 1 then else'):rep(1e4) .. (' end'):rep(1e4))", "null"),
    Attack("parser", "return loadstring('return ' .. ('-'):rep(1e5) .. '1')", "null"),
    Attack("parser", "return loadstring('return ' .. ('not '):rep(1e5) .. '1')", "null"),
    Attack("parser", "return loadstring('return ' .. ('1 .. '):rep(1e5) .. '1')", "null"),
    Attack("parser", "return loadstring('return ' .. ('2 ^ '):rep(1e5) .. '1')", "null"),
    Attack("parser", "return loadstring('return f' .. ('(f'):rep(1e5))", "null"),
    Attack("parser", "return loadstring('return a' .. ('[a'):rep(1e5))", "null"),
    Attack("parser", "local ok = loadstring('return ' .. ('('):rep(150) .. '7' .. (')'):rep(150)) return ok()", "7"),
    Attack("recursion", "local function f() return 1 + f() end return f()", ""),
    Attack("recursion", "local function f() return pcall(f) end return f()", ""),
    Attack("recursion", "return select('#', pcall(unpack, {}, 1, 7000)) + select('#', xpcall(function() return unpack({}, 1, 100) end, type))", "7102"),
    Attack("recursion", "local function f() return 1, pcall(f) end return select('#', f()) > 10", "1"),
    Attack("recursion", "local function f() return xpcall(f, f) end f() return 'out'", ""),
    Attack("recursion", "local function f() return (coroutine.wrap(f)()) end return f()", ""),
    Attack("recursion", "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(s) return tostring(s) end return tostring(t)", ""),
    Attack("recursion", "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end return t.x", ""),
    Attack("recursion", "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", "ERR user_script:1: loop in gettable"),
    Attack("recursion", "local t = setmetatable({}, {}) getmetatable(t).__eq = function(a, b) return a == b end return t == setmetatable({}, getmetatable(t))", ""),
    Attack("recursion", "local t = setmetatable({}, {}) getmetatable(t).__concat = function(a, b) return a .. b end return t .. 'x'", ""),
    Attack("recursion", "local t = setmetatable({}, {}) getmetatable(t).__call = t return t()", ""),
    Attack("recursion", "local function f(a, b) table.sort({3, 2, 1}, f) return a < b end f(1, 2)", ""),
    Attack("recursion", "local function f() return (('x'):gsub('x', f)) end f()", ""),
    Attack("recursion", "local function f() table.foreach({1}, f) end f()", ""),
    Attack("recursion", "local function f() load(f) end f()", ""),
    Attack("recursion", "local s = 'return 1' for i = 1, 12 do s = ('return loadstring(%q)()'):format(s) end return loadstring(s)()", "1"),
    Attack("recursion", "error(setmetatable({}, {__index = function(t, k) return t[k] end, __tostring = error}))", ""),
    Attack("patterns", "return ('('):rep(40):find(('('):rep(40) .. (')'):rep(40))", ""),
    Attack("patterns", "return pcall(string.find, 'x', ('(x'):rep(200))", ""),
    Attack("patterns", "return ('a'):rep(1e5):find(('.-'):rep(50) .. 'b')", ""),
    Attack("patterns", "return ('x'):rep(1e5):match(('(x?)'):rep(30) .. ('x'):rep(3e4))", ""),
    Attack("patterns", "return pcall(string.gsub, 'x', 'x', '%9')", ""),
    Attack("patterns", "return ('%'):find('%', 1, false)", ""),
    Attack("patterns", "return ('[a'):find('[a')", ""),
    Attack("patterns", "return ('abc'):find('b', -2^31) + ('abc'):find('b', 2)", "4"),
    Attack("patterns", "return #('x'):rep(1e5):gsub('', 'y')", "200001"),
    Attack("cjson", "return {pcall(cjson.decode, ('['):rep(1e6))}", ""),
    Attack("cjson", "return {pcall(cjson.decode, ('{\"a\":'):rep(1e6))}", ""),
    Attack("cjson", "local t = {} t[1] = t return {pcall(cjson.encode, t)}", ""),
    Attack("cjson", "cjson.encode_max_depth(2147483647) local t = {} t[1] = t return {pcall(cjson.encode, t)}", ""),
    Attack("cjson", "cjson.decode_max_depth(2147483647) return {pcall(cjson.decode, ('['):rep(3e5))}", ""),
    Attack("cjson", "return {pcall(cjson.encode, {[2^31] = 1})}", ""),
    Attack("cjson", "cjson.encode_sparse_array(true, 0, 0) return {pcall(cjson.encode, {[2^53] = 1})}", ""),
    Attack("cjson", "cjson.encode_sparse_array(false, 2147483647, 0) return #cjson.encode({[30000] = 1})", ""),
    Attack("cjson", "return {pcall(cjson.decode, '\"\\\\ud800\\\\u\"')}", ""),
    Attack("cjson", "return {pcall(cjson.decode, '\"\\\\u12')}", ""),
    Attack("cjson", "return {pcall(cjson.decode, ('1'):rep(1e5))}", ""),
    Attack("cjson", "return {pcall(cjson.encode_number_precision, 2^31)}", ""),
    Attack("strings", "return {pcall(string.rep, 'x', 2^31)}", "ERR script exceeded its memory limit"),
    Attack("strings", "return {pcall(string.rep, ('x'):rep(1e6), 2^62)}", ""),
    Attack("strings", "return {pcall(string.format, '%' .. ('9'):rep(1000) .. 'd', 1)}", ""),
    Attack("strings", "return {pcall(string.format, '%.' .. ('9'):rep(1000) .. 'f', 1)}", ""),
    Attack("strings", "return #string.format('%99.99f', -1e308)", "410"),
    Attack("strings", "return {pcall(string.format, '%#0- +#0- +#0- +d', 1)}", ""),
    Attack("strings", "return #string.format('%q', ('\\0\\r\\n\"'):rep(1e4))", ""),
    Attack("strings", "return {pcall(string.format, ('%d'):rep(1e4), 1)}", ""),
    Attack("strings", "return {pcall(string.char, unpack({}, 1, 7000))}", ""),
    Attack("strings", "return {pcall(string.byte, ('x'):rep(1e6), 1, -1)}", ""),
    Attack("strings", "return ('x'):sub(-2^63, 2^63) .. ('x'):sub(2^31, -2^31) .. ('abc'):sub(-2^31)", "abc"),
    Attack("strings", "return {pcall(table.concat, {}, 'x', -2^31, 2^31)}", ""),
    Attack("strings", "return {pcall(table.concat, setmetatable({}, {__index = function() return 'x' end}), '', 1, 5)}", ""),
    Attack("tables", "local t = {} t[2^53] = 1 t[-2^53] = 2 t[0/0 == 0 and 1 or 2] = 3 return table.maxn(t) == 2^53", "1"),
    Attack("tables", "local t = {1, 2, 3} table.sort(t, function() return true end) return #t", ""),
    Attack("tables", "local t = {} for i = 1, 200 do t[i] = i end table.sort(t, function(a, b) t[a] = nil collectgarbage() return a > b end) return 'ok'", ""),
    Attack("tables", "local t = {} for i = 1, 100 do t[i] = i end for k in pairs(t) do t[k] = nil t['x' .. k] = nil collectgarbage('step') end return next(t) == nil", "1"),
    Attack("tables", "return {pcall(next, {}, 'none')}", ""),
    Attack("tables", "return {pcall(table.insert, {}, 2^31, 1)}", "ERR script exceeded its "),
    Attack("tables", "local t = {1, 2} table.insert(t, -3, 9) return {t[-3], tostring(t[1]), t[2], t[3], #t}", "[9 nil 1 2 0]"),
    Attack("tables", "return {pcall(setmetatable, {}, {__metatable = 1})}", ""),
    Attack("tables", "return {pcall(rawset, {}, nil, 1), pcall(rawset, {}, 0/0, 1)}", ""),
    Attack("tables", "return {pcall(select, -2^31, 1)}", ""),
    Attack("tables", "local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, v) collectgarbage() end}) for i = 1, 300 do t[i] = {} end return #t", "300"),
    Attack("coroutines", "local co co = coroutine.wrap(function() co() end) return {pcall(co)}", ""),
    Attack("coroutines", "local t = {} for i = 1, 300 do t[i] = coroutine.create(function() coroutine.yield({}) end) coroutine.resume(t[i]) end t = nil collectgarbage() return 'ok'", "ok"),
    Attack("coroutines", "local up = {} local co = coroutine.wrap(function() local x = {1} up.f = function() x[1] = x[1] + 1 return x[1] end coroutine.yield() end) co() co = nil collectgarbage() return up.f()", "2"),
    Attack("coroutines", "return coroutine.wrap(function() return pcall(coroutine.yield, 1) end)()", ""),
    Attack("coroutines", "return coroutine.wrap(function(...) return select('#', ...) end)(unpack({}, 1, 5000))", "5000"),
];

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

/// What a script answers on an engine of its own, which must go on working.
fn answer(script: &str) -> Result<Reply, Error> {
    let mut options = Options::default();
    // Instructions end what would not end; this is for none to be ended earlier under valgrind.
    options.script_timeout = Some(Duration::from_secs(120));
    options.script_memory = Some(32 << 20);
    options.script_instructions = Some(3_000_000);
    let engine = Engine::open(&options).expect("an engine opens");
    let none = [""; 0];
    let answer = engine.eval(script, &none, &none);
    let alive =
        "redis.call('SET', 'alive', 'yes') local t = {} for i = 1, 100 do t[i] = {('x'):rep(i)} end
        collectgarbage() return redis.call('GET', 'alive') .. #t .. #t[99][1]";
    let reply = engine.eval(alive, &none, &none).expect("the engine goes on working");
    assert_eq!(text(&reply), "yes10099", "after {script}");
    let resp = engine.command_resp(&["GET", "alive"], Protocol::Resp2);
    assert_eq!(resp.as_deref(), Ok(&b"$3\r\nyes\r\n"[..]), "after {script}");
    answer
}

/// Names the attacks that this process is to try, as the child of another test.
const CHILD: &str = "MOONKV_ATTACKS";

/// The child's half; without a list there is nothing to do.
#[test]
fn child() {
    let Some(range) = std::env::var_os(CHILD) else { return };
    let range = range.to_str().expect("a range is text").split_once('-').expect("two numbers");
    let [from, to] = [range.0, range.1].map(|n| n.parse::<usize>().expect("a number"));
    for Attack(name, script, expected) in &ATTACKS[from..to] {
        println!("trying {name}: {script}");
        let small = thread::Builder::new().stack_size(STACK_BYTES);
        let answer = small.spawn(|| answer(script)).expect("a thread starts").join();
        // It is shown here, where there is stack enough for a deep one.
        let answer = match answer.expect("the thread ends") {
            Ok(reply) => text(&reply),
            Err(error) => error.to_string(),
        };
        let as_expected = match *expected {
            "" => true,
            error if error.starts_with("ERR ") => answer.starts_with(error),
            other => answer == other,
        };
        assert!(as_expected, "{name}: {script}\n  {answer}\n  {expected}");
    }
}

/// A reply as deep as it gets is made, and dropped, on little stack.
#[test]
fn a_deep_reply_costs_no_stack() {
    let script = "local t = 'end' for i = 1, 7000 do t = {t} end return t";
    let make = || {
        let reply = answer(script).expect("it is a reply");
        matches!(reply, Reply::Array(_))
    };
    let small = thread::Builder::new().stack_size(STACK_BYTES);
    assert!(small.spawn(make).expect("a thread starts").join().expect("the thread ends"));
}

/// Has another process try some of the attacks.
fn child_tries(program: &mut Command, from: usize, to: usize) -> Output {
    program.args(["--exact", "child", "--test-threads=1", "--nocapture"]);
    program.env(CHILD, format!("{from}-{to}")).output().expect("the program starts")
}

/// How a child ended that was not to, with the last thing it tried.
fn failure(output: &Output) -> Option<String> {
    if output.status.success() {
        return None;
    }
    let out = String::from_utf8_lossy(&output.stdout);
    let last = out.rfind("trying ").map_or("", |at| &out[at..]);
    let err = String::from_utf8_lossy(&output.stderr);
    Some(format!("{}\n{last}\n{err}", output.status))
}

#[test]
fn no_attack_takes_the_process_down() {
    let this = std::env::current_exe().expect("this program has a path");
    let one = |at: usize| failure(&child_tries(&mut Command::new(&this), at, at + 1));
    let all = failure(&child_tries(&mut Command::new(&this), 0, ATTACKS.len()));
    // Only if one of them does is each tried alone.
    let wrong: Vec<String> = match all {
        None => Vec::new(),
        Some(all) => (0..ATTACKS.len()).filter_map(one).chain([all]).collect(),
    };
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn no_attack_touches_memory_that_is_not_its_own() {
    let this = std::env::current_exe().expect("this program has a path");
    if cfg!(moonkv_asan) || Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: valgrind is not installed here, or not to be had with AddressSanitizer");
        return;
    }
    let mut valgrind = Command::new("valgrind");
    // The handler's stack of a thread is switched to by Rust itself.
    valgrind.args(["--quiet", "--error-exitcode=9", "--max-stackframe=8000000"]).arg(&this);
    let failed = failure(&child_tries(&mut valgrind, 0, ATTACKS.len()));
    assert!(failed.is_none(), "{}", failed.unwrap_or_default());
}
