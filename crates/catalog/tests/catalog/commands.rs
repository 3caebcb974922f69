//! Commands: queued by people, claimed and reported by the server, each step durable, whatever ends in between.

use std::collections::BTreeMap;
use std::time::Duration;

use odograph_catalog::bounds::{COMMANDS_KEPT_MS, COMMANDS_KEPT_OF_DEVICE_MAX, COMMANDS_WAITING_OF_DEVICE_MAX};
use odograph_catalog::{
    ANSWER_PATIENCE_MS, Access, Catalog, Claim, ClaimedCommand, CommandQueue, CommandState, DeviceCommand,
    DeviceFields, DeviceState, NewCommand, NewTenant, Recipient, Report, Role, Within,
};

use sqlx::Connection as _;

use crate::support::{NOON, Place, refused, user, with_catalog};

const HOUR_MS: i64 = 60 * 60 * 1000;

fn stop() -> NewCommand {
    NewCommand { kind: Some("engineStop".into()), ..NewCommand::default() }
}

fn repeatable() -> NewCommand {
    NewCommand { repeatable: true, ..stop() }
}

fn truck() -> Recipient {
    Recipient { tenant: "north".into(), device: "truck".into() }
}

async fn add(within: Within<'_>, id: &str) {
    within.create_device(vec![id.into(), format!("{id}-too")], DeviceFields::default()).await.unwrap();
}

async fn state(within: Within<'_>, number: i64) -> CommandState {
    within.command("truck", number).await.unwrap().state
}

async fn claimed(queue: &CommandQueue) -> ClaimedCommand {
    queue.claim(&truck()).await.unwrap().unwrap()
}

async fn claim(queue: &CommandQueue) -> Option<i64> {
    queue.claim(&truck()).await.unwrap().map(|command| command.claim.number)
}

/// What the audit log has about the truck's commands, the oldest first.
async fn log(within: Within<'_>) -> Vec<String> {
    let entries = within.audit(&Default::default()).await.unwrap();
    let of_commands = entries.iter().rev().filter(|entry| entry.action.starts_with("command."));
    let shown = of_commands.map(|entry| {
        assert_eq!((entry.kind.as_str(), entry.object.as_str()), ("device", "truck"));
        let number = &entry.became.as_ref().unwrap()["command"];
        format!("{} {number} by {}", entry.action, entry.actor_kind)
    });
    shown.collect()
}

/// Writes over what is kept of a command.
async fn damage(place: &Place, number: i64, set: &'static str) {
    // As the library wants it: ours takes a path as it is.
    let url = place.url.replace('?', "%3F").replace('#', "%23");
    let url = if place.is_sqlite() { url } else { place.url.clone() };
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let update = format!("UPDATE commands SET {set} WHERE tenant = 'north' AND number = {number}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(update)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[test]
fn a_command_that_cannot_be_read_is_in_nobodys_way() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        add(within, "truck").await;
        let queue = catalog.command_queue("node-0");
        let mut numbers = Vec::new();
        for _ in 0..3 {
            numbers.push(within.create_command("truck", stop()).await.unwrap().number);
        }
        damage(&place, numbers[0], "attributes = '{'").await;
        assert_eq!(claim(&queue).await, Some(numbers[1]), "the next one");
        damage(&place, numbers[1], "state = 'sent', attributes = 'x'").await;
        // The server ends, and finds what it had set out to send.
        let queue = catalog.command_queue("node-0");
        assert_eq!((queue.recover().await.unwrap(), queue.spoilt()), (1, 1));
        assert_eq!(claim(&queue).await, Some(numbers[2]));
        place.clock.set_now(NOON + HOUR_MS);
        assert_eq!(queue.sweep().await.unwrap(), [truck()].into());
        assert_eq!(queue.spoilt(), 2);
        assert_eq!(queue.sweep().await.unwrap(), [].into(), "it has come to an end");
        let told = within.commands("truck", None, None, 10).await.unwrap();
        let told: Vec<_> = told.iter().map(|one| (one.number, one.state, one.reason.as_deref())).collect();
        let why = Some("what is kept of it cannot be read or written");
        assert_eq!(told[1..], [(numbers[1], CommandState::Failed, why), (numbers[0], CommandState::Failed, why)]);
        let log = log(within).await;
        assert_eq!(log.iter().filter(|line| line.starts_with("command.failed")).count(), 2, "{log:?}");
    });
}

