//! The real binary against real servers.

mod bad_input;
mod cancel;
mod cli;
mod demo;
mod faults;
mod start;
mod traces;
mod yard;
