-- What people make of a device's parameters: calibration tables and formulas, as JSON.

CREATE TABLE sensors (
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, device, name),
    FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id) ON DELETE CASCADE
);
