//! One gateway that is ended and started again, all the time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::Setting;
use super::super::gateway::{Ended, Gateway};
use super::super::vendor::Vendor;

/// How long each serves before it is told to end.
const LIFE: Duration = Duration::from_secs(45);

/// The shortest such time, where all is run in less.
const SHORTEST: Duration = Duration::from_secs(5);

/// What it is started with.
pub(super) struct Restarts<'a> {
    pub setting: &'a Setting,
    pub vendor: &'a Vendor,
    pub flags: &'a [&'a str],
}

impl Restarts<'_> {
    /// Ends a gateway and starts another one in its place, at once and on the
    /// same port, until there is no time for a further one; and ends the last.
    pub(super) async fn go_on(
        &self,
        mut gateway: Gateway,
        time: Duration,
    ) -> Result<Vec<Ended>, String> {
        let end = Instant::now() + time;
        let life = self.setting.time(LIFE).max(SHORTEST);
        let mut ended = Vec::new();
        while Instant::now() + life < end {
            sleep(life).await;
            let listen = gateway.address;
            ended.push(gateway.end().await?);
            // A name of its own: it knows nothing of what the one before sent.
            let name = format!("restarted-{}", ended.len());
            let started = Gateway::start(self.setting, &name, self.vendor, listen, self.flags);
            gateway = started.await?;
        }
        ended.push(gateway.end().await?);
        Ok(ended)
    }
}
