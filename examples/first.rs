//! The first steps: open, write, run a script. `cargo run --example first`

use moonkv::{Engine, Error};

fn main() -> Result<(), Error> {
    let engine = Engine::new()?;
    engine.command(&["SET", "greeting", "hello"])?;
    let script = "return redis.call('GET', KEYS[1]) .. ', ' .. ARGV[1]";
    let reply = engine.eval(script, &["greeting"], &["world"])?;
    println!("{}", reply.as_str().unwrap_or("no text"));
    Ok(())
}
