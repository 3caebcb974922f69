//! What devices say is what the decoders understand, value by value.

use super::*;
use crate::{Atlas, Intervals, Truck};
use odograph_model::{Key, Record, Time, Value};
use odograph_protocols::{Command, Conversation, Terms, Transport, find};
use std::sync::Arc;

const IMEI: &str = "356938035643809";
/// The 10th of June 2026, midnight UTC.
const START_MS: i64 = 1_781_049_600_000;
const INTERVALS: Intervals = Intervals { driving_s: 60, standing_s: 300 };

/// Some days of a truck, with all that happens in them.
fn measured(number: u64, has_unit: bool) -> Vec<Measured> {
    let atlas = Arc::new(Atlas::new(1));
    let mut truck = Truck::new(&atlas, (1, number), 0, has_unit, INTERVALS, START_MS);
    truck.block(number == 3);
    truck.advance(START_MS + 2 * 86_400_000, 500)
}

fn conversation(speech: Speech, transport: Option<Transport>) -> Conversation {
    let terms = Terms { transport, ..Terms::default() };
    Conversation::new(find(speech.name()).expect("the protocol is known"), terms)
}

/// Lets the decoder hear a message, and the device the replies. Gives the records, and what the device heard.
fn exchange(conversation: &mut Conversation, speech: Speech, bytes: &[u8], login: bool) -> (Vec<Record>, Vec<Heard>) {
    let received = Time(START_MS + 3 * 86_400_000);
    let (mut records, mut inbox) = (Vec::new(), Vec::new());
    for heard in conversation.message(bytes, received, None) {
        assert_eq!(heard.fault, None, "{}: {:02X?}", speech.name(), bytes);
        assert_eq!(heard.notes, Vec::<String>::new(), "{}", speech.name());
        heard.replies_if_accepted().for_each(|reply| inbox.extend_from_slice(&reply.bytes));
        records.extend(heard.records);
    }
    let mut told = Vec::new();
    while !inbox.is_empty() {
        let (heard, taken) = speech.hear(&inbox, login);
        assert!(taken > 0, "{}: {heard:?} at {inbox:02X?}", speech.name());
        inbox.drain(..taken);
        told.push(heard);
    }
    (records, told)
}

/// What a record says of what was measured, with the digits that the language has.
fn expected(record: &Measured, speech: Speech) -> Vec<(Key, Value)> {
    let round = |value: f64, unit: f64| Value::Float((value / unit).round() * unit);
    let mut values = vec![
        (Key::PositionSpeed, Value::Float(record.speed_kph)),
        (Key::PositionDirection, Value::Float(record.course)),
        (Key::EngineIgnitionStatus, Value::Bool(record.ignition)),
        (Key::VehicleMileage, Value::Float(record.odometer_m as f64 / 1000.0)),
    ];
    if speech == Speech::Gt06 {
        values.push((Key::PositionSatellites, Value::Int(record.satellites.min(15).into())));
        return values;
    }
    values.extend([
        (Key::PositionAltitude, Value::Float(record.altitude_m.into())),
        (Key::PositionHdop, Value::Float(record.hdop)),
        (Key::MovementStatus, Value::Bool(record.moves())),
        (Key::ExternalPowerVoltage, round(record.supply_v, if speech == Speech::Wialon { 0.01 } else { 0.001 })),
    ]);
    if speech != Speech::Wialon {
        let step = if speech == Speech::Galileo { 0.4 } else { 1.0 };
        let step = if speech == Speech::Osmand { 0.1 } else { step };
        values.push((Key::FuelLevel, round(record.fuel_percent, step)));
    }
    let Some(unit) = &record.unit else { return values };
    for (number, zone) in (1..).zip(&unit.zones) {
        let tenths = |celsius: f64| round(celsius, 0.1);
        match speech {
            Speech::Teltonika | Speech::Galileo => {
                values.extend([
                    (Key::ReeferSetpointTemperatureN(number), tenths(zone.set_point_c)),
                    (Key::ReeferReturnAirTemperatureN(number), tenths(zone.return_air_c)),
                    (Key::ReeferSupplyAirTemperatureN(number), tenths(zone.supply_air_c)),
                    (Key::ReeferEvaporatorTemperatureN(number), tenths(zone.evaporator_c)),
                ]);
                let probe = if speech == Speech::Teltonika { number } else { number + 16 };
                values.push((Key::TemperatureN(probe), tenths(zone.cargo_c)));
            }
            _ => values.extend([
                (Key::TemperatureN(number), tenths(zone.return_air_c)),
                (Key::TemperatureN(number + 3), tenths(zone.cargo_c)),
            ]),
        }
        if speech == Speech::Galileo {
            values.extend([
                (Key::ReeferDoorStatusN(number), Value::Bool(zone.door_open)),
                (Key::ReeferDefrostStatusN(number), Value::Bool(zone.action == crate::Action::Defrost)),
                (Key::ReeferEngineRpm, Value::Float(unit.rpm.into())),
                (Key::ReeferEngineHours, round(unit.diesel_h, 0.05)),
            ]);
        }
    }
    if speech != Speech::Galileo {
        values.push((Key::DoorStatus, Value::Bool(record.door_open())));
    }
    values
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        _ => None,
    }
}

