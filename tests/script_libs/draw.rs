//! Random calls of the four libraries and of what writes numbers, each a script whose reply is one string or an error.
//!
//! The order of keys counts, since it is that of the bytes that are written. It depends on addresses
//! where keys are tables, and on how long strings are hashed: such keys are not drawn, and what a
//! misread text makes of them is shown in an order of its own.

use fastrand::Rng;

/// Shows values in full: numbers by their bits, tables with the order of their keys.
const SHOW: &str = r#"local function d(v, n)
  local t = type(v)
  if t == 'number' then
    return (struct.pack('>d', v):gsub('.', function(c) return ('%02x'):format(c:byte()) end))
  elseif t == 'string' then return 's' .. #v .. ':' .. v
  elseif t ~= 'table' then return t .. tostring(v)
  elseif n > 60 then return 'deep' end
  local o, odd = {}, false
  for k, w in pairs(v) do
    o[#o + 1] = d(k, n + 1) .. '=' .. d(w, n + 1)
    odd = odd or type(k) == 'table' or type(k) == 'string' and #k > 31
  end
  if odd then table.sort(o) end
  return '{#' .. #v .. ' ' .. table.concat(o, ',') .. '}'
end
local function show(...)
  local o = {}
  for i = 1, select('#', ...) do o[i] = d((select(i, ...)), 0) end
  return table.concat(o, ';')
end
"#;

const NUMBERS: [&str; 38] = [
    "0",
    "1",
    "-1",
    "127",
    "128",
    "255",
    "256",
    "-32",
    "-33",
    "-128",
    "-129",
    "65535",
    "65536",
    "2^31",
    "2^31-1",
    "-2^31",
    "2^32",
    "2^32-1",
    "2^53",
    "2^53+2",
    "2^63",
    "-2^63",
    "2^64",
    "1e14",
    "1e15",
    "1e-5",
    "1e100",
    "-0",
    "0.1",
    "1.5",
    "1/3",
    "1/0",
    "-1/0",
    "0/0",
    "1e-46",
    "1e39",
    "99999999999999",
    "5e-324",
];

const JSON_WORDS: [&str; 40] = [
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "-nan(123)",
    "NaN(0x7)",
    "nan(",
    "+1",
    "01",
    "-01",
    ".5",
    "-.5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "0x",
    "0x.p1",
    "-",
    "+",
    "1e400",
    "1e-400",
    "4.9e-324",
    "0x1F",
    "0x.8p3",
    "0x1p-1060",
    "0x123456789abcdef01",
    "-0",
    "1_0",
    "infinit",
    "true",
    "false",
    "null",
    "tru",
    "nul",
    "True",
    "truex",
    "12345678901234567890",
    "0.30000000000000004",
    "1e22",
];

const JSON_ESCAPES: [&str; 24] = [
    "\\n",
    "\\t",
    "\\\"",
    "\\\\",
    "\\/",
    "\\b",
    "\\f",
    "\\r",
    "\\u0041",
    "\\u00e9",
    "\\u20ac",
    "\\ud83d\\ude00",
    "\\u0000",
    "\\uFFFF",
    "\\uD7FF",
    "\\x",
    "\\u12",
    "\\ud800",
    "\\udc00",
    "\\ud800\\u0041",
    "\\ud800\\ud800",
    "\\",
    "\\U",
    "\\uzzzz",
];

const SETTINGS: [&str; 10] = [
    "encode_sparse_array(true, 1, 2)",
    "encode_sparse_array(false, 3, 1)",
    "encode_max_depth(2)",
    "decode_max_depth(2)",
    "encode_number_precision(1)",
    "encode_number_precision(7)",
    "encode_number_precision(13)",
    "encode_invalid_numbers(true)",
    "encode_invalid_numbers('null')",
    "decode_invalid_numbers(false)",
];

const DIRECTIVES: [&str; 32] = [
    "%d", "%d", "%d", "%s", "%s", "%s", "%.2f", "%.2f", "%5.2f", "%5.2f", "%.0f", "%.1f", "%9.9f",
    "%2.3f", "%.14g", "%g", "%f", "%5d", "%05d", "%i", "%x", "%e", "%c", "%q", "%10s", "%.3s",
    "%-5.2f", "%05.2f", "%0.2f", "%.10f", "%%", "%y",
];

/// A source of random scripts.
pub struct Draw(Rng);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(Rng::with_seed(seed))
    }

    pub fn script(&mut self) -> Vec<u8> {
        let call = match self.0.u32(0..8) {
            0 => format!("cjson.encode({})", self.value(0)),
            1 => format!("cjson.decode({})", self.json_text()),
            2 => format!("cmsgpack.pack({})", self.values(1..4)),
            3 => self.unpack(),
            4 => self.structure(),
            5 => self.bits(),
            6 => self.format(),
            _ => {
                let (a, b) = (self.one_of(&SETTINGS), self.one_of(&SETTINGS));
                let call = match self.0.bool() {
                    true => format!("encode({})", self.value(0)),
                    false => format!("decode({})", self.json_text()),
                };
                return format!("{SHOW}local c = cjson.new() c.{a} c.{b} return show(c.{call})")
                    .into_bytes();
            }
        };
        format!("{SHOW}return show({call})").into_bytes()
    }

    /// Numbers and strings as text, by directives most of which are usual ones.
    fn format(&mut self) -> String {
        let (mut format, mut arguments) = (Vec::new(), Vec::new());
        for _ in 0..self.0.usize(0..5) {
            let len = self.0.usize(0..3);
            format.extend((0..len).map(|_| self.0.alphanumeric() as u8));
            let directive = self.one_of(&DIRECTIVES);
            format.extend(directive.bytes());
            match directive.as_bytes() {
                b"%%" => (),
                [.., b's' | b'q'] if self.chance(60) => arguments.push(self.string()),
                _ if self.chance(2) => arguments.push(self.value(0)),
                _ => arguments.push(self.number()),
            }
        }
        if self.chance(3) {
            arguments.pop();
        }
        let texts: Vec<String> = arguments.iter().map(|of| format!("tostring(({of}))")).collect();
        match self.chance(25) && !arguments.iter().any(|of| of.contains('{') || of.contains('f')) {
            true if !texts.is_empty() => texts.join(" .. ' ' .. "),
            _ => {
                format!("string.format({})", [vec![quoted(&format)], arguments].concat().join(","))
            }
        }
    }

    fn one_of(&mut self, from: &[&'static str]) -> &'static str {
        from[self.0.usize(0..from.len())]
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    fn number(&mut self) -> String {
        match self.0.u32(0..10) {
            0..5 => self.one_of(&NUMBERS).to_owned(),
            5..7 => self.0.i32(-1000..1000).to_string(),
            7 => format!("{:e}", f64::from_bits(self.0.u64(..) & !(1 << 62))),
            8 => format!("{}", f64::from(self.0.i32(..)) / 1e4),
            _ => format!("{:?}", self.0.f64() * 1000.0 - 500.0),
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let hard = b"ab\"\\/\n\t\r\x08\x0c\x00\x01\x1f\x7f\x80\xff\xc3\xa9";
        match self.0.u32(0..3) {
            0 => (0..len).map(|_| self.0.alphanumeric() as u8).collect(),
            1 => (0..len).map(|_| hard[self.0.usize(0..hard.len())]).collect(),
            _ => (0..len).map(|_| self.0.u8(..)).collect(),
        }
    }

    /// A string in Lua's notation.
    fn string(&mut self) -> String {
        let lens = [0, 1, 2, 3, 5, 8, 9, 17, 31, 32, 33, 40, 255, 256];
        let len = lens[self.0.usize(0..lens.len())];
        quoted(&self.bytes(len))
    }

    fn values(&mut self, count: std::ops::Range<usize>) -> String {
        let count = self.0.usize(count);
        (0..count).map(|_| self.value(0)).collect::<Vec<_>>().join(",")
    }

    /// A value in Lua's notation.
    fn value(&mut self, depth: usize) -> String {
        match self.0.u32(0..20) {
            0..5 => self.number(),
            5..9 => self.string(),
            9 | 10 => self.one_of(&["true", "false", "nil", "cjson.null"]).to_owned(),
            11 if self.chance(15) => "function() end".to_owned(),
            _ if depth > 3 => self.number(),
            11..15 => {
                let count = [0, 1, 2, 3, 5, 16, 17][self.0.usize(0..7)];
                let elements: Vec<String> = (0..count).map(|_| self.value(depth + 1)).collect();
                format!("{{{}}}", elements.join(","))
            }
            kind => {
                let count = self.0.usize(0..6);
                let pair = |_| format!("[{}]={}", self.key(kind < 18), self.value(depth + 1));
                format!("{{{}}}", (0..count).map(pair).collect::<Vec<_>>().join(","))
            }
        }
    }

    fn key(&mut self, is_text: bool) -> String {
        if is_text {
            let len = self.0.usize(0..7);
            return quoted(&self.bytes(len));
        }
        let odd = ["1.5", "true", "2^31", "2^31-1", "2^32+1", "1e300", "'1'", "-2", "0", "40"];
        match self.chance(80) {
            true => self.0.u32(1..9).to_string(),
            false => self.one_of(&odd).to_owned(),
        }
    }

    /// A JSON text in Lua's notation, damaged now and then.
    fn json_text(&mut self) -> String {
        let mut text = self.json(0);
        while self.chance(20) && !text.is_empty() {
            let at = self.0.usize(0..text.len());
            match self.0.u32(0..3) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, b"[]{},:\"\\0-+ntfe.\x00 x"[self.0.usize(0..19)]),
                _ => text.truncate(at),
            }
        }
        quoted(&text)
    }

    fn json(&mut self, depth: usize) -> Vec<u8> {
        let space = self.one_of(&["", "", "", " ", "\t\r", "\n"]);
        let mut text = space.as_bytes().to_vec();
        let kind = if depth > 4 { self.0.u32(0..6) } else { self.0.u32(0..11) };
        let (open, close) = if kind < 9 { (b'[', b']') } else { (b'{', b'}') };
        match kind {
            0 | 1 => text.extend(self.one_of(&JSON_WORDS).bytes()),
            2 => text.extend(self.0.i64(-1000..1_000_000_000_000_000).to_string().bytes()),
            3 => text.extend(format!("{:?}", self.0.f64() * 1e6).bytes()),
            4 | 5 => text.extend(self.json_string()),
            _ => {
                text.push(open);
                for place in 0..self.0.usize(0..5) {
                    if place > 0 {
                        text.push(b',');
                    }
                    if open == b'{' {
                        text.extend(self.json_string());
                        text.push(b':');
                    }
                    text.extend(self.json(depth + 1));
                }
                text.push(close);
            }
        }
        text.extend(space.bytes());
        text
    }

    fn json_string(&mut self) -> Vec<u8> {
        let mut text = vec![b'"'];
        // Decoded, it stays below 32 bytes.
        for _ in 0..self.0.usize(0..8) {
            match self.0.u32(0..12) {
                0 => {
                    // Those that are right are drawn more often.
                    let most = if self.chance(90) { 15 } else { JSON_ESCAPES.len() };
                    text.extend(JSON_ESCAPES[self.0.usize(0..most)].bytes());
                }
                1 => text.push(self.0.u8(1..)),
                _ => text.push(b"abcdef ,:{}[]xyz0123"[self.0.usize(0..20)]),
            }
        }
        text.push(b'"');
        text
    }

    fn unpack(&mut self) -> String {
        let mut bytes = Vec::new();
        for _ in 0..self.0.usize(0..4) {
            self.packed(0, &mut bytes);
        }
        if self.chance(15) {
            bytes.truncate(self.0.usize(0..=bytes.len()));
        }
        let (text, end) = (quoted(&bytes), bytes.len() as i32 + 2);
        let offset = self.0.i32(-1..end);
        match self.0.u32(0..4) {
            0 | 1 => format!("cmsgpack.unpack({text})"),
            2 => format!("cmsgpack.unpack_one({text}, {offset})"),
            _ => format!("cmsgpack.unpack_limit({text}, {}, {offset})", self.0.i32(-1..4)),
        }
    }

    fn packed(&mut self, depth: usize, bytes: &mut Vec<u8>) {
        let count = self.0.u8(0..6);
        match self.0.u32(0..10) {
            0..3 => {
                let tags = [0, 1, 0x7f, 0xc0, 0xc2, 0xc3, 0xe0, 0xff, 0xca, 0xcb, 0xcc, 0xcd];
                let more = [0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3];
                let tag = [&tags[..], &more].concat()[self.0.usize(0..18)];
                let len = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8].get(usize::from(tag.max(0xca) - 0xca));
                bytes.push(tag);
                let len = if (0xca..0xd4).contains(&tag) { len.copied().unwrap_or(0) } else { 0 };
                bytes.extend(self.bytes(len));
            }
            3..5 => {
                let heads: [&[u8]; 4] = [&[], &[0xd9], &[0xda, 0], &[0xdb, 0, 0, 0]];
                let text = self.bytes(usize::from(count));
                match heads[self.0.usize(0..4)] {
                    [] => bytes.push(0xa0 | count),
                    head => bytes.extend([head, &[count]].concat()),
                }
                bytes.extend(text);
            }
            5 if self.chance(10) => bytes.push([0xc1, 0xc4, 0xc5, 0xc7, 0xd4][self.0.usize(0..5)]),
            _ if depth > 4 => bytes.push(count),
            5..8 => {
                let heads: [&[u8]; 3] =
                    [&[0x90 | count], &[0xdc, 0, count], &[0xdd, 0, 0, 0, count]];
                bytes.extend(heads[self.0.usize(0..3)]);
                (0..count).for_each(|_| self.packed(depth + 1, bytes));
            }
            _ => {
                let heads: [&[u8]; 3] =
                    [&[0x80 | count], &[0xde, 0, count], &[0xdf, 0, 0, 0, count]];
                bytes.extend(heads[self.0.usize(0..3)]);
                for _ in 0..count {
                    match self.chance(50) {
                        true => bytes.push(self.0.u8(0..0x80)),
                        false => {
                            bytes.push(0xa2);
                            bytes.extend(self.bytes(2));
                        }
                    }
                    self.packed(depth + 1, bytes);
                }
            }
        }
    }

    fn structure(&mut self) -> String {
        let (mut format, mut arguments) = (Vec::new(), Vec::new());
        for _ in 0..self.0.usize(0..6) {
            match self.0.u32(0..20) {
                0..3 => {
                    let controls = [">", "<", "!", "!1", "!2", "!4", "!8", "!64", " "];
                    format.extend(self.one_of(&controls).bytes());
                }
                3..10 => {
                    format.push(b"bBhHlLTfd"[self.0.usize(0..9)]);
                    arguments.push(self.number());
                }
                10..14 => {
                    format.push(b"iI"[self.0.usize(0..2)]);
                    let sizes = ["", "0", "1", "3", "4", "5", "6", "7", "8", "9", "16", "17", "32"];
                    format.extend(self.one_of(&sizes).bytes());
                    arguments.push(self.number());
                }
                14 => format.push(b'x'),
                15 | 16 => {
                    format.extend(self.one_of(&["c", "c0", "c1", "c2", "c7"]).bytes());
                    arguments.push(self.string());
                }
                17 | 18 => {
                    format.push(b's');
                    arguments.push(self.string());
                }
                _ => {
                    let odd = ["%", "z", "Q", "5", "!3", "!0", "i33", "c2147483648", "=", "\0b"];
                    format.extend(self.one_of(&odd).bytes());
                }
            }
        }
        let (format, len) = (quoted(&format), [0, 4, 8, 16, 40][self.0.usize(0..5)]);
        let packed = std::iter::once(format.clone()).chain(arguments).collect::<Vec<_>>();
        let packed = format!("struct.pack({})", packed.join(","));
        match self.0.u32(0..5) {
            0 | 1 => packed,
            2 => format!("struct.unpack({format}, {packed})"),
            3 => format!(
                "struct.unpack({format}, {}, {})",
                quoted(&self.bytes(len)),
                self.0.i32(-1..6)
            ),
            _ => format!("struct.size({format})"),
        }
    }

    fn bits(&mut self) -> String {
        let all = ["band", "bor", "bxor"];
        let one = ["tobit", "bnot", "bswap", "tohex"];
        let two = ["lshift", "rshift", "arshift", "rol", "ror", "tohex"];
        let (name, count) = match self.0.u32(0..3) {
            0 => (self.one_of(&all), self.0.usize(1..5)),
            1 => (self.one_of(&one), 1),
            _ => (self.one_of(&two), 2),
        };
        let mut arguments: Vec<String> = (0..count).map(|_| self.number()).collect();
        if self.chance(8) {
            arguments[0] = self.one_of(&["nil", "'x'", "'5'", "{}", "true"]).to_owned();
        }
        format!("bit.{name}({})", arguments.join(","))
    }
}

/// Bytes as a string in Lua's notation.
fn quoted(bytes: &[u8]) -> String {
    let text = bytes.iter().map(|&byte| match byte {
        b' '..=b'~' if byte != b'"' && byte != b'\\' => char::from(byte).to_string(),
        _ => format!("\\{byte:03}"),
    });
    format!("\"{}\"", text.collect::<String>())
}
