//! The domain types: identifiers, images, provider rules, shares. Pure: no clock, no I/O, no Kubernetes.

pub mod aws;
pub mod call;
pub mod fault;
pub mod foreign_text;
pub mod identifiers;
pub mod image;
pub mod openstack;
pub mod provider;
pub mod role;
pub mod share;
