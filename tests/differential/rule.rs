//! When two replies count as the same: where an order means nothing, where chance or the clock
//! has a say.

use crate::grammar::Argv;
use crate::reply::Reply;
use crate::source::KEYS;

/// How the two replies to one command are compared. Errors are always compared to the byte.
#[derive(Debug)]
pub(crate) enum Rule {
    Exact,
    /// The elements are groups of so many, in any order.
    Groups(usize),
    /// The same for the second element, behind a cursor.
    GroupsBehindCursor(usize),
    /// No order counts anywhere: the reply of a script that calls commands without order.
    NoOrder,
    /// Times may lie apart by as much as the two sides run apart.
    Times,
    /// Both are null or both are not.
    Presence,
    /// Random groups of so many texts out of some texts.
    Picks {
        from: Vec<Vec<u8>>,
        width: usize,
        distinct: bool,
    },
}

/// How far apart, in milliseconds, the two sides may run.
const APART_MS: i64 = 20_000;

/// Integers from here on are milliseconds since 1970.
const TIMES_FROM: i64 = 1_000_000_000_000;

/// Commands whose replies are not the same on both sides, so that scripts may not build on them.
const VARYING: [&str; 20] = [
    "ttl",
    "pttl",
    "expiretime",
    "pexpiretime",
    "randomkey",
    "srandmember",
    "spop",
    "hrandfield",
    "zrandmember",
    "dump",
    "xinfo",
    "xpending",
    "scan",
    "sscan",
    "hscan",
    "zscan",
    "eval",
    "evalsha",
    "eval_ro",
    "evalsha_ro",
];

/// Commands without an order of their own.
const UNORDERED: [&str; 12] = [
    "keys", "smembers", "sinter", "sunion", "sdiff", "hgetall", "hkeys", "hvals", "sort",
    "sort_ro", "setresp", "config",
];

/// A command's name in lower case.
pub(crate) fn name_of(argv: &Argv) -> String {
    argv.first().map_or(String::new(), |name| String::from_utf8_lossy(name).to_ascii_lowercase())
}

fn has(argv: &Argv, word: &str) -> bool {
    argv.iter().any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a script may call this and show the reply.
pub(crate) fn is_steady(argv: &Argv) -> bool {
    let name = name_of(argv);
    let is_automatic = name == "xadd" && has(argv, "*");
    let is_shared = name == "object" && has(argv, "refcount");
    let may_tie = name.starts_with("sort") && has(argv, "by");
    !is_automatic && !is_shared && !may_tie && !is_help(argv) && !VARYING.contains(&name.as_str())
}

/// Whether the elements of its reply always have an order.
pub(crate) fn is_ordered(argv: &Argv) -> bool {
    !UNORDERED.contains(&name_of(argv).as_str())
}

/// Whether Redis says what comes of it. It does not where members of different scores are asked for
/// by their texts: where such a range begins is up to the heights of its list, which are random. Nor
/// where texts kept elsewhere order what is stored: equal ones are left as its sorting happens to.
pub(crate) fn is_determined(argv: &Argv) -> bool {
    let name = name_of(argv);
    let keeps_ties = name == "sort" && ["by", "alpha", "store"].iter().all(|word| has(argv, word));
    let is_by_text = name.ends_with("bylex") || name == "zlexcount" || has(argv, "bylex");
    let source = argv.get(if name == "zrangestore" { 2 } else { 1 });
    let is_mixed = |key: &Vec<u8>| KEYS.iter().any(|mixed| mixed.as_bytes() == key);
    !(keeps_ties || is_by_text && source.is_some_and(is_mixed))
}

/// Help is in words of our own where the commands are.
fn is_help(argv: &Argv) -> bool {
    argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"help"))
}

/// What a rule may ask of the side that is about to run the command.
pub(crate) type Ask<'a> = &'a mut dyn FnMut(&[&[u8]]) -> Reply;

impl Rule {
    /// The rule for a command, before it runs.
    pub(crate) fn of(argv: &Argv, ask: Ask<'_>) -> Rule {
        let key = argv.get(1).map(Vec::as_slice).unwrap_or_default();
        let mut large_or = |rule: Rule| if is_large(key, ask) { rule } else { Rule::Exact };
        match name_of(argv).as_str() {
            "script" | "object" | "xgroup" | "xinfo" if is_help(argv) => Rule::Presence,
            "keys" | "sinter" | "sunion" | "sdiff" => Rule::Groups(1),
            "smembers" | "hkeys" | "hvals" => large_or(Rule::Groups(1)),
            "hgetall" => large_or(Rule::Groups(2)),
            "sscan" => large_or(of_scan(argv, 2, 1)),
            "hscan" | "zscan" => large_or(of_scan(argv, 2, 2)),
            "scan" => of_scan(argv, 1, 1),
            "sort" | "sort_ro" => {
                of_sort(argv, ask(&[b"OBJECT", b"ENCODING", key]).text == b"quicklist")
            }
            "ttl" | "pttl" | "expiretime" | "pexpiretime" | "xpending" | "xinfo" => Rule::Times,
            "dump" => Rule::Presence,
            // A pattern finds more of a server's parameters than of ours.
            "config" if argv.iter().any(|arg| arg.contains(&b'*')) => Rule::Presence,
            "config" => Rule::Groups(2),
            // Redis shares small integers, but not those that were copied.
            "object" if has(argv, "refcount") => Rule::Presence,
            "xadd" if has(argv, "*") => Rule::Presence,
            "eval" | "eval_ro" | "evalsha" | "evalsha_ro" if calls_unordered(argv) => Rule::NoOrder,
            "randomkey" | "srandmember" | "spop" | "hrandfield" | "zrandmember" => picks(argv, ask),
            _ => Rule::Exact,
        }
    }

