//! What scripts see and how they end, through this layer alone: a run is `tests::Engine::run`.

#![expect(clippy::undocumented_unsafe_blocks, reason = "tests own what they hand to Lua")]

use std::ffi::c_void;
use std::sync::Arc;

use super::*;
use crate::script::running::Running;
use crate::script::vm::locale::LocaleGuard;
use crate::script::vm::math::RandomMode;

/// A state and a way to run sources in it.
pub(crate) struct Engine {
    pub(crate) state: State,
    pub(crate) shared: Arc<Running>,
}

/// What the protected part of a run gets and gives.
struct Job<'a> {
    source: &'a [u8],
    result: Option<Result<String, String>>,
}

impl Engine {
    pub(crate) fn new(mode: RandomMode) -> Self {
        let shared = Arc::<Running>::default();
        let state = open(Guard::new(Arc::clone(&shared), mode)).unwrap();
        Self { state, shared }
    }

    /// The first result as text, or the error's text.
    pub(crate) fn run_within(&self, source: &str, limits: Limits) -> Result<String, String> {
        let _locale = LocaleGuard::enter();
        let mut job = Job { source: source.as_bytes(), result: None };
        self.state.begin(limits);
        let status =
            unsafe { ffi::lua_cpcall(self.state.raw(), run_job, (&raw mut job).cast::<c_void>()) };
        let doom = self.state.end();
        unsafe { ffi::lua_settop(self.state.raw(), 0) };
        if let Some(doom) = doom {
            return Err(doom.message());
        }
        assert_eq!(status, ffi::LUA_OK, "{source}");
        job.result.unwrap()
    }

    pub(crate) fn run(&self, source: &str) -> Result<String, String> {
        self.run_within(source, Limits::default())
    }
}

unsafe extern "C-unwind" fn run_job(l: *mut lua_State) -> c_int {
    unsafe {
        let job = &mut *ffi::lua_touserdata(l, 1).cast::<Job<'_>>();
        let guard = Guard::of_state(l);
        ffi::lua_settop(l, 0);
        push_function(l, guard, base::error_handler);
        let (text, length) = (job.source.as_ptr(), job.source.len());
        if load::load_text(l, text, length, c"@user_script".as_ptr()) != ffi::LUA_OK {
            job.result =
                Some(Err(format!("ERR Error compiling script (new function): {}", show(l, -1))));
            return 0;
        }
        let status = ffi::lua_pcall(l, 0, 1, 1);
        guard.reraise(l);
        if status == ffi::LUA_OK {
            job.result = Some(Ok(show(l, -1)));
            return 0;
        }
        let prefix = match ffi::lua_istable(l, -1) != 0 {
            true => {
                ffi::lua_pushstring_(l, c"err".as_ptr());
                ffi::lua_rawget_(l, -2);
                ""
            }
            // Where there was no room for the handler.
            false => "ERR ",
        };
        job.result = Some(Err(show(l, -1).replacen("bulk:", prefix, 1)));
        0
    }
}

/// A value as the reference's replies are written. Makes only calls that cannot raise.
unsafe fn show(l: *mut lua_State, index: c_int) -> String {
    unsafe {
        match ffi::lua_type(l, index) {
            ffi::LUA_TNUMBER => format!("int:{}", ffi::lua_tonumber(l, index) as i64),
            ffi::LUA_TSTRING => format!("bulk:{}", text(l, index)),
            ffi::LUA_TBOOLEAN if ffi::lua_toboolean(l, index) != 0 => "int:1".to_owned(),
            ffi::LUA_TTABLE => {
                let mut parts = Vec::new();
                for place in 1.. {
                    ffi::lua_rawgeti_(l, index, place);
                    if ffi::lua_type(l, -1) == ffi::LUA_TNIL || parts.len() > 100 {
                        ffi::lua_settop(l, -2);
                        break;
                    }
                    let top = ffi::lua_gettop(l);
                    parts.push(if top > 15 { "...".to_owned() } else { show(l, top) });
                    ffi::lua_settop(l, -2);
                }
                format!("[{}]", parts.join(","))
            }
            _ => "nil".to_owned(),
        }
    }
}

