//! Bitmaps, subsequences, HyperLogLogs and SORT by their commands. What redis-server 7.0.15 answers
//! to each was asked of it.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Options, Protocol};

/// Runs a command given as words; its reply as RESP, one space for each end of a line and without
/// the lengths of strings.
fn run(engine: &Engine, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let bytes = engine.command_resp(&words, Protocol::Resp2).expect("every command gets a reply");
    let reply = String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ");
    let is_length = |word: &&str| word.len() > 1 && word.starts_with('$') && *word != "$-1";
    reply.split(' ').filter(|word| !is_length(word)).collect::<Vec<_>>().join(" ")
}

fn play(script: &[(&str, &str)]) {
    let engine = Engine::open(&Options::redis()).expect("an engine opens");
    for (command, expected) in script {
        assert_eq!(run(&engine, command), *expected, "{command}");
    }
}

#[test]
fn bits_of_a_string() {
    play(&[
        ("SETBIT k 7 1", ":0"),
        ("OBJECT ENCODING k", "raw"),
        ("SETBIT k 7 1", ":1"),
        ("SETBIT k 8000 1", ":0"),
        ("STRLEN k", ":1001"),
        ("BITCOUNT k", ":2"),
        ("BITCOUNT k -1 -1", ":1"),
        ("BITCOUNT k 8 -1 BIT", ":1"),
        ("BITCOUNT k -1 -3 nonsense", ":0"),
        ("BITCOUNT none 1 2 3 4", ":0"),
        ("BITCOUNT k 1", "-ERR syntax error"),
        ("BITPOS k 1 1", ":8000"),
        ("BITPOS k 0 5 -1 BIT", ":5"),
        ("BITPOS k 2", "-ERR The bit argument must be 1 or 0."),
        ("BITPOS none 0 nonsense", ":0"),
        ("SET n 10", "+OK"),
        ("SETBIT n 15 0", ":0"),
        ("OBJECT ENCODING n", "raw"),
        ("GETBIT n 2", ":1"),
        ("SETBIT n 4294967296 1", "-ERR bit offset is not an integer or out of range"),
        ("SETBIT n 1 2", "-ERR bit is not an integer or out of range"),
        ("BITOP XOR n n n", ":2"),
        ("BITCOUNT n", ":0"),
        ("BITOP AND n none none", ":0"),
        ("EXISTS n", ":0"),
        ("BITOP NOT n k k", "-ERR BITOP NOT must be called with a single source key."),
    ]);
}

