//! What does a search with a Lua pattern cost? One call in a loop, beside the stock library in a bare
//! state and beside a real redis-server, which has the stock library too. All in turn and in short
//! rounds, the best of each; the loop around the call is included.
//!
//! `cargo bench --bench patterns`

#[allow(dead_code, reason = "each bench uses a part of it")]
mod loops;
#[allow(dead_code, reason = "each bench uses a part of it")]
mod peer;

use loops::{best, timed};
use mlua_sys as ffi;
use moonkv::{Engine, Options};
use peer::{Peer, encode};
use std::ffi::CString;
use std::time::Duration;

const ROUNDS: usize = 25;

/// What is done, how often, with which subject `s` (and `t`, and `up`, a function) in sight.
const WORKS: [(&str, u32, &str); 20] = [
    ("plain find in 20 bytes", 20_000, "s:find('fox', 1, true)"),
    ("find without specials", 20_000, "s:find('fox')"),
    ("plain find in 64 KB", 200, "t:find('fox', 1, true)"),
    ("match %d+", 20_000, "('user:42'):match('%d+')"),
    ("match ^(%a+):(%d+)$", 20_000, "('user:42'):match('^(%a+):(%d+)$')"),
    ("match, no match", 20_000, "s:match('^%d+$')"),
    ("match ([^,]+),([^,]+)", 20_000, "('one,two'):match('([^,]+),([^,]+)')"),
    ("match .-(%w+)$", 10_000, "s:match('.-(%w+)$')"),
    ("match %b()", 20_000, "('f(a(b)c)d'):match('%b()')"),
    ("gmatch words of 20 bytes", 5_000, "for w in s:gmatch('%a+') do end"),
    ("gmatch words of 64 KB", 3, "for w in t:gmatch('%a+') do end"),
    ("gmatch [^ ]+ of 64 KB", 3, "for w in t:gmatch('[^ ]+') do end"),
    ("gsub byte by text", 10_000, "s:gsub('o', '0')"),
    ("gsub %w+ by <%0>", 5_000, "s:gsub('%w+', '<%0>')"),
    ("gsub by table", 5_000, "s:gsub('%w+', names)"),
    ("gsub by function", 5_000, "s:gsub('%w+', up)"),
    ("gsub byte by text, 64 KB", 5, "t:gsub('o', '0')"),
    ("gsub by function, 64 KB", 2, "t:gsub('%w+', up)"),
    ("find .*x in 64 KB", 50, "t:find('^.*QUICK')"),
    ("find [%w_]+=, 64 KB", 5, "t:find('[%d_]+=')"),
];

/// What the measured loops stand on.
const BEFORE: &str = "
    local s = 'the quick brown fox.'
    local t = ('the quick brown lot of words '):rep(2260)
    local names = {the = 'a', quick = 'slow'}
    local function up(word) return word end
";

fn main() {
    // Under `cargo test` benches are only built, and run with this flag.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let engine = Engine::open(&Options::redis()).expect("an engine opens");
    let stock = Stock::new();
    let mut peer = Peer::start();
    if peer.is_none() {
        println!("redis-server is not installed: its columns are missing");
    }
    println!("One call, ns (the loop around it included)");
    println!(
        "{:28}{:>10}{:>10}{:>10}{:>13}{:>13}",
        "", "moonkv", "stock", "redis", "stock/moonkv", "redis/moonkv"
    );
    for (name, calls, work) in WORKS {
        let script = format!("{BEFORE} for i = 1, {calls} do {work} end");
        let prepared = engine.prepare(&script).expect("the script compiles");
        let request = encode(&[b"EVAL", script.as_bytes(), b"0"]);
        stock.load(&script);
        let [ours, bare, theirs] = best(
            ROUNDS,
            calls,
            [
                &mut || timed(|| drop(prepared.run(&[""; 0], &[""; 0]).expect("the run works"))),
                &mut || stock.run(),
                &mut || {
                    let trip = |peer: &mut Peer| timed(|| drop(peer.round_trip(&request)));
                    peer.as_mut().map_or(Duration::ZERO, trip)
                },
            ],
        );
        println!(
            "{name:28}{ours:>10.0}{bare:>10.0}{theirs:>10.0}{:>13.2}{:>13.2}",
            bare / ours,
            theirs / ours
        );
    }
}

/// A bare state with the stock libraries.
struct Stock(*mut ffi::lua_State);

impl Stock {
    fn new() -> Stock {
        // SAFETY: a fresh state.
        unsafe {
            let l = ffi::luaL_newstate();
            ffi::luaL_openlibs(l);
            Stock(l)
        }
    }

    /// Compiles what [`Stock::run`] runs.
    fn load(&self, script: &str) {
        let text = CString::new(script).expect("a script without NUL");
        // SAFETY: the state is open.
        unsafe {
            ffi::lua_settop(self.0, 0);
            assert_eq!(ffi::luaL_loadstring(self.0, text.as_ptr()), ffi::LUA_OK);
        }
    }

    fn run(&self) -> Duration {
        timed(|| {
            // SAFETY: the function is at index 1.
            unsafe {
                ffi::lua_pushvalue(self.0, 1);
                assert_eq!(ffi::lua_pcall(self.0, 0, 0, 0), ffi::LUA_OK);
            }
        })
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        // SAFETY: made by new.
        unsafe { ffi::lua_close(self.0) };
    }
}
