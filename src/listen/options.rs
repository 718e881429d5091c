//! What a listener is opened with; each option with its default and its reason.

use std::path::PathBuf;

/// What a listener is opened with. How many clients there may be, how long they may be silent and how
/// much they may send or leave unread are parameters of the engine, as in Redis: `maxclients`,
/// `timeout`, `tcp-keepalive`, `proto-max-bulk-len`, `client-query-buffer-limit` and
/// `client-output-buffer-limit`. They can be set while clients are connected.
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
    /// How many connections may wait to be accepted; default 511.
    pub backlog: u32,
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
            backlog: 511,
        }
    }
}
