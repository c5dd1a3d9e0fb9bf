//! The way to the clouds, with the operator as a process: proxies, authorities, endpoints. The vendors' hosts stand on loopback,
//! with TLS.

mod authorities;
mod endpoints;
mod forward_proxy;
mod proxies;
mod scene;
