//! Encryption of media to a subscriber and decryption of its reports: SRTP (RFC 3711), and AES-GCM for it (RFC 7714).
//!
//! Packets are encrypted in place, and the tag is appended. Replayed reports are not detected: handling them twice is
//! harmless.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm as AeadAlgorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, Algorithm, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use str0m::crypto::dtls::SrtpProfile;

use crate::forwarding::dtls_keys::ExportedKeys;

/// Labels of the key derivation (RFC 3711, section 4.3.2): of RTP, and how much further those of RTCP are.
const KEY: u8 = 0;
const AUTHENTICATION: u8 = 1;
const SALT: u8 = 2;
const RTCP: u8 = 3;
/// Bytes of the tag of HMAC-SHA1-80 and of its key.
const HMAC_TAG: usize = 10;
const HMAC_KEY: usize = 20;
/// Bytes of the tag of AES-GCM.
const GCM_TAG: usize = 16;
/// Bytes of an RTCP packet that stay readable, and of the index behind it.
const RTCP_HEADER: usize = 8;
const RTCP_INDEX: usize = 4;
/// The bit before the index of RTCP that says: encrypted.
const IS_ENCRYPTED: u32 = 0x8000_0000;

/// Encrypts RTP packets of one connection. Needs no order among them, so any thread may.
pub struct RtpCipher(Cipher);

/// Both directions of a connection.
pub struct Srtp {
    rtp: Arc<RtpCipher>,
    rtcp: Cipher,
    rtcp_index: u32,
    remote_rtcp: Cipher,
}

/// AES in counter mode with HMAC-SHA1-80.
struct CounterMode {
    key: EncryptingKey,
    authentication: hmac::Key,
    salt: [u8; 14],
}

enum Cipher {
    CounterMode(Box<CounterMode>),
    /// AES-GCM.
    Gcm {
        key: LessSafeKey,
        salt: [u8; 12],
    },
}

impl RtpCipher {
    /// Encrypts the packet from `begin` to the end of the buffer, whose payload begins at `body`. `index` is its sequence number,
    /// extended.
    ///
    /// # Errors
    /// The cipher refuses, which happens with no packet of ours.
    pub fn protect(
        &self,
        buffer: &mut Vec<u8>,
        begin: usize,
        body: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), Unspecified> {
        let (head, body) = buffer
            .get_mut(begin..)
            .zip(body.checked_sub(begin))
            .and_then(|(packet, header)| packet.split_at_mut_checked(header))
            .ok_or(Unspecified)?;
        match &self.0 {
            Cipher::CounterMode(mode) => {
                let CounterMode { key, authentication, salt } = mode.as_ref();
                apply_keystream(key, counter(salt, ssrc, index), body)?;
                let mut signature = hmac::Context::with_key(authentication);
                signature.update(head);
                signature.update(body);
                signature.update(&rollovers(index).to_be_bytes());
                buffer.extend_from_slice(signature.sign().as_ref().get(..HMAC_TAG).ok_or(Unspecified)?);
            }
            Cipher::Gcm { key, salt } => {
                let nonce = nonce(salt, ssrc, index);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(head), body)?;
                buffer.extend_from_slice(tag.as_ref());
            }
        }
        Ok(())
    }

    /// Bytes that encryption adds to a packet.
    pub fn overhead(&self) -> usize {
        match &self.0 {
            Cipher::CounterMode(_) => HMAC_TAG,
            Cipher::Gcm { .. } => GCM_TAG,
        }
    }
}

impl Srtp {
    /// Derives all keys.
    ///
    /// # Errors
    /// Keying material that does not fit its profile, or a profile that is not known here.
    pub fn new(keys: &ExportedKeys) -> Result<Self, Unspecified> {
        let (key_length, salt_length) = match keys.profile {
            SrtpProfile::AES128_CM_SHA1_80 => (16, 14),
            SrtpProfile::AEAD_AES_128_GCM => (16, 12),
            SrtpProfile::AEAD_AES_256_GCM => (32, 12),
            _ => return Err(Unspecified),
        };
        if keys.material.len() != 2 * (key_length + salt_length) {
            return Err(Unspecified);
        }
        let (master_keys, salts) = keys.material.split_at(2 * key_length);
        let (client_key, server_key) = master_keys.split_at(key_length);
        let (client_salt, server_salt) = salts.split_at(salt_length);
        let (client, server) = (Master::new(client_key, client_salt)?, Master::new(server_key, server_salt)?);
        let (own, remote) = if keys.is_client { (client, server) } else { (server, client) };
        Ok(Self {
            rtp: Arc::new(RtpCipher(Cipher::new(keys.profile, &own, 0)?)),
            rtcp: Cipher::new(keys.profile, &own, RTCP)?,
            rtcp_index: 0,
            remote_rtcp: Cipher::new(keys.profile, &remote, RTCP)?,
        })
    }

    /// The cipher of RTP packets.
    pub fn rtp(&self) -> &Arc<RtpCipher> {
        &self.rtp
    }