#[test]
fn a_command_is_queued_sent_and_answered() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        add(within, "truck").await;
        let attributes = BTreeMap::from([("codec".to_owned(), "12".to_owned())]);
        let new =
            NewCommand { attributes: attributes.clone(), text: Some("setdigout 1".into()), ..NewCommand::default() };
        let made = within.create_command("truck-too", new).await.unwrap();
        let expected = DeviceCommand {
            number: 1,
            device: "truck".into(),
            kind: "custom".into(),
            attributes,
            text: Some("setdigout 1".into()),
            repeatable: false,
            state: CommandState::Queued,
            created: NOON,
            expires: NOON + HOUR_MS,
            sent: None,
            answered: None,
            answer: None,
            reason: None,
            by: "owner".into(),
            attempts: 0,
        };
        assert_eq!(made, expected);
        assert_eq!(within.command("truck", 1).await.unwrap(), expected);
        assert_eq!(within.create_command("truck", stop()).await.unwrap().number, 2);
        let mut queue = catalog.command_queue("node-0");
        assert_eq!(queue.next().await.unwrap(), [truck()].into());
        assert!(queue.waits_for(&truck()).await.unwrap());
        let first = claimed(&queue).await;
        let attributes = [("codec", "12"), ("data", "setdigout 1")].map(|(name, value)| (name.into(), value.into()));
        let claim = Claim { tenant: "north".into(), number: 1, attempt: 1 };
        let expected = ClaimedCommand {
            claim: claim.clone(),
            recipient: truck(),
            kind: "custom".into(),
            attributes: attributes.into(),
            expires: NOON + HOUR_MS,
        };
        assert_eq!(first, expected);
        assert_eq!(self::claim(&queue).await, None, "one at a time");
        refused(
            within.cancel_command("truck", 1).await,
            "the command 1 is sent: only one that is queued can be called off",
        );
        place.clock.set_now(NOON + 5);
        assert_eq!(queue.report(&claim, &Report::Sent).await.unwrap(), Some(CommandState::Sent));
        place.clock.set_now(NOON + 9);
        let answer = Report::Answered("DOUT1:1\0".into(), None);
        assert_eq!(queue.report(&claim, &answer).await.unwrap(), Some(CommandState::Answered));
        assert_eq!(queue.report(&claim, &answer).await.unwrap(), None, "once");
        let known = within.command("truck", 1).await.unwrap();
        assert_eq!((known.state, known.sent, known.answered), (CommandState::Answered, Some(NOON + 5), Some(NOON + 9)));
        assert_eq!((known.answer.as_deref(), known.attempts), (Some("DOUT1:1"), 1));
        assert_eq!(self::claim(&queue).await, Some(2));
        let listed = within.commands("truck", None, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|command| command.number).collect::<Vec<_>>(), [2, 1]);
        let answered = within.commands("truck", Some(CommandState::Answered), Some(2), 10).await.unwrap();
        assert_eq!(answered, [known]);
        let expected = [
            "command.create 1 by owner",
            "command.create 2 by owner",
            "command.sent 1 by server",
            "command.answered 1 by server",
        ];
        assert_eq!(log(within).await, expected);
    });
}

