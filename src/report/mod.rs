//! Tells what happens: events for terminal, NDJSON and HTML.
