//! Sharing an image, end to end: a real API server, the operator as a process, and the cloud's journal as the judge.

mod consent;
mod foreign;
mod frugality;
mod leaving;
mod overlap;
mod places;
mod refused;
mod retaining;
mod unknown;
mod vanished;
mod visible;
