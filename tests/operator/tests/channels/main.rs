//! Golden images that rotate, end to end: builds appear at the simulated cloud, the operator shares them, and the cloud's journal
//! judges.

mod consent;
mod lists;
mod owners;
mod rotating;
mod stage;
