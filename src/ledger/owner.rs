//! Whose ledger it is: that of one API, and of the key or wallet that pays.

use super::database::{Database, values};
use super::{Ledger, LedgerError, LedgerView};

impl LedgerView {
    /// Checks that it was paid for by the key or wallet with that fingerprint, if by any.
    ///
    /// # Errors
    /// [`LedgerError::OtherPayer`], or the ledger can't be read.
    pub fn check_payer(&self, payer: &str) -> Result<(), LedgerError> {
        let query = "SELECT payer FROM ledger";
        let theirs: Option<String> = self.database().one(query, values![], |row| row.get(0))?;
        match theirs {
            Some(theirs) if theirs != payer => Err(LedgerError::OtherPayer {
                place: self.place().clone(),
                theirs,
                ours: payer.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Ledger {
    /// Binds a ledger that no key or wallet has paid for to the one with that fingerprint.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn bind_payer(&self, payer: &str) -> Result<(), LedgerError> {
        let payer = payer.to_owned();
        self.transact(move |database| {
            let bind = "UPDATE ledger SET payer = ?1 WHERE payer IS NULL";
            database.execute(bind, values![&payer])?;
            if let Database::Postgres(_) = database {
                // There from the first call on, to be locked by the budget of the account.
                let spent = "INSERT INTO castline_accounts.spent VALUES (?1, 0) ON CONFLICT DO NOTHING";
                database.execute(spent, values![&payer])?;
            }
            Ok(())
        })
        .await
    }

    /// Makes it a ledger of the API at `provider`, and of the key or wallet with that fingerprint: the same account, under
    /// another address or with another key.
    ///
    /// # Errors
    /// The ledger can't be written.
    pub async fn rebind(&self, provider: &str, payer: &str) -> Result<(), LedgerError> {
        let (provider, payer) = (provider.to_owned(), payer.to_owned());
        self.transact(move |database| {
            let bind = "UPDATE ledger SET provider = ?1, payer = ?2";
            database.execute(bind, values![&provider, &payer])?;
            Ok(())
        })
        .await
    }
}
