//! imageshare-operator: sharing cloud machine images, declared in Kubernetes.

pub mod api;
pub mod clouds;
pub mod cluster;
pub mod controllers;
pub mod domain;
pub mod operator;
pub mod planning;
pub mod simulator;
pub mod telemetry;
