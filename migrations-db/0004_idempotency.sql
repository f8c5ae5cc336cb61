-- Answers to requests that named themselves by an Idempotency-Key: written with the row of what the request began, so
-- that a client whose answer a crash swallowed asks again and does not begin it twice. Kept for a day.

CREATE TABLE request_keys (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  location TEXT NOT NULL,
  body TEXT NOT NULL,
  kept_at BIGINT NOT NULL
);

CREATE INDEX request_keys_by_age ON request_keys (kept_at);
