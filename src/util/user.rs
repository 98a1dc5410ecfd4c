//! Who runs castline.

/// The logged-in user, from the environment; `None` where the system names nobody, as in many containers.
pub fn user_name() -> Option<String> {
    let names = ["USER", "USERNAME", "LOGNAME"].into_iter();
    let mut named = names.filter_map(|name| std::env::var(name).ok());
    named.find(|name| !name.trim().is_empty())
}