    /// Encrypts an RTCP packet, which begins with its sender's SSRC.
    ///
    /// # Errors
    /// A packet without a header.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), Unspecified> {
        let index = self.rtcp_index;
        self.rtcp_index = (index + 1) & !IS_ENCRYPTED;
        let trailer = (index | IS_ENCRYPTED).to_be_bytes();
        let ssrc = ssrc_of(packet)?;
        let (head, body) = packet.split_at_mut_checked(RTCP_HEADER).ok_or(Unspecified)?;
        match &self.rtcp {
            Cipher::CounterMode(mode) => {
                let CounterMode { key, authentication, salt } = mode.as_ref();
                apply_keystream(key, counter(salt, ssrc, index.into()), body)?;
                packet.extend_from_slice(&trailer);
                let tag = hmac::sign(authentication, packet);
                packet.extend_from_slice(tag.as_ref().get(..HMAC_TAG).ok_or(Unspecified)?);
            }
            Cipher::Gcm { key, salt } => {
                let authenticated = [head, &trailer[..]].concat();
                let tag =
                    key.seal_in_place_separate_tag(nonce(salt, ssrc, index.into()), Aad::from(authenticated), body)?;
                packet.extend_from_slice(tag.as_ref());
                packet.extend_from_slice(&trailer);
            }
        }
        Ok(())
    }

    /// Checks and decrypts an RTCP packet of the client.
    ///
    /// # Errors
    /// A packet that is not the client's.
    pub fn unprotect_rtcp(&self, packet: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let ssrc = ssrc_of(packet)?;
        match &self.remote_rtcp {
            Cipher::CounterMode(mode) => {
                let CounterMode { key, authentication, salt } = mode.as_ref();
                let (signed, tag) = split_end(packet, HMAC_TAG)?;
                let expected = hmac::sign(authentication, signed);
                let expected = expected.as_ref().get(..HMAC_TAG).ok_or(Unspecified)?;
                aws_lc_rs::constant_time::verify_slices_are_equal(expected, tag)?;
                let (packet, trailer) = split_end(signed, RTCP_INDEX)?;
                let mut packet = packet.to_vec();
                if let Some(index) = encrypted_index(trailer)? {
                    let body = packet.get_mut(RTCP_HEADER..).ok_or(Unspecified)?;
                    apply_keystream(key, counter(salt, ssrc, index.into()), body)?;
                }
                Ok(packet)
            }
            Cipher::Gcm { key, salt } => {
                let (sealed, trailer) = split_end(packet, RTCP_INDEX)?;
                // Reports in the clear are allowed and never used.
                let index = encrypted_index(trailer)?.ok_or(Unspecified)?;
                let (head, body) = sealed.split_at_checked(RTCP_HEADER).ok_or(Unspecified)?;
                let authenticated = [head, trailer].concat();
                let mut body = body.to_vec();
                let opened = key.open_in_place(nonce(salt, ssrc, index.into()), Aad::from(authenticated), &mut body)?;
                Ok([head, opened].concat())
            }
        }
    }
}

fn ssrc_of(rtcp: &[u8]) -> Result<u32, Unspecified> {
    let ssrc = rtcp.get(4..8).and_then(|bytes| bytes.try_into().ok()).ok_or(Unspecified)?;
    Ok(u32::from_be_bytes(ssrc))
}

fn split_end(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), Unspecified> {
    bytes.split_at_checked(bytes.len().checked_sub(length).ok_or(Unspecified)?).ok_or(Unspecified)
}

fn encrypted_index(trailer: &[u8]) -> Result<Option<u32>, Unspecified> {
    let word = u32::from_be_bytes(trailer.try_into().map_err(|_| Unspecified)?);
    Ok((word & IS_ENCRYPTED != 0).then_some(word & !IS_ENCRYPTED))
}

/// How often the 16 bits of the sequence number that travel have started over.
fn rollovers(index: u64) -> u32 {
    (index >> 16) as u32
}

/// First counter block of a packet (RFC 3711, section 4.1.1).
fn counter(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut block = [0; 16];
    block[..14].copy_from_slice(salt);
    block[4..8].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
    block[6..14].iter_mut().zip(index.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
    block
}

/// Initialization vector of a packet (RFC 7714, sections 8.1 and 9.1): the index has 48 bits in RTP, 31 in RTCP.
fn nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut bytes = *salt;
    bytes[2..6].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
    bytes[6..12].iter_mut().zip(&index.to_be_bytes()[2..]).for_each(|(byte, other)| *byte ^= other);
    Nonce::assume_unique_for_key(bytes)
}

fn apply_keystream(key: &EncryptingKey, counter: [u8; 16], bytes: &mut [u8]) -> Result<(), Unspecified> {
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from(counter))).map(|_| ())
}

/// One end's master key, ready for derivation.
struct Master {
    key: EncryptingKey,
    salt: [u8; 14],
    key_length: usize,
}

