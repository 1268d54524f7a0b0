//! Everything that is ever written, as commands. A lane runs many in one transaction; each is answered on its own.

mod accounts;
mod businesses;
mod command;
mod devices;
mod invitations;
mod maintenance;
mod orders;
mod outcome;
mod reach;
mod sagas;
mod table;

pub use accounts::{
    Approval, ApproveUser, Creation, Device, EndSession, NewSession, NewUser, ROTATION_GRACE, RedeemTicket,
    RotateSession, Rotation, SessionActivity, SetPassword, TokenUse, UserChange,
};
pub use businesses::{
    AddItem, BusinessPatch, CreateBusiness, ItemPatch, PutMember, ReadNotification, RemoveItem, RemoveMember,
    UpdateBusiness, UpdateItem,
};
pub use command::Command;
pub use devices::{AckScope, DeviceAck, DeviceMark, MarkKind, ScopedAck};
pub use invitations::{AnswerInvitation, InvitationAnswer, InvitationOutcome, Invitee, NewInvitation};
pub use maintenance::{
    Analyze, EpochChange, Expirable, IndexOrders, MaintenanceProgress, Purge, RETENTION, Reseal, Retention,
    RotateEpoch, RotateRoom, RowKey, SealedColumn, Sweep, Sweepable,
};
pub use orders::{IdempotencyKey, Keyed, MoveOrder, PlaceOrder, RenderedResponse, StoredResponse};
pub use outcome::{
    AcksProgress, Addition, BusinessUpdate, Committed, KeyedRepeat, MemberRefusal, MoveError, Outcome,
    PlaceOutcome, Removal,
};
pub use reach::{Lease, LeaseHistory, LeasesRenewed, PauseUnreachable, RenewLeases};
pub use sagas::{
    AnswerState, FinishIntent, FireDeadline, FireOutcome, FireReport, IntentResult, RingDue, SagaDue,
};
pub use table::{Change, Write, WritePriority, WriteRequest, lane_of};
pub(in crate::storage) use table::{outcome_of, write_table};