#[test]
fn what_cannot_be_wanted_is_refused() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        add(within, "truck").await;
        refused(within.create_command("car", stop()).await, "there is no device car");
        refused(within.command("truck", 1).await, "there is no command 1");
        let too_long = NewCommand { ttl_s: Some(0), ..stop() };
        refused(within.create_command("truck", too_long).await, "ttl_s: is 0: 1 to 2592000 seconds are possible");
        for _ in 0..COMMANDS_WAITING_OF_DEVICE_MAX {
            within.create_command("truck", stop()).await.unwrap();
        }
        let full = "100 commands wait for the device truck: call some off first";
        refused(within.create_command("truck", stop()).await, full);
        assert_eq!(within.cancel_command("truck", 1).await.unwrap().state, CommandState::Cancelled);
        assert_eq!(
            within.create_command("truck", stop()).await.unwrap().number,
            101,
            "what was refused took no number"
        );
        let reject = DeviceFields { state: Some(DeviceState::Rejected), ..DeviceFields::default() };
        within.update_device("truck", reject).await.unwrap();
        refused(within.create_command("truck", stop()).await, "the device truck is rejected: accept it first");
        within.delete_device("truck").await.unwrap();
        add(within, "truck").await;
        assert_eq!(within.commands("truck", None, None, 10).await.unwrap(), []);
        let (_, _, viewer) = user(&catalog, "north", "vic", Role::Viewer, None).await;
        refused(catalog.within(&viewer).create_command("truck", stop()).await, "this needs the role manager");
        let (_, _, manager) = user(&catalog, "north", "max", Role::Manager, None).await;
        assert_eq!(catalog.within(&manager).create_command("truck", stop()).await.unwrap().by, "max");
    });
}

#[test]
fn an_expired_command_is_never_claimed() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        add(within, "truck").await;
        within.create_command("truck", NewCommand { ttl_s: Some(1), ..repeatable() }).await.unwrap();
        within.create_command("truck", NewCommand { ttl_s: Some(2), ..stop() }).await.unwrap();
        within.create_command("truck", NewCommand { ttl_s: Some(2), ..stop() }).await.unwrap();
        let queue = catalog.command_queue("node-0");
        place.clock.set_now(NOON + 1000);
        assert_eq!(state(within, 1).await, CommandState::Expired, "it is so before anyone writes it down");
        refused(
            within.cancel_command("truck", 1).await,
            "the command 1 is expired: only one that is queued can be called off",
        );
        let second = claimed(&queue).await;
        assert_eq!(second.claim.number, 2);
        // It was claimed in time, and then it was too late.
        assert_eq!(queue.report(&second.claim, &Report::Expired).await.unwrap(), Some(CommandState::Expired));
        place.clock.set_now(NOON + 2000);
        assert_eq!(queue.sweep().await.unwrap(), [truck()].into());
        assert_eq!(queue.sweep().await.unwrap(), [].into());
        assert_eq!(claim(&queue).await, None);
        assert!(!queue.waits_for(&truck()).await.unwrap());
        for number in 1..=3 {
            let command = within.command("truck", number).await.unwrap();
            assert_eq!((command.state, command.sent), (CommandState::Expired, None), "{command:?}");
            assert!(command.reason.unwrap().contains("nothing was sent"));
        }
        let ended = log(within).await.into_iter().filter(|entry| entry.starts_with("command.expired")).count();
        assert_eq!(ended, 3);
    });
}

/// What becomes of a command, and how often it can be claimed, when `end` ends its way after it was claimed.
async fn course(catalog: &Catalog, new: NewCommand, end: impl AsyncFn(&CommandQueue, &Claim)) -> (CommandState, i64) {
    let owner = Access::owner("north");
    let within = catalog.within(&owner);
    let number = within.create_command("truck", new).await.unwrap().number;
    let queue = catalog.command_queue("node-0");
    let mut claims = 0;
    while let Some(command) = queue.claim(&truck()).await.unwrap() {
        assert_eq!(command.claim.number, number);
        claims += 1;
        end(&queue, &command.claim).await;
    }
    (state(within, number).await, claims)
}

