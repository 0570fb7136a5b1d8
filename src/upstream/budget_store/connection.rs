//! A connection to the store: to one server, to the primary that Sentinels name, or
//! to a cluster.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsMode,
};
use tokio::time::timeout;

use super::address::{Kind, StoreAddress};
use super::reason::{Attempt, describe, no_connection, unusable};

/// How long a connection may take to open, with its handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a reply is awaited, in order to give back what it has taken, after the
/// call has gone on without it.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// The oldest server whose scripts can do what ours need.
const OLDEST: (u32, u32) = (6, 2);

/// A connection that requests share.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Opens a connection, and checks that the server can be used.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub(super) async fn open(address: &StoreAddress) -> Result<Self, String> {
        let limit = match address.kind {
            // One that is lost takes as long as a connection may.
            Kind::Sentinel { .. } | Kind::Cluster => 3 * CONNECT_TIMEOUT,
            Kind::Server => CONNECT_TIMEOUT,
        };
        let opened = timeout(limit, async {
            let mut connection = Self::connect(address).await?;
            connection.check_server().await?;
            Ok(connection)
        });
        match opened.await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(describe(&error, address, Attempt::Connect)),
            Err(_) => Err(no_connection(address)),
        }
    }

    async fn connect(address: &StoreAddress) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(REPLY_TIMEOUT));
        let certificates = address.certificates();
        match &address.kind {
            Kind::Server => {
                let info = address.addr(0).into_connection_info()?;
                let info = info.set_redis_settings(login(address));
                let client = match certificates {
                    Some(certificates) => Client::build_with_tls(info, certificates)?,
                    None => Client::open(info)?,
                };
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Ok(Self::Server(connection.await?))
            }
            Kind::Sentinel { primary } => {
                let mut order: Vec<_> = (0..address.hosts.len()).collect();
                // The library waits for them in their order.
                fastrand::shuffle(&mut order);
                let sentinels = order.into_iter().map(|index| address.addr(index));
                let mut builder =
                    SentinelClientBuilder::new(sentinels, primary, SentinelServerType::Master)?
                        .set_client_to_redis_db(address.database);
                if let Some(user) = &address.user {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = &address.password {
                    builder = builder.set_client_to_redis_password(password.expose());
                }
                if let Some(certificates) = certificates {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_redis_certificates(certificates.clone())
                        .set_client_to_sentinel_certificates(certificates);
                }
                let mut client = builder.build()?;
                let connection = client.get_async_connection_with_config(&config).await?;
                Ok(Self::Server(connection))
            }
            Kind::Cluster => {
                let nodes = (0..address.hosts.len()).map(|index| address.addr(index));
                let mut builder = ClusterClientBuilder::new(nodes)
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(REPLY_TIMEOUT)
                    // After a failure the supervisor connects again, and sends what is lost.
                    .retries(0);
                if let Some(user) = &address.user {
                    builder = builder.username(user);
                }
                if let Some(password) = &address.password {
                    builder = builder.password(password.expose());
                }
                if let Some(certificates) = certificates {
                    builder = builder.tls(TlsMode::Secure).certs(certificates);
                }
                let connection = builder.build()?.get_async_connection().await?;
                Ok(Self::Cluster(connection))
            }
        }
    }

    /// Sends a command and awaits its reply.
    pub(super) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Rejects a server that is too old, or of another kind than the URL says. One that
    /// does not show its version to this user is tried.
    async fn check_server(&mut self) -> RedisResult<()> {
        let Self::Server(connection) = self else {
            return Ok(());
        };
        let mut command = redis::cmd("INFO");
        let info: RedisResult<String> = command.arg("server").query_async(connection).await;
        let info = match info {
            Ok(info) => info,
            Err(error) if is_withheld(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        match field(&info, "redis_mode") {
            Some("cluster") => {
                return Err(unusable(
                    "it is a node of a cluster: write `redis-cluster://`",
                ));
            }
            Some("sentinel") => {
                return Err(unusable(
                    "it is a Sentinel: write `redis-sentinel://HOST/PRIMARY`",
                ));
            }
            _ => {}
        }
        let version = field(&info, "redis_version").unwrap_or_default();
        let mut numbers = version.split('.').map(str::parse::<u32>);
        if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
            && (major, minor) < OLDEST
        {
            return Err(unusable(&format!(
                "it is Redis {major}.{minor}: 6.2 or later is needed"
            )));
        }
        Ok(())
    }
}

/// Whether the server has no such command, or does not let the user run it.
fn is_withheld(error: &RedisError) -> bool {
    use ServerErrorKind::{NoPerm, ResponseError};
    matches!(error.kind(), ErrorKind::Server(NoPerm))
        || matches!(error.kind(), ErrorKind::Server(ResponseError)) && error.code() == Some("ERR")
}

/// A field of a reply to INFO.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// The login of a single server.
fn login(address: &StoreAddress) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_db(address.database);
    if let Some(user) = &address.user {
        login = login.set_username(user);
    }
    if let Some(password) = &address.password {
        login = login.set_password(password.expose());
    }
    login
}
