//! The parameter dictionary: every key that a record can hold, with its type, unit and meaning.
//!
//! One row a parameter; the enum, the names, the documentation and the checks all come from these rows. What a maker
//! documents and this table lacks is added here; what nobody documents stays under `raw.` in the record.

use std::fmt;

/// The type of a parameter's values. A key has one type, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A 64-bit floating point number.
    Float,
    /// A 64-bit integer.
    Int,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// A list of texts, cells or access points.
    List,
}

/// One row of the dictionary.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The name; with `{n}` where a number stands.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// The unit, empty where there is none.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// Numbered parameters count from 1 to this.
pub const NUMBER_MAX: u8 = 64;

macro_rules! dictionary {
    (plain { $($plain:ident $pname:literal $pkind:ident $punit:literal $pmeaning:literal;)* }
     numbered { $($numbered:ident $nname:literal $nplace:literal $nkind:ident $nunit:literal $nmeaning:literal;)* }) => {
        /// A parameter's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key {
            $(#[doc = concat!("`", $pname, "`: ", $pmeaning)] $plain,)*
            $(#[doc = concat!("`", $nname, $nplace, "`: ", $nmeaning)] $numbered(u8),)*
        }

        /// The rows, counted.
        #[derive(Clone, Copy)]
        enum Row { $($plain,)* $($numbered,)* }

        /// Every parameter, in the order of the dictionary.
        pub const PARAMETERS: &[Parameter] = &[
            $(Parameter { name: $pname, kind: Kind::$pkind, unit: $punit, meaning: $pmeaning },)*
            $(Parameter { name: concat!($nname, $nplace), kind: Kind::$nkind, unit: $nunit, meaning: $nmeaning },)*
        ];

        /// How many parameters have no number.
        const PLAIN: u16 = [$($pname,)*].len() as u16;
        const PLAIN_KEYS: [Key; PLAIN as usize] = [$(Key::$plain,)*];
        const NUMBERED_KEYS: &[fn(u8) -> Key] = &[$(Key::$numbered,)*];

        impl Key {
            /// The type of this parameter's values.
            #[inline]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$plain => Kind::$pkind,)* $(Self::$numbered(_) => Kind::$nkind,)* }
            }

            /// The parameter's place in [`PARAMETERS`], and its number, if it has one.
            #[inline(always)]
            const fn place(self) -> (u16, u8) {
                // The compiler counts the rows; as they have the order of the enum, this reads its tag.
                match self { $(Self::$plain => (Row::$plain as u16, 0),)* $(Self::$numbered(n) => (Row::$numbered as u16, n),)* }
            }

            /// The name without its number, and the number.
            const fn parts(self) -> (&'static str, Option<u8>) {
                match self { $(Self::$plain => ($pname, None),)* $(Self::$numbered(n) => ($nname, Some(n)),)* }
            }

            /// The key of that name, if the dictionary has it.
            pub fn from_name(name: &str) -> Option<Self> {
                $(if name == $pname { return Some(Self::$plain); })*
                let (stem, number) = name.rsplit_once('.')?;
                let number: u8 = number.parse().ok().filter(|n| (1..=NUMBER_MAX).contains(n))?;
                match stem { $($nname => Some(Self::$numbered(number)),)* _ => None }
            }
        }
    };
}

impl Key {
    /// How many keys there are, numbers counted: what [`Key::index`] stays below.
    pub const COUNT: usize = PLAIN as usize + NUMBERED_KEYS.len() * NUMBER_MAX as usize;

    /// The key as a small number, for sets and tables of keys; `None` where its number is outside 1 to [`NUMBER_MAX`]. It
    /// changes with the dictionary: what outlives the program has names.
    #[inline]
    pub const fn index(self) -> Option<u16> {
        let (row, number) = self.place();
        if row < PLAIN {
            return Some(row);
        }
        if number == 0 || number > NUMBER_MAX {
            return None;
        }
        Some(PLAIN + (row - PLAIN) * NUMBER_MAX as u16 + number as u16 - 1)
    }

    /// The key of that [`Key::index`].
    pub fn from_index(index: u16) -> Option<Self> {
        if let Some(key) = PLAIN_KEYS.get(usize::from(index)) {
            return Some(*key);
        }
        let numbered = index.checked_sub(PLAIN)?;
        let (row, number) = (numbered / u16::from(NUMBER_MAX), numbered % u16::from(NUMBER_MAX));
        NUMBERED_KEYS.get(usize::from(row)).map(|key| key(number as u8 + 1))
    }

