//! A small world for the build protocol: a ledger, an event log, clocks and two clusters in memory, and the real launchers and
//! reapers in it. It holds tests only.
//!
//! A history is a list of steps: messages are delivered late, twice and in any order, handlers stop between any two effects and
//! go on later or never, pods end, are deleted by others or lose their machine, clusters are away, clocks are early, late or
//! lost, builds are cancelled. After every step the invariants are checked (`laws.rs`); at the end the trouble stops, and then
//! everything must come to rest: each build ended once, nothing is left.
//!
//! What stands for what: a crash is a handler's future that is dropped where it waits; a paused replica is one that is not
//! polled; a redelivery is a second handler of a message that nobody has acknowledged.

#[cfg(test)]
mod cancels;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod demand;
#[cfg(test)]
mod draw;
#[cfg(test)]
mod flight;
#[cfg(test)]
mod history;
#[cfg(test)]
mod holes;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod mistake;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod pod;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod script;
#[cfg(test)]
mod site;
#[cfg(test)]
mod state;
#[cfg(test)]
mod step;
#[cfg(test)]
mod told;
#[cfg(test)]
mod world;