impl Master {
    fn new(key: &[u8], salt: &[u8]) -> Result<Self, Unspecified> {
        let algorithm: &'static Algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
        let mut padded = [0; 14];
        padded.get_mut(..salt.len()).ok_or(Unspecified)?.copy_from_slice(salt);
        let unbound = UnboundCipherKey::new(algorithm, key)?;
        Ok(Self { key: EncryptingKey::ctr(unbound)?, salt: padded, key_length: key.len() })
    }

    /// RFC 3711, section 4.3: the key stream of the master key over a block that the label makes.
    fn derive<const N: usize>(&self, label: u8) -> Result<[u8; N], Unspecified> {
        let mut block = [0; 16];
        block[..14].copy_from_slice(&self.salt);
        block[7] ^= label;
        let mut derived = [0; N];
        apply_keystream(&self.key, block, &mut derived)?;
        Ok(derived)
    }
}

impl Cipher {
    fn new(profile: SrtpProfile, master: &Master, offset: u8) -> Result<Self, Unspecified> {
        if profile == SrtpProfile::AES128_CM_SHA1_80 {
            let key: [u8; 16] = master.derive(KEY + offset)?;
            let authentication: [u8; HMAC_KEY] = master.derive(AUTHENTICATION + offset)?;
            return Ok(Self::CounterMode(Box::new(CounterMode {
                key: EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &key)?)?,
                authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &authentication),
                salt: master.derive(SALT + offset)?,
            })));
        }
        let key: [u8; 32] = master.derive(KEY + offset)?;
        let algorithm: &'static AeadAlgorithm = if master.key_length == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = key.get(..master.key_length).ok_or(Unspecified)?;
        Ok(Self::Gcm { key: LessSafeKey::new(UnboundKey::new(algorithm, key)?), salt: master.derive(SALT + offset)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: [(SrtpProfile, usize); 3] = [
        (SrtpProfile::AES128_CM_SHA1_80, 60),
        (SrtpProfile::AEAD_AES_128_GCM, 56),
        (SrtpProfile::AEAD_AES_256_GCM, 88),
    ];
    /// A receiver report without blocks, and something behind it.
    const REPORT: [u8; 16] = [0x80, 201, 0, 1, 1, 2, 3, 4, 0x80, 202, 0, 1, 5, 6, 7, 8];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn end(profile: SrtpProfile, length: usize, is_client: bool) -> Srtp {
        let material = (0..length as u8).collect();
        Srtp::new(&ExportedKeys { material, profile, is_client }).unwrap()
    }

    /// RFC 3711, appendix B.3.
    #[test]
    fn keys_are_derived_as_in_the_standard() {
        let master =
            Master::new(&bytes("E1F97A0D3E018BE0D64FA32C06DE4139"), &bytes("0EC675AD498AFEEBB6960B3AABE6")).unwrap();
        assert_eq!(master.derive::<16>(KEY).unwrap()[..], bytes("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(master.derive::<14>(SALT).unwrap()[..], bytes("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(master.derive::<20>(AUTHENTICATION).unwrap()[..], bytes("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    #[test]
    fn the_other_end_reads_reports_and_nobody_else_does() {
        for (profile, length) in PROFILES {
            let (mut server, client) = (end(profile, length, false), end(profile, length, true));
            for _ in 0..3 {
                let mut packet = REPORT.to_vec();
                server.protect_rtcp(&mut packet).unwrap();
                assert_ne!(packet[8..16], REPORT[8..]);
                assert_eq!(client.unprotect_rtcp(&packet).unwrap(), REPORT);
                assert!(server.unprotect_rtcp(&packet).is_err());
                packet[9] ^= 1;
                assert!(client.unprotect_rtcp(&packet).is_err());
            }
        }
    }

    #[test]
    fn what_is_too_short_is_refused() {
        for (profile, length) in PROFILES {
            let client = end(profile, length, true);
            for length in 0..REPORT.len() {
                assert!(client.unprotect_rtcp(&REPORT[..length]).is_err());
            }
        }
        let keys = ExportedKeys { material: vec![0; 59], profile: SrtpProfile::AES128_CM_SHA1_80, is_client: true };
        assert!(Srtp::new(&keys).is_err());
    }

    /// RFC 7714, section 16.1.1: key, salt and packet; the session keys are in the text, not derived.
    #[test]
    fn a_packet_is_encrypted_as_in_the_standard() {
        let cipher = RtpCipher(Cipher::Gcm {
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes("000102030405060708090a0b0c0d0e0f")).unwrap()),
            salt: bytes("517569642070726f2071756f").try_into().unwrap(),
        });
        let header = bytes("8040f17b8041f8d35501a0b2");
        let other = b"a packet before it";
        let mut buffer = [&other[..], &header, b"Gallia est omnis divisa in partes tres"].concat();
        let begin = other.len();
        cipher.protect(&mut buffer, begin, begin + header.len(), 0x5501_a0b2, 0xf17b).unwrap();
        let expected = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
                        899d7f27beb16a9152cf765ee4390cce";
        assert_eq!(buffer[..begin], *other);
        assert_eq!(buffer[begin..], bytes(&expected.replace(' ', "")));
    }
}
