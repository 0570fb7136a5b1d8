//! What a certificate says: for whom it is, and until when.
//!
//! webpki shows neither, but its errors have both: the names in that of another name,
//! the end in that of a time after it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::name;

/// The names of a certificate, and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The names that clients compare.
    pub names: Vec<String>,
    /// When it expires, if webpki says so.
    pub not_after: Option<Timestamp>,
    /// Why clients reject it now, if its time is over or has not come.
    pub problem: Option<String>,
}

impl Certificate {
    /// Reads a certificate; `None` if webpki cannot.
    #[must_use]
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
        let not_after = match error_at(&certificate, end) {
            Some(Error::CertExpired { not_after, .. }) => Some(timestamp(not_after)?),
            Some(Error::InvalidCertValidity) => None,
            _ => return None,
        };
        let problem = match error_at(&certificate, UnixTime::now()) {
            Some(Error::CertExpired { not_after, .. }) => {
                Some(format!("expired on {}", timestamp(not_after)?))
            }
            Some(Error::CertNotValidYet { not_before, .. }) => {
                Some(format!("is not valid before {}", timestamp(not_before)?))
            }
            Some(Error::InvalidCertValidity) => {
                Some("is never valid, because its end is before its start".to_owned())
            }
            // Who trusts it is not the question here.
            _ => None,
        };
        Some(Self {
            names: names(&certificate),
            not_after,
            problem,
        })
    }
}

/// The names of the issuer and of the subject of a certificate; `None` if it cannot
/// be read.
#[must_use]
pub fn issuer_and_subject(certificate: &CertificateDer<'_>) -> Option<(String, String)> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let names = [certificate.issuer(), certificate.subject()];
    let [issuer, subject] = names.map(name::text);
    Some((issuer, subject))
}

/// The error of a verification at this time.
fn error_at(certificate: &EndEntityCert<'_>, time: UnixTime) -> Option<Error> {
    let usage = KeyUsage::server_auth();
    let verified = certificate.verify_for_usage(&[], &[], &[], time, usage, None, None);
    verified.err()
}

fn timestamp(time: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()
}

fn names(certificate: &EndEntityCert<'_>) -> Vec<String> {
    // No certificate has this name (RFC 6761, section 6.4).
    let Ok(name) = ServerName::try_from("name.invalid") else {
        return Vec::new();
    };
    match certificate.verify_is_valid_for_subject_name(&name) {
        Err(Error::CertNotValidForName(context)) => context
            .presented
            .iter()
            .map(|name| name_alone(name))
            .collect(),
        _ => Vec::new(),
    }
}

/// The name in webpki's notation of it: `DnsName("localhost")`.
fn name_alone(presented: &str) -> String {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"').to_owned()
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names[..] {
            [] => f.write_str("no name of a server")?,
            names => f.write_str(&names.join(", "))?,
        }
        match self.not_after {
            Some(end) => write!(f, "; expires {end}"),
            None => f.write_str("; never valid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
    };

    use super::*;

    fn read(params: &CertificateParams) -> Certificate {
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::read(signed.der()).unwrap()
    }

    #[test]
    fn names_and_times_are_those_of_the_certificate() {
        let names = [
            "gateway.example",
            "*.gateway.example",
            "192.0.2.1",
            "2001:db8::1",
        ];
        let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
        params.not_before = date_time_ymd(2020, 1, 2);
        params.not_after = date_time_ymd(4000, 3, 4);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = read(&params);
        assert_eq!(certificate.names, names);
        assert_eq!(certificate.problem, None);
        let shown = certificate.to_string();
        assert!(shown.ends_with("; expires 4000-03-04T00:00:00Z"), "{shown}");
        params.not_before = date_time_ymd(3999, 1, 2);
        let problem = "is not valid before 3999-01-02T00:00:00Z";
        assert_eq!(read(&params).problem.unwrap(), problem);
        params.not_before = date_time_ymd(2020, 1, 2);
        params.not_after = date_time_ymd(2021, 1, 2);
        let problem = "expired on 2021-01-02T00:00:00Z";
        assert_eq!(read(&params).problem.unwrap(), problem);
        params.not_before = date_time_ymd(2022, 1, 2);
        let certificate = read(&params);
        assert!(certificate.problem.unwrap().starts_with("is never valid"));
    }

    #[test]
    fn issuer_and_subject_are_named_as_in_the_certificate() {
        let named = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            if !name.is_empty() {
                params.distinguished_name.push(DnType::CommonName, name);
            }
            params
        };
        let issuer = Issuer::new(named("Example CA"), KeyPair::generate().unwrap());
        for (name, subject) in [("gateway", "`CN=gateway`"), ("", "no name")] {
            let signed = named(name).signed_by(&KeyPair::generate().unwrap(), &issuer);
            let names = issuer_and_subject(signed.unwrap().der());
            let expected = ("`CN=Example CA`".to_owned(), subject.to_owned());
            assert_eq!(names, Some(expected));
        }
        let other = CertificateDer::from(vec![0x30; 50]);
        assert_eq!(issuer_and_subject(&other), None);
    }

    #[test]
    fn a_certificate_of_a_client_may_have_no_name() {
        let certificate = read(&CertificateParams::new(Vec::new()).unwrap());
        assert_eq!(certificate.names, Vec::<String>::new());
        let shown = certificate.to_string();
        assert!(shown.starts_with("no name of a server; "), "{shown}");
    }

    #[test]
    fn no_certificate_is_read_from_other_bytes() {
        assert_eq!(
            Certificate::read(&CertificateDer::from(vec![0x30; 50])),
            None
        );
    }
}
