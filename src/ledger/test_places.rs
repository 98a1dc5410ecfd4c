//! A ledger of its own in each database, for tests that must hold in both.

use super::Place;

/// A ledger in a file of the folder, and one in a schema of a real PostgreSQL server where that is installed.
pub(super) fn places(folder: &tempfile::TempDir) -> Vec<Place> {
    let file = Place::File(folder.path().join("ledger.db"));
    [file].into_iter().chain(in_postgres()).collect()
}

/// A ledger in a schema of a real PostgreSQL server, where that is installed.
#[cfg(unix)]
pub(super) fn in_postgres() -> Option<Place> {
    use super::test_postgres::{new_schema, shared};
    let url = shared()?.url();
    let server = super::Server::new(&url, &new_schema(), None, None, &|_| None);
    Some(Place::Postgres(server.unwrap()))
}

#[cfg(not(unix))]
pub(super) fn in_postgres() -> Option<Place> {
    None
}
