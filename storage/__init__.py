"""What is kept: sessions, messages and memories in one SQLite file, through aiosqlite."""
