//! x
/// x
#[derive(Debug)]
pub struct Auditor;
