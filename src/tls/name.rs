//! The distinguished name of an issuer or a subject (RFC 5280, section 4.1.2.4), as
//! text. webpki has it as bytes, which it only compares.

/// The types of attributes that are shown, by the bytes of their object identifiers
/// (RFC 4519, section 2).
const TYPES: [(&[u8], &str); 6] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 6], "C"),
];

/// The attributes of a name, without those of other types; the content of its DER.
pub(super) fn text(name: &[u8]) -> String {
    let sets = Elements(name).flat_map(|(_, set)| Elements(set));
    let attributes = sets.filter_map(|(_, attribute)| {
        let mut parts = Elements(attribute);
        let ((_, kind), (tag, value)) = (parts.next()?, parts.next()?);
        let (_, kind) = TYPES.iter().find(|(known, _)| *known == kind)?;
        Some(format!("{kind}={}", string(tag, value)))
    });
    match attributes.collect::<Vec<_>>()[..] {
        [] => "no name".to_owned(),
        ref attributes => format!("`{}`", attributes.join(", ")),
    }
}

/// A string of one of the types that names have.
fn string(tag: u8, value: &[u8]) -> String {
    const BMP_STRING: u8 = 30;
    if tag == BMP_STRING {
        let units = value.chunks_exact(2);
        let units: Vec<u16> = units
            .map(|unit| u16::from_be_bytes([unit[0], unit[1]]))
            .collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(value).into_owned()
}

/// The elements of a DER value, each with its tag; it ends where they are malformed.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            ..=0x7f => (usize::from(first), rest),
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element of DER.
    fn element(tag: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        let head = if length < 0x80 {
            vec![tag, length]
        } else {
            vec![tag, 0x81, length]
        };
        [&head[..], value].concat()
    }

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        element(
            0x31,
            &element(0x30, &[element(6, kind), element(tag, value)].concat()),
        )
    }

    #[test]
    fn a_name_is_shown_with_the_attributes_that_are_known() {
        let name = [
            attribute(&[0x55, 4, 6], 19, b"DE"),
            attribute(&[0x55, 4, 5], 19, b"a serial number"),
            attribute(&[0x55, 4, 10], 12, "Müller".as_bytes()),
            attribute(&[0x55, 4, 3], 30, &[0, b'C', 0, b'A']),
        ];
        assert_eq!(text(&name.concat()), "`C=DE, O=Müller, CN=CA`");
        let long = "x".repeat(120);
        let name = attribute(&[0x55, 4, 3], 12, long.as_bytes());
        assert_eq!(text(&name), format!("`CN={long}`"));
    }

    #[test]
    fn a_malformed_name_is_cut_where_it_ends() {
        let name = attribute(&[0x55, 4, 3], 12, b"CA");
        for length in 0..name.len() {
            assert_eq!(text(&name[..length]), "no name", "{length}");
        }
        for malformed in [
            &[0x31][..],
            &[0x31, 0x80],
            &[0x31, 0x84, 0, 0, 0, 0],
            &[0xff; 9],
        ] {
            assert_eq!(text(malformed), "no name", "{malformed:?}");
        }
    }
}
