//! The provider's list of enrolled assets, and matching a character in doubt against it.

use std::collections::HashSet;

use serde::Deserialize;
use url::Url;

use super::client::Client;
use super::text::clean;
use super::transport::{CallResult, Reply};
use crate::cast::Name;

/// The longest listing that is read, in bytes: room for some hundred thousand assets.
const LONGEST: usize = 64 << 20;

/// One asset in the provider's listing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The asset's id.
    #[serde(alias = "asset_id")]
    pub asset_id: String,
    /// The name that it was enrolled under; some listings leave it out.
    #[serde(default)]
    pub name: Option<String>,
    /// The address of the image that it was made from; some listings leave it out.
    #[serde(default, alias = "image_url")]
    pub image_url: Option<String>,
    /// The transaction that paid for it, from a wallet.
    #[serde(default, alias = "enrollment_tx_hash")]
    pub enrollment_tx_hash: Option<String>,
    /// When it was created, as written by the provider.
    #[serde(default, alias = "created_at")]
    pub created_at: Option<String>,
}

/// The provider's listing can't be read. Nothing was paid or changed.
#[derive(Debug, thiserror::Error)]
#[error("the provider's list of assets can't be read: {0}")]
pub struct ListingError(String);

/// The listed asset that matches a character in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Exactly one matches, and no other character has it.
    One(Listed),
    /// None matches. It may still appear: a listing can lag behind, so this proves nothing.
    None,
    /// Several match: the user decides.
    Several(Vec<Listed>),
}

/// Finds the asset that was enrolled as `name` from the image at `url`, among those that no character has.
///
/// Both must match: names repeat, and two characters may share an image's address. Addresses are compared without
/// their query, which holds signatures, and names without case: the cast's spelling may have changed since.
pub fn find(listed: &[Listed], name: &str, url: &str, taken: &HashSet<String>) -> Match {
    let plain = |url: &str| {
        let mut url = Url::parse(url).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    let Some(wanted) = plain(url) else {
        return Match::None;
    };
    let key = |name: &str| Name::new(name).ok().map(|name| name.key());
    let wanted_key = key(name);
    let fits = |asset: &&Listed| {
        asset.name.as_deref().is_some_and(|name| key(name) == wanted_key)
            && asset.image_url.as_deref().and_then(plain).as_ref() == Some(&wanted)
            && asset.asset_id.starts_with("ta_")
            && !taken.contains(&asset.asset_id)
    };
    let mut found: Vec<Listed> = listed.iter().filter(fits).cloned().collect();
    match found.len() {
        0 => Match::None,
        1 => Match::One(found.remove(0)),
        _ => Match::Several(found),
    }
}

/// Finds the asset that was paid for by a transaction, among those that no character has.
pub fn find_paid_by<'a>(
    listed: &'a [Listed],
    transaction: &str,
    taken: &HashSet<String>,
) -> Option<&'a Listed> {
    let paid = |asset: &&Listed| {
        let hash = asset.enrollment_tx_hash.as_deref();
        hash.is_some_and(|hash| hash.eq_ignore_ascii_case(transaction))
            && asset.asset_id.starts_with("ta_")
            && !taken.contains(&asset.asset_id)
    };
    let mut found = listed.iter().filter(paid);
    // A transaction that is listed twice says nothing.
    found.next().filter(|_| found.next().is_none())
}

/// How many of the listed assets that no character has can't be matched, since their name or image is left out: one of
/// them may be any character's.
pub fn unmatchable(listed: &[Listed], taken: &HashSet<String>) -> usize {
    let unclear = |asset: &&Listed| asset.name.is_none() || asset.image_url.is_none();
    let free = listed.iter().filter(|asset| !taken.contains(&asset.asset_id));
    free.filter(unclear).count()
}

