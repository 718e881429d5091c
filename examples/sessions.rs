//! A transaction with a savepoint, and a worker that waits. `cargo run --example sessions`

use moonkv::{Engine, Error, Reply, Session};
use std::thread;

fn main() -> Result<(), Error> {
    let engine = Engine::new()?;
    engine.command(&["MSET", "gold:ann", "100", "gold:bob", "20"])?;

    // All or nothing: what the closure does is kept if it returns Ok.
    println!("70: {:?}", pay(&engine, 70));
    println!("70 more: {}", pay(&engine, 70).unwrap_err());
    println!("ann has {}", text(&engine.command(&["GET", "gold:ann"])?));

    // A worker waits for jobs on a thread of its own; the engine is free meanwhile.
    thread::scope(|scope| {
        let worker = scope.spawn(|| work(&engine));
        engine.command(&["RPUSH", "jobs", "sweep", "cook", "stop"])?;
        for done in worker.join().unwrap_or(Ok(Vec::new()))? {
            println!("done: {done}");
        }
        Ok(())
    })
}

/// Moves gold from ann to bob, with a fee that is waived where it cannot be paid.
fn pay(engine: &Engine, amount: i64) -> Result<i64, Error> {
    engine.transaction(|session| {
        take(session, amount)?;
        let before_fee = session.savepoint()?;
        if take(session, 1).is_err() {
            session.rollback_to(before_fee)?;
        }
        let reply = session.command(&["INCRBY", "gold:bob", &amount.to_string()])?;
        reply.as_integer().ok_or(Error::Closed)
    })
}

fn take(session: &Session, amount: i64) -> Result<(), Error> {
    let script = "if redis.call('DECRBY', KEYS[1], ARGV[1]) < 0 then error({err = 'FUNDS'}) end";
    session.eval(script, &["gold:ann"], &[amount.to_string()]).map(drop)
}

/// Takes jobs until there is one that says stop.
fn work(engine: &Engine) -> Result<Vec<String>, Error> {
    let session = engine.session()?;
    let mut done = Vec::new();
    loop {
        match session.command(&["BLPOP", "jobs", "0"])? {
            Reply::Array(job) if job.get(1).and_then(Reply::as_str) != Some("stop") => {
                done.extend(job.get(1).map(text));
            }
            _ => return Ok(done),
        }
    }
}

fn text(reply: &Reply) -> String {
    reply.as_str().unwrap_or_default().to_owned()
}
