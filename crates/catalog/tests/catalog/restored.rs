//! A catalog out of a backup: what may have been ended since does not hold again, or is told.

use odograph_catalog::{
    Access, CommandState, DeviceFields, NewCommand, NewShare, NewToken, Role, TenantChange, UserChange,
};
use serde_json::json;

use crate::support::{NOON, PASSWORD, user, with_catalog};

const BACKUP: i64 = NOON - 3_600_000;

#[test]
fn what_may_have_been_ended_since_does_not_hold_again() {
    with_catalog(async |place, catalog| {
        let (owner, other, default) = (Access::owner("north"), Access::owner("south"), Access::owner("default"));
        let (north, south) = (catalog.within(&owner), catalog.within(&other));
        let (_, session, _) = user(&catalog, "north", "anna", Role::Manager, None).await;
        let (_, elsewhere, _) = user(&catalog, "south", "otto", Role::Viewer, None).await;
        let (gone, ..) = user(&catalog, "north", "gone", Role::Viewer, None).await;
        let off = UserChange { disabled: Some(true), ..UserChange::default() };
        north.update_user(&gone.id, off).await.unwrap();
        let new = |name: &str| NewToken { name: name.into(), ..NewToken::default() };
        let (token, secret) = north.create_token(new("reports")).await.unwrap();
        let (revoked, _) = north.create_token(new("old")).await.unwrap();
        north.revoke_token(&revoked.id).await.unwrap();
        north.create_token(NewToken { expires: Some(NOON + 5), ..new("short") }).await.unwrap();
        for within in [north, south] {
            within.create_device(vec!["1".into()], DeviceFields::default()).await.unwrap();
        }
        let (_, link) = north.create_share("1", NewShare::default()).await.unwrap();
        let stop = NewCommand { kind: Some("engineStop".into()), ..NewCommand::default() };
        let command = north.create_command("1", stop).await.unwrap();
        place.clock.set_now(NOON + 10);

        let told = catalog.restored(BACKUP, false).await.unwrap();
        // Two of north's, one of whom cannot sign in any more and had none left, and one of south's.
        assert_eq!((told.sessions, told.links, told.commands), (2, 1, 1));
        let names: Vec<_> = told.tokens.iter().map(|(tenant, token)| (tenant.as_str(), token.name.as_str())).collect();
        assert_eq!(names, [("north", "reports")]);
        let users: Vec<_> = told.users.iter().map(|(tenant, user)| (tenant.as_str(), user.login.as_str())).collect();
        assert_eq!(users, [("north", "anna"), ("south", "otto")]);
        for ended in [&session, &elsewhere] {
            assert_eq!(catalog.authenticate(ended.reveal()).await.unwrap(), None);
        }
        assert_eq!(catalog.still_shared(link.reveal()).await.unwrap(), None);
        assert_eq!(north.command("1", command.number).await.unwrap().state, CommandState::Cancelled);
        assert_eq!(north.token(&token.id).await.unwrap(), token);
        assert!(catalog.authenticate(secret.reveal()).await.unwrap().is_some());
        catalog.login("anna", PASSWORD, None, None).await.unwrap();
        let last = south.audit(&Default::default()).await.unwrap().remove(0);
        assert_eq!((last.action.as_str(), last.actor_kind.as_str()), ("catalog.restore", "owner"));
        assert_eq!(last.became, Some(json!({"backup": BACKUP, "sessions": 1, "links": 0, "commands": 0})));

        // Links are kept for whoever wants that, and those of a disabled tenant are nobody's.
        let (_, link) = north.create_share("1", NewShare::default()).await.unwrap();
        let off = TenantChange { disabled: Some(true), ..TenantChange::default() };
        catalog.tenants(&default).update("south", off).await.unwrap();
        let told = catalog.restored(BACKUP, true).await.unwrap();
        assert_eq!((told.sessions, told.links, told.commands), (1, 0, 0));
        assert!(told.users.iter().all(|(tenant, _)| tenant == "north"), "{:?}", told.users);
        assert!(catalog.still_shared(link.reveal()).await.unwrap().is_some());
    });
}
