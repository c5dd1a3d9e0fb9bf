//! The operator as a process.
fn main() {}
