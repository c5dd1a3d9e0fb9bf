//! Copies of images at real Keystones and Glances: made, taken over from others, interrupted in every way and ended. Judged
//! by what Glance itself says: which images a project has, and what is proven of their content.

mod copies;
mod ends;
mod interrupted;
mod memory;
mod received;
mod refusals;
mod scene;
mod stage;
