//! The cloud simulator as its own process.
fn main() {}
