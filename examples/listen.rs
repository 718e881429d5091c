//! An engine that this program and any Redis client share. `cargo run --example listen`

use moonkv::{Engine, ListenOptions, Reply};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new()?;
    let listener = engine.listen(&ListenOptions::default())?;
    let address = listener.addresses().first().copied().ok_or("it listens on TCP")?;
    println!("redis-cli -p {} would be answered now", address.port());

    // The program's own calls need no socket; what a client sees is the same.
    engine.command(&["HSET", "player:ann", "gold", "100"])?;
    let mut client = Client::connect(address)?;
    println!("ann has {}", client.ask("HGET player:ann gold")?);
    println!("ann has {} after a client's visit", client.ask("HINCRBY player:ann gold -30")?);
    let gold = engine.command(&["HGET", "player:ann", "gold"])?;
    println!("which the program sees as {}", gold.as_str().unwrap_or("nothing"));

    // A client waits for a job, the program has one.
    thread::scope(|scope| {
        let worker = scope.spawn(move || -> std::io::Result<String> {
            let mut client = Client::connect(address)?;
            client.ask("BLPOP jobs 0")
        });
        engine.command(&["RPUSH", "jobs", "sweep"])?;
        let job = worker.join().map_err(|_| "the worker panicked")??;
        println!("a worker got: {job}");
        Ok::<(), Box<dyn Error>>(())
    })?;

    // The listener goes first: its clients are disconnected, the data stays.
    listener.close();
    assert_eq!(engine.command(&["EXISTS", "player:ann"])?, Reply::Integer(1));
    println!("nobody listens any more");
    Ok(())
}

/// As little of a Redis client as will do here; programs use a library.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: std::net::SocketAddr) -> std::io::Result<Client> {
        Ok(Client(BufReader::new(TcpStream::connect(address)?)))
    }

    /// Sends a line; the reply's texts, with spaces between.
    fn ask(&mut self, line: &str) -> std::io::Result<String> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let text = line.trim_end().get(1..).unwrap_or_default().to_owned();
        match line.as_bytes().first() {
            Some(b'*') => {
                let texts: Result<Vec<String>, _> =
                    (0..text.parse().unwrap_or(0)).map(|_: usize| self.reply()).collect();
                Ok(texts?.join(" "))
            }
            Some(b'$') => {
                let mut text = String::new();
                self.0.read_line(&mut text)?;
                Ok(text.trim_end().to_owned())
            }
            _ => Ok(text),
        }
    }
}
