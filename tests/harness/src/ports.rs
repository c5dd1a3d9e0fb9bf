//! Free ports of 127.0.0.1, for servers that cannot choose one themselves (port 0) or must keep theirs.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result};

/// Below the range from which Linux gives ports to outgoing connections (32768 and up): otherwise, while a server
/// is down, a connection of any other program could sit on its port, or a client could connect to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Tries before giving up.
const TRIES: usize = 200;

/// A port free at this moment. Another program may take it before its use: callers try again then.
pub fn free() -> Result<u16> {
    (0..TRIES)
        .map(|_| rand::random_range(RANGE))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .with_context(|| format!("no free port in {RANGE:?} in {TRIES} tries"))
}
