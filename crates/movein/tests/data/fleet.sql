CREATE TABLE tc_groups (
  id @ID@ PRIMARY KEY,
  name VARCHAR(128) NOT NULL,
  groupid INT,
  attributes VARCHAR(4000)
);
CREATE TABLE tc_calendars (
  id @ID@ PRIMARY KEY,
  name VARCHAR(128) NOT NULL,
  data @BLOB@ NOT NULL,
  attributes VARCHAR(4000) NOT NULL
);
CREATE TABLE tc_devices (
  id @ID@ PRIMARY KEY,
  name VARCHAR(128) NOT NULL,
  uniqueid VARCHAR(128) NOT NULL UNIQUE,
  lastupdate TIMESTAMP @NULL@,
  positionid BIGINT,
  groupid INT,
  attributes VARCHAR(4000),
  phone VARCHAR(128),
  model VARCHAR(128),
  contact VARCHAR(512),
  category VARCHAR(128),
  disabled @BOOL@,
  status CHAR(8),
  expirationtime TIMESTAMP @NULL@,
  motionstate @BOOL@,
  calendarid INT,
  motiondistance DOUBLE PRECISION DEFAULT 0,
  CONSTRAINT fk_devices_groupid FOREIGN KEY (groupid) REFERENCES tc_groups (id) ON DELETE SET NULL
);
CREATE TABLE tc_drivers (
  id @ID@ PRIMARY KEY,
  name VARCHAR(128) NOT NULL,
  uniqueid VARCHAR(128) NOT NULL UNIQUE,
  attributes VARCHAR(4000) NOT NULL
);
CREATE TABLE tc_device_driver (
  deviceid INT NOT NULL,
  driverid INT NOT NULL,
  FOREIGN KEY (deviceid) REFERENCES tc_devices (id) ON DELETE CASCADE
);
CREATE TABLE tc_group_driver (
  groupid INT NOT NULL,
  driverid INT NOT NULL
);
CREATE TABLE tc_positions (
  id @ID@ PRIMARY KEY,
  protocol VARCHAR(128),
  deviceid INT NOT NULL,
  fixtime TIMESTAMP @NULL@,
  valid @BOOL@,
  latitude DOUBLE PRECISION NOT NULL,
  longitude DOUBLE PRECISION NOT NULL,
  attributes VARCHAR(4000)
);
CREATE TABLE tc_users (
  id @ID@ PRIMARY KEY,
  name VARCHAR(128) NOT NULL,
  email VARCHAR(128) NOT NULL,
  hashedpassword VARCHAR(128)
);

INSERT INTO tc_groups (id, name, groupid, attributes) VALUES (1, 'Nord', NULL, '{"speedLimit":48.6}');
INSERT INTO tc_groups (id, name, groupid, attributes) VALUES (2, 'Kühlzüge', 1, '{}');
INSERT INTO tc_groups (id, name, groupid, attributes) VALUES (3, 'O''Brien "Süd"', 0, NULL);

INSERT INTO tc_calendars (id, name, data, attributes) VALUES (1, 'nights; and ''days', @BYTES@, '{}');

INSERT INTO tc_devices (id, name, uniqueid, lastupdate, positionid, groupid, attributes, phone, model, contact, category, disabled, status, expirationtime, motionstate)
VALUES (1, 'Truck 7', '352093081452251', '2026-10-01 08:00:00', 102, 2, '{"vin":"W0L000051T2123456","speedLimit":48.6,"decoder.timezone":"Europe/Vilnius"}', '+37060000001', 'FMB920', 'Jonas <jonas@example.org>', 'truck', @FALSE@, 'online', '2027-03-31 12:30:00', @TRUE@);
INSERT INTO tc_devices (id, name, uniqueid, groupid, attributes, phone, model, contact, category, disabled, status, motionstate, positionid)
VALUES (2, 'Müller''s "Kühler" \ No. 2', '861234567890120', 3, '{"note":"he said \"don''t\" \\o/","nested":{"a":[1,2,null]},"licensePlate":"M-KÜ 2"}', '', 'GT06N', NULL, NULL, @FALSE@, 'offline', @FALSE@, 103);
INSERT INTO tc_devices (id, name, uniqueid, attributes, contact, disabled)
VALUES (4, 'two
lines	and a tab', '0123456789', NULL, 'line one
-- not a comment; DROP TABLE x;
\. INSERT INTO tc_devices VALUES (9, ''x'');', @TRUE@);
INSERT INTO tc_devices (id, name, uniqueid, groupid, attributes, category, disabled)
VALUES (7, '🚛 Žalias — 冷', 'AB-12/x', 1, '{"emoji":"❄️","quote":"''"}', 'van', NULL);

INSERT INTO tc_drivers (id, name, uniqueid, attributes) VALUES (1, 'Ona O''Šea', '0A1B2C3D', '{"shift":"night"}');
INSERT INTO tc_drivers (id, name, uniqueid, attributes) VALUES (2, 'Pat', '7', '{}');
INSERT INTO tc_device_driver (deviceid, driverid) VALUES (1, 1);
INSERT INTO tc_group_driver (groupid, driverid) VALUES (3, 2);

INSERT INTO tc_positions (id, protocol, deviceid, fixtime, valid, latitude, longitude, attributes) VALUES (101, 'gt06', 1, '2026-09-30 08:00:00', @TRUE@, 54.7146, 25.3032, '{"sat":9}');
INSERT INTO tc_positions (id, protocol, deviceid, fixtime, valid, latitude, longitude, attributes) VALUES (102, 'teltonika', 1, '2026-10-01 08:00:00', @TRUE@, 54.7147, 25.3033, '{"sat":9,"hex":"00''"}');
INSERT INTO tc_positions (id, protocol, deviceid, fixtime, valid, latitude, longitude, attributes) VALUES (103, 'meitrack', 2, '2026-10-01 08:00:00', @TRUE@, -1.5, 0.25, '{}');

INSERT INTO tc_users (id, name, email, hashedpassword) VALUES (1, 'admin', 'admin@example.org', 'D33D');
