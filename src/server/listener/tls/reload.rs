//! Reloads the TLS files while the gateway serves.

use tokio::time::sleep;

use super::Tls;
use crate::server::limits::TLS_RELOAD_INTERVAL;

impl Tls {
    /// Reloads the files at an interval, for as long as it is polled.
    pub(in crate::server) async fn watch_files(&self) {
        loop {
            sleep(TLS_RELOAD_INTERVAL).await;
            let tls = self.clone();
            // The disk may be slow.
            let _ = tokio::task::spawn_blocking(move || tls.reload()).await;
        }
    }

    /// Uses changed files for new connections. A problem with them changes
    /// nothing and is logged once.
    fn reload(&self) {
        let contents = self.files.read();
        // A file that changed during the read may not match the others.
        if contents != self.files.read() {
            return;
        }
        let mut seen = self.seen.write();
        if *seen == contents {
            return;
        }
        let config = match &contents {
            Ok(contents) => self.files.config(contents),
            Err(problems) => Err(problems.clone()),
        };
        *seen = contents;
        drop(seen);
        match config {
            Ok(config) => {
                *self.config.write() = config;
                tracing::info!("TLS files reloaded; new connections use them");
                self.log_problem();
            }
            Err(problems) => tracing::warn!(
                problems = problems.join("; "),
                "TLS files changed but cannot be used; keeping the previous ones"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::super::TlsFiles;
    use super::*;
    use crate::logging::captured::CapturedLog;

    #[test]
    fn a_change_is_logged_once_however_often_reload_runs() {
        let folder = std::env::temp_dir().join(format!("reload-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&pair).unwrap().pem();
        std::fs::write(&cert, certificate).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        let files = TlsFiles {
            cert,
            key: key.clone(),
            client_ca: None,
        };
        let tls = Tls::new(files).unwrap();

        let log = CapturedLog::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone());
        let logged = || {
            let log = log.text();
            (log.matches(" INFO ").count(), log.matches(" WARN ").count())
        };
        tracing::subscriber::with_default(subscriber.with_ansi(false).finish(), || {
            let reload = || (0..3).for_each(|_| tls.reload());
            reload();
            assert_eq!(logged(), (0, 0));
            std::fs::remove_file(&key).unwrap();
            reload();
            assert_eq!(logged(), (0, 1), "a missing file");
            std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
            reload();
            assert_eq!(logged(), (0, 2), "a key of another certificate");
            std::fs::write(&key, pair.serialize_pem()).unwrap();
            reload();
            assert_eq!(logged(), (1, 2), "a valid key again");
        });
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
