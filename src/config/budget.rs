//! The flags of the budget store, in which replicas share the requests of each token.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::limits::duration;
use crate::args::{ConfigErrors, parse_duration};
use crate::tls::pem;
use crate::token_key::TokenHasher;
use crate::upstream::budget_store::{Password, StoreAddress, StoreOptions};

/// How long a call waits for the store, unless it is set.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(50);

/// The longest time that a call may wait for it: a person would notice.
const MAX_TIMEOUT: Duration = Duration::from_secs(1);

/// The shortest secret, in bytes.
const MIN_SECRET: usize = 16;

/// The flags, as given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Requests to the vendor")]
pub(super) struct BudgetArgs {
    /// Redis or Valkey in which all replicas count the requests of each token
    #[arg(long, value_name = "URL")]
    #[arg(env = "PRESENCE_GATEWAY_BUDGET_STORE", hide_env_values = true)]
    budget_store: Option<String>,

    /// File with the password of the budget store
    #[arg(long, value_name = "FILE")]
    #[arg(env = "PRESENCE_GATEWAY_BUDGET_STORE_PASSWORD_FILE")]
    #[arg(hide_short_help = true)]
    budget_store_password_file: Option<String>,

    /// Trust the CAs in this PEM file for the budget store, instead of the system's
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_BUDGET_STORE_CA")]
    #[arg(hide_short_help = true)]
    budget_store_ca: Option<String>,

    /// How long a call waits for the budget store; then the replica limits the requests alone
    #[arg(long, value_name = "DURATION")]
    #[arg(env = "PRESENCE_GATEWAY_BUDGET_STORE_TIMEOUT")]
    #[arg(default_value_t = duration(DEFAULT_TIMEOUT))]
    #[arg(hide_short_help = true)]
    budget_store_timeout: String,

    /// File with a secret of all replicas, under which tokens are hashed in the budget store
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_BUDGET_SECRET")]
    #[arg(hide_short_help = true)]
    budget_secret: Option<String>,
}

/// What an error shows of a path: nothing of a value that may be the secret itself.
fn shown(path: &str) -> &str {
    if path.contains('/') || Path::new(path).exists() {
        path
    } else {
        "… (a file)"
    }
}

/// The budget that replicas share.
#[derive(Debug)]
pub struct SharedBudget {
    /// The store, and how it is used.
    pub store: StoreOptions,
    /// Makes the names of tokens in the store.
    pub hasher: TokenHasher,
    /// Whether the hasher has a secret.
    pub has_secret: bool,
}

impl BudgetArgs {
    /// Parses the flags; `None` if there is no store, or a flag is wrong.
    pub(super) fn parse(
        &self,
        requests_per_minute: Option<usize>,
        errors: &mut ConfigErrors,
    ) -> Option<SharedBudget> {
        let timeout = errors.parse(
            "budget-store-timeout",
            &self.budget_store_timeout,
            parse_timeout,
        );
        let secret = self.budget_secret.as_ref().map(|path| {
            errors.parse("budget-secret", shown(path), |_| {
                parse_secret(&pem::file(path)?)
            })
        });
        let password = self.budget_store_password_file.as_ref().map(|path| {
            errors.parse("budget-store-password-file", shown(path), |_| {
                parse_password(pem::file(path)?)
            })
        });
        let authorities = self.budget_store_ca.as_ref().map(|path| {
            errors.parse("budget-store-ca", path, |path| {
                pem::authorities(path)?;
                pem::file(path)
            })
        });
        let Some(url) = &self.budget_store else {
            let flags = [
                ("budget-store-password-file", password.is_some()),
                ("budget-store-ca", authorities.is_some()),
                ("budget-secret", secret.is_some()),
            ];
            for (flag, _) in flags.into_iter().filter(|(_, is_given)| *is_given) {
                errors.add(format!("--{flag}: has no effect without --budget-store"));
            }
            return None;
        };
        // The URL may hold a password, also a wrong one.
        let shown = match url.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://…"),
            None if url.contains('@') => "…".to_owned(),
            None => url.clone(),
        };
        let mut address = errors.parse("budget-store", &shown, |_| StoreAddress::parse(url))?;
        if requests_per_minute == Some(0) {
            errors.add(
                "--budget-store: has no effect with --token-requests-per-minute 0, which sets no limit",
            );
        }
        if let Some(password) = password {
            if address.has_password() {
                errors.add(
                    "--budget-store-password-file: the URL of --budget-store holds a password too; \
                     give one of the two",
                );
            }
            address = address.with_password(password?);
        }
        if address.has_user() && !address.has_password() {
            errors.add(
                "--budget-store: the URL names a user, but no password; \
                 give it by --budget-store-password-file",
            );
        }
        if let Some(authorities) = authorities {
            if !address.is_secure() {
                errors.add(format!(
                    "--budget-store-ca: has no effect, because `{address}` is reached without TLS; \
                     write `rediss…://`"
                ));
            }
            address = address.with_authorities(authorities?);
        }
        let has_secret = secret.is_some();
        let secret = match secret {
            Some(secret) => Some(secret?),
            None => None,
        };
        Some(SharedBudget {
            store: StoreOptions {
                address,
                timeout: timeout?,
            },
            hasher: TokenHasher::shared(secret.as_deref()),
            has_secret,
        })
    }
}

fn parse_timeout(raw: &str) -> Result<Duration, String> {
    let timeout = Some(parse_duration(raw)?);
    let timeout = timeout.filter(|it| (Duration::from_millis(1)..=MAX_TIMEOUT).contains(it));
    timeout.ok_or_else(|| "is not between 1ms and 1s".to_owned())
}

fn parse_secret(file: &[u8]) -> Result<Vec<u8>, String> {
    let secret = file.trim_ascii();
    if secret.len() < MIN_SECRET {
        return Err(format!(
            "holds {} bytes; a secret has at least {MIN_SECRET}, for example of `openssl rand -hex 32`",
            secret.len()
        ));
    }
    Ok(secret.to_vec())
}

fn parse_password(file: Vec<u8>) -> Result<Password, String> {
    let text = String::from_utf8(file).map_err(|_| "is no UTF-8 text".to_owned())?;
    let password = Password::from_text(&text);
    (!password.is_empty())
        .then_some(password)
        .ok_or_else(|| "holds no password".to_owned())
}
