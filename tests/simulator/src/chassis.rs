//! What every simulated cloud is built on: the front end on its port, signatures, fault injection, throttling, the journal,
//! the clock, and sharing as it was. Nothing here knows a vendor; each implements [`exchange::Vendor`].

pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod effect;
pub(crate) mod exchange;
pub(crate) mod faults;
pub(crate) mod front_end;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod names;
pub(crate) mod pairs;
pub(crate) mod refusal;
pub(crate) mod signature;
pub(crate) mod throttling;
pub(crate) mod tls;
pub(crate) mod tokens;
pub(crate) mod wire;
pub(crate) mod xml;
