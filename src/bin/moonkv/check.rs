//! `moonkv check`: what is wrong with scripts, without running them.

use clap::Args;
use moonkv::check::{self, Finding};
use std::io::Read;
use std::process::ExitCode;
use std::{fs, io};

/// Checks scripts without running them.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Lua files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

impl Arguments {
    pub(crate) fn run(self) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        for file in &self.files {
            match read(file) {
                Ok(source) => {
                    for finding in check::script(&source) {
                        let Finding { line, column, message } = finding;
                        println!("{file}:{line}:{column}: error: {message}");
                        code = ExitCode::FAILURE;
                    }
                }
                Err(error) => {
                    eprintln!("moonkv: {file}: {error}");
                    return ExitCode::from(2);
                }
            }
        }
        code
    }
}

fn read(file: &str) -> io::Result<Vec<u8>> {
    if file != "-" {
        return fs::read(file);
    }
    let mut source = Vec::new();
    io::stdin().read_to_end(&mut source)?;
    Ok(source)
}
