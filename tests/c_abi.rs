//! The C door as C and C++ programmers meet it: compiles the examples and the programs in
//! tests/c with the compilers of this machine, with all warnings as errors, and runs them, under
//! valgrind where there is one. Says aloud what it has to skip.

#![cfg(feature = "c-abi")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

const C: &[&str] = &["-std=c99", "-pedantic"];
const C11: &[&str] = &["-std=c11", "-pedantic"];
const CPP: &[&str] = &["-std=c++17", "-pedantic"];
/// The C example as C++: the header is both.
const C_AS_CPP: &[&str] = &["-x", "c++", "-std=c++20"];

#[test]
fn the_abi_holds() {
    let built = build("cc", C, "tests/c/abi.c", "abi", &["-lpthread"]);
    run(&built, &[]);
    run_under_valgrind(&built, &[]);
}

#[test]
fn sessions_hold_what_they_promise() {
    let built = build("cc", C, "tests/c/session.c", "session", &["-lpthread"]);
    run(&built, &[]);
    run_under_valgrind(&built, &[]);
}

#[test]
fn functions_of_c_are_commands() {
    let built = build("cc", C, "tests/c/host.c", "host", &[]);
    run(&built, &[]);
    run_under_valgrind(&built, &[]);
}

#[test]
#[cfg(feature = "listen")]
fn clients_and_channels_are_served() {
    let built = build("cc", C, "tests/c/listen.c", "listen", &["-lpthread"]);
    run(&built, &[]);
    run_under_valgrind(&built, &[]);
}

#[test]
fn scripts_are_told_of() {
    let built = build("cc", C, "tests/c/tooling.c", "tooling", &[]);
    run(&built, &[]);
    run_under_valgrind(&built, &[]);
}

#[test]
fn the_layouts_hold_by_static_assert() {
    run(&build("cc", C11, "tests/c/abi.c", "abi-c11", &["-lpthread"]), &[]);
}

#[test]
fn the_static_library_serves_as_well() {
    let libraries = ["-lpthread", "-ldl", "-lm"];
    run(&build_with(&Library::Static, "cc", C, "tests/c/abi.c", "abi-static", &libraries), &[]);
}

#[test]
fn every_c_example_runs() {
    let examples = sources("examples/c", "c");
    assert!(examples.len() >= 2, "{examples:?}");
    for (name, path) in examples.into_iter().chain(sources("examples/plugin", "c")) {
        let built = build("cc", C, &path, &name, &["-lpthread"]);
        run(&built, &[]);
        run_under_valgrind(&built, &[]);
    }
}

#[test]
fn every_cpp_example_runs() {
    let examples = sources("examples/cpp", "cpp");
    assert!(!examples.is_empty());
    for (name, path) in examples {
        let built = build("c++", CPP, &path, &format!("{name}-cpp"), &["-lpthread"]);
        run(&built, &[]);
        run_under_valgrind(&built, &[]);
    }
}

#[test]
fn the_header_is_clean_as_cpp_too() {
    let built = build("c++", C_AS_CPP, "tests/c/header_only.c", "header-cpp", &[]);
    run(&built, &[]);
    run(&build("cc", C, "tests/c/header_only.c", "header-c", &[]), &[]);
}

#[test]
fn the_shared_library_shows_only_names_of_ours() {
    let Some(listed) = output(Command::new("nm").args(["-D", "--defined-only"]).arg(shared()))
    else {
        return skip("nm");
    };
    let text = String::from_utf8(listed.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next_back()).collect();
    let strangers: Vec<_> = names.iter().filter(|name| !name.starts_with("kv_")).collect();
    assert!(strangers.is_empty(), "also exported: {strangers:?}");
    let header = std::fs::read_to_string(root().join("include/moonkv.h")).unwrap();
    for name in &names {
        assert!(header.contains(&format!("{name}(")), "{name} is not in moonkv.h");
    }
    assert!(names.len() >= 20, "{names:?}");
}

#[test]
fn another_lua_lives_in_the_same_process() {
    let Some((include, libraries)) = lua_5_4() else { return skip("the C library of Lua 5.4") };
    let flags: Vec<&str> = C.iter().copied().chain(include.iter().map(String::as_str)).collect();
    let mut libraries: Vec<&str> = libraries.iter().map(String::as_str).collect();
    let linked = build("cc", &flags, "tests/c/two_luas.c", "two_luas", &libraries);
    run(&linked, &[]);
    run_under_valgrind(&linked, &[]);

    libraries.push("-ldl");
    // All of the host's names are in sight of the library, as in a program that exports its Lua.
    libraries.push("-rdynamic");
    let library = shared().display().to_string();
    let loads = build_with(&Library::None, "cc", &flags, "tests/c/loaded.c", "loaded", &libraries);
    run(&loads, &[&library]);
    run_under_valgrind(&loads, &[&library]);
}

