//! From a `CloudAccount` to its cloud client: reads the Secret, proves that the credentials are the account's, and opens one
//! circuit when the cloud refuses them.

mod account_log;
pub mod clients;
pub mod connections;
mod roles;
