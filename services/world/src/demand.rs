//! Very many histories, on demand: `cargo test --release -p switchyard-world on_demand -- --ignored --nocapture`.
//!
//! `SWITCHYARD_HISTORIES` says how many (1,000,000), `SWITCHYARD_THREADS` on how many threads (1), `SWITCHYARD_SEED` which ones:
//! the same seed and number give the same histories on any number of threads. Without a seed, the time draws it.

use std::{
    env,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::history::{KINDS, histories};

/// Histories are drawn in portions, each from a seed of its own.
const PORTION: u32 = 2_000;

/// So often it is said how far it is.
const TOLD_EVERY: u64 = 250_000;

#[test]
#[ignore = "as long as you like"]
fn histories_on_demand() {
    let all: u32 = setting("SWITCHYARD_HISTORIES", 1_000_000);
    let threads: u32 = setting("SWITCHYARD_THREADS", 1);
    let drawn = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap();
    let seed: u64 = setting("SWITCHYARD_SEED", drawn);
    println!("{all} histories on {threads} threads, seed {seed}");
    let (begun, next, lived) = (Instant::now(), AtomicU32::new(0), AtomicU64::new(0));
    let said = |lived: u64| {
        let (seconds, many) = (begun.elapsed().as_secs_f64(), f64::from(u32::try_from(lived).unwrap()));
        println!("{lived} histories in {seconds:.0} s, {:.0} a second, no law broken; seed {seed}", many / seconds);
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let portion = next.fetch_add(1, Ordering::Relaxed);
                    let many = all.saturating_sub(portion.saturating_mul(PORTION)).min(PORTION);
                    if many == 0 {
                        return;
                    }
                    live_through(seed, portion, many);
                    let before = lived.fetch_add(many.into(), Ordering::Relaxed);
                    let now = before + u64::from(many);
                    if before / TOLD_EVERY < now / TOLD_EVERY && now < all.into() {
                        said(now);
                    }
                }
            });
        }
    });
    assert_eq!(lived.load(Ordering::Relaxed), u64::from(all));
    said(all.into());
}

/// One portion: the kinds take turns. Panics where a law is broken, with the history shrunk; its seed is kept then.
fn live_through(seed: u64, portion: u32, many: u32) {
    let kind = &KINDS[portion as usize % KINDS.len()];
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..12].copy_from_slice(&portion.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(histories(many), rng);
    let lived = runner.run(&kind.histories(), |(steps, endless)| kind.live(&steps, endless, None));
    if let Err(broken) = lived {
        panic!("portion {portion} of seed {seed}: {broken}\n{runner}");
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name).map_or(default, |text| text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
