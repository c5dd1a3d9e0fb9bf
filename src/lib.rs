//! imageshare-operator: sharing cloud machine images, declared in Kubernetes.

pub mod clouds;
pub mod domain;
pub mod simulator;
