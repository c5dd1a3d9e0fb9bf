//! Real servers for the tests and the demo: etcd, kube-apiserver, the cloud simulator and the operator.
//!
//! Each server runs under a keeper (see [`process`]) which ends it when its owner is dropped or dies, so that
//! a test that panics, or is killed, leaves nothing running. Linux with a POSIX shell is assumed.
//! The tests themselves, and what they assert, live elsewhere.

pub mod assets;
pub mod control_plane;
mod credentials;
mod kubectl;
pub mod namespace;
pub mod operator;
pub mod ports;
pub mod process;
pub mod run;
pub mod simulator;
pub mod wait;

pub use control_plane::ControlPlane;
pub use namespace::Namespace;
pub use operator::Operator;
pub use simulator::Simulator;
pub use wait::eventually;
