//! `moonkv check`: what is wrong with scripts, without running them.

use crate::input;
use clap::{Args, ValueEnum};
use moonkv::check::{Checker, Finding, Severity};
use serde_json::json;
use std::process::ExitCode;

/// Checks Lua scripts and libraries of functions without running them.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Lua files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// How to print what is found.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Leave out what is good to know but does no harm.
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// `FILE:LINE:COLUMN: severity: message [rule]`
    Text,
    /// An array of objects.
    Json,
}

impl Arguments {
    /// The code is 1 if there is an error, 2 if a file cannot be read.
    pub(crate) fn run(self) -> ExitCode {
        match self.findings() {
            Ok(findings) => {
                self.print(&findings);
                let has_errors =
                    findings.iter().any(|(_, found)| found.severity == Severity::Error);
                if has_errors { ExitCode::FAILURE } else { ExitCode::SUCCESS }
            }
            Err(error) => {
                eprintln!("moonkv: {error}");
                ExitCode::from(2)
            }
        }
    }

    fn findings(&self) -> Result<Vec<(&str, Finding)>, String> {
        let mut checker = Checker::new().map_err(|error| error.to_string())?;
        let least = if self.quiet { Severity::Warning } else { Severity::Note };
        let mut all = Vec::new();
        for file in &self.files {
            let found = checker.check(&input::read(file)?).into_iter();
            all.extend(found.filter(|found| found.severity >= least).map(|found| (&**file, found)));
        }
        Ok(all)
    }

    fn print(&self, findings: &[(&str, Finding)]) {
        match self.format {
            Format::Text => findings.iter().for_each(|(file, found)| println!("{file}:{found}")),
            Format::Json => {
                let objects: Vec<_> =
                    findings.iter().map(|(file, found)| object(file, found)).collect();
                println!("{}", json!(objects));
            }
        }
    }
}

fn object(file: &str, found: &Finding) -> serde_json::Value {
    json!({
        "file": file,
        "line": found.line,
        "column": found.column,
        "severity": found.severity.to_string(),
        "rule": found.rule,
        "message": found.message,
    })
}
