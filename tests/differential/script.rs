//! Commands through scripts: one at a time, and in random programs whose replies nest.

use crate::duel::UNDONE;
use crate::families::Menu;
use crate::grammar::Argv;
use crate::mutate::mutate;
use crate::rule::is_steady;
use crate::source::Source;

/// Scripts that call the command in ARGV.
const CALLERS: [&str; 9] = [
    "return redis.call(unpack(ARGV))",
    "return redis.pcall(unpack(ARGV))",
    "return {redis.pcall(unpack(ARGV))}",
    "return {'a', redis.pcall(unpack(ARGV)), 'b'}",
    "local r = redis.pcall(unpack(ARGV)) return {type(r), r}",
    "local r = redis.pcall(unpack(ARGV)) return type(r) == 'table' and (r.err or r.ok or #r) or r",
    "redis.setresp(3) return redis.call(unpack(ARGV))",
    "redis.setresp(3) local r = redis.pcall(unpack(ARGV)) return {type(r), r}",
    "return tostring(redis.call(unpack(ARGV)) and 1)",
];

/// The command as a call from a script.
pub(crate) fn call(argv: &Argv, source: &mut Source) -> Vec<Argv> {
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let script = *source.pick(&CALLERS);
    match source.below(6) {
        0 => vec![words(&["EVAL", &format!("return {}", called("call", argv, source)), "0"])],
        1 => {
            let mut argv = argv.clone();
            let mut eval: Argv = words(&["EVAL_RO", script, "0"]);
            eval.append(&mut argv);
            vec![eval]
        }
        _ => vec![[words(&["EVAL", script, "0"]), argv.clone()].concat()],
    }
}

/// `redis.call('GET', 'key')`: the command as Lua source.
fn called(function: &str, argv: &Argv, source: &mut Source) -> String {
    let args: Vec<String> = argv.iter().map(|arg| literal(arg, source)).collect();
    format!("redis.{function}({})", args.join(", "))
}

/// An argument as Lua source; numbers sometimes as numbers.
fn literal(arg: &[u8], source: &mut Source) -> String {
    let text = String::from_utf8_lossy(arg);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite) && !text.starts_with('+');
    if is_number && source.chance(30) {
        return text.into_owned();
    }
    let escape = |byte: &u8| match byte {
        b' '..=b'~' if !b"'\\".contains(byte) => char::from(*byte).to_string(),
        byte => format!("\\{byte:03}"),
    };
    format!("'{}'", arg.iter().map(escape).collect::<String>())
}

/// Values of all kinds, as Lua source.
const VALUES: [&str; 44] = [
    "1",
    "-7",
    "3.99",
    "-0.5",
    "1e15",
    "2^53",
    "2^63",
    "1/0",
    "0/0",
    "'text'",
    "''",
    "true",
    "false",
    "nil",
    "{}",
    "{1, 2, nil, 4}",
    "{1, {2, {3, 'deep'}}}",
    "{ok='FINE'}",
    "{err='ERR mine'}",
    "{err='BAD\\r\\nlines'}",
    "{ok='a\\nb', err='both'}",
    "{double=3.25}",
    "{double=1e300}",
    "{map={a=1}}",
    "{set={x=true}}",
    "{big_number='123456789012345678901'}",
    "{verbatim_string={format='txt', string='hello'}}",
    "{[1]='one', [3]='three', x='ignored'}",
    "redis.status_reply('STATUS')",
    "redis.error_reply('MY error')",
    "redis.error_reply('-DASH x')",
    "redis.sha1hex('x')",
    "redis.REDIS_VERSION_NUM > 0",
    "#KEYS",
    "#ARGV",
    "KEYS[1]",
    "ARGV[2]",
    "ARGV",
    "KEYS",
    "tostring(nil)",
    "1 == 1.0",
    "'10' + 5",
    "10 .. ''",
    "string.rep('ab', 3)",
];

/// Programs end like this, with their results in `r`.
const ENDS: [&str; 12] = [
    "return r",
    "return r",
    "return r",
    "return r[1]",
    "return {r, #r}",
    "return {#r, {r[2]}}",
    "return {type(r[1]), type(r[2]), r}",
    "if r[1] then return r[1] end return 'none'",
    "return r[1] == r[2]",
    "return unpack(r)",
    "return {false, r, true}",
    "return redis.status_reply(type(r[1]))",
];

/// A random script that calls a few commands and returns what it found.
pub(crate) fn program(menu: &Menu, source: &mut Source) -> Vec<Argv> {
    let mut lines = vec!["local r = {}".to_owned()];
    if source.chance(25) {
        lines.push("redis.setresp(3)".to_owned());
    }
    for _ in 0..1 + source.below(5) {
        let value = value(menu, source);
        lines.push(match source.below(8) {
            0 => format!("r[#r + 1] = {{{value}, {}}}", self::value(menu, source)),
            1 => format!("local v = {value} if v then r[#r + 1] = v else r[#r + 1] = 'no' end"),
            2 => format!("for i = 1, {} do r[#r + 1] = {value} end", source.below(4)),
            3 => format!("r[#r + 1] = type({value})"),
            _ => format!("r[#r + 1] = {value}"),
        });
    }
    lines.push((*source.pick(&ENDS)).to_owned());
    let mut argv: Argv =
        ["EVAL", &lines.join("\n"), "2"].map(|word| word.as_bytes().to_vec()).into();
    for _ in 0..2 + source.below(3) {
        let key = source.key();
        argv.push(key);
    }
    vec![argv]
}

/// A script that changes much and fails in the end.
pub(crate) fn undone(menu: &Menu, source: &mut Source) -> Vec<Argv> {
    let mut lines = Vec::new();
    for _ in 0..1 + source.below(30) {
        let argv = menu.draw(source).swap_remove(0);
        if is_steady(&argv) {
            lines.push(called("pcall", &argv, source));
        }
    }
    lines.push(UNDONE.to_owned());
    vec![["EVAL", &lines.join("\n"), "0"].map(|word| word.as_bytes().to_vec()).into()]
}

fn value(menu: &Menu, source: &mut Source) -> String {
    if source.chance(35) {
        return (*source.pick(&VALUES)).to_owned();
    }
    let mut step = menu.draw(source);
    let alone = step.len() == 1;
    let mut argv = step.swap_remove(0);
    if alone && source.chance(10) {
        mutate(&mut argv, source);
    }
    if !is_steady(&argv) {
        return "'unsteady'".to_owned();
    }
    let function = if source.chance(70) { "pcall" } else { "call" };
    called(function, &argv, source)
}

#[test]
fn commands_become_lua() {
    let mut source = Source::new(3);
    let argv: Argv = [&b"SET"[..], b"it's", b"a\n\xff"].map(<[u8]>::to_vec).to_vec();
    let expected = "redis.call('SET', 'it\\039s', 'a\\010\\255')";
    assert_eq!(called("call", &argv, &mut source), expected);
}
