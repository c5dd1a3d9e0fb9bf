//! From a `CloudAccount` to a client of its cloud: the Secret is read, the credentials are proven to be the account's, and one
//! circuit opens when the cloud refuses them.

pub mod clients;
pub mod connections;
