//! What subcommands read: files, or standard input, and the keys and arguments of a script.

use std::io::Read;
use std::{fs, io};

/// Reads a file; `-` is standard input.
pub(crate) fn read(file: &str) -> Result<Vec<u8>, String> {
    let told = |error: io::Error| format!("{file}: {error}");
    if file != "-" {
        return fs::read(file).map_err(told);
    }
    let mut source = Vec::new();
    io::stdin().read_to_end(&mut source).map_err(told)?;
    Ok(source)
}

/// The keys and arguments of a script: with a comma of its own between, as `redis-cli --eval` has
/// them.
pub(crate) fn keys_and_args(words: &[String]) -> (&[String], &[String]) {
    match words.iter().position(|word| word == ",") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::keys_and_args;

    #[test]
    fn a_comma_is_between() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (line, keys, args) in
            [("a b , c", "a b", "c"), ("a", "a", ""), (", c ,", "", "c ,"), ("", "", "")]
        {
            let given = words(line);
            let expected = (&*words(keys), &*words(args));
            assert_eq!(keys_and_args(&given), expected, "{line}");
        }
    }
}
