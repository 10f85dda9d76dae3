-- Images that messages show, each kept once, however many messages show it; with the last it goes.

CREATE TABLE images (
    sha256 text COLLATE "C" PRIMARY KEY,
    kept_at double precision NOT NULL,
    bytes bytea NOT NULL
);

-- A question shows an image by naming it: `![a name](image:SHA256)`.
CREATE TABLE image_uses (
    sha256 text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (sha256, message_id)
);
CREATE INDEX image_uses_by_message ON image_uses (message_id);

-- Held until the end, so that nobody takes an image away that is about to be shown.
CREATE FUNCTION message_shows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO image_uses
    SELECT sha256, NEW.id FROM images
    WHERE sha256 IN (
        SELECT named[1] COLLATE "C"
        FROM regexp_matches(NEW.content, '\]\(image:([0-9a-f]{64})', 'g') AS named
    )
    ORDER BY sha256 FOR KEY SHARE
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER message_shows AFTER INSERT ON messages
FOR EACH ROW WHEN (NEW.role = 'user' AND strpos(NEW.content, '](image:') > 0)
EXECUTE FUNCTION message_shows();

CREATE FUNCTION message_shows_no_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM image_uses
    WHERE message_id = NEW.id AND strpos(NEW.content, '](image:' || sha256) = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER message_shows_no_more AFTER UPDATE OF content ON messages
FOR EACH ROW WHEN (OLD.role = 'user' AND strpos(OLD.content, '](image:') > 0)
EXECUTE FUNCTION message_shows_no_more();

CREATE FUNCTION message_images_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM image_uses WHERE message_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER message_images_forgotten AFTER DELETE ON messages
FOR EACH ROW EXECUTE FUNCTION message_images_forgotten();

CREATE FUNCTION image_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM images WHERE sha256 = OLD.sha256;
    RETURN NULL;
END $$;
CREATE TRIGGER image_forgotten AFTER DELETE ON image_uses
FOR EACH ROW EXECUTE FUNCTION image_forgotten();

-- An image that is shown stays. By now its row is held: what others did with it is seen here, but
-- was not by whoever chose it.
CREATE FUNCTION image_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM image_uses WHERE sha256 = OLD.sha256) THEN
        RETURN NULL;
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER image_before BEFORE DELETE ON images
FOR EACH ROW EXECUTE FUNCTION image_before();
