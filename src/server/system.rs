//! What the system says of this process, and chance that nobody can foresee.

use std::fs;
use std::hash::{BuildHasher, RandomState};

/// What a process uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Bytes of memory that are resident.
    pub(crate) resident: usize,
    /// Seconds of the processor's time in the system and in the program.
    pub(crate) system_seconds: f64,
    pub(crate) user_seconds: f64,
    /// Bytes of memory the machine has.
    pub(crate) machine: usize,
}

/// What this process uses; nought where the system does not say.
pub(crate) fn usage() -> Usage {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    // Times are in hundredths on every Linux; the name of the program may hold anything.
    let stat = read("/proc/self/stat");
    let facts: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let fact = |at: usize| facts.get(at).and_then(|fact| fact.parse::<u64>().ok()).unwrap_or(0);
    let memory = read("/proc/meminfo");
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    let status = read("/proc/self/status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    Usage {
        resident: resident.unwrap_or(0) << 10,
        user_seconds: fact(11) as f64 / 100.0,
        system_seconds: fact(12) as f64 / 100.0,
        machine: kilobytes.unwrap_or(0) << 10,
    }
}

/// The system's name, version and machine.
pub(crate) fn system_name() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        other => other,
    };
    let words = [name, release.trim(), std::env::consts::ARCH];
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// So many hexadecimal digits that nobody can foresee, from the system's source of chance where it
/// can be read.
pub(crate) fn hex_digits(count: usize) -> String {
    use std::io::Read;
    let mut bytes = vec![0_u8; count.div_ceil(2)];
    let source = fs::File::open("/dev/urandom");
    if source.and_then(|mut source| source.read_exact(&mut bytes)).is_err() {
        for (at, byte) in bytes.iter_mut().enumerate() {
            // Each of these states has keys of its own, which the system gave.
            *byte = RandomState::new().hash_one(at) as u8;
        }
    }
    let mut digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(count);
    digits
}
