//! The quota a route consumes.

/// The quota that a request consumes before it is handled. Each route names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// `api` of a login session, `public` of an address that is not signed in.
    Caller,
    /// `auth` of the address, signed in or not.
    Auth,
    /// `public` of the address until the body has proved to hold one of our tokens; then `refresh` of its family instead.
    Refresh,
    /// `orders` of the user once it is known that the request is no repetition, which consumes `api` instead. For roles
    /// that may not place orders as [`Rate::Caller`].
    Order,
    /// `moves` of a login session, so that reads never starve them; `public` of an address that is not signed in.
    Move,
    /// `health` of the address.
    Health,
    /// `webhooks` of the hub for a message that is genuine, else `public` of the address: an address that has nothing of it left is
    /// refused before its body is read.
    Webhook,
}

impl Rate {
    /// Whether requests by a method that the path does not have consume the same quota: those that count by address
    /// alone. With any other rate they consume [`Rate::Caller`].
    pub const fn covers_other_methods(self) -> bool {
        match self {
            Self::Auth | Self::Health => true,
            Self::Caller | Self::Refresh | Self::Order | Self::Move | Self::Webhook => false,
        }
    }
}
