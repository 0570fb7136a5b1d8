//! The caller's token, which is forwarded unchanged and never logged.

use http::{HeaderMap, HeaderValue, header};

use crate::error::{Error, Reason};
use crate::token_key::{TokenHasher, TokenKey};

/// The longest `authorization` that is forwarded, in bytes. The vendor's tokens
/// have about a hundred bytes, and no server in front of the vendor accepts longer
/// headers.
const MAX_AUTHORIZATION: usize = 16 * 1024;

/// The caller, identified by its token for the vendor.
#[derive(Debug, Clone)]
pub struct Caller {
    authorization: HeaderValue,
    key: TokenKey,
}

impl Caller {
    /// Takes the token from a call's headers. Its key is made by `hasher`.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthenticated`] unless there is exactly one `authorization`,
    /// and it is a bearer token.
    pub fn from_headers(headers: &HeaderMap, hasher: &TokenHasher) -> Result<Self, Error> {
        let malformed = |message| Err(Error::Unauthenticated(Reason::MalformedToken, message));
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let authorization = match (values.next(), values.next()) {
            (Some(only), None) => only,
            (None, _) => {
                return Err(Error::Unauthenticated(
                    Reason::MissingToken,
                    "no token: send the metadata `authorization: Bearer <token>` with each call",
                ));
            }
            (Some(_), Some(_)) => {
                return malformed("more than one `authorization`: send exactly one");
            }
        };
        if authorization.len() > MAX_AUTHORIZATION {
            return malformed(
                "`authorization` is longer than 16 KiB, so it is not an access token: send `Bearer`, one space and the token alone",
            );
        }
        if !is_bearer(authorization.as_bytes()) {
            return malformed(
                "`authorization` is not a bearer token: it must be `Bearer`, one space and the token",
            );
        }
        let key = hasher.key(authorization);
        // Copied, because the header's buffer holds all headers of the request.
        let copy = HeaderValue::from_bytes(authorization.as_bytes());
        let mut authorization = copy.unwrap_or_else(|_| authorization.clone());
        authorization.set_sensitive(true);
        Ok(Self { authorization, key })
    }

    /// The key under which limits and coalescing hold the token's state.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        self.key
    }

    /// The header, unchanged and marked sensitive.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }
}

/// Whether a header is `Bearer`, in any case, spaces, and one word of visible ASCII.
fn is_bearer(value: &[u8]) -> bool {
    let Some((scheme, rest)) = value.split_at_checked("Bearer ".len()) else {
        return false;
    };
    let token = rest.trim_ascii_start();
    scheme.eq_ignore_ascii_case(b"Bearer ")
        && !token.is_empty()
        && token.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(values: &[&[u8]]) -> Result<Caller, Error> {
        let values = values
            .iter()
            .map(|value| HeaderValue::from_bytes(value).unwrap());
        let headers = values.map(|value| (header::AUTHORIZATION, value)).collect();
        Caller::from_headers(&headers, &TokenHasher::default())
    }

    #[test]
    fn a_bearer_token_is_forwarded_unchanged() {
        for value in ["Bearer abc", "bearer a.b-c_d~e+f/g==", "BEARER  x"] {
            let caller = from(&[value.as_bytes()]).unwrap();
            assert_eq!(caller.authorization(), value);
            assert!(caller.authorization().is_sensitive());
            let shown = format!("{caller:?} {:?}", caller.authorization());
            assert_eq!(shown.matches("Sensitive").count(), 2, "{shown}");
            let token = value.rsplit_once(' ').unwrap().1;
            assert!(!shown.contains(&format!("{token}\"")), "{shown}");
        }
    }

    #[test]
    fn anything_but_one_bearer_token_is_rejected() {
        let cases: [&[&[u8]]; 9] = [
            &[],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Basic abc"],
            &[b"Bearerabc"],
            &[b"Bearer a b"],
            &[b"Bearer \xff"],
            &[b"Bearer a", b"Bearer a"],
        ];
        for values in cases {
            assert!(
                matches!(from(values), Err(Error::Unauthenticated(..))),
                "{values:?}"
            );
        }
    }
}
