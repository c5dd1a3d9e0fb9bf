//! Nobody can point the operator at a host it was not started to call: neither by an account's endpoint, nor by what a cloud
//! answers. Judged at the socket: a door stands where each trick leads to, and counts who comes.

mod clients;
mod operator;
mod tricks;
