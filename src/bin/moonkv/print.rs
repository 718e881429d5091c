//! Replies as `redis-cli` prints them: for people, with types and numbers of elements, or raw, for
//! other programs.

use moonkv::Reply;

/// A reply for people to read, with a line's end behind each line.
pub(crate) fn pretty(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    write_pretty(reply, "", &mut out);
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out
}

fn write_pretty(reply: &Reply, indent: &str, out: &mut Vec<u8>) {
    match reply {
        Reply::Null => line("(nil)", out),
        Reply::Integer(value) => line(&format!("(integer) {value}"), out),
        Reply::Bulk(text) => {
            quote(text, out);
            out.push(b'\n');
        }
        Reply::Status(text) | Reply::BigNumber(text) => line(text, out),
        Reply::Error(text) => line(&format!("(error) {text}"), out),
        Reply::Double(value) => line(&format!("(double) {}", number(*value)), out),
        Reply::Boolean(value) => line(&format!("({value})"), out),
        Reply::Verbatim { text, .. } => {
            out.extend_from_slice(text);
            out.push(b'\n');
        }
        Reply::Array(elements) => write_list(elements, ')', "(empty array)", indent, out),
        Reply::Set(elements) => write_list(elements, '~', "(empty set)", indent, out),
        Reply::Map(pairs) => write_map(pairs, indent, out),
        // Kinds that a later version may have.
        other => line(&format!("{other:?}"), out),
    }
}

fn write_list(elements: &[Reply], mark: char, empty: &str, indent: &str, out: &mut Vec<u8>) {
    if elements.is_empty() {
        return line(empty, out);
    }
    let width = elements.len().to_string().len();
    let deeper = format!("{indent}{}", " ".repeat(width + 2));
    for (i, element) in elements.iter().enumerate() {
        // The first stands on the line of what it is in.
        let before = if i == 0 { "" } else { indent };
        out.extend_from_slice(format!("{before}{:>width$}{mark} ", i + 1).as_bytes());
        write_pretty(element, &deeper, out);
    }
}

fn write_map(pairs: &[(Reply, Reply)], indent: &str, out: &mut Vec<u8>) {
    if pairs.is_empty() {
        return line("(empty hash)", out);
    }
    let width = pairs.len().to_string().len();
    let deeper = format!("{indent}{}", " ".repeat(width + 2));
    for (i, (key, value)) in pairs.iter().enumerate() {
        let before = if i == 0 { "" } else { indent };
        out.extend_from_slice(format!("{before}{:>width$}# ", i + 1).as_bytes());
        write_pretty(key, &deeper, out);
        out.pop();
        out.extend_from_slice(b" => ");
        write_pretty(value, &deeper, out);
    }
}

fn line(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

/// A text in quotes, with escapes for what cannot be seen.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(*byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

/// A double in its shortest form.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "nan".to_owned(),
        value if value.is_infinite() => if value > 0.0 { "inf" } else { "-inf" }.to_owned(),
        value => value.to_string(),
    }
}

/// A reply for other programs: texts as they are, one element a line.
pub(crate) fn raw(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    write_raw(reply, &mut out);
    out.push(b'\n');
    out
}

fn write_raw(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Null => (),
        Reply::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Reply::Bulk(text) | Reply::Verbatim { text, .. } => out.extend_from_slice(text),
        Reply::Status(text) | Reply::BigNumber(text) => out.extend_from_slice(text.as_bytes()),
        Reply::Error(text) => line(text, out),
        Reply::Double(value) => out.extend_from_slice(number(*value).as_bytes()),
        Reply::Boolean(value) => out.extend_from_slice(format!("({value})").as_bytes()),
        Reply::Array(elements) | Reply::Set(elements) => {
            for (i, element) in elements.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"\n" });
                write_raw(element, out);
            }
        }
        Reply::Map(pairs) => {
            for (i, (key, value)) in pairs.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"\n" });
                write_raw(key, out);
                out.push(b' ');
                write_raw(value, out);
            }
        }
        other => out.extend_from_slice(format!("{other:?}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    /// What redis-cli 7.0.15 prints, with `--no-raw` and with `--raw`.
    fn check(reply: &Reply, expected: &str, expected_raw: &str) {
        assert_eq!(String::from_utf8_lossy(&pretty(reply)), expected);
        assert_eq!(String::from_utf8_lossy(&raw(reply)), expected_raw);
    }

    #[test]
    fn scalars() {
        check(&Reply::Null, "(nil)\n", "\n");
        check(&Reply::Integer(-1), "(integer) -1\n", "-1\n");
        check(
            &bulk("a\n\"\\\u{1}\u{e9}"),
            "\"a\\n\\\"\\\\\\x01\\xc3\\xa9\"\n",
            "a\n\"\\\u{1}\u{e9}\n",
        );
        check(&Reply::Status("OK".into()), "OK\n", "OK\n");
        check(&Reply::Error("ERR x".into()), "(error) ERR x\n", "ERR x\n\n");
        check(&Reply::Double(3.25), "(double) 3.25\n", "3.25\n");
        check(&Reply::Boolean(true), "(true)\n", "(true)\n");
        let text = Reply::Verbatim { format: "txt".into(), text: b"This is\na text".to_vec() };
        check(&text, "This is\na text\n", "This is\na text\n");
    }

    #[test]
    fn containers() {
        let deep = Reply::Array(vec![Reply::Integer(3), Reply::Array(vec![])]);
        let list = Reply::Array(vec![
            Reply::Integer(1),
            Reply::Array(vec![Reply::Integer(2), deep]),
            bulk("a"),
        ]);
        let expected = "1) (integer) 1\n2) 1) (integer) 2\n   2) 1) (integer) 3\n      2) (empty \
                        array)\n3) \"a\"\n";
        check(&list, expected, "1\n2\n3\n\na\n");
        let many = Reply::Set((1..=10).map(Reply::Integer).collect());
        assert!(pretty(&many).starts_with(b" 1~ (integer) 1\n 2~ (integer) 2\n"));
        let map = Reply::Map(vec![(bulk("a"), bulk("1")), (bulk("bb"), Reply::Boolean(false))]);
        check(&map, "1# \"a\" => \"1\"\n2# \"bb\" => (false)\n", "a 1\nbb (false)\n");
        check(&Reply::Map(vec![]), "(empty hash)\n", "\n");
    }
}