impl Client {
    /// Lists what the wallet at `address` has enrolled. Free.
    ///
    /// # Errors
    /// The provider has no listing, can't be reached, or answers with something else.
    pub async fn listing(&self, address: &str) -> Result<Vec<Listed>, ListingError> {
        let urls = self.provider.listings_of(self.base_url(), address);
        if urls.is_empty() {
            return Err(ListingError(format!("{} has none", self.provider.name)));
        }
        let mut listed = Vec::new();
        for url in urls {
            // One that fails is no empty one: all of them are needed to say that something is not listed.
            match self.once_up_to(LONGEST, self.get_at(url), "").await {
                CallResult::Reply(reply) => listed.extend(read(&reply)?),
                CallResult::NotSent { message } | CallResult::ResponseLost { message, .. } => {
                    return Err(ListingError(message));
                }
            }
        }
        Ok(listed)
    }
}

fn read(reply: &Reply) -> Result<Vec<Listed>, ListingError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(alias = "realfaces")]
        portraits: Vec<Listed>,
    }
    if !reply.status.is_success() {
        return Err(ListingError(format!("HTTP {}", reply.status.as_u16())));
    }
    if let Some(cut) = &reply.cut {
        return Err(ListingError(format!("the reply is cut off ({cut})")));
    }
    let page: Page = serde_json::from_slice(&reply.body)
        .map_err(|e| ListingError(clean(&format!("the reply can't be parsed: {e}"))))?;
    Ok(page.portraits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(id: &str, name: &str, url: &str) -> Listed {
        Listed {
            asset_id: id.to_owned(),
            name: Some(name.to_owned()),
            image_url: Some(url.to_owned()),
            enrollment_tx_hash: None,
            created_at: None,
        }
    }

    const ADA: &str = "https://b.example/cast/3f.jpg";

    #[test]
    fn an_asset_is_found_by_name_and_picture_together() {
        let listed = [
            asset("ta_1", "Ada", "https://b.example/cast/other.jpg"),
            asset("ta_2", "Bo", ADA),
            asset("ta_3", "Ada", "https://b.example/cast/3f.jpg?X-Amz-Signature=1"),
        ];
        let found = find(&listed, "Ada", ADA, &HashSet::new());
        assert_eq!(found, Match::One(listed[2].clone()));
        assert_eq!(find(&listed, "Cy", ADA, &HashSet::new()), Match::None);
    }

    #[test]
    fn an_asset_that_a_character_has_is_nobody_elses() {
        let listed = [asset("ta_1", "Ada", ADA), asset("ta_2", "Ada", ADA)];
        assert!(matches!(find(&listed, "Ada", ADA, &HashSet::new()), Match::Several(two) if two.len() == 2));
        let taken = HashSet::from(["ta_1".to_owned()]);
        assert_eq!(find(&listed, "Ada", ADA, &taken), Match::One(listed[1].clone()));
    }

    #[test]
    fn a_name_is_found_in_another_spelling() {
        let listed = [asset("ta_1", " ADA ", ADA)];
        assert!(matches!(
            find(&listed, "ada", ADA, &HashSet::new()),
            Match::One(_)
        ));
    }

    #[test]
    fn an_asset_without_name_or_image_matches_nobody_and_is_counted() {
        let json = r#"[{"assetId":"ta_1","name":"Ada"},{"assetId":"ta_2","imageUrl":"https://b.example/cast/3f.jpg"},
            {"assetId":"ta_3"},{"assetId":"ta_4","name":"Bo","imageUrl":"https://b.example/k.jpg"}]"#;
        let listed: Vec<Listed> = serde_json::from_str(json).unwrap();
        assert_eq!(find(&listed, "Ada", ADA, &HashSet::new()), Match::None);
        assert_eq!(unmatchable(&listed, &HashSet::from(["ta_3".to_owned()])), 2);
    }

    #[test]
    fn what_is_no_asset_id_is_never_adopted() {
        let listed = [asset("<b>ta_1", "Ada", ADA)];
        assert_eq!(find(&listed, "Ada", ADA, &HashSet::new()), Match::None);
    }
}
