//! Numbers with what they count.

/// `1 character`, `2 characters`; `one` is what a single one is called, and its plural ends with an s.
pub fn counted(count: impl TryInto<u64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_several() {
        let told = [0usize, 1, 2].map(|count| counted(count, "bad row"));
        assert_eq!(told, ["0 bad rows", "1 bad row", "2 bad rows"]);
    }
}
