# What is done often. `just` without arguments lists it.

_list:
    @just --list

# Formatting, lints, documentation, licences and advisories.
check:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
    cargo deny --locked check

# All tests, or those whose name contains NAME.
test *NAME:
    cargo test --locked {{NAME}}

# More faults and more kills than every change has to pass.
faults:
    CASTLINE_FIRE=long cargo test --locked --test integration fault_injection

# Fuzz TARGET (`ls fuzz/fuzz_targets`) for SECONDS; needs `cargo install cargo-fuzz`.
fuzz TARGET SECONDS="60":
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{ if TARGET == "inspect" { "" } else { "--features parsers" } }} {{TARGET}} -- -max_total_time={{SECONDS}} -rss_limit_mb=4096

# Micro-benchmarks, stage by stage.
bench:
    cargo bench --locked

# castline beside its peers, on files made of the pictures in ART (docs/performance.md).
peers ART:
    benches/peer/run.sh {{ART}}

# Accept changed snapshots, after looking at them.
snapshots:
    INSTA_UPDATE=always cargo test --locked --test integration snapshots

# The contact sheet of the samples, in the sandbox.
report:
    cargo run --release --locked -- run samples/cast.csv --sandbox --report report.html

# An archive as it is shipped, with its checksum.
release:
    cargo build --profile dist --locked
    tar -czf castline.tar.gz -C target/dist castline
    sha256sum castline.tar.gz > castline.tar.gz.sha256
