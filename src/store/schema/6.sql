-- Which authority signed a certificate, and which its holder was told to trust; empty where nobody kept that.
ALTER TABLE certificates ADD COLUMN authority TEXT NOT NULL DEFAULT '';
ALTER TABLE certificates ADD COLUMN trusts TEXT NOT NULL DEFAULT '[]';

-- With which authority a controller signs, and those whose keys it has.
ALTER TABLE controllers ADD COLUMN signs TEXT NOT NULL DEFAULT '';
ALTER TABLE controllers ADD COLUMN holds TEXT NOT NULL DEFAULT '[]';

-- How far the authority is replaced: fingerprints and a certificate, and never a key.
CREATE TABLE rotation (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    step TEXT NOT NULL CHECK (step IN ('begun', 'switched', 'finished')),
    former TEXT NOT NULL,
    next TEXT NOT NULL,
    certificate TEXT NOT NULL,
    since BIGINT NOT NULL
);