unsafe fn text(l: *mut lua_State, index: c_int) -> String {
    let mut length = 0;
    unsafe {
        let text = ffi::lua_tolstring(l, index, &raw mut length).cast::<u8>();
        String::from_utf8_lossy(std::slice::from_raw_parts(text, length)).into_owned()
    }
}

/// An answer as it is compared. LuaJIT calls a C function in the place of the function that returns
/// what it gives, so an error it raises may have no position and not know its name.
pub(crate) fn plain(answer: &str) -> String {
    if cfg!(feature = "lua51") {
        return answer.to_owned();
    }
    let answer = answer.replace("user_script:1: ", "").replace("across metamethod/C", "across C");
    let Some((before, after)) = answer.split_once(" to '") else { return answer };
    let after = after.split_once('\'').map_or(after, |(_, after)| after);
    format!("{before} to '?'{after}")
}

/// Runs each source in one engine and compares with what is expected; `!` marks an error.
fn check(cases: &[(&str, &str)]) {
    let engine = Engine::new(RandomMode::Seeded);
    for (source, expected) in cases {
        let found = match engine.run(source) {
            Ok(value) => value,
            Err(error) => format!("!{error}"),
        };
        assert_eq!(plain(&found), plain(expected), "{source}");
    }
}

const READ_ONLY_AT_1: &str = "!ERR user_script:1: Attempt to modify a readonly table";
const READ_ONLY_BARE: &str = "!ERR Attempt to modify a readonly table";

#[test]
fn globals_are_those_of_redis() {
    check(&[(
        "local t={} for k in pairs(_G) do t[#t+1]=k end table.sort(t) return table.concat(t,' ')",
        "bulk:_G _VERSION __redis__err__handler assert collectgarbage coroutine error gcinfo \
         getmetatable ipairs load loadstring math next pairs pcall rawequal rawget rawset select \
         setmetatable string table tonumber tostring type unpack xpcall",
    )]);
}

#[test]
fn nothing_shared_can_be_written() {
    check(&[
        ("x=1", READ_ONLY_AT_1),
        ("_G.x=1", READ_ONLY_AT_1),
        ("string.x=1", READ_ONLY_AT_1),
        ("table.insert=nil", READ_ONLY_AT_1),
        ("getmetatable('').__index=nil", READ_ONLY_AT_1),
        ("getmetatable('').__index.rep=nil", READ_ONLY_AT_1),
        ("getmetatable(_G).__index=nil", READ_ONLY_AT_1),
        ("rawset(_G,'x',1)", READ_ONLY_BARE),
        ("rawset(getmetatable(''),'__index',1)", READ_ONLY_BARE),
        ("rawset(getmetatable(_G),'__index',1)", READ_ONLY_BARE),
        ("setmetatable(string,nil)", READ_ONLY_BARE),
        ("setmetatable(getmetatable(''),{})", READ_ONLY_BARE),
        ("table.insert(string,1)", READ_ONLY_BARE),
        ("table.insert(_G,1,2)", READ_ONLY_BARE),
        ("local n,t=pairs(_G) t.x=1", READ_ONLY_AT_1),
        ("local n,t=pairs(string) rawset(t,'x',1)", READ_ONLY_BARE),
        ("return table.remove(_G)", "nil"),
        ("table.sort(_G) return 1", "int:1"),
        ("return getmetatable(string)", "nil"),
        ("return pcall(error,string)", "nil"),
        ("error(string)", "!ERR (error object is a table value)"),
        ("return __redis__err__handler(_G)==_G", "nil"),
        ("return rawget(string,'source')", "nil"),
        ("for k,v in pairs(_G) do if type(v)=='table' then v.x=1 end end", READ_ONLY_AT_1),
        ("local t=setmetatable({},string) return t.rep", "nil"),
        ("local s='x' return s.x", "nil"),
    ]);
}

