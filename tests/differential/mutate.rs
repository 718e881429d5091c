//! Wrong commands out of right ones, and none that would wait or take half a gigabyte.

use crate::grammar::Argv;
use crate::rule::{is_determined, name_of};
use crate::source::Source;

/// Arguments that are wrong in most places.
const ODD: [&[u8]; 44] = [
    b"",
    b" ",
    b"abc",
    b"-1",
    b"0",
    b"1",
    b"2",
    b"-2",
    b"+1",
    b"01",
    b" 1",
    b"1 ",
    b"1.5",
    b"-0",
    b"-0.0",
    b"0x10",
    b"1e3",
    b"nan",
    b"inf",
    b"-inf",
    b"+inf",
    b"infinity",
    b"1e400",
    b"1e-400",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551615",
    b"99999999999999999999",
    b"1\x002",
    b"\xff\xfe",
    b"a\r\nb",
    b"(1",
    b"(",
    b"[a",
    b"+",
    b"-",
    b"*",
    b"$",
    b">",
    b"0-0",
    b"5-5-5",
    b"k\0",
    b"#",
];

/// Words that are options of some command.
const OPTIONS: [&str; 45] = [
    "NX",
    "XX",
    "GT",
    "LT",
    "CH",
    "INCR",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "KEEPTTL",
    "GET",
    "PERSIST",
    "WITHSCORES",
    "WITHVALUES",
    "LIMIT",
    "BYSCORE",
    "BYLEX",
    "REV",
    "COUNT",
    "MATCH",
    "TYPE",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "RANK",
    "MAXLEN",
    "MINID",
    "NOMKSTREAM",
    "WEIGHTS",
    "AGGREGATE",
    "SUM",
    "MIN",
    "MAX",
    "ASC",
    "DESC",
    "ALPHA",
    "BY",
    "STORE",
    "REPLACE",
    "DB",
    "WITHDIST",
    "WITHCOORD",
    "ANY",
];

/// Makes one mistake, unless Redis leaves open what comes of it.
pub(crate) fn mutate(argv: &mut Argv, source: &mut Source) {
    let mut wrong = argv.clone();
    mistake(&mut wrong, source);
    if is_determined(&wrong) {
        *argv = wrong;
    }
}

fn mistake(argv: &mut Argv, source: &mut Source) {
    let at = 1 + source.below(argv.len());
    let odd = || ODD.map(<[u8]>::to_vec).to_vec();
    match source.below(6) {
        0 if at < argv.len() => {
            argv.remove(at);
        }
        1 => argv.truncate(at),
        2 if at < argv.len() => argv.insert(at, argv[at].clone()),
        3 => {
            let word = source.pick(&OPTIONS).as_bytes().to_vec();
            argv.insert(at.min(argv.len()), word);
        }
        4 if at + 1 < argv.len() => argv.swap(at, at + 1),
        _ if at < argv.len() => argv[at] = source.pick(&odd()).clone(),
        _ => argv.push(source.pick(&odd()).clone()),
    }
    // An ID that is made of the time differs from side to side, and would stay.
    if name_of(argv) == "xadd" {
        argv.iter_mut().filter(|word| *word == b"*").for_each(|word| *word = b"9-*".to_vec());
    }
    put_off(argv);
}

/// Deadlines that would pass while the sides run are put off: one might be later than the other.
fn put_off(argv: &mut Argv) {
    let words = ["ex", "px"];
    let is_option = |word: &Vec<u8>| words.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()));
    let place = match name_of(argv).as_str() {
        "expire" | "pexpire" | "setex" | "psetex" | "restore" => Some(2),
        _ => argv.iter().position(is_option).map(|at| at + 1),
    };
    let Some(time) = place.and_then(|at| argv.get_mut(at)) else { return };
    let number = std::str::from_utf8(time).ok().and_then(|text| text.parse::<i64>().ok());
    if let Some(soon @ 1..1_000_000) = number {
        *time = (soon + 20_000_000_000).to_string().into_bytes();
    }
}

/// Spells words as nobody would.
pub(crate) fn change_case(argv: &mut Argv, source: &mut Source) {
    if let Some(name) = argv.first_mut() {
        for byte in name.iter_mut() {
            if source.chance(50) {
                *byte = byte.to_ascii_lowercase();
            }
        }
    }
}

/// Commands whose last argument says how long they wait.
const WAIT_LAST: [&str; 8] =
    ["blpop", "brpop", "brpoplpush", "blmove", "bzpopmin", "bzpopmax", "blmpop", "bzmpop"];

/// Commands whose first argument says how long they wait.
const WAIT_FIRST: [&str; 2] = ["blmpop", "bzmpop"];

/// How long a command may wait, in seconds.
const WAIT_SECONDS: &[u8] = b"0.001";

/// Whether a command may wait.
pub(crate) fn may_wait(argv: &Argv) -> bool {
    WAIT_LAST.contains(&name_of(argv).as_str())
        || argv.iter().any(|word| word.eq_ignore_ascii_case(b"block"))
}

/// Shortens what would wait.
pub(crate) fn make_brief(argv: &mut Argv) {
    let name = name_of(argv);
    let waits = |text: &Vec<u8>| {
        let text = String::from_utf8_lossy(text);
        text.trim().trim_start_matches("0x").parse::<f64>().is_ok_and(|time| time >= 0.0)
            || text.starts_with("0x")
    };
    let place = match name.as_str() {
        name if WAIT_FIRST.contains(&name) => argv.get_mut(1),
        name if WAIT_LAST.contains(&name) => argv.last_mut(),
        "xread" | "xreadgroup" => {
            let block = argv.iter().position(|word| word.eq_ignore_ascii_case(b"block"));
            if let Some(time) = block.and_then(|at| argv.get_mut(at + 1)).filter(|text| waits(text))
            {
                *time = b"1".to_vec();
            }
            None
        }
        _ => None,
    };
    if let Some(time) = place.filter(|text| waits(text)) {
        *time = WAIT_SECONDS.to_vec();
    }
}

#[test]
fn no_deadline_is_near() {
    let check = |line: &str, expected: &str| {
        let mut argv: Argv = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        put_off(&mut argv);
        assert_eq!(argv.join(&b' '), expected.as_bytes());
    };
    check("PEXPIRE k 2", "PEXPIRE k 20000000002");
    check("SET k v PX 1", "SET k v PX 20000000001");
    check("SET k v PX 0", "SET k v PX 0");
    check("GETEX k EX x", "GETEX k EX x");
    check("SET k v PX", "SET k v PX");
}

#[test]
fn nothing_waits_long() {
    let check = |line: &str, expected: &str| {
        let mut argv: Argv = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        make_brief(&mut argv);
        assert_eq!(argv.join(&b' '), expected.as_bytes());
    };
    check("BLPOP a 0", "BLPOP a 0.001");
    check("blpop a -1", "blpop a -1");
    check("blpop a 1e400", "blpop a 0.001");
    check("BLMPOP 5 1 a LEFT", "BLMPOP 0.001 1 a LEFT");
    check("XREAD BLOCK 0 STREAMS a 0", "XREAD BLOCK 1 STREAMS a 0");
    check("XREAD BLOCK x STREAMS a 0", "XREAD BLOCK x STREAMS a 0");
    check("GET 0", "GET 0");
}