    /// Whether two replies are the same.
    pub(crate) fn agree(&self, ours: &Reply, theirs: &Reply) -> bool {
        if ours == theirs {
            return true;
        }
        if [ours, theirs].iter().any(|reply| reply.letter == b'-' || reply.is_null) {
            return false;
        }
        let sorted = |sort: &dyn Fn(&mut Reply)| {
            let mut both = [ours.clone(), theirs.clone()];
            both.iter_mut().for_each(sort);
            both[0] == both[1]
        };
        match self {
            Rule::Exact => false,
            Rule::Groups(width) => sorted(&|reply| reply.sort_groups(*width)),
            Rule::GroupsBehindCursor(width) => sorted(&|reply| {
                if let Some(found) = reply.elements.get_mut(1) {
                    found.sort_groups(*width);
                }
            }),
            Rule::NoOrder => sorted(&Reply::sort_all),
            Rule::Times => agree_in_time(ours, theirs),
            Rule::Presence => ours.letter == theirs.letter,
            Rule::Picks { from, width, distinct } => {
                ours.letter == theirs.letter
                    && ours.texts().len() == theirs.texts().len()
                    && [ours, theirs].iter().all(|side| are_picks(side, from, *width, *distinct))
            }
        }
    }
}

/// Whether a collection is kept in a form that has no order.
fn is_large(key: &[u8], ask: Ask<'_>) -> bool {
    let encoding = ask(&[b"OBJECT", b"ENCODING", key]).text;
    encoding == b"hashtable" || encoding == b"skiplist"
}

/// A walk over everything in one call; of other walks only the form is known.
fn of_scan(argv: &Argv, cursor: usize, width: usize) -> Rule {
    let all = argv.get(cursor).is_some_and(|cursor| cursor == b"0") && has(argv, "100000");
    if all { Rule::GroupsBehindCursor(width) } else { Rule::Presence }
}

/// By texts kept elsewhere many elements are equal, and equal ones have no order: in a list they
/// keep the one they had, unless a limit makes Redis sort only a part. A set that is not sorted
/// has none either.
fn of_sort(argv: &Argv, is_list: bool) -> Rule {
    let by = argv.iter().rposition(|word| word.eq_ignore_ascii_case(b"by"));
    let Some(pattern) = by.and_then(|at| argv.get(at + 1)) else { return Rule::Exact };
    let gets = argv.iter().filter(|word| word.eq_ignore_ascii_case(b"get")).count();
    let sorts = pattern.contains(&b'*');
    match has(argv, "limit") {
        _ if sorts && !has(argv, "alpha") => Rule::Exact,
        true if sorts || !is_list => Rule::Presence,
        false if !is_list => Rule::Groups(gets.max(1)),
        _ => Rule::Exact,
    }
}

/// Whether the name of a command without order is in a script or its arguments.
fn calls_unordered(argv: &Argv) -> bool {
    let mentions = |arg: &Vec<u8>| {
        let text = String::from_utf8_lossy(arg).to_ascii_lowercase();
        UNORDERED.iter().any(|name| text.contains(name))
    };
    argv.iter().any(mentions)
}

