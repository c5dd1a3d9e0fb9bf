//! Golden images that rotate, end to end: builds appear at the simulated cloud, the operator shares them, and the cloud's journal
//! judges.

mod answers;
mod consent;
mod lists;
mod owners;
mod retiring;
mod rotating;
mod stage;
