//! What was seen, published, intended and paid: SQLite, durable.
