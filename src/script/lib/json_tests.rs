//! Tests of the JSON reader and writer.

use super::*;

fn number(value: f64, precision: usize) -> String {
    let mut out = Vec::new();
    push_number(&mut out, value, precision);
    String::from_utf8(out).unwrap()
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_escaped(&mut out, text);
    out
}

fn unescaped(text: &str) -> Result<Vec<u8>, (&'static CStr, usize)> {
    let mut out = Vec::new();
    push_unescaped(&mut out, text.as_bytes()).map(|()| out)
}

fn token(text: &str, takes_invalid_numbers: bool) -> (Token<'_>, usize) {
    let mut reader = Reader { text: text.as_bytes(), at: 0, takes_invalid_numbers };
    let (token, _) = reader.next();
    (token, reader.at)
}

#[test]
fn numbers_are_written_as_printf_does() {
    let cases = [
        (1.0, 14, "1"),
        (-0.0, 14, "-0"),
        (0.1, 14, "0.1"),
        (1.0 / 3.0, 14, "0.33333333333333"),
        (1e14, 14, "1e+14"),
        (99_999_999_999_999.0, 14, "99999999999999"),
        (99_999_999_999_999.9, 14, "1e+14"),
        (9_007_199_254_740_992.0, 14, "9.007199254741e+15"),
        (1e-5, 14, "1e-05"),
        (2_147_483_648.0, 14, "2147483648"),
        (123_456.0, 3, "1.23e+05"),
        (99.9, 2, "1e+02"),
        (9.5, 1, "1e+01"),
        (2.5, 1, "2"),
        (0.5, 1, "0.5"),
        (f64::INFINITY, 14, "inf"),
        (f64::NEG_INFINITY, 14, "-inf"),
        (-f64::NAN, 14, "nan"),
    ];
    for (value, precision, text) in cases {
        assert_eq!(number(value, precision), text);
    }
}

#[test]
fn every_byte_is_escaped_wherever_it_stands() {
    for byte in 0..=255_u8 {
        let mut alone = Vec::new();
        match byte {
            8 => alone.extend(b"\\b"),
            9 => alone.extend(b"\\t"),
            10 => alone.extend(b"\\n"),
            12 => alone.extend(b"\\f"),
            13 => alone.extend(b"\\r"),
            b'"' | b'\\' | b'/' => alone.extend([b'\\', byte]),
            0..32 | 127 => alone.extend(format!("\\u{byte:04x}").bytes()),
            _ => alone.push(byte),
        }
        for place in 0..17 {
            let mut text = vec![b'a'; 17];
            text[place] = byte;
            let expected = [&b"a".repeat(place), &alone, &b"a".repeat(16 - place)[..]].concat();
            assert_eq!(escaped(&text), expected, "{byte} at {place}");
        }
    }
}

