//! Where random arguments come from: one seeded generator, and the small world of keys, members
//! and numbers that commands of all families meet in.

use crate::families;
use crate::grammar::Argv;
use fastrand::Rng;

/// All keys; each family is at home in some.
pub(crate) const KEYS: [&str; 14] = [
    "str1", "str2", "bits", "hll", "list1", "list2", "set1", "set2", "hash1", "hash2", "zset1",
    "zset2", "geo", "stream",
];

/// A key that is rarely there.
const MISSING: &str = "missing";

/// Random choices, and what was chosen for the command at hand.
pub(crate) struct Source {
    rng: Rng,
    /// The keys the family at hand is at home in.
    pub(crate) home: &'static [&'static str],
    /// The key that was drawn last.
    last_key: Vec<u8>,
    /// How many keys a command with a counted list of keys has.
    key_count: usize,
}

/// Texts that many commands take as a value, a field, a member or an element.
const TEXTS: [&[u8]; 26] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"foo",
    b"bar",
    b"Hello",
    b"hello world",
    b"",
    b" ",
    b"007",
    b"1.0",
    b"3.14",
    b"-0",
    b"1e3",
    b"abc",
    b"ABC",
    b"z0\x00y",
    b"\xff\xfe\x00",
    b"line\r\nline",
    b"0123456789012345678901234567890123456789abcd",
    b"0123456789012345678901234567890123456789abcde",
    b"x123456789x123456789x123456789x123456789x123456789x123456789x123",
    b"x123456789x123456789x123456789x123456789x123456789x123456789x1234",
    b"9223372036854775807",
    b"9223372036854775808",
];

const INTEGERS: [&str; 12] = [
    "100",
    "-100",
    "127",
    "128",
    "32767",
    "32768",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "1000000",
    "65536",
];

const FLOATS: [&str; 26] = [
    "0.1",
    "-0.1",
    "1.5",
    "3.0",
    "3.14159",
    "1e5",
    "1e-5",
    "1e17",
    "123456789012345678",
    "0.0",
    "-0.0",
    "1e300",
    "-1e300",
    "0.30000000000000004",
    "5e-324",
    "1e21",
    "1e22",
    "-1.25e10",
    "inf",
    "-inf",
    "+inf",
    "0x1p3",
    "2.5e-7",
    "100000000000000000000",
    "17179869184",
    "0.5",
];

const PATTERNS: [&str; 18] = [
    "*", "a*", "*a", "?", "[a-c]", "[^a]", "h*o", "*1", "str*", "s*t?", "\\*", "", "[a",
    "hash[12]", "foo", "*[0-9]*", "**", "l?st*",
];

impl Source {
    pub(crate) fn new(seed: u64) -> Source {
        Source { rng: Rng::with_seed(seed), home: &KEYS, last_key: Vec::new(), key_count: 0 }
    }

    /// Some number below a bound; 0 where there is none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.rng.usize(..bound.max(1))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.i64(low..=high)
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(crate) fn word(&mut self, words: &[&str]) -> Vec<u8> {
        self.pick(words).as_bytes().to_vec()
    }

    /// A key: mostly one of the family at hand.
    pub(crate) fn key(&mut self) -> Vec<u8> {
        let key = match self.below(100) {
            0..85 => *self.pick(self.home),
            85..97 => *self.pick(&KEYS),
            _ => MISSING,
        };
        self.last_key = key.as_bytes().to_vec();
        self.last_key.clone()
    }

    /// A text of any kind.
    pub(crate) fn text(&mut self) -> Vec<u8> {
        match self.below(10) {
            0..4 => self.below(12).to_string().into_bytes(),
            4..8 => TEXTS[self.below(8)].to_vec(),
            8 if self.chance(20) => vec![b'x'; self.below(9000)],
            _ => self.pick(&TEXTS).to_vec(),
        }
    }

    fn integer(&mut self) -> Vec<u8> {
        if self.chance(80) {
            return self.between(-5, 20).to_string().into_bytes();
        }
        self.word(&INTEGERS)
    }

    /// A number that may have a fraction.
    pub(crate) fn float(&mut self) -> Vec<u8> {
        match self.below(4) {
            0 | 1 => self.integer(),
            2 => format!("{}.{}", self.between(-9, 9), self.below(1000)).into_bytes(),
            _ => self.word(&FLOATS),
        }
    }

    /// Seconds or milliseconds from now: far away, and never twice the same, so that it does not
    /// matter when exactly each side begins to count.
    fn time_to_live(&mut self, unit: i64) -> Vec<u8> {
        match self.below(12) {
            0 => self.between(-2, 0),
            1 => -unit * 1000,
            _ => self.between(1_000, 10_000_000) * unit,
        }
        .to_string()
        .into_bytes()
    }

    /// A count of keys and so many keys.
    fn counted_keys(&mut self, argv: &mut Argv) {
        self.key_count = 1 + self.below(3);
        argv.push(self.key_count.to_string().into_bytes());
        for _ in 0..self.key_count {
            let key = self.key();
            argv.push(key);
        }
    }

    /// Appends what `$name` stands for: mostly one argument.
    pub(crate) fn argument(&mut self, name: &str, argv: &mut Argv) {
        let one = match name {
            "key" => self.key(),
            "any" => self.word(&KEYS),
            "same" => self.last_key.clone(),
            "keys" => return self.counted_keys(argv),
            "weights" => {
                argv.push(b"WEIGHTS".to_vec());
                (0..self.key_count).for_each(|_| argv.push(self.float()));
                return;
            }
            "everywhere" => {
                let keys = KEYS.iter().chain([&MISSING]);
                return argv.extend(keys.map(|key| key.as_bytes().to_vec()));
            }
            "text" | "value" | "field" | "member" | "element" => self.text(),
            "int" => self.integer(),
            "float" => self.float(),
            "index" => self.between(-8, 8).to_string().into_bytes(),
            "count" => self.between(0, 6).to_string().into_bytes(),
            "several" => self.between(-8, 8).to_string().into_bytes(),
            "digit" => self.between(1, 9).to_string().into_bytes(),
            "pattern" => self.word(&PATTERNS),
            "seconds" => self.time_to_live(1),
            "milliseconds" => self.time_to_live(1000),
            // After the year 2100, or long ago.
            "at" => (4_200_000_000 + self.between(0, 1_000_000)).to_string().into_bytes(),
            "at-ms" => (4_200_000_000_000 + self.between(0, 1 << 40)).to_string().into_bytes(),
            name => return families::argument(name, self, argv),
        };
        argv.push(one);
    }
}
