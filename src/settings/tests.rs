use super::*;

fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), file).unwrap();
    let variables: Vec<_> = env
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let flags = flags
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned(), format!("--{k}")))
        .collect();
    Settings::load(folder.path(), None, None, &variables, flags)
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "[api]\nrate = \"2/s\"\nconcurrency = 3\ntimeout = \"5s\"";
    let env = [("CASTLINE_API_RATE", "3/s"), ("CASTLINE_API_CONCURRENCY", "4")];
    let s = load(file, &env, &[("api.rate", "4/s")]).unwrap();
    assert_eq!(s.api.rate.to_string(), "4/s");
    assert_eq!(s.api.concurrency, 4);
    assert_eq!(s.api.timeout, Duration::from_secs(5));
    assert_eq!(s.api.price, Usd::from_micros(10_000));
    assert_eq!(
        s.layers.value("api.rate").origin,
        Origin::Flag("--api.rate".to_owned())
    );
    assert_eq!(
        s.layers.value("api.concurrency").origin.to_string(),
        "CASTLINE_API_CONCURRENCY"
    );
    assert!(s.is_default("api.price_usd"));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let message = load("[api]\nbase_ulr = \"https://x\"", &[], &[])
        .unwrap_err()
        .to_string();
    assert!(message.contains("did you mean \"api.base_url\"?"), "{message}");
    let message = load("[s3]\nrate = \"1/s\"", &[], &[]).unwrap_err().to_string();
    assert!(message.contains("\"api.rate\""), "{message}");
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_known_one() {
    for (name, nearest) in [
        ("CASTLINE_API_MAX_COST", "did you mean CASTLINE_API_MAX_COST_USD?"),
        ("CASTLINE_S3_BUKET", "did you mean CASTLINE_S3_BUCKET?"),
        ("CASTLINE_APIKEY", "did you mean CASTLINE_API_KEY?"),
        ("CASTLINE_XYZZY", "unset it"),
    ] {
        let message = load("", &[(name, "1")], &[]).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(nearest), "{message}");
    }
    // Secrets, castline's own tests, other programs, and variables that a CI system leaves empty.
    for (name, text) in [
        ("CASTLINE_API_KEY", "sk"),
        ("CASTLINE_LOG", "info"),
        ("CASTLINE_TEST_LEDGER", "after:1"),
        ("CASTLINES", "1"),
        ("CASTLINE_S3_BUKET", ""),
    ] {
        load("", &[(name, text)], &[]).unwrap();
    }
}

#[test]
fn a_wrong_value_is_reported_with_its_key_origin_and_fix() {
    for (file, part) in [
        ("[api]\nrate = \"fast\"", "api.rate"),
        ("[api]\ntimeout = \"soon\"", "write for example 90s"),
        ("[api]\nconcurrency = 0", "at least 1"),
        ("[api]\nbase_url = \"http://example.com\"", "https://"),
        ("[inspect]\nlong_side = 9000", "between 300 and 6000"),
        ("[inspect]\nbackground = \"grey\"", "#rrggbb"),
        ("[inspect]\nformat = \"gif\"", "inspect.format"),
        ("[api]\nmax_cost_usd = -1", "api.max_cost_usd"),
        ("[payment]\nmode = \"cash\"", "write key or wallet"),
        ("[payment]\nnetwork = \"ethereum\"", "base or base-sepolia"),
        ("[payment]\npayee = \"0x12\"", "40 hexadecimal digits"),
        ("[payment]\nmax_price_usd = \"much\"", "payment.max_price_usd"),
        (
            "[api]\nprovider = \"blockrun\"\n[payment]\nmode = \"key\"",
            "blockrun is paid by a wallet only",
        ),
    ] {
        let message = load(file, &[], &[]).unwrap_err().to_string();
        assert!(
            message.contains(part) && message.contains(FILE_NAME),
            "{file}: {message}"
        );
    }
}

#[test]
fn calls_are_paid_as_the_provider_takes_it() {
    let mode = |file| load(file, &[], &[]).unwrap().payment.mode;
    assert_eq!(mode(""), PaymentMode::Key);
    assert_eq!(mode("[payment]\nmode = \"wallet\""), PaymentMode::Wallet);
    assert_eq!(mode("[api]\nprovider = \"blockrun\""), PaymentMode::Wallet);
}

#[test]
fn paths_start_from_where_they_are_written() {
    let s = load(
        "[ledger]\npath = \"l.db\"",
        &[("CASTLINE_MANIFEST_PATH", "out/m.json")],
        &[],
    )
    .unwrap();
    assert_eq!(s.ledger, s.root.join("l.db"));
    assert_eq!(s.manifest, Path::new("out/m.json"));
}