#[test]
fn proxies_read_as_their_tables() {
    check(&[
        ("return rawget(_G,'io')", "nil"),
        ("return type(rawget(_G,'string'))", "bulk:table"),
        ("return rawget(string,'rep')==string.rep", "int:1"),
        ("return next(_G)~=nil and next(string)~=nil", "int:1"),
        ("return rawequal(_G,_G._G) and _G==_G._G", "int:1"),
        ("return getmetatable('').__index==string", "int:1"),
        ("local n=0 table.foreach(math,function() n=n+1 end) return n", "int:31"),
        ("return type(getmetatable(_G).__index)", "bulk:function"),
        (
            "return getmetatable(_G).__index(_G,'q')",
            "!ERR user_script:1: Script attempted to access nonexistent global variable 'q'",
        ),
        (
            "return _G[{}]",
            "!ERR user_script:1: Second argument to luaProtectedTableError must be a string or number",
        ),
        ("return loadstring('return _G')()==_G", "int:1"),
        ("return coroutine.wrap(function() return string.rep('a',2) end)()", "bulk:aa"),
    ]);
}

#[test]
fn catchers_answer_as_redis() {
    check(&[
        ("return {pcall(function() error({err='E1 x'}) end)}", "[nil,bulk:E1 x]"),
        ("return {select('#',pcall(error))}", "[int:2]"),
        ("return {pcall(function(...) return ... end,1,2)}", "[int:1,int:1,int:2]"),
        ("local ok,e=pcall(error,{code=7}) return e.code", "int:7"),
        (
            "local ok,e=xpcall(function() error({err='a'}) end,function(m) return m.err..'!' end) \
          return e",
            "bulk:a!",
        ),
        ("return {xpcall(function() error('x') end,1)}", "[nil,bulk:error in error handling]"),
        (
            "return {xpcall(function() error('x') end,function(m) error(m) end)}",
            "[nil,bulk:error in error handling]",
        ),
        ("local e=__redis__err__handler('x') return e.err", "bulk:ERR x"),
        ("local e=setmetatable({},{__newindex=error}) error(e)", "!nil"),
        ("error(true)", "!ERR true"),
        (
            "error(print_)",
            "!ERR user_script:1: Script attempted to access nonexistent global \
          variable 'print_'",
        ),
        ("error(function() end)", "!ERR (error object is a function value)"),
        ("local e=__redis__err__handler({}) return {e.line,e.source}", "[int:1,bulk:@user_script]"),
        ("pcall()", "!ERR user_script:1: bad argument #1 to 'pcall' (value expected)"),
    ]);
}

#[test]
fn coroutines_answer_as_stock() {
    check(&[
        (
            "local co=coroutine.wrap(function() error('in co') end) co()",
            "!ERR user_script:1: user_script:1: in co",
        ),
        (
            "local co=coroutine.create(function(a) local b=coroutine.yield(a+1) return b*2 end) \
          local _,x=coroutine.resume(co,1) local _,y=coroutine.resume(co,5) \
          return {x,y,coroutine.status(co),select(2,coroutine.resume(co))}",
            "[int:2,int:10,bulk:dead,bulk:cannot resume dead coroutine]",
        ),
        (
            "local co co=coroutine.create(function() return coroutine.resume(co) end) \
          return {coroutine.resume(co)}",
            "[int:1,nil,bulk:cannot resume running coroutine]",
        ),
        ("local co=coroutine.wrap(function() error({err='E x'}) end) co()", "!E x"),
        (
            "coroutine.create(pcall)",
            "!ERR user_script:1: bad argument #1 to 'create' (Lua function expected)",
        ),
        (
            "coroutine.resume(1)",
            "!ERR user_script:1: bad argument #1 to 'resume' (coroutine expected)",
        ),
        (
            "local function f(n) local co=coroutine.create(f) local a,b,c=coroutine.resume(co,n+1) \
          if not a then return n,b end return b,c end local n,e=f(0) return {n>50 and n<200,e}",
            "[int:1,bulk:C stack overflow]",
        ),
        ("return coroutine.wrap(function() return unpack({1,2,3}) end)()", "int:1"),
    ]);
}

