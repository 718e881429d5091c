//! What MONITOR shows of a call.

use std::fmt::Write;

/// One call as a line: when, in which database, from where, and its arguments.
pub(crate) fn line(now_ms: i64, database: usize, from: &str, argv: &[&[u8]]) -> String {
    let (seconds, ms) = (now_ms.div_euclid(1000), now_ms.rem_euclid(1000));
    let mut line = format!("{seconds}.{ms:03}000 [{database} {from}]");
    for argument in argv {
        line.push(' ');
        quote(&mut line, argument);
    }
    line
}

/// Writes any bytes as a text in quotes that is printable throughout.
fn quote(line: &mut String, bytes: &[u8]) {
    line.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => line.extend(['\\', char::from(byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            0x20..=0x7e => line.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(line, "\\x{byte:02x}")),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_one_printable_line() {
        let argv: [&[u8]; 2] = [b"SET", b"b\r\n\"\\\x01\xff\x07\x08\t"];
        let shown = line(1_795_458_766_315, 9, "lua", &argv);
        let expected = r#"1795458766.315000 [9 lua] "SET" "b\r\n\"\\\x01\xff\a\b\t""#;
        assert_eq!(shown, expected);
    }
}