#[test]
fn the_sample_in_config_is_the_commented_file() {
    // Regenerate it with `castline init config --force`.
    let sample = include_str!("../../config/castline.toml");
    assert!(
        sample == keys::commented_file(),
        "config/castline.toml is out of date"
    );
}

#[test]
fn the_commented_file_is_valid_with_every_line_uncommented() {
    let file: String = keys::commented_file()
        .lines()
        .map(|l| l.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(l))
        .map(|l| format!("{l}\n"))
        .collect();
    let file: String = file
        .lines()
        .filter(|l| !l.ends_with("= "))
        .map(|l| format!("{l}\n"))
        .collect();
    load(&file, &[], &[]).unwrap();
}

#[test]
fn no_message_shows_a_secret() {
    const SECRET: &str = "hunter2";
    for (file, shown) in [
        (
            "[notify]\nurl = \"http://hooks.example/T0/hunter2\"",
            "\"http://hooks.example/***\"",
        ),
        (
            "[realface]\nwebhook_url = \"http://studio.example/hunter2?x\"",
            "\"http://studio.example/***\"",
        ),
        ("[notify]\nurl = \"hunter2\"", "\"***\""),
        (
            "[api]\nbase_url = \"https://me:hunter2@api.example/v1\"",
            "\"https://***@api.example/v1\"",
        ),
        (
            "[api]\nbase_url = \"http://me:hun/hunter2@api.example\"",
            "\"http://***\"",
        ),
        (
            "[api]\nbase_url = \"me:hunter2@api.example\"",
            "\"***@api.example\"",
        ),
        (
            "[s3]\nendpoint = \"http://s3.example/?key=hunter2\"",
            "\"http://s3.example/?***\"",
        ),
        ("[api]\nrate = \"1/s\"\n[notify]\nurl = \"hunter2\n", "line 4"),
        ("[notify]\nurl = { hunter2 = 1 }", "notify.url"),
    ] {
        let message = load(file, &[], &[]).unwrap_err().to_string();
        assert!(
            !message.contains(SECRET) && message.contains(shown),
            "{file}: {message}"
        );
    }
}

#[test]
fn a_tilde_is_the_home_folder_in_every_path() {
    let home = etcetera::home_dir().unwrap();
    let paths = [
        "ledger.path",
        "ledger.backup",
        "manifest.path",
        "report.log_file",
        "report.metrics_file",
        "api.key_file",
    ];
    for name in paths.iter().chain(&["payment.key_file", "tls.ca_file"]) {
        let (section, field) = keys::find(name).unwrap().parts();
        let file = format!("[{section}]\n{field} = \"~/x/y\"");
        let settings = load(&file, &[], &[]).unwrap();
        let read = match *name {
            "ledger.path" => Some(settings.ledger),
            "ledger.backup" => settings.ledger_backup,
            "manifest.path" => Some(settings.manifest),
            "report.log_file" => settings.log_file,
            "report.metrics_file" => settings.metrics_file,
            "api.key_file" => settings.api.key_file,
            "payment.key_file" => settings.payment.key_file,
            _ => settings.ca_file,
        };
        assert_eq!(read, Some(home.join("x/y")), "{name}");
        for other in ["~ada/x", "~x"] {
            let message = load("", &[], &[(name, other)]).unwrap_err().to_string();
            assert!(
                message.contains(name) && message.contains("another user"),
                "{message}"
            );
        }
    }
    let plain = load("", &[], &[("ledger.path", "./~x")]).unwrap();
    assert_eq!(plain.ledger, Path::new("./~x"));
}

#[test]
fn an_empty_limit_is_a_mistake_wherever_it_is_set() {
    for name in [
        "api.max_cost_usd",
        "api.max_total_cost_usd",
        "api.max_consecutive_in_doubt",
        "api.rate",
        "payment.max_price_usd",
    ] {
        let key = keys::find(name).unwrap();
        let (section, field) = key.parts();
        let file = format!("[{section}]\n{field} = \"\"");
        let variable = key.variable();
        for loaded in [
            load(&file, &[], &[]),
            load("", &[(&variable, "")], &[]),
            load("", &[], &[(name, " ")]),
        ] {
            let message = loaded.unwrap_err().to_string();
            assert!(
                message.contains(name) && message.contains("never empty"),
                "{message}"
            );
        }
    }
    assert!(load("", &[("CASTLINE_S3_REGION", "")], &[]).is_ok());
}

#[test]
fn a_value_that_is_no_secret_is_shown_as_it_is() {
    for (name, text) in [
        ("realface.operator", "ada@studio.example"),
        ("s3.endpoint", "https://s3.example:9000/a"),
        ("ledger.path", "x://y?z"),
        ("notify.url", ""),
    ] {
        assert_eq!(keys::find(name).unwrap().shown(text), text);
    }
}
