//! What nobody has to wait for, and what costs one edit: a typo is corrected in place; what one side of an offer does is known to
//! the other side in the same cluster; a changed Secret is in force within seconds. Every interval of the operator is an hour
//! here: only what happens moves it.

mod corrections;
mod offers;
mod secrets;
mod stage;