#[test]
fn sources_are_text() {
    check(&[
        ("return loadstring('return 1+1')()", "int:2"),
        ("return {loadstring(string.dump(function() end))}", "[]"),
        ("local f,e=loadstring('\\27Lua') return e", "bulk:precompiled chunks are not accepted"),
        (
            "local n=0 local f,e=load(function() n=n+1 return n==1 and '\\27Lua' or nil end) return e",
            "bulk:precompiled chunks are not accepted",
        ),
        (
            "local n=0 return load(function() n=n+1 if n<=2000 then return 'local a'..n%9 ..'=1 ' \
          end if n==2001 then return 'do return 7 end' end end)()",
            "!ERR user_script:1: attempt \
          to call a nil value",
        ),
        (
            "local n=0 return load(function() n=n+1 if n<=2000 then return '  --[[x]] ' \
          end if n==2001 then return 'return 7' end end)()",
            "int:7",
        ),
        // CVE-2025-46819 and its like: no length that the compiler counts in an int.
        ("local f,e=loadstring(string.rep(' ',2^26+1)) return e", "bulk:source text is too long"),
        (
            "local s=string.rep(' ',2^20) local f,e=load(function() return s end) return e",
            "bulk:source text is too long",
        ),
        ("local f,e=load(function() error('r') end) return e", "bulk:user_script:1: r"),
        (
            "local f,e=load(function() return {} end) return e",
            "bulk:user_script:1: reader function must return a string",
        ),
        (
            "local f,e=load(function() return 'x y' end,'=n') return type(f)..type(e)",
            "bulk:nilstring",
        ),
        ("local f,e=loadstring('x y','=name') return e", "bulk:name:1: '=' expected near 'y'"),
        ("return load(function() return '' end)()", "nil"),
        (
            "local d=0 local function r() d=d+1 if d<50 then load(r) end return nil end load(r) \
          return d",
            "int:50",
        ),
    ]);
}

#[test]
fn unpack_and_rep_have_bounds() {
    let many = "!ERR user_script:1: too many results to unpack";
    check(&[
        ("return {unpack({1,2,3},2)}", "[int:2,int:3]"),
        ("return {unpack({1,2,3},2,2)}", "[int:2]"),
        ("return {unpack({1,2},3)}", "[]"),
        ("unpack({1,2,3},-2,2^31-1)", many),
        ("unpack({},0,2^31-1)", many),
        ("unpack({},1,2^60)", many),
        ("unpack({},-2^62,2^62)", many),
        ("unpack({},1,1e6)", many),
        ("return select('#',unpack({[2^40]=1},2^40,2^40+2))", "int:3"),
        ("return (unpack({[2^40]=1},2^40,2^40+2))", "int:1"),
        ("return string.rep('ab',3)..('x'):rep(0)..('y'):rep(-1)..(''):rep(2^60)", "bulk:ababab"),
        ("return #string.rep('abc',1000)", "int:3000"),
        ("local s=string.rep('abc',1000) return s:sub(2998)..s:sub(511,516)", "bulk:abcabcabc"),
        ("return string.rep('ab',2^62)", "!ERR user_script:1: resulting string too large"),
    ]);
}

#[test]
fn no_address_is_shown() {
    let engine = Engine::new(RandomMode::Denied);
    let source =
        "local a,b={},{} return tostring(b)..tostring(a)..tostring(b)..tostring(print_or) ";
    let source = source.replace("tostring(print_or)", "tostring(pcall)..tostring(_G)");
    let expected = "bulk:table: 0x00000000000001table: 0x00000000000002table: 0x00000000000001\
                    function: 0x00000000000003table: 0x00000000000004";
    for _ in 0..2 {
        assert_eq!(engine.run(&source).as_deref(), Ok(expected));
    }
    check(&[
        ("return tostring(setmetatable({},{__tostring=function() return 'T' end}))", "bulk:T"),
        (
            "return tostring(1e15)..tostring(0.1)..tostring(true)..tostring(nil)",
            "bulk:1e+150.1truenil",
        ),
        ("tostring()", "!ERR user_script:1: bad argument #1 to 'tostring' (value expected)"),
        ("return tostring(coroutine.create(function() end))", "bulk:thread: 0x00000000000001"),
        ("for i=1,1e5 do tostring({}) end return tostring({})", "bulk:table: 0x000000000186a1"),
    ]);
}

