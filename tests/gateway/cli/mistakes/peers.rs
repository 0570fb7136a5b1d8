//! Who is called by mistake.

use std::sync::Arc;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::{Authority, IssuedCertificate, TempDir};
use crate::support::process::ServerProcess;
use crate::support::{ClosedPort, ReceivedRequest, Vendor, reply};

/// The servers, and the values of the placeholders `{name}` in the table.
pub struct Peers {
    values: Vec<(&'static str, String)>,
    _servers: Vec<ServerProcess>,
    _closed: ClosedPort,
    _files: TempDir,
}

impl Peers {
    pub async fn start() -> Self {
        let files = TempDir::new();
        let mut values = Vec::new();
        let mut servers = Vec::new();
        let authority = Authority::new();
        let other = Authority::new();
        values.push(("ca", files.file("ca.pem", &authority.pem)));
        values.push(("other-ca", files.file("other-ca.pem", &other.pem)));
        values.push((
            "named-ca",
            files.file("named-ca.pem", &named_ca("Another CA")),
        ));
        let client = other.issue(&["client"]);
        values.push(("client-cert", files.file("client.pem", &client.cert)));
        values.push(("client-key", files.file("client.key", &client.key)));
        values.push(("file", files.file("request.json", r#"{"userId": "a"}"#)));
        values.push(("broken", files.file("broken.pem", "no certificate")));

        let metrics = ["serve", "--sandbox", "--metrics-listen", "127.0.0.1:0"];
        let plain = ServerProcess::start(&metrics, &[]);
        values.push(("gateway", plain.address.clone()));
        let serving: Value = serde_json::from_str(&plain.log.lines()[0]).unwrap();
        let logged = |name: &str| serving[name].as_str().unwrap().replace("http://", "");
        values.push(("metrics", logged("metrics")));
        values.push(("sandbox", logged("upstream")));
        servers.push(plain);

        let regions = ["serve", "--region", "us-east-1,eu-central-1"];
        let regions = ServerProcess::start(&regions, &[]);
        values.push(("regions", regions.address.clone()));
        servers.push(regions);

        let named = authority.issue(&["gateway.example"]);
        for (name, issued, client_ca) in [
            ("tls", &authority.local(), None),
            ("named", &named, None),
            ("self-signed", &self_signed(IsCa::NoCa, 2100), None),
            (
                "own-authority",
                &self_signed(IsCa::Ca(BasicConstraints::Unconstrained), 2100),
                None,
            ),
            ("expired", &self_signed(IsCa::NoCa, 2021), None),
            ("mtls", &authority.local(), Some(&authority.pem)),
        ] {
            let cert = files.file(&format!("{name}.pem"), &issued.cert);
            let key = files.file(&format!("{name}.key"), &issued.key);
            let serve = ["serve", "--sandbox", "--tls-cert", &cert, "--tls-key", &key];
            let client_ca = client_ca.map(|pem| files.file("client-ca.pem", pem));
            let client_ca: Vec<&str> = client_ca
                .iter()
                .flat_map(|file| ["--tls-client-ca", file])
                .collect();
            let server = ServerProcess::start(&[&serve[..], &client_ca].concat(), &[]);
            let (_, port) = server.address.rsplit_once(':').unwrap();
            values.push((name, format!("localhost:{port}")));
            servers.push(server);
        }
        values.push((
            "self-cert",
            files.file("self.pem", &self_signed(IsCa::NoCa, 2100).cert),
        ));
        values.push((
            "expired-cert",
            files.path().join("expired.pem").display().to_string(),
        ));

        let vendor = Vendor::start(|received| async move { vendor(&received) }).await;
        let upstream = format!("http://{}", vendor.address);
        let failing = ServerProcess::start(&["serve", "--upstream-url", &upstream], &[]);
        values.push(("failing", failing.address.clone()));
        servers.push(failing);

        let closed = ClosedPort::new();
        values.push(("closed", closed.address.to_string()));
        let upstream = format!("http://{}", closed.address);
        let cut_off = ServerProcess::start(&["serve", "--upstream-url", &upstream], &[]);
        values.push(("cut-off", cut_off.address.clone()));
        servers.push(cut_off);
        let web = |stream: TcpStream| answer(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        values.push(("web", serve(web).await));
        values.push((
            "ssh",
            serve(|stream| answer(stream, b"SSH-2.0-OpenSSH_9.2\r\n")).await,
        ));
        values.push(("silent", serve(keep).await));
        values.push(("proxy", serve(bad_gateway).await));
        let tls = server_tls(&authority.local());
        values.push((
            "https",
            serve(move |stream| https(tls.clone(), stream)).await,
        ));
        Self {
            values,
            _servers: servers,
            _closed: closed,
            _files: files,
        }
    }

    /// A text with the values of its placeholders.
    pub fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
}

/// The certificate of a CA with this name.
fn named_ca(name: &str) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

/// A certificate for localhost that is its own authority, until a year.
fn self_signed(is_ca: IsCa, until: i32) -> IssuedCertificate {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.is_ca = is_ca;
    params.not_after = date_time_ymd(until, 1, 1);
    params.not_before = date_time_ymd(2020, 1, 1);
    let key = KeyPair::generate().unwrap();
    IssuedCertificate {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// A vendor that fails as the user's id says.
fn vendor(received: &ReceivedRequest) -> axum::response::Response {
    let code = |status, code: &str| {
        let body = json!({"message": "As asked.", "code": code, "status": status});
        reply(status, body.to_string())
    };
    match received.path().split('/').nth(4) {
        Some("401") => code(401, "bad.credentials"),
        Some("403-bare") => reply(403, ""),
        Some("login") => reply(200, "<html>s3cret</html>"),
        Some("403") => code(403, "missing.permissions"),
        Some("409") => code(409, "general.conflict"),
        Some("500") => code(500, "internal.server.error"),
        Some("html") => reply(404, "<html>not the vendor</html>"),
        _ => code(404, "not.found"),
    }
}

/// Serves each connection to a free port.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    each: impl Fn(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    address
}

/// Answers anything with these bytes, and closes the connection once the peer has.
async fn answer(mut stream: TcpStream, bytes: &'static [u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    keep(stream).await;
}

/// Reads, and sends nothing.
async fn keep(mut stream: TcpStream) {
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// A proxy whose upstream is down.
async fn bad_gateway(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let head = http::Response::builder()
            .status(502)
            .header("content-type", "text/html")
            .header("server", "nginx/1.22.1");
        let mut body = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        let _ = body.send_data(Bytes::from_static(b"<h1>Bad Gateway</h1>"), true);
    }
}

/// A server of HTTP/1.1 over TLS.
async fn https(tls: Arc<ServerConfig>, stream: TcpStream) {
    if let Ok(mut stream) = TlsAcceptor::from(tls).accept(stream).await {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
}

fn server_tls(issued: &IssuedCertificate) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(issued.cert.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let provider = presence_gateway::tls::provider();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key);
    let mut config = config.unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
