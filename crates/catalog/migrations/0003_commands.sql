-- Commands for devices: what is to be sent, and what became of it.

-- The number of the tenant's latest command: numbers are never used again.
ALTER TABLE revisions ADD COLUMN commands BIGINT NOT NULL DEFAULT 0;

-- claimed: when somebody took it to send it, the last time; holder: who did; attempts: how often. ended: since when nothing more
-- comes of it.
CREATE TABLE commands (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    attributes TEXT NOT NULL,
    content TEXT,
    repeatable BIGINT NOT NULL,
    state TEXT NOT NULL,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    holder TEXT NOT NULL,
    claimed BIGINT,
    sent BIGINT,
    answered BIGINT,
    answer TEXT,
    reason TEXT NOT NULL,
    ended BIGINT,
    PRIMARY KEY (tenant, number),
    FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id) ON DELETE CASCADE
);

CREATE INDEX commands_of_device ON commands (tenant, device, number);
CREATE INDEX commands_by_expiry ON commands (state, expires);
CREATE INDEX commands_by_end ON commands (ended);
