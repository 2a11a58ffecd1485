//! Benchmarks against ceilings, on a real server.
fn main() {}
