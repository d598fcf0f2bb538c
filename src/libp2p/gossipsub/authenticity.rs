//! How our messages name their author, and which messages of others are accepted.

use ::libp2p::identity::Keypair;

use super::error::BehaviourError;
use crate::libp2p::signature::policy::SignaturePolicy;

/// What our messages say of their author.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MessageAuthenticity {
    /// They have our peer id, an ascending sequence number, and a signature by this key.
    Signed(Keypair),
    /// They have neither source, sequence number nor signature.
    Anonymous,
}

/// Which messages are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValidationMode {
    /// Those with source, sequence number and a valid signature.
    #[default]
    Strict,
    /// Those with none of them.
    Anonymous,
}

pub(super) fn policy(
    authenticity: MessageAuthenticity,
    mode: ValidationMode,
) -> Result<SignaturePolicy, BehaviourError> {
    match (authenticity, mode) {
        (MessageAuthenticity::Signed(key), ValidationMode::Strict) => Ok(SignaturePolicy::StrictSign(key.into())),
        (MessageAuthenticity::Anonymous, ValidationMode::Anonymous) => Ok(SignaturePolicy::StrictNoSign),
        _ => Err(BehaviourError::Authenticity("this node would refuse messages such as its own")),
    }
}
