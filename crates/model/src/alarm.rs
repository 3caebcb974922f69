//! What a device can alarm about.

macro_rules! alarms {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A kind of alarm, as a device states it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Alarm {
            $(#[doc = $meaning] $variant,)*
        }

        impl Alarm {
            /// Every kind, in the order of the dictionary.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in records, such as `power_cut`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

alarms! {
    General "general" "an alarm without a kind";
    Sos "sos" "emergency button";
    Vibration "vibration" "vibration or shock sensor";
    Movement "movement" "moved while it should not";
    LowSpeed "low_speed" "below the lower speed limit";
    Overspeed "overspeed" "above the speed limit";
    FallDown "fall_down" "fell";
    LowPower "low_power" "external power low";
    LowBattery "low_battery" "own battery low";
    Fault "fault" "the device reports a fault of its own";
    PowerOff "power_off" "device switched off";
    PowerOn "power_on" "device switched on";
    Door "door" "door opened";
    Lock "lock" "locked";
    Unlock "unlock" "unlocked";
    Geofence "geofence" "the device's own geofence";
    GeofenceEnter "geofence_enter" "entered the device's own geofence";
    GeofenceExit "geofence_exit" "left the device's own geofence";
    GpsAntennaCut "gps_antenna_cut" "satellite antenna cut";
    Accident "accident" "crash";
    Tow "tow" "towed";
    Idle "idle" "idling";
    HighRpm "high_rpm" "engine speed too high";
    HardAcceleration "hard_acceleration" "harsh acceleration";
    HardBraking "hard_braking" "harsh braking";
    HardCornering "hard_cornering" "harsh cornering";
    LaneChange "lane_change" "sudden lane change";
    FatigueDriving "fatigue_driving" "driver too long at the wheel or tired";
    PowerCut "power_cut" "external power cut";
    PowerRestored "power_restored" "external power back";
    Jamming "jamming" "radio jamming";
    Temperature "temperature" "temperature sensor out of its limits, by the device";
    Parking "parking" "parked too long or against the rules";
    Bonnet "bonnet" "bonnet open";
    FootBrake "foot_brake" "foot brake";
    FuelLeak "fuel_leak" "fuel lost";
    Tampering "tampering" "tampered with";
    Removing "removing" "taken off";
    Shock "shock" "a shock above the limit, by the device";
    DefrostFault "defrost_fault" "refrigeration unit: defrost failed";
    Reefer "reefer" "refrigeration unit: any of its alarm codes, see reefer.alarm.codes";
}
