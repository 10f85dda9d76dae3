-- Images that messages show, each kept once, however many messages show it; with the last it goes.

CREATE TABLE images (
    sha256 TEXT PRIMARY KEY,
    kept_at REAL NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- A question shows an image by naming it: `![a name](image:SHA256)`.
CREATE TABLE image_uses (
    sha256 TEXT NOT NULL,
    message_id TEXT NOT NULL,
    PRIMARY KEY (sha256, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_uses_by_message ON image_uses (message_id);

CREATE TRIGGER message_shows AFTER INSERT ON messages
WHEN NEW.role = 'user' AND instr(NEW.content, '](image:') BEGIN
    INSERT OR IGNORE INTO image_uses
    SELECT sha256, NEW.id FROM images WHERE instr(NEW.content, '](image:' || sha256);
END;
CREATE TRIGGER message_shows_no_more AFTER UPDATE OF content ON messages
WHEN OLD.role = 'user' AND instr(OLD.content, '](image:') BEGIN
    DELETE FROM image_uses
    WHERE message_id = NEW.id AND NOT instr(NEW.content, '](image:' || sha256);
END;
CREATE TRIGGER message_images_forgotten AFTER DELETE ON messages BEGIN
    DELETE FROM image_uses WHERE message_id = OLD.id;
END;
CREATE TRIGGER image_forgotten AFTER DELETE ON image_uses
WHEN NOT EXISTS (SELECT 1 FROM image_uses WHERE sha256 = OLD.sha256) BEGIN
    DELETE FROM images WHERE sha256 = OLD.sha256;
END;
