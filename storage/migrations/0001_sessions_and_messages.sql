-- Sessions and their messages, the counts that are kept of them, and the index to search them by.

CREATE TABLE sessions (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    title_origin TEXT NOT NULL,
    user_id TEXT,
    model TEXT,
    message_count INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT '{}',
    version INTEGER NOT NULL DEFAULT 1,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    archived_at REAL,
    deleted_at REAL
) STRICT;

CREATE INDEX sessions_listed ON sessions (updated_at, id)
    WHERE archived_at IS NULL AND deleted_at IS NULL;
CREATE INDEX sessions_archived ON sessions (updated_at, id)
    WHERE archived_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX sessions_pinned ON sessions (updated_at, id)
    WHERE json_extract(state, '$.on_top') AND archived_at IS NULL AND deleted_at IS NULL;
CREATE INDEX sessions_tagged ON sessions (updated_at, id)
    WHERE json_extract(state, '$.tags') IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX sessions_deleted ON sessions (deleted_at) WHERE deleted_at IS NOT NULL;

-- The messages of a session are a tree. `position` is the depth; the shown branch has exactly one
-- message at each depth from 0 to message_count - 1.
CREATE TABLE messages (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    parent_id TEXT,
    position INTEGER NOT NULL,
    shown INTEGER NOT NULL DEFAULT 1,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    thinking TEXT NOT NULL,
    model TEXT,
    finish TEXT NOT NULL,
    failure TEXT,
    usage TEXT,
    tool_calls TEXT,
    tool_call_id TEXT,
    token_count INTEGER,
    created_at REAL NOT NULL,
    finished_at REAL,
    owner TEXT,
    prompt_tokens INTEGER GENERATED ALWAYS AS (json_extract(usage, '$.prompt_tokens')) VIRTUAL,
    eval_tokens INTEGER GENERATED ALWAYS AS (json_extract(usage, '$.eval_tokens')) VIRTUAL,
    eval_seconds REAL GENERATED ALWAYS AS (json_extract(usage, '$.eval_seconds')) VIRTUAL
) STRICT;

CREATE UNIQUE INDEX messages_shown ON messages (session_id, position) WHERE shown;
CREATE INDEX messages_by_place ON messages (session_id, position);
CREATE INDEX messages_streaming ON messages (id) WHERE finish = 'streaming';
CREATE INDEX messages_by_usage
    ON messages (finished_at, session_id, prompt_tokens, eval_tokens, eval_seconds)
    WHERE usage IS NOT NULL;
CREATE INDEX messages_by_session_usage
    ON messages (session_id, finished_at, prompt_tokens, eval_tokens, eval_seconds)
    WHERE usage IS NOT NULL;

CREATE TRIGGER message_counted AFTER INSERT ON messages BEGIN
    UPDATE sessions
    SET message_count = message_count + NEW.shown,
        updated_at = max(updated_at, NEW.created_at),
        version = version + 1
    WHERE id = NEW.session_id;
    UPDATE figures SET value = value + 1 WHERE name = 'messages';
END;

CREATE TRIGGER message_shown AFTER UPDATE OF shown ON messages WHEN NEW.shown <> OLD.shown BEGIN
    UPDATE sessions
    SET message_count = message_count + NEW.shown - OLD.shown, version = version + 1
    WHERE id = NEW.session_id;
END;

CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
    UPDATE figures SET value = value - 1 WHERE name = 'messages';
END;

-- Small things of the program's own, by name, as JSON.
CREATE TABLE program_state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- How much is kept, so that nobody has to count.
CREATE TABLE figures (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO figures VALUES ('sessions', 0), ('messages', 0);

CREATE TRIGGER session_counted AFTER INSERT ON sessions BEGIN
    UPDATE figures SET value = value + (NEW.deleted_at IS NULL) WHERE name = 'sessions';
END;
CREATE TRIGGER session_deleted AFTER UPDATE OF deleted_at ON sessions BEGIN
    UPDATE figures
    SET value = value + (NEW.deleted_at IS NULL) - (OLD.deleted_at IS NULL)
    WHERE name = 'sessions';
END;
CREATE TRIGGER session_removed AFTER DELETE ON sessions BEGIN
    UPDATE figures SET value = value - (OLD.deleted_at IS NULL) WHERE name = 'sessions';
END;

-- The full-text index. It keeps no copy of the texts, and it learns an answer when that is finished.
CREATE VIRTUAL TABLE messages_index USING fts5 (
    content, content = 'messages', content_rowid = 'key',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);

CREATE TRIGGER message_indexed AFTER INSERT ON messages WHEN NEW.finish <> 'streaming' BEGIN
    INSERT INTO messages_index (rowid, content) VALUES (NEW.key, NEW.content);
END;
CREATE TRIGGER message_finishing BEFORE UPDATE OF content, finish ON messages
WHEN OLD.finish <> 'streaming' BEGIN
    INSERT INTO messages_index (messages_index, rowid, content)
    VALUES ('delete', OLD.key, OLD.content);
END;
CREATE TRIGGER message_finished AFTER UPDATE OF content, finish ON messages
WHEN NEW.finish <> 'streaming' BEGIN
    INSERT INTO messages_index (rowid, content) VALUES (NEW.key, NEW.content);
END;
CREATE TRIGGER message_forgotten AFTER DELETE ON messages WHEN OLD.finish <> 'streaming' BEGIN
    INSERT INTO messages_index (messages_index, rowid, content)
    VALUES ('delete', OLD.key, OLD.content);
END;

CREATE VIRTUAL TABLE titles_index USING fts5 (
    title, content = 'sessions', content_rowid = 'key',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);

CREATE TRIGGER title_indexed AFTER INSERT ON sessions BEGIN
    INSERT INTO titles_index (rowid, title) VALUES (NEW.key, NEW.title);
END;
CREATE TRIGGER title_changed AFTER UPDATE OF title ON sessions WHEN NEW.title <> OLD.title BEGIN
    INSERT INTO titles_index (titles_index, rowid, title) VALUES ('delete', OLD.key, OLD.title);
    INSERT INTO titles_index (rowid, title) VALUES (NEW.key, NEW.title);
END;
CREATE TRIGGER title_forgotten AFTER DELETE ON sessions BEGIN
    INSERT INTO titles_index (titles_index, rowid, title) VALUES ('delete', OLD.key, OLD.title);
END;