fn check(speech: Speech, record: &Record, measured: &Measured) {
    assert_eq!(record.time, Some(Time(measured.time_ms)), "{}", speech.name());
    let near = |key: Key, wanted: f64, within: f64| {
        let found = record.get(key).and_then(number);
        let fits = found.is_some_and(|found| (found - wanted).abs() <= within);
        assert!(fits, "{}: {key:?} is {found:?}, was {wanted}", speech.name());
    };
    near(Key::PositionLatitude, measured.place.latitude, 1.1e-6);
    near(Key::PositionLongitude, measured.place.longitude, 1.1e-6);
    for (key, value) in expected(measured, speech) {
        match number(&value) {
            Some(wanted) => near(key, wanted, 1e-3),
            None => assert_eq!(record.get(key), Some(&value), "{}: {key:?}", speech.name()),
        }
    }
}

fn check_speech(speech: Speech) {
    let measured: Vec<_> = [1, 3].into_iter().flat_map(|number| measured(number, speech.has_unit())).collect();
    let mut conversation = conversation(speech, None);
    if let Some(login) = speech.login(IMEI) {
        let (records, told) = exchange(&mut conversation, speech, &login, true);
        assert_eq!((records.len(), &told[..]), (0, &[Heard::Login(true)][..]), "{}", speech.name());
    }
    for (serial, batch) in (0_u16..).zip(measured.chunks(speech.batch_max())) {
        let frame = speech.frame(IMEI, batch, serial);
        let (records, told) = exchange(&mut conversation, speech, &frame.bytes, false);
        assert_eq!(told.last(), Some(&Heard::Acknowledged(frame.mark)), "{}", speech.name());
        let located: Vec<_> = records.iter().filter(|record| record.get(Key::PositionLatitude).is_some()).collect();
        assert_eq!(located.len(), batch.len(), "{}", speech.name());
        for (record, measured) in located.iter().zip(batch) {
            check(speech, record, measured);
        }
    }
    assert_eq!(conversation.identity(), Some(IMEI), "{}", speech.name());
}

#[test]
fn teltonika_is_understood() {
    check_speech(Speech::Teltonika);
}

#[test]
fn wialon_is_understood() {
    check_speech(Speech::Wialon);
}

#[test]
fn galileo_is_understood() {
    check_speech(Speech::Galileo);
}

#[test]
fn gt06_is_understood() {
    check_speech(Speech::Gt06);
}

#[test]
fn osmand_is_understood() {
    check_speech(Speech::Osmand);
}

#[test]
fn datagrams_are_understood_and_acknowledged() {
    let measured = measured(2, true);
    for speech in Speech::ALL.into_iter().filter(|speech| speech.has_datagrams()) {
        let mut conversation = conversation(speech, Some(Transport::Udp));
        for (serial, batch) in (65_530_u16..=u16::MAX).chain(0..4).zip(measured.chunks(3)) {
            let frame = speech.datagram(IMEI, batch, serial).expect("it has datagrams");
            let heard = conversation.message(&frame.bytes, Time(START_MS + 3 * 86_400_000), None);
            let [heard] = &heard[..] else { panic!("{}: {heard:?}", speech.name()) };
            assert_eq!((heard.fault, heard.records.len(), &heard.identity[0][..]), (None, batch.len(), IMEI));
            heard.records.iter().zip(batch).for_each(|(record, measured)| check(speech, record, measured));
            let [reply] = &heard.replies[..] else { panic!("{}: {heard:?}", speech.name()) };
            assert_eq!(speech.hear_datagram(&reply.bytes), Heard::Acknowledged(frame.mark), "{}", speech.name());
        }
    }
}

#[test]
fn commands_are_heard_and_their_answers_understood() {
    for (speech, name, attributes, text) in [
        (Speech::Teltonika, "engineStop", &[][..], "setdigout 1"),
        (Speech::Teltonika, "positionSingle", &[], "getgps"),
        (Speech::Gt06, "engineStop", &[], "Relay,1#"),
        (Speech::Galileo, "outputControl", &[("index", "0"), ("data", "1"), ("number", "77")], "Out 0,1"),
        (Speech::Wialon, "outputControl", &[("index", "1"), ("data", "1")], "L1=1"),
        (Speech::Wialon, "message", &[("message", "to the left")], "to the left"),
    ] {
        let mut conversation = conversation(speech, None);
        let login = speech.login(IMEI).expect("it has a login");
        exchange(&mut conversation, speech, &login, true);
        let sent = conversation.command(IMEI, &Command { name, attributes, number: 1 }).expect("the command is known");
        // In pieces, as they may come.
        for cut in 0..sent.len() {
            assert_eq!(speech.hear(&sent[..cut], false), (Heard::Nothing, 0), "{} at {cut}", speech.name());
        }
        let (heard, taken) = speech.hear(&sent, false);
        let Heard::Command(order) = heard else { panic!("{}: {heard:?}", speech.name()) };
        assert_eq!((&order.text[..], taken), (text, sent.len()), "{}", speech.name());
        let answer = speech.answer(IMEI, &order, "it is done", 9).expect("it answers");
        let heard = conversation.message(&answer, Time(START_MS), None);
        let answers: Vec<_> = heard.iter().flat_map(|heard| &heard.answers).collect();
        let [answer] = &answers[..] else { panic!("{}: {heard:?}", speech.name()) };
        assert_eq!(&answer.text[..], "it is done", "{}", speech.name());
    }
}
