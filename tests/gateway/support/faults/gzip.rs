//! Gzip bodies, encoded by hand (RFC 1951, RFC 1952).

const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Encodes a body as gzip, in a stored block.
pub fn stored(body: &str) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    let mut gzip = HEAD.to_vec();
    // The last block, stored.
    gzip.push(1);
    gzip.extend(length.to_le_bytes());
    gzip.extend((!length).to_le_bytes());
    gzip.extend(body.as_bytes());
    gzip.extend(crc(body.as_bytes()).to_le_bytes());
    gzip.extend(u32::from(length).to_le_bytes());
    gzip
}

/// A few kilobytes that inflate to 16 MiB of spaces.
pub fn bomb() -> Vec<u8> {
    let mut bits = Vec::new();
    // The last block, with fixed codes, whose highest bit comes first.
    bits.extend([true, true, false]);
    let mut code = |code: u32, length: u32| {
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    };
    code(0x30 + u32::from(b' '), 8);
    for _ in 0..16 * 1024 * 1024 / 258 {
        // A match of 258 bytes at distance 1.
        code(0xc5, 8);
        code(0, 5);
    }
    code(0, 7);
    let packed = bits.chunks(8).map(|bits| {
        let set = bits.iter().enumerate();
        set.fold(0, |byte, (place, &bit)| byte | u8::from(bit) << place)
    });
    // The reader must stop before the checksum.
    HEAD.into_iter().chain(packed).chain([0; 8]).collect()
}

fn crc(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    });
    !crc
}
