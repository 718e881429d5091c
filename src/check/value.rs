//! What can be told of an expression's value without running anything.

/// What an expression is, as far as that can be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Unknown,
    /// A string that is written down.
    Text(String),
    Number,
    /// KEYS itself.
    Keys,
    /// ARGV itself.
    Argv,
    /// An element of KEYS.
    Key,
    /// An element of ARGV.
    Argument,
    /// A text that is put together.
    Joined(Origin),
    /// What a command has answered.
    Reply,
    /// A global that is a table of functions.
    Library(String),
    /// A function of such a table, or with an empty name of the table a global one.
    Function(String, String),
}

/// What a text is put together of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Of what was written down, and of arguments that are no keys.
    Own,
    /// Of a key, and something else.
    Key,
    /// Of something that cannot be told.
    Unknown,
}

impl Value {
    /// The value of `a .. b`.
    pub(super) fn joined(self, other: Value) -> Value {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => Value::Text(a + &b),
            (a, b) => Value::Joined(a.origin().with(b.origin())),
        }
    }

    fn origin(&self) -> Origin {
        match self {
            Value::Text(_) | Value::Number | Value::Argument => Origin::Own,
            Value::Key => Origin::Key,
            Value::Joined(origin) => *origin,
            _ => Origin::Unknown,
        }
    }

    /// Whether it is a function of a library.
    pub(super) fn is(&self, library: &str, names: &[&str]) -> bool {
        matches!(self, Value::Function(of, name) if of == library && names.contains(&name.as_str()))
    }
}

impl Origin {
    fn with(self, other: Origin) -> Origin {
        match (self, other) {
            (Origin::Key, _) | (_, Origin::Key) => Origin::Key,
            (Origin::Unknown, _) | (_, Origin::Unknown) => Origin::Unknown,
            _ => Origin::Own,
        }
    }
}

/// The text of a string literal as Lua reads it; none if it has bytes that are no characters.
pub(super) fn unescaped(literal: &str, is_long: bool) -> Option<String> {
    if is_long {
        return Some(literal.strip_prefix('\n').unwrap_or(literal).to_owned());
    }
    let (mut text, mut rest) = (String::new(), literal.chars().peekable());
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next()? {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            digit @ '0'..='9' => {
                let mut code = digit.to_digit(10)?;
                for _ in 0..2 {
                    let Some(next) = rest.peek().and_then(|c| c.to_digit(10)) else { break };
                    code = code * 10 + next;
                    rest.next();
                }
                text.push(char::from_u32(code).filter(char::is_ascii)?);
            }
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_joined() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(text("a:").joined(text("b")), text("a:b"));
        assert_eq!(text("a:").joined(Value::Argument), Value::Joined(Origin::Own));
        assert_eq!(text("a:").joined(Value::Unknown), Value::Joined(Origin::Unknown));
        let derived = Value::Key.joined(Value::Unknown);
        assert_eq!(derived, Value::Joined(Origin::Key));
        assert_eq!(text("x").joined(derived), Value::Joined(Origin::Key));
    }

    #[test]
    fn literals_are_read() {
        for (literal, expected) in
            [(r"a\n\065\\b", Some("a\nA\\b")), (r"\'\120y", Some("'xy")), (r"\200", None)]
        {
            assert_eq!(unescaped(literal, false).as_deref(), expected, "{literal}");
        }
        assert_eq!(unescaped("\na\\n", true).as_deref(), Some("a\\n"));
    }
}