/// How a program gets at moonkv.
enum Library {
    Shared,
    Static,
    None,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn skip(tool: &str) {
    println!("SKIPPED: {tool} is not installed here");
}

/// The folder that cargo puts the libraries in: the one this test is in or the one above.
fn target() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    folder
}

fn shared() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| library("libmoonkv.so"))
}

/// The newest library of the test's own profile; built first, should there be none.
fn library(name: &str) -> PathBuf {
    let places = [target().join("deps").join(name), target().join(name)];
    let changed = |place: &PathBuf| {
        place.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    if !places.iter().any(|place| place.exists()) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--lib"]).current_dir(root());
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let target_dir = target();
        cargo.env("CARGO_TARGET_DIR", target_dir.parent().unwrap());
        assert!(cargo.status().unwrap().success(), "cargo build failed");
    }
    places.into_iter().max_by_key(changed).unwrap()
}

/// Compiles a program against the shared library.
fn build(compiler: &str, flags: &[&str], source: &str, name: &str, libraries: &[&str]) -> PathBuf {
    build_with(&Library::Shared, compiler, flags, source, name, libraries)
}

fn build_with(
    library_kind: &Library,
    compiler: &str,
    flags: &[&str],
    source: &str,
    name: &str,
    libraries: &[&str],
) -> PathBuf {
    let folder = target().join("c_abi");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join(name);
    let mut command = Command::new(compiler);
    command.args(flags).args(["-g", "-Wall", "-Wextra", "-Werror"]);
    command.arg("-I").arg(root().join("include")).arg(root().join(source)).arg("-o").arg(&program);
    match library_kind {
        Library::Shared => {
            let folder = shared().parent().unwrap().display().to_string();
            command.args(["-x", "none"]).arg(shared()).arg(format!("-Wl,-rpath,{folder}"));
        }
        Library::Static => {
            command.args(["-x", "none"]).arg(library("libmoonkv.a"));
        }
        Library::None => {}
    }
    command.args(libraries);
    let built = output(&mut command).unwrap_or_else(|| panic!("{compiler} is not installed"));
    assert!(built.status.success(), "{source}:\n{}", String::from_utf8_lossy(&built.stderr));
    program
}

/// Runs a program that tells by its exit code whether all is well.
fn run(program: &Path, args: &[&str]) {
    let ran = output(Command::new(program).args(args)).unwrap();
    check(program, &ran);
}

fn run_under_valgrind(program: &Path, args: &[&str]) {
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect,possible",
        // One thread runs at a time; this lets each of them run.
        "--fair-sched=yes",
    ]);
    let known = root().join("tests/c/valgrind.supp");
    valgrind.arg(format!("--suppressions={}", known.display())).arg(program).args(args);
    match output(&mut valgrind) {
        Some(ran) => check(program, &ran),
        None => skip("valgrind"),
    }
}

fn check(program: &Path, ran: &Output) {
    assert!(
        ran.status.success(),
        "{} ended with {}:\n{}{}",
        program.display(),
        ran.status,
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// None if there is no such program.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// The sources in a folder: their names without the ending, and their paths from the root.
fn sources(folder: &str, ending: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|have| have == ending))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let path = format!("{folder}/{name}.{ending}");
            (name, path)
        })
        .collect();
    found.sort();
    found
}

/// The compiler's and the linker's flags for Lua 5.4, if its headers are installed.
fn lua_5_4() -> Option<(Vec<String>, Vec<String>)> {
    let flags = |kind: &str| {
        let asked = output(Command::new("pkg-config").args([kind, "lua5.4"]))?;
        let text = String::from_utf8(asked.stdout).unwrap();
        asked.status.success().then(|| text.split_whitespace().map(str::to_owned).collect())
    };
    flags("--cflags").zip(flags("--libs")).or_else(|| {
        Path::new("/usr/include/lua5.4/lua.h")
            .exists()
            .then(|| (vec!["-I/usr/include/lua5.4".to_owned()], vec!["-llua5.4".to_owned()]))
    })
}
