-- What answers cost by day and model, kept with each answer, so that nobody has to sum them all.

CREATE TABLE usage_by_day (
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    answers INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    eval_tokens INTEGER NOT NULL,
    eval_seconds REAL NOT NULL,
    -- The sum and the number of those that are known: the mean is what is asked for.
    first_token_seconds REAL NOT NULL,
    first_tokens INTEGER NOT NULL,
    PRIMARY KEY (day, model)
) STRICT, WITHOUT ROWID;

-- `sign` 1 adds an answer, -1 takes one away.
CREATE VIEW usage_changes AS SELECT 1 AS sign, NULL AS usage, NULL AS model, 0.0 AS at WHERE 0;
CREATE TRIGGER usage_changed INSTEAD OF INSERT ON usage_changes BEGIN
    INSERT INTO usage_by_day
    VALUES (
        date(NEW.at, 'unixepoch', 'localtime'),
        coalesce(NEW.model, ''),
        NEW.sign,
        NEW.sign * coalesce(json_extract(NEW.usage, '$.prompt_tokens'), 0),
        NEW.sign * coalesce(json_extract(NEW.usage, '$.eval_tokens'), 0),
        NEW.sign * coalesce(json_extract(NEW.usage, '$.eval_seconds'), 0.0),
        NEW.sign * coalesce(json_extract(NEW.usage, '$.first_token_seconds'), 0.0),
        NEW.sign * (json_extract(NEW.usage, '$.first_token_seconds') IS NOT NULL)
    )
    ON CONFLICT DO UPDATE SET
        answers = answers + excluded.answers,
        prompt_tokens = prompt_tokens + excluded.prompt_tokens,
        eval_tokens = eval_tokens + excluded.eval_tokens,
        eval_seconds = eval_seconds + excluded.eval_seconds,
        first_token_seconds = first_token_seconds + excluded.first_token_seconds,
        first_tokens = first_tokens + excluded.first_tokens;
    DELETE FROM usage_by_day WHERE answers <= 0;
END;

CREATE TRIGGER message_cost AFTER INSERT ON messages WHEN NEW.usage IS NOT NULL BEGIN
    INSERT INTO usage_changes
    VALUES (1, NEW.usage, NEW.model, coalesce(NEW.finished_at, NEW.created_at));
END;
CREATE TRIGGER message_cost_changed AFTER UPDATE OF usage, model, finished_at ON messages BEGIN
    INSERT INTO usage_changes
    SELECT -1, OLD.usage, OLD.model, coalesce(OLD.finished_at, OLD.created_at)
    WHERE OLD.usage IS NOT NULL
    UNION ALL
    SELECT 1, NEW.usage, NEW.model, coalesce(NEW.finished_at, NEW.created_at)
    WHERE NEW.usage IS NOT NULL;
END;
CREATE TRIGGER message_cost_forgotten AFTER DELETE ON messages WHEN OLD.usage IS NOT NULL BEGIN
    INSERT INTO usage_changes
    VALUES (-1, OLD.usage, OLD.model, coalesce(OLD.finished_at, OLD.created_at));
END;

INSERT INTO usage_changes
SELECT 1, usage, model, coalesce(finished_at, created_at) FROM messages WHERE usage IS NOT NULL;