#[test]
fn escapes_are_read_and_refused() {
    assert_eq!(unescaped(r#"a\b\f\n\r\t\/\\\"z"#).unwrap(), b"a\x08\x0c\n\r\t/\\\"z");
    assert_eq!(unescaped(r"\u0041\u00e9\u20AC\uD83D\uDE00").unwrap(), "Aé€😀".as_bytes());
    assert_eq!(unescaped(r"\u0000").unwrap(), [0]);
    let invalid =
        [r"\uD83D", r"\uD83Dx23456", r"\uD83D\u0041", r"\uDE00\uDE00", r"\u12", r"\u00g0"];
    for text in invalid {
        assert_eq!(unescaped(&format!("ab{text}")), Err((INVALID_UNICODE, 2)), "{text}");
    }
    for text in [r"\x", r"\U0041", r"\", "\\\0"] {
        assert_eq!(unescaped(&format!("ab{text}")), Err((INVALID_ESCAPE, 2)), "{text}");
    }
}

#[test]
fn numbers_are_read_as_strtod_does() {
    let cases = [
        ("0", 0.0, 1),
        ("-0", -0.0, 2),
        ("123456789012345", 123_456_789_012_345.0, 15),
        ("1234567890123456", 1_234_567_890_123_456.0, 16),
        ("12345678901234567890", 12_345_678_901_234_567_890.0, 20),
        ("1.5.5", 1.5, 3),
        ("1.", 1.0, 2),
        ("1.e5", 1e5, 4),
        ("1e", 1.0, 1),
        ("1e+", 1.0, 1),
        ("-.5", -0.5, 3),
        ("01", 1.0, 2),
        ("1e400", f64::INFINITY, 5),
        ("-1e-400", -0.0, 7),
        ("0x10", 16.0, 4),
        ("0x", 0.0, 1),
        ("0xg", 0.0, 1),
        ("0x.8p1z", 1.0, 6),
        ("0x1p99999", f64::INFINITY, 9),
        ("-0x1p-99999", -0.0, 11),
        ("-infinit", f64::NEG_INFINITY, 4),
        ("+Infinity", f64::INFINITY, 9),
        ("1\0", 1.0, 1),
        ("1,2", 1.0, 1),
    ];
    for (text, value, len) in cases {
        let (token, at) = token(text, true);
        let Token::Number(number) = token else { panic!("{text} gave {token:?}") };
        assert_eq!((number.to_bits(), at), (f64::to_bits(value), len), "{text}");
    }
    for (text, bits, len) in [
        ("nan", 0x7ff8_0000_0000_0000_u64, 3),
        ("-NaN", 0xfff8_0000_0000_0000, 4),
        ("nan(0x123)", 0x7ff8_0000_0000_0123, 10),
        ("nan(077)", 0x7ff8_0000_0000_003f, 8),
        ("nan(zz)", 0x7ff8_0000_0000_0000, 7),
        ("nan(12", 0x7ff8_0000_0000_0000, 3),
        ("nan(99999999999999999999999)", 0x7fff_ffff_ffff_ffff, 28),
    ] {
        let (token, at) = token(text, true);
        let Token::Number(number) = token else { panic!("{text} gave {token:?}") };
        assert_eq!((number.to_bits(), at), (bits, len), "{text}");
    }
}

#[test]
fn what_is_no_number_of_json_can_be_refused() {
    for text in ["0x10", "01", "-01", "-0x1", "-inf", "-nan", "-", "--1"] {
        assert_eq!(token(text, false), (INVALID_NUMBER, 0), "{text}");
    }
    for text in ["nan", "inf", "+1", ".5", "True", "nul", "I"] {
        assert_eq!(token(text, false), (INVALID_TOKEN, 0), "{text}");
    }
    for text in ["-", "-x", "+", "+x"] {
        assert_eq!(token(text, true), (INVALID_NUMBER, 0), "{text}");
    }
}

#[test]
fn strings_end_at_their_quote_or_at_nul() {
    let cases = [
        ("\"ab\"c", "ab", false, true, 4),
        ("\"a\\\"b\"", "a\\\"b", true, true, 6),
        ("\"a\\\\\"b\"", "a\\\\", true, true, 5),
        ("\"ab", "ab", false, false, 3),
        ("\"ab\0cd\"", "ab", false, false, 3),
        ("\"ab\\\0\"", "ab\\", true, false, 4),
        ("\"\"", "", false, true, 2),
        ("\"0123456789abcdefghi\"", "0123456789abcdefghi", false, true, 21),
    ];
    for (text, inside, has_escapes, closed, at) in cases {
        let inside = RawString { text: inside.as_bytes(), has_escapes, closed };
        assert_eq!(token(text, true), (Token::String(inside), at), "{text}");
    }
}

#[test]
fn tokens_are_cut() {
    let text = b" [ {\"a\" : true,\tfalse}\r\nnull]";
    let mut reader = Reader { text, at: 0, takes_invalid_numbers: true };
    let mut names = Vec::new();
    loop {
        let (token, at) = reader.next();
        names.push((token.name(), at));
        if token == Token::End {
            break;
        }
    }
    let expected = [
        (c"T_ARR_BEGIN", 1),
        (c"T_OBJ_BEGIN", 3),
        (c"T_STRING", 4),
        (c"T_COLON", 8),
        (c"T_BOOLEAN", 10),
        (c"T_COMMA", 14),
        (c"T_BOOLEAN", 16),
        (c"T_OBJ_END", 21),
        (c"T_NULL", 24),
        (c"T_ARR_END", 28),
        (c"T_END", 29),
    ];
    assert_eq!(names, expected);
}
