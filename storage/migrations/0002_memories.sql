-- What the assistant remembers: episodes, facts and skills, their full-text indexes, their vectors.

CREATE TABLE episodes (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT,
    task_id TEXT,
    text TEXT NOT NULL,
    tags TEXT NOT NULL,
    success INTEGER,
    score REAL NOT NULL,
    created_at REAL NOT NULL
) STRICT;
CREATE INDEX episodes_by_session ON episodes (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX episodes_by_task ON episodes (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE facts (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    source_ids TEXT NOT NULL,
    confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    valid_from REAL NOT NULL,
    valid_to REAL,
    superseded_by TEXT,
    created_at REAL NOT NULL
) STRICT;
CREATE INDEX facts_by_subject ON facts (subject);

CREATE TABLE skills (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
) STRICT;

CREATE VIRTUAL TABLE episodes_index USING fts5 (
    text, tags, content = 'episodes', content_rowid = 'key',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);
CREATE TRIGGER episode_indexed AFTER INSERT ON episodes BEGIN
    INSERT INTO episodes_index (rowid, text, tags) VALUES (NEW.key, NEW.text, NEW.tags);
END;
CREATE TRIGGER episode_changed AFTER UPDATE OF text, tags ON episodes BEGIN
    INSERT INTO episodes_index (episodes_index, rowid, text, tags)
    VALUES ('delete', OLD.key, OLD.text, OLD.tags);
    INSERT INTO episodes_index (rowid, text, tags) VALUES (NEW.key, NEW.text, NEW.tags);
END;
CREATE TRIGGER episode_forgotten AFTER DELETE ON episodes BEGIN
    INSERT INTO episodes_index (episodes_index, rowid, text, tags)
    VALUES ('delete', OLD.key, OLD.text, OLD.tags);
    DELETE FROM vectors WHERE owner_id = OLD.id;
END;

CREATE VIRTUAL TABLE facts_index USING fts5 (
    subject, text, content = 'facts', content_rowid = 'key',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);
CREATE TRIGGER fact_indexed AFTER INSERT ON facts BEGIN
    INSERT INTO facts_index (rowid, subject, text) VALUES (NEW.key, NEW.subject, NEW.text);
END;
CREATE TRIGGER fact_changed AFTER UPDATE OF subject, text ON facts BEGIN
    INSERT INTO facts_index (facts_index, rowid, subject, text)
    VALUES ('delete', OLD.key, OLD.subject, OLD.text);
    INSERT INTO facts_index (rowid, subject, text) VALUES (NEW.key, NEW.subject, NEW.text);
END;
CREATE TRIGGER fact_forgotten AFTER DELETE ON facts BEGIN
    INSERT INTO facts_index (facts_index, rowid, subject, text)
    VALUES ('delete', OLD.key, OLD.subject, OLD.text);
    DELETE FROM vectors WHERE owner_id = OLD.id;
END;

CREATE VIRTUAL TABLE skills_index USING fts5 (
    name, description, text, content = 'skills', content_rowid = 'key',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);
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

-- One vector a text and embedding model: float32, little-endian, of length 1. The owner is a
-- message, an episode, a fact or a skill; ids are unique over all of them.
CREATE TABLE vectors (
    owner_id TEXT NOT NULL,
    space TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (owner_id, space)
) STRICT;
CREATE INDEX vectors_by_space ON vectors (space);
CREATE TRIGGER message_vectors_forgotten AFTER DELETE ON messages BEGIN
    DELETE FROM vectors WHERE owner_id = OLD.id;
END;
