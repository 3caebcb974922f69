-- The zone whose clocks a device's days and times are read by, as the IANA names it; none is the empty text.

ALTER TABLE devices ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
