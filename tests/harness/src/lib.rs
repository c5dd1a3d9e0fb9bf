//! Real servers for the tests and the demo: etcd, kube-apiserver, Keystone, Glance, the cloud simulator and the operator;
//! and what campaigns of faults need: a proxy between them, the API's history, an auditor of what truly happened, and a
//! search for secrets that show.
//!
//! Each server runs under a keeper (see [`process`]) which ends it when its owner is dropped or dies, so that
//! a test that panics, or is killed, leaves nothing running. Linux with a POSIX shell is assumed.
//! The tests themselves, and what they assert, live elsewhere.

pub mod assets;
pub mod audit;
pub mod auditor;
mod background;
pub mod campaign;
pub mod canaries;
pub mod control_plane;
mod credentials;
pub mod helm;
pub mod history;
mod kubectl;
pub mod namespace;
pub mod openstack;
pub mod operator;
pub mod planted;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod reference;
pub mod release;
pub mod run;
pub mod simulator;
pub mod wait;

pub use auditor::Auditor;
pub use canaries::Canaries;
pub use control_plane::ControlPlane;
pub use history::History;
pub use namespace::{Kind, Namespace};
pub use openstack::OpenStack;
pub use operator::Operator;
pub use proxy::FaultProxy;
pub use release::Release;
pub use simulator::Simulator;
pub use wait::eventually;