fn picks(argv: &Argv, ask: Ask<'_>) -> Rule {
    let key = argv.get(1).map(Vec::as_slice).unwrap_or_default();
    let with_values = has(argv, "withvalues") || has(argv, "withscores");
    let all = match (name_of(argv).as_str(), with_values) {
        ("randomkey", _) => ask(&[b"KEYS", b"*"]),
        ("hrandfield", false) => ask(&[b"HKEYS", key]),
        ("hrandfield", true) => ask(&[b"HGETALL", key]),
        ("zrandmember", false) => ask(&[b"ZRANGE", key, b"0", b"-1"]),
        ("zrandmember", true) => ask(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        _ => ask(&[b"SMEMBERS", key]),
    };
    let repeats = argv.get(2).is_some_and(|count| count.starts_with(b"-"));
    let from = all.texts().into_iter().map(<[u8]>::to_vec).collect();
    Rule::Picks { from, width: 1 + usize::from(with_values), distinct: !repeats }
}

fn are_picks(side: &Reply, from: &[Vec<u8>], width: usize, distinct: bool) -> bool {
    let mut picked: Vec<Vec<&[u8]>> = side.texts().chunks(width).map(<[_]>::to_vec).collect();
    let all_there = picked.iter().all(|group| from.chunks(width).any(|there| there == *group));
    let count = picked.len();
    picked.sort();
    picked.dedup();
    all_there && (!distinct || picked.len() == count)
}

/// Compares in order; integers that tell a time or for how long something was idle may differ.
fn agree_in_time(ours: &Reply, theirs: &Reply) -> bool {
    if let (Some(ours), Some(theirs)) = (ours.integer(), theirs.integer()) {
        return ours == theirs || ours.min(theirs) >= 0 && (ours - theirs).abs() <= APART_MS;
    }
    let same_head = ours.letter == theirs.letter
        && ours.text == theirs.text
        && ours.elements.len() == theirs.elements.len();
    let pairs = || ours.elements.iter().zip(&theirs.elements);
    same_head
        && pairs().enumerate().all(|(at, (one, other))| {
            let is_time = one.integer().is_none_or(|time| time > TIMES_FROM)
                || at > 0 && ours.elements[at - 1].text == b"idle"
                || at == 2 && ours.elements.len() == 4;
            if is_time { agree_in_time(one, other) } else { one == other }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::read;

    fn reply(bytes: &str) -> Reply {
        read(bytes.as_bytes()).expect("it is complete").0
    }

    fn check(rule: &Rule, ours: &str, theirs: &str, same: bool) {
        assert_eq!(rule.agree(&reply(ours), &reply(theirs)), same, "{rule:?} {ours:?} {theirs:?}");
    }

    #[test]
    fn order_counts_where_it_means_something() {
        let (ours, theirs) = ("*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "*4\r\n:3\r\n:4\r\n:1\r\n:2\r\n");
        check(&Rule::Exact, ours, ours, true);
        check(&Rule::Exact, ours, theirs, false);
        check(&Rule::Groups(1), ours, theirs, true);
        check(&Rule::Groups(2), ours, theirs, true);
        check(&Rule::Groups(2), ours, "*4\r\n:3\r\n:2\r\n:1\r\n:4\r\n", false);
        check(&Rule::NoOrder, "*1\r\n*2\r\n:1\r\n:2\r\n", "*1\r\n*2\r\n:2\r\n:1\r\n", true);
        check(&Rule::NoOrder, "-ERR a\r\n", "-ERR b\r\n", false);
    }

    #[test]
    fn what_redis_leaves_open_is_known() {
        let check = |line: &str, determined: bool| {
            let argv: Argv = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(is_determined(&argv), determined, "{line}");
        };
        check("ZRANGE lex - + BYLEX", true);
        check("zrange zset1 - + bylex", false);
        check("ZREMRANGEBYLEX geo - +", false);
        check("ZRANGESTORE zset1 lex - + BYLEX", true);
        check("ZRANGESTORE lex zset1 - + BYLEX", false);
        check("SORT list1 BY str* ALPHA LIMIT 0 3", true);
        check("SORT list1 BY str* STORE list2", true);
        check("SORT list1 BY str* ALPHA STORE list2", false);
    }

    #[test]
    fn times_may_differ_a_little() {
        check(&Rule::Times, ":100\r\n", ":101\r\n", true);
        check(&Rule::Times, ":-1\r\n", ":100\r\n", false);
        check(&Rule::Times, ":100\r\n", ":100000\r\n", false);
        check(&Rule::Times, "*2\r\n:1\r\n:2\r\n", "*2\r\n:1\r\n:3\r\n", false);
        check(&Rule::Times, "*2\r\n+idle\r\n:2\r\n", "*2\r\n+idle\r\n:3\r\n", true);
    }

    #[test]
    fn picks_come_from_where_they_should() {
        let from = ["a", "1", "b", "2"].map(|text| text.as_bytes().to_vec()).to_vec();
        let pairs = Rule::Picks { from: from.clone(), width: 2, distinct: false };
        check(&pairs, "*2\r\n+a\r\n+1\r\n", "*2\r\n+b\r\n+2\r\n", true);
        check(&pairs, "*2\r\n+a\r\n+1\r\n", "*2\r\n+b\r\n+1\r\n", false);
        let single = Rule::Picks { from, width: 1, distinct: true };
        check(&single, "*2\r\n+a\r\n+b\r\n", "*2\r\n+b\r\n+1\r\n", true);
        check(&single, "*2\r\n+a\r\n+a\r\n", "*2\r\n+b\r\n+1\r\n", false);
        check(&single, "+a\r\n", "_\r\n", false);
    }
}
