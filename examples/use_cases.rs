//! Seven things scripts are for, each a function of its own. `cargo run --example use_cases`
//!
//! Every script here is one atomic step: nothing else happens while it runs, and if it ends in an
//! error nothing it did remains.

use moonkv::{Engine, Error, Reply};

/// Nothing to pass as KEYS or ARGV.
const NONE: [&str; 0] = [];

fn main() -> Result<(), Error> {
    let engine = Engine::new()?;

    println!("A counter with a limit of 3:");
    for _ in 0..4 {
        println!("  {:?}", count_up_to(&engine, "downloads", 3)?);
    }

    println!("A transfer between two accounts:");
    engine.command(&["MSET", "alice", "100", "bob", "20"])?;
    println!("  alice and bob after 70: {:?}", transfer(&engine, "alice", "bob", 70)?);
    println!("  another 70: {}", transfer(&engine, "alice", "bob", 70).unwrap_err());

    println!("Which sensors are above 30 degrees:");
    engine.command(&["MSET", "kitchen", "21", "oven", "180", "cellar", "12", "roof", "41"])?;
    let sensors = ["kitchen", "oven", "cellar", "roof", "shed"];
    println!("  {:?}", above(&engine, &sensors, 30)?);

    println!("At most 3 requests in 1000 ms:");
    for now_ms in [0, 100, 200, 300, 1_050] {
        println!("  at {now_ms}: {}", allow(&engine, "requests", now_ms, 1_000, 3)?);
    }

    println!("Loaded once, run by its SHA-1:");
    println!("  {:?}", run_by_sha(&engine, &["a", "b", "a"])?);

    println!("Errors handled inside the script:");
    engine.command(&["RPUSH", "queue", "job"])?;
    println!("  {}", describe(&engine, "alice")?);
    println!("  {}", describe(&engine, "queue")?);

    println!("Statuses and errors as replies:");
    println!("  {:?}", open_door(&engine, "mellon"));
    println!("  {:?}", open_door(&engine, "sesame"));
    Ok(())
}

/// Counts up to a limit; `None` once it is reached.
pub fn count_up_to(engine: &Engine, key: &str, limit: i64) -> Result<Option<i64>, Error> {
    let script = "
        local count = tonumber(redis.call('GET', KEYS[1]) or 0)
        if count >= tonumber(ARGV[1]) then return nil end
        return redis.call('INCR', KEYS[1])";
    Ok(engine.eval(script, &[key], &[limit.to_string()])?.as_integer())
}

/// Moves an amount from one account to another and returns both balances. The check comes after
/// the writes on purpose: an error undoes them.
pub fn transfer(engine: &Engine, from: &str, to: &str, amount: i64) -> Result<Vec<i64>, Error> {
    let script = "
        local left = redis.call('DECRBY', KEYS[1], ARGV[1])
        local there = redis.call('INCRBY', KEYS[2], ARGV[1])
        if left < 0 then error({err = 'FUNDS ' .. -left .. ' short'}) end
        return {left, there}";
    Ok(integers(&engine.eval(script, &[from, to], &[amount.to_string()])?))
}

/// The keys whose numbers are above a threshold, in one call for all of them.
pub fn above(engine: &Engine, keys: &[&str], threshold: i64) -> Result<Vec<String>, Error> {
    let script = "
        local found = {}
        for i, value in ipairs(redis.call('MGET', unpack(KEYS))) do
            if value and tonumber(value) > tonumber(ARGV[1]) then found[#found + 1] = KEYS[i] end
        end
        return found";
    Ok(texts(&engine.eval(script, keys, &[threshold.to_string()])?))
}

/// A rate limiter with a sliding window: whether one more request may pass now. The time is an
/// argument, so the same calls give the same answers whenever they are replayed.
pub fn allow(
    engine: &Engine,
    key: &str,
    now_ms: i64,
    window_ms: i64,
    most: i64,
) -> Result<bool, Error> {
    let script = "
        local now, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
        local count = redis.call('ZCARD', KEYS[1])
        if count >= most then return 0 end
        redis.call('ZADD', KEYS[1], now, now .. ':' .. count)
        redis.call('EXPIRE', KEYS[1], math.ceil(window / 1000))
        return 1";
    let args = [now_ms, window_ms, most].map(|number| number.to_string());
    Ok(engine.eval(script, &[key], &args)? == Reply::Integer(1))
}

/// Counts words with a script that is sent once and run by its SHA-1 afterwards.
pub fn run_by_sha(engine: &Engine, words: &[&str]) -> Result<Vec<i64>, Error> {
    let sha1 = engine.script_load("return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)")?;
    let count = |word: &&str| engine.evalsha(&sha1, &["words"], &[word]);
    words.iter().map(|word| Ok(count(word)?.as_integer().unwrap_or(0))).collect()
}

/// What a key holds, in words. The script tries the usual way and handles its failure.
pub fn describe(engine: &Engine, key: &str) -> Result<String, Error> {
    let script = "
        local text = redis.pcall('GET', KEYS[1])
        if type(text) == 'table' and text.err then
            return 'not a string but a ' .. redis.call('TYPE', KEYS[1]).ok
        end
        return text and 'the string ' .. text or 'nothing'";
    let reply = engine.eval(script, &[key], &NONE)?;
    Ok(reply.as_str().unwrap_or_default().to_owned())
}

/// A status if the word is right, an error with a code of its own if it is wrong.
pub fn open_door(engine: &Engine, word: &str) -> Result<Reply, Error> {
    let script = "
        if ARGV[1] == 'mellon' then return redis.status_reply('OPEN') end
        return redis.error_reply('SHUT the door stays closed')";
    engine.eval(script, &NONE, &[word])
}

fn integers(reply: &Reply) -> Vec<i64> {
    reply.as_array().unwrap_or_default().iter().filter_map(Reply::as_integer).collect()
}

fn texts(reply: &Reply) -> Vec<String> {
    let text = |element: &Reply| element.as_str().map(str::to_owned);
    reply.as_array().unwrap_or_default().iter().filter_map(text).collect()
}
