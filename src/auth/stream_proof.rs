//! Proof that a ticket opened a stream of a room. It is part of the id of each event of that stream, so that an `EventSource`,
//! which reconnects to the URL it was made with, proves by its last event id that it was let in before. The URL alone, which
//! logs and histories keep, proves nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretBox};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::domain::cursor::PROOF_MARK;
use crate::domain::private::Private;
use crate::domain::room::RoomId;

use super::refresh_token::hmac_sha256;

/// Derives a key of its own, so that one secret may serve several purposes.
const DOMAIN: &[u8] = b"bellhop stream proof v1";

/// Bytes of the MAC that are sent with each event.
const PROOF_BYTES: usize = 16;

/// Derives and checks proofs. Nothing is stored: every node with the same secret knows them.
#[derive(Debug)]
pub struct StreamProofs {
    key: SecretBox<[u8; 32]>,
}

/// The proof of one ticket and room, 22 characters. Whoever holds it together with the ticket is let in again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamProof(Private<String>);

impl StreamProofs {
    /// `secret` has to be the same on every node.
    pub fn new(secret: &[u8]) -> Self {
        Self { key: SecretBox::new(Box::new(hmac_sha256(secret, &[DOMAIN]))) }
    }

    /// The one proof of this ticket and room.
    pub fn derive(&self, ticket: Uuid, room: RoomId) -> StreamProof {
        let mac = hmac_sha256(self.key.expose_secret(), &[ticket.as_bytes(), room.to_string().as_bytes()]);
        StreamProof(Private(URL_SAFE_NO_PAD.encode(&mac[..PROOF_BYTES])))
    }

    /// The proof in the id of an event, if it is that of this ticket and room; compared in constant time.
    pub fn check(&self, event_id: &str, ticket: Uuid, room: RoomId) -> Option<StreamProof> {
        let (_, shown) = event_id.split_once(PROOF_MARK)?;
        let genuine = self.derive(ticket, room);
        bool::from(genuine.as_str().as_bytes().ct_eq(shown.as_bytes())).then_some(genuine)
    }
}

impl StreamProof {
    /// The text behind the cursor in the id of an event.
    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::cursor::{Cursor, Epoch};
    use crate::domain::ids::{BusinessId, OrderId};

    use super::*;

    #[test]
    fn a_proof_holds_for_its_ticket_and_room_and_is_part_of_a_cursor() {
        let proofs = StreamProofs::new(b"a secret of the server, 32 bytes");
        let (ticket, room) = (Uuid::from_u128(1), RoomId::Business(BusinessId::generate()));
        let proof = proofs.derive(ticket, room);
        let id = format!("0000beef.42~{}", proof.as_str());
        assert_eq!(proofs.check(&id, ticket, room), Some(proof.clone()));
        assert_eq!(id.parse(), Ok(Cursor::new(Epoch::new(0xbeef), 42)));
        assert_eq!(proofs.check(&id, Uuid::from_u128(2), room), None);
        assert_eq!(proofs.check(&id, ticket, RoomId::Order(OrderId::generate())), None);
        assert_eq!(StreamProofs::new(b"another").check(&id, ticket, room), None);
        for bad in ["", "0000beef.42", "0000beef.42~", &id[..id.len() - 1]] {
            assert_eq!(proofs.check(bad, ticket, room), None, "{bad}");
        }
        assert!(!format!("{proofs:?} {proof:?}").contains(proof.as_str()));
    }
}
