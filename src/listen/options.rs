//! What a listener is opened with; each option with its default and its reason.

use std::path::PathBuf;
use std::time::Duration;

/// What a listener is opened with.
///
/// ```no_run
/// use moonkv::{Engine, ListenOptions};
/// # fn main() -> Result<(), moonkv::Error> {
/// let engine = Engine::new()?;
/// let mut options = ListenOptions::default();
/// options.unix = Some("/run/game/moonkv.sock".into());
/// options.port = None;
/// let listener = engine.listen(&options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The addresses to listen on, or names of hosts; `*` is every IPv4 address of this machine.
    /// Default 127.0.0.1, which nobody can reach from elsewhere.
    pub bind: Vec<String>,
    /// The TCP port; default 0, which picks one that is free. `None` for no TCP at all.
    pub port: Option<u16>,
    /// The path of a Unix socket; default none. A socket that nobody listens on any more is
    /// replaced. The file goes when the listener does.
    pub unix: Option<PathBuf>,
    /// The permissions of that file, such as `0o700`; default those that the umask leaves.
    pub unix_permissions: Option<u32>,
    /// The password that clients have to give first (`AUTH`, `HELLO`); it becomes the engine's
    /// `requirepass`. Default none.
    pub password: Option<String>,
    /// Whether others than this machine's own may connect without a password; default no: an
    /// address that they can reach is refused unless a password is set.
    pub exposed: bool,
    /// The most clients at a time; default 10,000. One more is told so and turned away.
    pub max_clients: usize,
    /// How long a client may be silent before it is disconnected; default `None`, for ever.
    pub idle_timeout: Option<Duration>,
    /// How often the system looks whether a silent client is still there; default 300 seconds.
    pub keepalive: Option<Duration>,
    /// How many connections may wait to be accepted; default 511.
    pub backlog: u32,
    /// The longest argument, in bytes; default 512 MiB, as `proto-max-bulk-len`.
    pub bulk_most: usize,
    /// The most bytes of a client's requests that may wait to be executed; default 1 GiB. One who
    /// sends more is disconnected.
    pub input_most: usize,
    /// What a client may leave unread of its replies before it is disconnected.
    pub output_limit: OutputLimit,
    /// The same for a client that listens to channels, who is told more than it asked for.
    pub pubsub_output_limit: OutputLimit,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions {
            bind: vec!["127.0.0.1".to_owned()],
            port: Some(0),
            unix: None,
            unix_permissions: None,
            password: None,
            exposed: false,
            max_clients: 10_000,
            idle_timeout: None,
            keepalive: Some(Duration::from_secs(300)),
            backlog: 511,
            bulk_most: 512 << 20,
            input_most: 1 << 30,
            output_limit: OutputLimit::NONE,
            pubsub_output_limit: OutputLimit {
                hard: Some(32 << 20),
                soft: Some((8 << 20, Duration::from_secs(60))),
            },
        }
    }
}

/// How many bytes of output a client may leave unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Beyond so many it is disconnected at once.
    pub hard: Option<usize>,
    /// Beyond so many it is disconnected if that lasts for so long.
    pub soft: Option<(usize, Duration)>,
}

impl OutputLimit {
    /// As many as there is memory for: as with Redis, the default for clients that only call.
    pub const NONE: OutputLimit = OutputLimit { hard: None, soft: None };
}
