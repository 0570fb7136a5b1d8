//! A gateway that is restarted again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::Settings;
use super::super::gateway::{Exit, Gateway};
use super::super::vendor::Vendor;

/// How long each gateway serves before SIGTERM.
const LIFE: Duration = Duration::from_secs(45);

/// The shortest such time in a scaled run.
const SHORTEST: Duration = Duration::from_secs(5);

/// What each gateway is started with.
pub(super) struct Restarts<'a> {
    pub settings: &'a Settings,
    pub vendor: &'a Vendor,
    pub flags: &'a [&'a str],
}

impl Restarts<'_> {
    /// Stops a gateway and starts another on the same port, until the time is
    /// over; then stops the last one.
    pub(super) async fn run(
        &self,
        mut gateway: Gateway,
        time: Duration,
    ) -> Result<Vec<Exit>, String> {
        let end = Instant::now() + time;
        let life = self.settings.time(LIFE).max(SHORTEST);
        let mut ended = Vec::new();
        while Instant::now() + life < end {
            sleep(life).await;
            let listen = gateway.address;
            ended.push(gateway.end().await?);
            // A name of its own: a new process knows nothing of earlier requests.
            let name = format!("restarted-{}", ended.len());
            let started = Gateway::start(self.settings, &name, self.vendor, listen, self.flags);
            gateway = started.await?;
        }
        ended.push(gateway.end().await?);
        Ok(ended)
    }
}
