-- Whose each memory is, who learnt it and where, which ones are pinned, and what recall leaves out.

ALTER TABLE facts ADD COLUMN session_id TEXT;
ALTER TABLE facts ADD COLUMN entity_id TEXT;
ALTER TABLE facts ADD COLUMN process_id TEXT;
ALTER TABLE facts ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
-- Every row is written anew: a repair that reads damaged pages expects all columns in each.
UPDATE facts SET pinned = 0;
DROP INDEX facts_by_subject;
CREATE INDEX facts_by_subject ON facts (subject, entity_id);
CREATE INDEX facts_by_entity ON facts (entity_id, valid_to);

ALTER TABLE episodes ADD COLUMN entity_id TEXT;
ALTER TABLE episodes ADD COLUMN process_id TEXT;
ALTER TABLE episodes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
UPDATE episodes
SET entity_id = (SELECT user_id FROM sessions WHERE sessions.id = episodes.session_id);
CREATE INDEX episodes_by_entity ON episodes (entity_id);

-- A name is unique to a person, so the table's own constraint has to go.
CREATE TABLE skills_of_each (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    entity_id TEXT,
    process_id TEXT,
    pinned INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO skills_of_each (key, id, name, description, text, created_at, updated_at)
SELECT key, id, name, description, text, created_at, updated_at FROM skills;
DROP TABLE skills;
ALTER TABLE skills_of_each RENAME TO skills;
-- NULL is unlike itself, and stands for one person here.
CREATE UNIQUE INDEX skills_by_name ON skills (name, coalesce(entity_id, ''));
CREATE INDEX skills_by_entity ON skills (entity_id);
CREATE TRIGGER skill_indexed AFTER INSERT ON skills BEGIN
    INSERT INTO skills_index (rowid, name, description, text)
    VALUES (NEW.key, NEW.name, NEW.description, NEW.text);
END;
CREATE TRIGGER skill_changed AFTER UPDATE OF name, description, text ON skills BEGIN
    INSERT INTO skills_index (skills_index, rowid, name, description, text)
    VALUES ('delete', OLD.key, OLD.name, OLD.description, OLD.text);
    INSERT INTO skills_index (rowid, name, description, text)
    VALUES (NEW.key, NEW.name, NEW.description, NEW.text);
END;
CREATE TRIGGER skill_forgotten AFTER DELETE ON skills BEGIN
    INSERT INTO skills_index (skills_index, rowid, name, description, text)
    VALUES ('delete', OLD.key, OLD.name, OLD.description, OLD.text);
    DELETE FROM vectors WHERE owner_id = OLD.id;
END;

-- Messages that recall never brings back: what was learnt from them is to be forgotten.
CREATE TABLE unrecalled (message_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TRIGGER message_unrecalled_forgotten AFTER DELETE ON messages BEGIN
    DELETE FROM unrecalled WHERE message_id = OLD.id;
END;
