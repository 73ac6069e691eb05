# The everyday commands; `just` alone lists them.

_default:
    @just --list --unsorted

# Serve from ./data, settings from .env
dev:
    cargo run -- serve

# Serve the sample newsroom
demo:
    cargo run --release -- demo

# All tests on SQLite; arguments go to the test runner: `just test publish`
test *args:
    cargo test --locked {{ args }}

# All tests on PostgreSQL: needs TEST_POSTGRES_URL, a server where databases may be made
test-postgres *args:
    @test -n "${TEST_POSTGRES_URL:-}" || { echo "set TEST_POSTGRES_URL, for example postgres://me:secret@127.0.0.1/postgres"; exit 2; }
    cargo test --locked {{ args }}

# The load run of benches/README.md: `just bench`, `just bench 100000`, `just bench --markdown`
bench *args:
    cargo build --release --locked
    cargo bench --locked --bench load -- {{ args }}

# What other sizes of pictures cost, beside sharp (npm): CPU, quality, bytes and memory
bench-pictures *args:
    npm ci --prefix benches/pictures
    cargo run --release --locked -p newsdesk-pictures-bench -- {{ args }}

# Formatting, clippy, and the linters of the OpenAPI documents
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    test -d .ci/node_modules || npm ci --prefix .ci
    .ci/node_modules/.bin/redocly lint openapi/delivery.json openapi/management.json
    .ci/node_modules/.bin/spectral lint --fail-severity=hint openapi/delivery.json openapi/management.json

# Write the documents in openapi/
openapi:
    cargo run -- openapi

# Dependencies: licences, sources, doubled versions, known vulnerabilities (cargo install cargo-deny)
deny:
    cargo deny --locked check

# Everything a merge must pass
ci:
    bash .ci/run

# The acceptance checks against a release build: `just accept path/to/newsroom.py core`
accept script="../shared/accept/newsroom.py" *groups="":
    cargo build --release --locked
    python3 {{ script }} target/release/newsdesk {{ groups }}