#[test]
fn integers_in_a_string() {
    play(&[
        ("BITFIELD k SET u8 #1 255 GET u16 0", "*2 :0 :255"),
        ("BITFIELD k INCRBY u8 8 2 OVERFLOW SAT INCRBY i5 0 99", "*2 :1 :15"),
        ("BITFIELD k OVERFLOW FAIL INCRBY u2 100 4 GET u8 8", "*2 $-1 :1"),
        ("STRLEN k", ":13"),
        ("BITFIELD k OVERFLOW SAT SET i8 0 -9223372036854775808 GET i8 0", "*2 :120 :127"),
        ("BITFIELD_RO k SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
        ("BITFIELD_RO none GET i64 #1000", "*1 :0"),
        ("EXISTS none", ":0"),
        ("BITFIELD k SET u8 0", "-ERR syntax error"),
    ]);
}

#[test]
fn the_longest_common_subsequence() {
    let idx = "*4 matches *2 *3 *2 :4 :7 *2 :5 :8 :4 *3 *2 :2 :3 *2 :0 :1 :2 len :6";
    play(&[
        ("MSET a ohmytext b mynewtext", "+OK"),
        ("LCS a b", "mytext"),
        ("LCS a b LEN", ":6"),
        ("LCS a b IDX WITHMATCHLEN", idx),
        ("LCS a b IDX MINMATCHLEN 3", "*4 matches *1 *2 *2 :4 :7 *2 :5 :8 len :6"),
        ("RPUSH l x", ":1"),
        ("LCS a l nonsense", "-ERR The specified keys must contain string values"),
    ]);
}

#[test]
fn elements_are_estimated() {
    let foreign = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
    play(&[
        ("PFADD h", ":1"),
        ("PFADD h", ":0"),
        ("PFADD h a b c a", ":1"),
        ("PFADD h a", ":0"),
        ("PFCOUNT h", ":3"),
        ("PFADD g c d", ":1"),
        ("PFCOUNT g h none", ":4"),
        ("EXPIRE h 100", ":1"),
        ("PFMERGE h g", "+OK"),
        ("TTL h", ":100"),
        ("PFCOUNT h", ":4"),
        ("PFDEBUG DECODE g", "Z:7292 v:1,1 Z:1143 v:1,1 Z:7947"),
        ("PFDEBUG TODENSE h", ":1"),
        ("PFDEBUG ENCODING h", "+dense"),
        ("PFCOUNT h", ":4"),
        ("SET text HYLL", "+OK"),
        ("PFADD text x", foreign),
        ("PFCOUNT h text", foreign),
        ("APPEND g x", ":25"),
        ("PFMERGE h g", "-INVALIDOBJ Corrupted HLL object detected"),
        ("PFSELFTEST", "+OK"),
    ]);
}

#[test]
fn elements_in_order() {
    let not_numbers = "-ERR One or more scores can't be converted into double";
    play(&[
        ("RPUSH l 3 1 2 10", ":4"),
        ("MSET w_1 9 w_2 8 w_3 7 w_10 x", "+OK"),
        ("HSET h_3 name three", ":1"),
        ("SORT l", "*4 1 2 3 10"),
        ("SORT l ALPHA DESC", "*4 3 2 10 1"),
        ("SORT l LIMIT 1 2", "*2 2 3"),
        ("SORT l BY w_*", not_numbers),
        ("DEL w_10", ":1"),
        ("SORT l BY w_* GET # GET h_*->name", "*8 10 $-1 3 three 2 $-1 1 $-1"),
        ("SORT l BY nosort DESC LIMIT 0 2", "*2 10 2"),
        ("SORT l STORE l GET h_*->name", ":4"),
        ("LRANGE l 0 -1", "*4   three"),
        ("SORT none STORE l", ":0"),
        ("EXISTS l", ":0"),
        ("ZADD z 1 b 2 a", ":2"),
        ("SORT z BY nosort DESC", "*2 a b"),
        ("OBJECT ENCODING z", "skiplist"),
        ("SADD s b c a", ":3"),
        ("SORT s BY nosort STORE l", ":3"),
        ("LRANGE l 0 -1", "*3 a b c"),
        ("SORT_RO s STORE l", "-ERR syntax error"),
        ("SORT s", not_numbers),
    ]);
}

/// A set has no order of its own, so a script never sees the one it happens to have.
#[test]
fn scripts_get_sets_in_order() {
    let engine = Engine::open(&Options::redis()).expect("an engine opens");
    run(&engine, "SADD s pear apple fig");
    let script = "return table.concat(redis.call('SORT', 's', 'BY', 'nosort'), ' ')";
    let sorted = engine.eval(script, &[""; 0], &[""; 0]).expect("the script ends well");
    assert_eq!(sorted.as_str(), Some("apple fig pear"));
}

/// What BITOP makes of strings, byte by byte.
fn combined(operation: &str, texts: &[Vec<u8>]) -> Vec<u8> {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let column = |at: usize| {
        let mut bytes = texts.iter().map(move |text| text.get(at).copied().unwrap_or(0));
        let first = bytes.next().unwrap_or(0);
        match operation {
            "AND" => bytes.fold(first, |a, b| a & b),
            "OR" => bytes.fold(first, |a, b| a | b),
            "XOR" => bytes.fold(first, |a, b| a ^ b),
            _ => !first,
        }
    };
    (0..longest).map(column).collect()
}

#[test]
fn strings_of_any_length_are_combined_and_a_failed_script_undoes_it() {
    let engine = Engine::new().expect("an engine opens");
    let call = |argv: &[&[u8]]| engine.command(argv).expect("the command works");
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..400 {
        // Up to 512 bytes a result lies in a block with its key.
        let most = [0, 3, 40, 511, 513, 1500][round % 6];
        let count = 1 + round % 4;
        let keys: Vec<String> = (0..count).map(|nth| format!("k{nth}")).collect();
        let mut texts = Vec::new();
        for key in &keys {
            let text: Vec<u8> = match random.usize(..5) {
                0 => random.u32(..).to_string().into_bytes(),
                1 => Vec::new(),
                _ => (0..random.usize(..=most)).map(|_| random.u8(..)).collect(),
            };
            match text.is_empty() {
                true => call(&[b"DEL", key.as_bytes()]),
                false => call(&[b"SET", key.as_bytes(), &text]),
            };
            texts.push(text);
        }
        let operation = if count == 1 { "NOT" } else { ["AND", "OR", "XOR"][random.usize(..3)] };
        let target = if random.bool() { "to" } else { "k0" };
        let mut argv: Vec<&[u8]> = vec![b"BITOP", operation.as_bytes(), target.as_bytes()];
        argv.extend(keys.iter().map(|key| key.as_bytes()));
        let before = call(&[b"GET", target.as_bytes()]);
        let words: Vec<&str> =
            argv.iter().map(|word| std::str::from_utf8(word).expect("words")).collect();
        let script = "redis.call(unpack(ARGV)) error('undone')";
        assert!(engine.eval(script, &[""; 0], &words).is_err());
        assert_eq!(call(&[b"GET", target.as_bytes()]), before);
        let expected = combined(operation, &texts);
        assert_eq!(call(&argv).as_integer(), Some(expected.len() as i64));
        let found = call(&[b"GET", target.as_bytes()]);
        assert_eq!(found.as_bytes().unwrap_or_default(), expected, "{words:?}");
    }
}

#[test]
fn lists_and_sets_are_sorted_as_one_by_one() {
    // Some of these are the same double, and then it is their texts that tell.
    const NUMBERS: [&str; 13] = [
        "9999999999999999",
        "10000000000000000",
        "9007199254740993",
        "9007199254740992",
        "-9007199254740993",
        "-9007199254740992",
        "1.5",
        "01",
        "1",
        "-0",
        "1e3",
        "inf",
        "17",
    ];
    let engine = Engine::new().expect("an engine opens");
    let call = |words: &[&str]| engine.command(words).expect("the command works");
    let mut random = fastrand::Rng::with_seed(12);
    for round in 0..600 {
        call(&["DEL", "k"]);
        let is_list = round % 2 == 0;
        let add = if is_list { "RPUSH" } else { "SADD" };
        let mut elements: Vec<String> = (0..random.usize(1..60))
            .map(|_| match random.usize(..4) {
                0 if round % 3 > 0 => NUMBERS[random.usize(..NUMBERS.len())].to_owned(),
                _ => random.i32(-50..50).to_string(),
            })
            .collect();
        elements.iter().for_each(|element| drop(call(&[add, "k", element])));
        elements.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        if !is_list {
            elements.dedup();
        }
        let by_text = random.bool();
        if !by_text {
            let score = |text: &String| text.parse::<f64>().expect("a number");
            elements.sort_by(|a, b| score(a).partial_cmp(&score(b)).expect("no NaN"));
        }
        let descends = random.bool();
        if descends {
            elements.reverse();
        }
        let (start, count) = (random.usize(..20), random.usize(..20));
        let limit = [start.to_string(), count.to_string()];
        let mut words = vec![if random.bool() { "SORT" } else { "SORT_RO" }, "k"];
        words.extend(by_text.then_some("ALPHA"));
        words.extend(descends.then_some("DESC"));
        if random.bool() {
            words.extend(["LIMIT", &limit[0], &limit[1]]);
            elements = elements.into_iter().skip(start).take(count).collect();
        }
        let reply = call(&words);
        let found: Vec<&str> =
            reply.as_array().expect("an array").iter().filter_map(|text| text.as_str()).collect();
        assert_eq!(found, elements, "{words:?}");
    }
}
