//! Free ports of 127.0.0.1.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::StartError;

/// Below the range that the kernel gives to outgoing connections (32768 and up): a client that tries to reach a server while it
/// restarts could otherwise be given the server's own port.
const FROM: u16 = 20_000;
const TO: u16 = 32_000;

/// Finds a port that nobody listens on. Random, so that two processes that start stacks at the same moment hardly meet; within
/// a process no port is given twice.
pub(crate) fn free() -> Result<u16, StartError> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    (0..1000)
        .map(|_| random())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok() && given.insert(*port))
        .ok_or(StartError::NoPort { from: FROM, to: TO })
}

fn random() -> u16 {
    let [high, low, ..] = *Uuid::new_v4().as_bytes();
    FROM + u16::from_be_bytes([high, low]) % (TO - FROM)
}
