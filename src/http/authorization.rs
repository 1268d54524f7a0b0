//! What a principal may do at a business, and whether an account is approved.

use crate::auth::authorization::{cached_role_at, role_at};
use crate::domain::access::{MemberRole, Principal, Role};
use crate::domain::ids::BusinessId;
use crate::protocol::problem::ProblemCode;
use crate::storage::cache::Cached;
use crate::storage::commands::Approval;

use super::app_state::AppState;
use super::response::problem::ApiError;

/// The role of `principal` at a business: operators act as owners everywhere.
///
/// # Errors
/// 404 for everybody else, whether or not the business exists.
pub(super) async fn membership(
    app: &AppState,
    principal: Principal,
    business: BusinessId,
) -> Result<MemberRole, ApiError> {
    role_at(app.store.as_ref(), principal, business).await?.ok_or_else(ApiError::not_found)
}

/// As [`membership`], for reads only: while the store is away the last known role counts.
///
/// # Errors
/// As [`membership`].
pub(super) async fn cached_membership(
    app: &AppState,
    principal: Principal,
    business: BusinessId,
) -> Result<Cached<MemberRole>, ApiError> {
    cached_role_at(&app.reads, principal, business).await?.ok_or_else(ApiError::not_found)
}

/// Lets owners and operators through.
///
/// # Errors
/// 403 for staff, 404 for everybody else.
pub(super) async fn require_owner(
    app: &AppState,
    principal: Principal,
    business: BusinessId,
) -> Result<(), ApiError> {
    match membership(app, principal, business).await? {
        MemberRole::Owner => Ok(()),
        MemberRole::Staff => {
            Err(ApiError::new(ProblemCode::Forbidden, "This is for owners of the business."))
        }
    }
}

/// Whether `principal` may do what their role is for. The store is asked, so that an approval counts at once.
///
/// # Errors
/// 403 `driver_pending` for a driver whom no operator has approved yet.
pub(super) async fn check_approval(app: &AppState, principal: Principal) -> Result<(), ApiError> {
    let approval = match principal.role {
        Role::Driver => app.store.user(principal.user).await?.map(|user| user.approved),
        Role::Customer | Role::Merchant | Role::Admin => None,
    };
    require_approval(principal.role, approval)
}

/// Whether an account may be used for what its role is for; `None` is one that does not exist.
fn require_approval(role: Role, approval: Option<Approval>) -> Result<(), ApiError> {
    match (role, approval) {
        (Role::Driver, Some(Approval::Approved)) | (Role::Customer | Role::Merchant | Role::Admin, _) => {
            Ok(())
        }
        (Role::Driver, Some(Approval::Pending) | None) => Err(ApiError::new(
            ProblemCode::DriverPending,
            "An operator has to approve this account first; you need not sign in again then.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_who_was_not_approved_is_kept_out_and_nobody_else() {
        let code = |role, approval| require_approval(role, approval).err().map(|error| error.code());
        let pending = Some(ProblemCode::DriverPending);
        assert_eq!(code(Role::Driver, Some(Approval::Approved)), None);
        assert_eq!(code(Role::Driver, Some(Approval::Pending)), pending);
        assert_eq!(code(Role::Driver, None), pending);
        for role in [Role::Customer, Role::Merchant, Role::Admin] {
            assert_eq!(code(role, Some(Approval::Pending)), None);
        }
        assert_eq!(ProblemCode::DriverPending.status(), 403);
    }
}
