//! Keeps include/moonkv.h equal to what src/ffi/ says: a plain run compares, `UPDATE=1` rewrites.

use std::path::Path;

/// In the order in which the header tells them.
const FILES: [&str; 14] = [
    "version.rs",
    "bytes.rs",
    "reply.rs",
    "options.rs",
    "engine.rs",
    "script.rs",
    "session.rs",
    "subscription.rs",
    "log.rs",
    "host.rs",
    "limits.rs",
    "listen.rs",
    "traceback.rs",
    "statistics.rs",
];

const HINT: &str = "`UPDATE=1 cargo test --test header` rewrites it";

#[test]
fn the_header_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = root.join("include/moonkv.h");
    let header = generated(root);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(root.join("include")).unwrap();
        std::fs::write(&place, &header).unwrap();
    }
    let committed = std::fs::read_to_string(&place).unwrap_or_default();
    assert!(committed == header, "include/moonkv.h is not what src/ffi/ says; {HINT}");
}

#[test]
fn every_function_of_the_ffi_is_in_the_header() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = generated(root);
    for entry in std::fs::read_dir(root.join("src/ffi")).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for rest in source.split("pub extern \"C\" fn ").skip(1) {
            let name = rest.split('(').next().unwrap();
            assert!(header.contains(&format!("{name}(")), "{name} is missing; see FILES");
        }
    }
}

fn generated(root: &Path) -> String {
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    config.after_includes = Some(version_macros());
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = FILES.iter().fold(builder, |b, file| b.with_src(root.join("src/ffi").join(file)));
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    unconst(&String::from_utf8(header).unwrap())
}

fn version_macros() -> String {
    format!(
        "\n/* The header's version; kv_version tells the library's. */\n\
         #define KV_VERSION \"{}\"\n#define KV_VERSION_MAJOR {}\n\
         #define KV_VERSION_MINOR {}\n#define KV_VERSION_PATCH {}",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    )
}

/// Handles lock inside: what Rust shares, C may change, and const would promise the contrary.
fn unconst(header: &str) -> String {
    ["kv_engine", "kv_script", "kv_session", "kv_subscription"].iter().fold(
        header.to_owned(),
        |text, handle| {
            text.replace(&format!("const struct {handle} *"), &format!("struct {handle} *"))
        },
    )
}
