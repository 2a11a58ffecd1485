//! What a cluster would do for the services: one that has ended is started again.

use std::time::Duration;

use switchyard_dev::{Services, StartError};

const EVERY: Duration = Duration::from_millis(500);

/// Looks after the services until it is dropped.
pub(super) async fn supervise(services: &Services) -> Result<(), StartError> {
    loop {
        for (name, service) in services.iter() {
            if let Some(exit) = service.exited() {
                eprintln!("{name} ended with {exit}; starting it again");
                service.restart().await?;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