    /// A bit for this key in a set of 128 that is to say fast which keys are surely not there: others may share it.
    #[inline(always)]
    pub(crate) const fn bit(self) -> u128 {
        let (row, number) = self.place();
        1 << ((row + number as u16 * 31) % 128)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (name, None) => f.write_str(name),
            (name, Some(number)) => write!(f, "{name}.{number}"),
        }
    }
}

dictionary! {
    plain {
        PositionLatitude "position.latitude" Float "degrees, WGS 84" "latitude, north positive";
        PositionLongitude "position.longitude" Float "degrees, WGS 84" "longitude, east positive";
        PositionAltitude "position.altitude" Float "m" "height above mean sea level";
        PositionSpeed "position.speed" Float "km/h" "ground speed from the satellite receiver";
        PositionDirection "position.direction" Float "degrees" "course over ground, clockwise from true north, 0 to 360";
        PositionAccuracy "position.accuracy" Float "m" "horizontal accuracy, 1 sigma where the device says";
        PositionValid "position.valid" Bool "" "the device says that this fix is current";
        PositionSatellites "position.satellites" Int "count" "satellites used in the fix";
        PositionSatellitesVisible "position.satellites.visible" Int "count" "satellites in view";
        PositionHdop "position.hdop" Float "" "horizontal dilution of precision";
        PositionVdop "position.vdop" Float "" "vertical dilution of precision";
        PositionPdop "position.pdop" Float "" "position dilution of precision";
        PositionFixAge "position.fix.age" Float "s" "age of the fix when the record was made";
        TimeSource "time.source" Text "enum" "device, or received where the device gave no time or one outside the accepted window";
        DeviceTime "device.time" Text "UTC" "the time that the device claimed, kept where it was outside the accepted window";
        DeviceIp "device.ip" Text "" "network address that the device sent it from; behind a balancer what the PROXY protocol says";
        GnssState "gnss.state" Text "enum" "fix kind as the device says it";
        GsmSignalStrength "gsm.signal.strength" Float "as sent" "signal strength on the scale that the device uses (0-31, dBm, percent)";
        GsmRoamingStatus "gsm.roaming.status" Bool "" "roaming";
        GsmOperatorCode "gsm.operator.code" Text "MCC+MNC" "operator";
        GsmSimIccid "gsm.sim.iccid" Text "" "SIM card number";
        GsmCells "gsm.cells" List "" "serving and neighbour cells: mcc, mnc, lac, cid, signal";
        WifiAccessPoints "wifi.access.points" List "" "MAC address, signal";
        RecordIndex "record.index" Int "count" "sequence number given by the device";
        RecordArchived "record.archived" Bool "" "sent late from the device's memory";
        EventCode "event.code" Text "" "the device's own event code, as text";
        Alarm "alarm" List "enum" "what the device alarms about: names of alarms.tsv";
        StatusCode "status.code" Text "bit field" "the device's raw status word, as text; decimal where it is binary";
        VehicleMileage "vehicle.mileage" Float "km" "total distance by the vehicle's or device's odometer";
        VehicleMileageTrip "vehicle.mileage.trip" Float "km" "distance of the current trip";
        VehicleMileageService "vehicle.mileage.service" Float "km" "distance since or until service, as the device says";
        SegmentMileage "segment.mileage" Float "km" "distance since the previous record, by the device";
        CanVehicleMileage "can.vehicle.mileage" Float "km" "odometer read from CAN or OBD";
        CanVehicleSpeed "can.vehicle.speed" Float "km/h" "wheel speed from CAN or OBD";
        EngineHours "engine.hours" Float "h" "engine running time, total";
        EngineIgnitionStatus "engine.ignition.status" Bool "" "ignition or ACC on";
        EngineRpm "engine.rpm" Float "1/min" "engine speed";
        EngineLoadLevel "engine.load.level" Float "percent" "engine load";
        EngineThrottleLevel "engine.throttle.level" Float "percent" "accelerator or throttle";
        EngineCoolantTemperature "engine.coolant.temperature" Float "C" "coolant temperature";
        EngineTemperature "engine.temperature" Float "C" "engine temperature";
        EngineOilTemperature "engine.oil.temperature" Float "C" "oil";
        EngineIntakeTemperature "engine.intake.temperature" Float "C" "intake air";
        EngineIntakePressure "engine.intake.pressure" Float "kPa" "intake manifold, absolute";
        EngineRuntime "engine.runtime" Float "s" "run time since the start, as the device says";
        EngineIdleHours "engine.idle.hours" Float "h" "time idling";
        EngineBlockedStatus "engine.blocked.status" Bool "" "starter or fuel cut is active";
        MovementStatus "movement.status" Bool "" "the device says that it moves";
        ExternalPowerVoltage "external.power.voltage" Float "V" "supply voltage";
        BatteryVoltage "battery.voltage" Float "V" "internal battery voltage";
        BatteryLevel "battery.level" Float "percent" "internal battery charge";
        BatteryChargingStatus "battery.charging.status" Bool "" "internal battery is charging";
        SolarVoltage "solar.voltage" Float "V" "solar panel";
        FuelVolume "fuel.volume" Float "l" "fuel in the tank, or in all tanks together";
        FuelLevel "fuel.level" Float "percent" "fuel in the tank";
        FuelConsumed "fuel.consumed" Float "l" "fuel used, total";
        FuelConsumption "fuel.consumption" Float "l/h" "fuel rate";
        AdblueLevel "adblue.level" Float "percent" "AdBlue (DEF) level";
        Din "din" Int "bit field" "digital inputs, bit 0 is input 1";
        Dout "dout" Int "bit field" "digital outputs, bit 0 is output 1";
        LightLevel "light.level" Float "lx, else as sent" "light sensor";
        Co2Concentration "co2.concentration" Float "ppm" "carbon dioxide";
        DeviceTemperature "device.temperature" Float "C" "temperature inside the device";
        DeviceFirmwareVersion "device.firmware.version" Text "" "firmware version";
        DeviceHardwareVersion "device.hardware.version" Text "" "hardware version";
        DeviceMessageType "device.message.type" Text "" "the device's own message type";
        DeviceCommandResult "device.command.result" Text "" "answer of the device to a command";
        DoorStatus "door.status" Bool "" "a door is open";
        LockStatus "lock.status" Bool "" "locked";
        SeatbeltStatus "seatbelt.status" Bool "" "belt fastened";
        SosStatus "sos.status" Bool "" "emergency button pressed";
        AlarmModeStatus "alarm.mode.status" Bool "" "vehicle alarm is armed";
        DriverId "driver.id" Text "" "driver's key, card or tag";
        DriverDrivingTime "driver.driving.time" Float "as sent" "driving time by tachograph";
        CardId "card.id" Text "" "card read";
        VehicleVin "vehicle.vin" Text "" "vehicle identification number";
        VehicleSpeedAverage "vehicle.speed.average" Float "km/h" "average since the previous record, by the device";
        VehicleSpeedMax "vehicle.speed.max" Float "km/h" "highest since the previous record, by the device";
        ObdDtc "obd.dtc" List "" "diagnostic trouble codes";
        AccelerationAxes "acceleration.axes" Text "as sent" "accelerometer axes";
        Acceleration "acceleration" Float "g" "acceleration magnitude";
        ShockLevel "shock.level" Float "g" "strongest shock since the previous record";
        GeofenceId "geofence.id" Text "" "geofence known to the device";
        PersonSteps "person.steps" Int "count" "steps";
        PersonHeartRate "person.heart.rate" Float "1/min" "heart rate";
        MediaImage "media.image" Text "object key" "picture sent by the device";
        MediaVideo "media.video" Text "object key" "video sent by the device";
        MediaAudio "media.audio" Text "object key" "sound sent by the device";
        ReeferAmbientTemperature "reefer.ambient.temperature" Float "C" "outside air at the unit";
        ReeferState "reefer.state" Text "enum" "off, standby, starting, cooling, heating, defrost, null, pretrip, shutdown, fault";
        ReeferFuelLevel "reefer.fuel.level" Float "percent" "the unit's own tank";
        ReeferEngineHours "reefer.engine.hours" Float "h" "diesel run time";
        ReeferElectricHours "reefer.electric.hours" Float "h" "standby run time";
        ReeferTotalHours "reefer.total.hours" Float "h" "time switched on";
        ReeferBatteryVoltage "reefer.battery.voltage" Float "V" "the unit's battery";
        ReeferAlarmCodes "reefer.alarm.codes" List "" "the unit's active alarm codes as the maker writes them";
        ReeferAlarmSeverity "reefer.alarm.severity" Text "enum" "ok, warning, urgent, critical: the worst of the active codes";
        ReeferUnitModel "reefer.unit.model" Text "" "make and model as reported";
        ReeferUnitSerial "reefer.unit.serial" Text "" "serial number of the unit";
        ReeferEngineRpm "reefer.engine.rpm" Float "1/min" "the unit's diesel engine";
    }
    numbered {
        FuelVolumeN "fuel.volume" ".{n}" Float "l, else as sent" "level of fuel sensor n";
        FuelTemperatureN "fuel.temperature" ".{n}" Float "C" "temperature at fuel sensor n";
        DinN "din" ".{n}" Bool "" "digital input n, from 1";
        DoutN "dout" ".{n}" Bool "" "digital output n, from 1";
        AinN "ain" ".{n}" Float "V, else as sent" "analogue input n, from 1";
        CounterN "counter" ".{n}" Int "count" "impulse counter n";
        TemperatureN "temperature" ".{n}" Float "C" "temperature probe n, from 1";
        HumidityN "humidity" ".{n}" Float "percent" "relative humidity, probe n";
        TirePressureN "tire.pressure" ".{n}" Float "kPa" "pressure of tire n, above the air's";
        TireTemperatureN "tire.temperature" ".{n}" Float "C" "temperature in tire n";
        AxleWeightN "axle.weight" ".{n}" Float "kg" "weight on axle n";
        ReeferSetpointTemperatureN "reefer.setpoint.temperature" ".{zone}" Float "C" "set-point of zone 1 to 3";
        ReeferReturnAirTemperatureN "reefer.return.air.temperature" ".{zone}" Float "C" "return air";
        ReeferSupplyAirTemperatureN "reefer.supply.air.temperature" ".{zone}" Float "C" "supply (discharge) air";
        ReeferEvaporatorTemperatureN "reefer.evaporator.temperature" ".{zone}" Float "C" "evaporator coil";
        ReeferHumidityN "reefer.humidity" ".{zone}" Float "percent" "cargo space humidity";
        ReeferRunModeN "reefer.run.mode" ".{zone}" Text "enum" "continuous, cycle_sentry (start-stop)";
        ReeferPowerSourceN "reefer.power.source" ".{zone}" Text "enum" "diesel, electric, battery";
        ReeferDefrostStatusN "reefer.defrost.status" ".{zone}" Bool "" "a defrost is under way";
        ReeferDoorStatusN "reefer.door.status" ".{zone}" Bool "" "cargo door open";
        ReeferServiceHoursN "reefer.service.hours" ".{n}" Float "h" "hours left until service n";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back_to_their_keys() {
        for parameter in PARAMETERS {
            assert_eq!(PARAMETERS.iter().filter(|other| other.name == parameter.name).count(), 1, "{}", parameter.name);
            let name = parameter.name.replace("{n}", "64").replace("{zone}", "64");
            let key = Key::from_name(&name).expect("a dictionary name is a key");
            assert_eq!(key.to_string(), name);
            assert_eq!(key.kind(), parameter.kind);
        }
    }

    #[test]
    fn every_key_has_an_index_and_every_index_its_key() {
        let keys: Vec<Key> = (0..Key::COUNT as u16).filter_map(Key::from_index).collect();
        assert_eq!(keys.len(), Key::COUNT);
        for (index, key) in keys.iter().enumerate() {
            assert_eq!((key.index(), Key::from_name(&key.to_string())), (Some(index as u16), Some(*key)));
        }
        assert_eq!(Key::from_index(Key::COUNT as u16), None);
        assert_eq!([0, 65, u8::MAX].map(|number| Key::TemperatureN(number).index()), [None; 3]);
    }

    #[test]
    fn numbers_outside_the_bounds_are_no_keys() {
        for name in ["temperature.0", "temperature.65", "temperature.x", "temperature", "no.such.parameter"] {
            assert_eq!(Key::from_name(name), None, "{name}");
        }
    }
}
