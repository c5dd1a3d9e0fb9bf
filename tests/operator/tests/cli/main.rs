//! The kubectl plugin as people run it: against a real API server, an operator and simulated clouds; with the rights of
//! whoever runs it, and no others.

mod console;
mod live;
mod pages;
mod planning;
mod rights;
mod stage;
mod telling;
