//! The HTTP clients of accounts that trust more authorities, or wait longer, than the process does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{Authorities, Clients, TransportSettings};

/// How an account's connections differ from those of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tailoring {
    /// Authorities trusted in addition to the public ones.
    pub authorities: Authorities,
    /// Longest time to open a connection; at most `call`.
    pub connect: Option<Duration>,
    /// Longest time for one call that changes nothing.
    pub call: Option<Duration>,
}

impl Tailoring {
    pub(super) fn is_none(&self) -> bool {
        self.authorities.is_empty() && self.connect.is_none() && self.call.is_none()
    }

    /// How long to wait for a connection, and for a whole call.
    pub(super) fn timeouts(&self, settings: &TransportSettings) -> (Duration, Duration) {
        let call = self.call.unwrap_or(settings.deadline);
        (self.connect.unwrap_or(settings.connect_timeout).min(call), call)
    }
}

/// The clients in use, by what they were made for.
#[derive(Debug, Default)]
pub(super) struct Tailored(Mutex<HashMap<Tailoring, Weak<Clients>>>);

impl Tailored {
    /// The clients for this, which are made if there are none.
    pub(super) fn clients<E>(
        &self,
        tailoring: &Tailoring,
        new: impl FnOnce() -> Result<Clients, E>,
    ) -> Result<Arc<Clients>, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clients) = known.get(tailoring).and_then(Weak::upgrade) {
            return Ok(clients);
        }
        // Those of former bundles and of deleted accounts.
        known.retain(|_, clients| clients.strong_count() > 0);
        let clients = Arc::new(new()?);
        known.insert(tailoring.clone(), Arc::downgrade(&clients));
        Ok(clients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::transport::Transport;

    #[test]
    fn accounts_with_the_same_settings_share_clients_and_those_of_nobody_are_forgotten() {
        let transport = Transport::new(TransportSettings::default()).unwrap();
        let slow = Tailoring { call: Some(Duration::from_secs(20)), ..Tailoring::default() };
        let (one, other) = (transport.tailored(&slow).unwrap(), transport.tailored(&slow).unwrap());
        assert!(Arc::ptr_eq(&one.clients, &other.clients) && !Arc::ptr_eq(&one.clients, &transport.clients));
        let plain = transport.tailored(&Tailoring::default()).unwrap();
        assert!(Arc::ptr_eq(&plain.clients, &transport.clients), "the pool of the process");
        drop((one, other));
        let quick = Tailoring { call: Some(Duration::from_secs(2)), ..Tailoring::default() };
        let quick = transport.tailored(&quick).unwrap();
        assert_eq!(transport.tailored.0.lock().unwrap().len(), 1);
        drop(quick);
    }

    #[test]
    fn no_connection_takes_longer_than_its_call_may() {
        let settings = TransportSettings::default();
        let seconds = |connect: Option<u64>, call: Option<u64>| {
            let [connect, call] = [connect, call].map(|seconds| seconds.map(Duration::from_secs));
            let (connect, call) = Tailoring { connect, call, ..Tailoring::default() }.timeouts(&settings);
            (connect.as_secs(), call.as_secs())
        };
        assert_eq!(seconds(None, None), (5, 10));
        assert_eq!(seconds(Some(8), Some(20)), (8, 20));
        assert_eq!(seconds(Some(8), Some(3)), (3, 3));
        assert_eq!(seconds(None, Some(3)), (3, 3));
    }
}