#[test]
fn what_may_not_be_repeated_is_claimed_once_whatever_happens() {
    with_catalog(async |_, catalog| {
        add(catalog.within(&Access::owner("north")), "truck").await;
        let lost = async |queue: &CommandQueue, claim: &Claim| {
            queue.report(claim, &Report::Lost("the link was lost".into())).await.unwrap();
        };
        let sent_and_lost = async |queue: &CommandQueue, claim: &Claim| {
            queue.report(claim, &Report::Sent).await.unwrap();
            lost(queue, claim).await;
        };
        // The server was killed: nobody reports, and the next one looks.
        let killed = async |_: &CommandQueue, _: &Claim| {
            catalog.command_queue("node-1").recover().await.unwrap();
            assert_eq!(catalog.command_queue("node-0").recover().await.unwrap(), 1);
        };
        let killed_after_sending = async |queue: &CommandQueue, claim: &Claim| {
            queue.report(claim, &Report::Sent).await.unwrap();
            assert_eq!(catalog.command_queue("node-0").recover().await.unwrap(), 1);
        };
        let once = (CommandState::Unknown, 1);
        assert_eq!(course(&catalog, stop(), lost).await, once);
        assert_eq!(course(&catalog, stop(), sent_and_lost).await, once);
        assert_eq!(course(&catalog, stop(), killed).await, once);
        assert_eq!(course(&catalog, stop(), killed_after_sending).await, once);
        let often = (CommandState::Unknown, 10);
        assert_eq!(course(&catalog, repeatable(), lost).await, often);
        assert_eq!(course(&catalog, repeatable(), killed_after_sending).await, often);
        let refused = async |queue: &CommandQueue, claim: &Claim| {
            let refused = Report::Refused("the protocol has no command".into());
            assert_eq!(queue.report(claim, &refused).await.unwrap(), Some(CommandState::Failed));
        };
        assert_eq!(course(&catalog, repeatable(), refused).await, (CommandState::Failed, 1));
        let said_no = async |queue: &CommandQueue, claim: &Claim| {
            let said = Report::Answered("jf".into(), Some(false));
            assert_eq!(queue.report(claim, &said).await.unwrap(), Some(CommandState::Failed));
        };
        assert_eq!(course(&catalog, stop(), said_no).await, (CommandState::Failed, 1));
    });
}

#[test]
fn what_was_not_sent_waits_again_and_old_reports_do_not_count() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        add(within, "truck").await;
        within.create_command("truck", stop()).await.unwrap();
        let queue = catalog.command_queue("node-0");
        let first = claimed(&queue).await.claim;
        assert_eq!(queue.report(&first, &Report::Unsent).await.unwrap(), Some(CommandState::Queued));
        let second = claimed(&queue).await.claim;
        assert_eq!((second.number, second.attempt), (1, 2));
        assert_eq!(queue.report(&first, &Report::Lost("late".into())).await.unwrap(), None);
        assert_eq!(queue.report(&first, &Report::Answered("late".into(), None)).await.unwrap(), None);
        assert_eq!(queue.report(&second, &Report::Sent).await.unwrap(), Some(CommandState::Sent));
        assert_eq!(queue.sweep().await.unwrap(), [].into());
        // A device that does not answer holds up nobody for ever, and may answer still.
        place.clock.set_now(NOON + ANSWER_PATIENCE_MS);
        assert_eq!(queue.sweep().await.unwrap(), [truck()].into());
        assert_eq!(state(within, 1).await, CommandState::Unknown);
        assert_eq!(
            queue.report(&second, &Report::Answered("OK".into(), Some(true))).await.unwrap(),
            Some(CommandState::Answered)
        );
        let log = log(within).await;
        let expected = [
            "command.create 1 by owner",
            "command.sent 1 by server",
            "command.unknown 1 by server",
            "command.answered 1 by server",
        ];
        assert_eq!(log, expected);
    });
}

