//! Devices by what is live of them, which the catalog does not know: its pages are looked through.

use crate::seats::{Seat, Seats};
use crate::{Api, Caller, Code, Problem};
use odograph_catalog::bounds::PAGE_BYTES_MAX;
use odograph_catalog::{Device, DeviceFilter, DeviceOrder, DevicePage};
use odograph_live::{DeviceState, Filter, State};
use odograph_model::{Key, Value};
use std::collections::HashMap;
use std::time::Duration;

/// What is wanted of a device's live state.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Nothing stands for those that have sent nothing.
    states: Option<Vec<Option<State>>>,
    ignition: Option<bool>,
}

impl Wanted {
    /// What the query says; nothing, where any will do.
    pub(super) fn of(states: Option<&str>, ignition: Option<bool>) -> Result<Option<Self>, Problem> {
        let states = states.map(|states| states.split(',').map(|state| named(state.trim())).collect::<Result<_, _>>());
        let wanted = Self { states: states.transpose()?, ignition };
        Ok((wanted != Self::default()).then_some(wanted))
    }

    /// Whether a device is like that; `None`: it has sent nothing yet.
    fn holds(&self, of: Option<&DeviceState>) -> bool {
        let state = of.map(|of| of.state);
        let ignition = of.and_then(|of| of.values.iter().find(|known| known.key == Key::EngineIgnitionStatus));
        let ignition = match ignition.map(|known| &known.value) {
            Some(Value::Bool(is_on)) => Some(*is_on),
            _ => None,
        };
        self.states.as_ref().is_none_or(|states| states.contains(&state))
            && self.ignition.is_none_or(|wanted| ignition == Some(wanted))
    }
}

fn named(name: &str) -> Result<Option<State>, Problem> {
    if name == UNSEEN {
        return Ok(None);
    }
    let found = State::ALL.into_iter().find(|state| state.name() == name);
    let what = || Problem::invalid("live", format!("{name:?} is none of moving, stopped, no_signal, alarm, unseen"));
    found.map(Some).ok_or_else(what)
}

/// A seat for whoever looks through the devices of a tenant: up to 20,000 of them are read for an answer.
pub(super) fn seat(seats: &Seats, tenant: &str) -> Result<Seat, Problem> {
    let seat = seats.take([(String::new(), LOOKING_MAX), (format!("tenant {tenant}"), TENANT_LOOKING_MAX)]);
    seat.ok_or_else(|| {
        let what = "as many look for devices by what is live of them as may at a time: try again in a second";
        Problem::new(Code::TooMany, what).retry_after(AGAIN)
    })
}

/// A page of devices that are like that. It has fewer than `limit`, and a next one nevertheless, where very many were looked through, or much
/// is kept of each.
pub(super) async fn page(
    api: &Api,
    caller: &Caller,
    filter: &DeviceFilter,
    order: DeviceOrder,
    mut after: Option<String>,
    limit: usize,
    wanted: &Wanted,
) -> Result<DevicePage, Problem> {
    let (mut devices, mut bytes) = (Vec::<Device>::new(), 0);
    for _ in 0..PAGES_MAX {
        let page = caller.within().devices(filter, order, after.as_deref(), PAGE).await?;
        let known = known(api, caller, &page.devices);
        for device in page.devices {
            if wanted.holds(known.get(&*device.id)) {
                // As it is in the answer.
                bytes += serde_json::to_string(&device).map_or(0, |text| text.len());
                devices.push(device);
            }
            if let Some(last) = devices.last().filter(|_| devices.len() >= limit || bytes >= PAGE_BYTES_MAX) {
                let next = Some(last.place());
                return Ok(DevicePage { devices, next });
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(DevicePage { devices, next: after })
}

/// What is live of these devices.
fn known(api: &Api, caller: &Caller, devices: &[Device]) -> HashMap<String, DeviceState> {
    let tenant = caller.tenant();
    let filter = Filter {
        permitted: api.groups.permitted(tenant, caller.access.scope.groups.as_deref()),
        parameters: Some([Key::EngineIgnitionStatus].into()),
        ..Filter::all(tenant)
    };
    let ids: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
    let known = api.live.devices(&filter, &ids, api.server.now()).into_iter();
    // Known by its group alone, it has sent nothing.
    known.filter(|state| state.received.is_some()).map(|state| (state.device.to_string(), state)).collect()
}

/// A device that has sent nothing yet.
const UNSEEN: &str = "unseen";
/// Devices that are looked through at a time.
const PAGE: u32 = 1000;
/// How often, for one answer.
const PAGES_MAX: usize = 20;
/// Answers that are looked for at a time: each keeps the catalog and a core busy.
const LOOKING_MAX: usize = 8;
/// Of these, such of one tenant: a page asks once at a time.
const TENANT_LOOKING_MAX: usize = 4;
/// A look takes less.
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_live::{GroupId, Known};
    use odograph_model::Time;

    fn device(state: State, ignition: Option<bool>) -> DeviceState {
        let known = |is_on| Known { key: Key::EngineIgnitionStatus, value: Value::Bool(is_on), time: Time(7) };
        DeviceState {
            device: "1".into(),
            group: GroupId::NONE,
            protocol: None,
            time: Some(Time(7)),
            received: Some(Time(7)),
            state,
            moved: None,
            silent_at: None,
            place: None,
            values: ignition.map(known).into_iter().collect(),
        }
    }

    #[test]
    fn a_tenant_leaves_room_for_others() {
        let seats = Seats::default();
        let held: Vec<_> = (0..TENANT_LOOKING_MAX).map(|_| seat(&seats, "north").unwrap()).collect();
        assert_eq!(seat(&seats, "north").map(drop).unwrap_err().code(), Code::TooMany);
        seat(&seats, "south").unwrap();
        drop(held);
        seat(&seats, "north").unwrap();
    }

    #[test]
    fn states_and_ignition_are_wanted_together() {
        let wanted = |states, ignition| Wanted::of(states, ignition).unwrap().unwrap();
        let (moving, stopped) = (device(State::Moving, Some(true)), device(State::Stopped, None));
        let holds = |wanted: Wanted| [Some(&moving), Some(&stopped), None].map(|of| wanted.holds(of));
        assert_eq!(holds(wanted(Some("moving"), None)), [true, false, false]);
        assert_eq!(holds(wanted(Some("unseen, stopped"), None)), [false, true, true]);
        assert_eq!(holds(wanted(None, Some(true))), [true, false, false]);
        assert_eq!(holds(wanted(None, Some(false))), [false, false, false], "what says nothing is not off");
        assert_eq!(holds(wanted(Some("stopped"), Some(true))), [false, false, false]);
        assert_eq!(Wanted::of(None, None).unwrap(), None);
        for wrong in ["", "Moving", "moving,", "stale"] {
            assert!(Wanted::of(Some(wrong), None).is_err(), "{wrong}");
        }
    }
}
