//! The files, looked at again while the gateway serves.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::sleep;

use super::Tls;

/// How often the files are read. They are small and in the system's memory;
/// what changes them, such as the kubelet, tells nobody, and a link that is
/// moved to a new directory is no event of the file.
const EVERY: Duration = Duration::from_secs(2);

impl Tls {
    /// Follows the files for as long as it is polled.
    pub(in crate::server) async fn follow(&self) {
        loop {
            sleep(EVERY).await;
            let tls = self.clone();
            // The files may be on a disk that is slow.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    /// Takes up what the files hold now. Connections that are open keep what
    /// they began with. What is wrong is told once, and changes nothing.
    fn look(&self) {
        let contents = self.files.read();
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if *seen == contents {
            return;
        }
        let config = match &contents {
            Ok(contents) => self.files.config(contents),
            Err(problems) => Err(problems.clone()),
        };
        *seen = contents;
        match config {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("the TLS files have changed; new connections get what they hold");
            }
            Err(problems) => tracing::warn!(
                problems = problems.join("; "),
                "the TLS files have changed and cannot be used; what they held before still is"
            ),
        }
    }
}
