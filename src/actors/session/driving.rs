//! What the device of a driver says.

use crate::actors::persistence::SubmitError;
use crate::domain::access::Role;
use crate::domain::dispatch::DriverRefusal;
use crate::domain::ids::UserId;
use crate::domain::location::Location;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::frames::ServerFrame;

use super::messages::SessionEffect;
use super::state::SessionState;

impl SessionState {
    /// The driver whose device this is: one who is in their own room, which only approved drivers get into.
    pub(super) fn driver(&mut self) -> Option<UserId> {
        let (user, role) = (self.principal.user, self.principal.role);
        let is_there =
            self.subscription(RoomId::Driver(user)).is_some_and(|s| s.is_wanted() && !s.is_joining());
        if role == Role::Driver && is_there {
            return Some(user);
        }
        self.error("not_a_driver", "Only a driver says this, on a socket that is in the driver's room.");
        None
    }

    /// The driver is somewhere.
    pub(super) fn moved(&mut self, location: Location, at: Option<Timestamp>) -> Option<SessionEffect> {
        let driver = self.driver()?;
        if !location.is_on_the_map() {
            self.error("bad_location", "lat is from -90 to 90, lng from -180 to 180.");
            return None;
        }
        Some(SessionEffect::Moved(driver, location, at))
    }

    /// Whether the driver gets offers now.
    pub(super) fn online_set(&mut self, online: bool, set: Result<Result<(), DriverRefusal>, SubmitError>) {
        match set {
            Ok(Ok(())) => self.send_frame(&ServerFrame::Status { online }),
            Ok(Err(DriverRefusal::NoZone)) => {
                self.error("no_zone", "No zone is approved yet in which you could get offers.");
            }
            Ok(Err(DriverRefusal::NoSuchDriver | DriverRefusal::Capacity { .. })) => {
                self.error("not_a_driver", "This account is not that of a driver.");
            }
            Err(_) => self.error("unavailable", "It could not be stored; send it again."),
        }
    }
}
