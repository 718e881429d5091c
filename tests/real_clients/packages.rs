//! Libraries of other languages. Packages are installed below `target/clients` once.

use super::{Server, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

/// What npm installs.
const NPM: &str = r#"{
  "private": true,
  "description": "Clients that are tried on the listener.",
  "dependencies": { "bullmq": "5.81.5", "ioredis": "6.0.0", "redis": "6.3.1" }
}
"#;

/// What pip installs.
const PIP: &str = "redis~=8.1";

#[test]
fn redis_py() {
    python("redis_py.py");
}

#[test]
fn redis_py_with_asyncio() {
    python("redis_py_async.py");
}

#[test]
fn ioredis() {
    node("ioredis.js");
}

#[test]
fn node_redis() {
    node("node_redis.js");
}

#[test]
fn bullmq() {
    node("bullmq.js");
}

#[test]
fn hiredis() {
    let folder = target().join("clients");
    fs::create_dir_all(&folder).expect("target can be written");
    let (source, program) = (source("hiredis.c"), folder.join("hiredis"));
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c99", "-g", "-Wall", "-Wextra", "-Werror"]);
    compiler.arg(&source).arg("-o").arg(&program).arg("-lhiredis");
    if !Path::new("/usr/include/hiredis/async.h").exists() {
        println!("SKIPPED: hiredis is not installed here");
        return;
    }
    let built = compiler.output().expect("there is a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    run(Command::new(program), &Server::start("hiredis"));
}

fn python(name: &str) {
    static PYTHON: LazyLock<Option<PathBuf>> = LazyLock::new(install_python);
    let Some(python) = &*PYTHON else {
        println!("SKIPPED: {name}, {PIP} cannot be had here");
        return;
    };
    let mut program = Command::new(python);
    program.args(["-W", "error"]).arg(source(name));
    run(program, &Server::start(name));
}

fn node(name: &str) {
    static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(install_npm);
    let Some(folder) = &*FOLDER else {
        println!("SKIPPED: {name}, node or its packages cannot be had here");
        return;
    };
    let mut program = Command::new("node");
    program.arg(source(name)).env("NODE_PATH", folder.join("node_modules"));
    run(program, &Server::start(name));
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_clients").join(name)
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

/// The interpreter of a virtual environment with the packages.
fn install_python() -> Option<PathBuf> {
    let folder = target().join("clients/python");
    let python = folder.join("bin/python");
    installed(&folder, PIP, || {
        let base = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        succeeds(Command::new(base).args(["-m", "venv"]).arg(&folder))
            && succeeds(Command::new(&python).args(["-m", "pip", "install", "--quiet", PIP]))
    })
    .then_some(python)
}

/// The folder with the packages of npm.
fn install_npm() -> Option<PathBuf> {
    let folder = target().join("clients/npm");
    installed(&folder, NPM, || {
        fs::write(folder.join("package.json"), NPM).is_ok()
            && succeeds(
                Command::new("npm")
                    .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(&folder),
            )
    })
    .then_some(folder)
}

/// Whether a folder has what is wanted; installs it if need be.
fn installed(folder: &Path, wanted: &str, install: impl FnOnce() -> bool) -> bool {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let stamp = folder.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) {
        return true;
    }
    fs::create_dir_all(folder).is_ok() && install() && fs::write(stamp, wanted).is_ok()
}

fn succeeds(command: &mut Command) -> bool {
    match command.output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            println!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            println!("{command:?}: {error}");
            false
        }
    }
}