#[test]
fn the_collector_is_out_of_reach() {
    check(&[
        ("return collectgarbage('count')>0 and gcinfo()>0", "int:1"),
        ("return collectgarbage()", "int:0"),
        ("return collectgarbage('step')", "int:1"),
        (
            "collectgarbage('x')",
            "!ERR user_script:1: bad argument #1 to 'collectgarbage' (invalid option 'x')",
        ),
    ]);
}

#[test]
fn random_numbers_are_denied_or_the_same_every_time() {
    let denied = Engine::new(RandomMode::Denied);
    for name in ["random", "randomseed"] {
        let expected = format!(
            "ERR user_script:1: math.{name} is not available in this engine: open it with \
             lua_random=seeded"
        );
        let found = denied.run(&format!("return math.{name}(1)")).unwrap_err();
        assert_eq!(plain(&found), plain(&expected));
    }
    let seeded = "math.randomseed(42) return {math.random(1000),math.random(1000)}";
    check(&[
        (seeded, "[int:745,int:343]"),
        (
            "return math.random(0)",
            "!ERR user_script:1: bad argument #1 to 'random' (interval is empty)",
        ),
        (
            "return math.random(5,1)",
            "!ERR user_script:1: bad argument #2 to 'random' (interval is empty)",
        ),
        ("math.random(1,2,3)", "!ERR user_script:1: wrong number of arguments"),
    ]);
    let engine = Engine::new(RandomMode::Seeded);
    let source = "return {math.random(1e6),math.random(-5,5),math.random()*1e9}";
    assert_eq!(engine.run(source), engine.run(source));
}

#[test]
fn deep_recursion_is_an_ordinary_error() {
    check(&[
        ("local function f(n) return 1+f(n-1) end f(1)", "!ERR user_script:1: stack overflow"),
        (
            "local function f(n) return 1+f(n-1) end local ok,e=pcall(f,1) return e",
            "bulk:user_script:1: stack overflow",
        ),
        ("local s=('('):rep(1000)..'1' local f,e=loadstring(s) return f", "nil"),
        (
            "local t={} for i=1,5000 do t[i]=5000-i end table.sort(t) return {t[1],t[5000]}",
            "[int:0,int:4999]",
        ),
        (
            "local t={} for i=1,5000 do t[i]=i end t[7]='x' table.sort(t)",
            "!ERR attempt to compare string with number",
        ),
    ]);
}

/// Between runs nothing is refused, and a closed state leaves nothing behind (under valgrind).
#[test]
fn states_open_and_close() {
    for _ in 0..3 {
        let engine = Engine::new(RandomMode::Seeded);
        assert_eq!(engine.run("return #string.rep('x',5e6)").as_deref(), Ok("int:5000000"));
        assert!(engine.state.guard().heap().bytes_in_use() > 0);
        assert!(engine.state.guard().heap().bytes_held() >= 32 * 1024);
    }
}

#[cfg(unix)]
#[test]
fn numbers_have_points_in_every_locale() {
    let names = [c"de_DE.UTF-8", c"de_DE.utf8", c"fr_FR.UTF-8", c"fr_FR.utf8"];
    let set =
        |name: &std::ffi::CStr| unsafe { !libc::setlocale(libc::LC_ALL, name.as_ptr()).is_null() };
    let found = names.iter().any(|name| set(name));
    if !found {
        eprintln!("SKIPPED: no locale with a decimal comma is installed");
    }
    let engine = Engine::new(RandomMode::Denied);
    let result = engine.run("return tostring(1.5)..string.format('%.1f',2.5)..tonumber('3.5')");
    set(c"C");
    assert_eq!(result.as_deref(), Ok("bulk:1.52.53.5"));
}
