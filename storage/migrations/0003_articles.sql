-- What research found: the articles of a session, the index to search them by, and the citations.

CREATE TABLE articles (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    published_at REAL,
    relevance REAL,
    passage TEXT NOT NULL,
    fetched_at REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX articles_by_url ON articles (session_id, url);

-- The number in brackets of an answer, and the article that it stands for.
CREATE TABLE citations (
    message_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    article_id TEXT NOT NULL,
    PRIMARY KEY (message_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX citations_by_article ON citations (article_id);
CREATE TRIGGER message_citations_forgotten AFTER DELETE ON messages BEGIN
    DELETE FROM citations WHERE message_id = OLD.id;
END;

CREATE VIRTUAL TABLE articles_index USING fts5 (
    title, text, content = 'articles', content_rowid = 'key',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3 4'
);
CREATE TRIGGER article_indexed AFTER INSERT ON articles BEGIN
    INSERT INTO articles_index (rowid, title, text) VALUES (NEW.key, NEW.title, NEW.text);
END;
CREATE TRIGGER article_changed AFTER UPDATE OF title, text ON articles BEGIN
    INSERT INTO articles_index (articles_index, rowid, title, text)
    VALUES ('delete', OLD.key, OLD.title, OLD.text);
    INSERT INTO articles_index (rowid, title, text) VALUES (NEW.key, NEW.title, NEW.text);
END;
CREATE TRIGGER article_forgotten AFTER DELETE ON articles BEGIN
    INSERT INTO articles_index (articles_index, rowid, title, text)
    VALUES ('delete', OLD.key, OLD.title, OLD.text);
    DELETE FROM citations WHERE article_id = OLD.id;
END;