#[test]
fn the_server_hears_of_commands_and_forgets_old_ones() {
    with_catalog(async |place, catalog| {
        let (north, south) = (Access::owner("north"), Access::owner("south"));
        add(catalog.within(&north), "truck").await;
        add(catalog.within(&south), "truck").await;
        let mut queue = catalog.command_queue("node-0");
        let queued = async {
            tokio::task::yield_now().await;
            catalog.within(&south).create_command("truck", stop()).await.unwrap();
        };
        let (heard, ()) = futures::future::join(queue.next(), queued).await;
        assert_eq!(heard.unwrap(), [Recipient { tenant: "south".into(), device: "truck".into() }].into());
        let within = catalog.within(&north);
        within.create_command("truck", stop()).await.unwrap();
        assert_eq!(queue.next().await.unwrap(), [truck()].into(), "the other was told before");
        within.cancel_command("truck", 1).await.unwrap();
        for _ in 0..COMMANDS_KEPT_OF_DEVICE_MAX {
            let number = within.create_command("truck", stop()).await.unwrap().number;
            within.cancel_command("truck", number).await.unwrap();
        }
        within.create_command("truck", stop()).await.unwrap();
        refused(within.command("truck", 1).await, "there is no command 1");
        assert_eq!(within.command("truck", 3).await.unwrap().number, 3);
        place.clock.set_now(NOON + COMMANDS_KEPT_MS);
        assert_eq!(queue.clean().await.unwrap(), 0);
        place.clock.set_now(NOON + COMMANDS_KEPT_MS + 1);
        queue.sweep().await.unwrap();
        assert_eq!(queue.clean().await.unwrap(), 500);
        assert_eq!(queue.clean().await.unwrap(), 499);
        assert_eq!(queue.clean().await.unwrap(), 0, "what has just expired stays");
        assert_eq!(within.commands("truck", None, None, 10).await.unwrap().len(), 1);
    });
}

#[test]
fn the_server_hears_of_the_first_command_of_a_tenant_that_was_made_anew() {
    with_catalog(async |place, catalog| {
        let (default, owner) = (Access::owner("default"), Access::owner("north"));
        let (tenants, within) = (catalog.tenants(&default), catalog.within(&owner));
        let mut queue = catalog.command_queue("node-0");
        // As many commands as the one before had, and fewer.
        for commands in [2, 2, 1] {
            add(within, "truck").await;
            for _ in 0..commands {
                within.create_command("truck", stop()).await.unwrap();
            }
            let heard = tokio::time::timeout(Duration::from_secs(60), queue.next()).await;
            assert_eq!(heard.expect("it is told").unwrap(), [truck()].into());
            place.clock.advance(Duration::from_millis(1));
            tenants.erase("north").await.unwrap();
            tenants.create(NewTenant { id: "north".into(), ..NewTenant::default() }).await.unwrap();
        }
    });
}

/// What the catalog has said is so after the next start, too.
#[test]
fn a_claim_outlives_the_process() {
    with_catalog(async |place: Place, catalog| {
        let owner = Access::owner("north");
        add(catalog.within(&owner), "truck").await;
        catalog.within(&owner).create_command("truck", stop()).await.unwrap();
        claimed(&catalog.command_queue("node-0")).await;
        catalog.close().await;
        let again = place.open().await;
        let mut queue = again.command_queue("node-0");
        assert_eq!(claim(&queue).await, None, "it is on its way");
        assert_eq!(queue.recover().await.unwrap(), 1);
        assert_eq!(queue.recover().await.unwrap(), 0);
        let known = again.within(&owner).command("truck", 1).await.unwrap();
        assert_eq!((known.state, known.sent), (CommandState::Unknown, None));
        assert_eq!(known.reason.as_deref(), Some("the server stopped while it was on its way"));
        assert_eq!(claim(&queue).await, None);
        again.within(&owner).create_command("truck", repeatable()).await.unwrap();
        assert_eq!(queue.next().await.unwrap(), [truck()].into());
    });
}
