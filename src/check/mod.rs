//! The checker of scripts: what is wrong with a script, told without running it.

/// Something to be said of a place in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is to be said.
    pub message: String,
}

/// Checks one script.
pub fn script(source: &[u8]) -> Vec<Finding> {
    let source = String::from_utf8_lossy(source);
    let Err(errors) = full_moon::parse(&source) else { return Vec::new() };
    let finding = |error: &full_moon::Error| {
        let (start, _) = error.range();
        let (line, column) = (start.line(), start.character());
        Finding { line, column, message: error.error_message().into_owned() }
    };
    errors.iter().map(finding).collect()
}
