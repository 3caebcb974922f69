-- Drivers, and the cards by which devices name them. A card's key is the card without what is written differently here and there.

CREATE TABLE drivers (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    cards TEXT NOT NULL,
    phone TEXT NOT NULL,
    notes TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX drivers_by_name ON drivers (tenant, name, id);

CREATE TABLE driver_cards (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    card TEXT NOT NULL,
    driver TEXT NOT NULL,
    PRIMARY KEY (tenant, card)
);
