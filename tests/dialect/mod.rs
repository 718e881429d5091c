//! What scripts answer otherwise where the feature `luajit` runs them: here and in
//! `tests/reference/luajit.jsonl`, and nowhere else.
//!
//! LuaJIT leaves nothing of a function that ends in a call into C: an error raised there has no
//! position and does not know the name it was called by. Answers are compared without these.

/// An answer as it is compared.
pub fn plain(answer: &str) -> String {
    if cfg!(not(feature = "luajit")) {
        return answer.to_owned();
    }
    let mut plain = answer.replace("across metamethod/C-call", "across C-call");
    for chunk in ["user_script", "user_function"] {
        plain = without(&plain, &format!(", on @{chunk}:"), ".");
        plain = without(&plain, &format!("{chunk}:"), ": ");
    }
    nameless(&plain)
}

/// Cuts out what begins and ends like this and is a number between.
fn without(text: &str, begin: &str, end: &str) -> String {
    let mut parts = text.split(begin);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix(end).filter(|_| rest.len() < part.len()) {
            Some(rest) => plain.push_str(rest),
            None => plain.extend([begin, part]),
        }
    }
    plain
}

/// The name of a function in an error about its arguments becomes a question mark.
fn nameless(text: &str) -> String {
    let mut parts = text.split(" to '");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("' (").filter(|(name, _)| !name.contains(' ')) {
            Some((_, rest)) => plain.extend([" to '?' (", rest]),
            None => plain.extend([" to '", part]),
        }
    }
    plain
}
