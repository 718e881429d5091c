# moonkv: `make demo` shows it, `make test` tests all of it.
PREFIX ?= /usr/local
PYTHON ?= python3
CC ?= cc
CXX ?= c++
VENV := target/venv
LINK := -Iinclude -Ltarget/release -Wl,-rpath,$(CURDIR)/target/release -lmoonkv
LUAJIT_TESTS := reference hostile budgets engine atomic kill functions script_libs \
  host_functions local_functions patterns sessions tooling
ASAN_TESTS := cves hostile patterns script_libs globals
C_EXAMPLES := $(wildcard examples/c/*.c examples/plugin/*.c)
CPP_EXAMPLES := $(wildcard examples/cpp/*.cpp)

.PHONY: all demo test test-rust test-python test-luajit test-asan soak soak-listen lint bench bench-listen header docs install clean

all: ## the shared and static library, optimised
	cargo build --release

demo: all $(VENV)/.installed ## the use cases from Rust, C, C++ and Python
	cargo run --release --quiet --example first
	cargo run --release --quiet --example use_cases
	cargo run --release --quiet --example sessions
	cargo run --release --quiet --example listen
	@mkdir -p target/demo
	@for source in $(C_EXAMPLES); do \
	  echo "== $$source"; out=target/demo/$$(basename $$source .c); \
	  $(CC) -std=c99 -Wall -Wextra -Werror -pthread -o $$out $$source $(LINK) && $$out || exit 1; done
	@for source in $(CPP_EXAMPLES); do \
	  echo "== $$source"; out=target/demo/$$(basename $$source .cpp)-cpp; \
	  $(CXX) -std=c++17 -Wall -Wextra -Werror -pthread -o $$out $$source $(LINK) && $$out || exit 1; done
	@for source in examples/python/*.py; do \
	  echo "== $$source"; $(VENV)/bin/python $$source || exit 1; done

test: lint test-rust test-python ## everything there is to test

lint: ## formatting, clippy and rustdoc, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features cli,listen --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --features cli,listen --quiet

test-rust: $(VENV)/.installed ## unit, integration, C, C++, guide and documentation tests
	PYTHON=$(CURDIR)/$(VENV)/bin/python cargo test --features cli,listen --no-fail-fast

test-python: $(VENV)/.installed ## the Python module's tests
	$(VENV)/bin/pip install --quiet -r bindings/python/tests/requirements.txt
	$(VENV)/bin/python -m pytest -q -rs bindings/python

test-luajit: ## what runs scripts, on LuaJIT
	cargo test --no-fail-fast --no-default-features --features luajit,c-abi,listen --lib \
	  $(foreach test,$(LUAJIT_TESTS),--test $(test))

test-asan: ## attacks and libraries of scripts under AddressSanitizer, Lua's C too (x86-64 Linux, gcc)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address --cfg moonkv_asan" \
	CFLAGS_x86_64_unknown_linux_gnu="-fsanitize=address -fno-omit-frame-pointer" \
	ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 \
	  cargo test --no-fail-fast --target x86_64-unknown-linux-gnu \
	  $(foreach test,$(ASAN_TESTS),--test $(test))

soak: ## random commands beside redis-server: SEED=n COUNT=n FAMILY=hash,zset
	SEED=$${SEED:-$$(date +%s)} COUNT=$${COUNT:-1000000} \
	  cargo test --release --test differential -- --nocapture random_commands

soak-listen: ## clients that misbehave beside some that do not, for SOAK_SECONDS=600
	SOAK_SECONDS=$${SOAK_SECONDS:-600} SEED=$${SEED:-$$(date +%s)} \
	  cargo test --release --test listen soak -- --nocapture

bench-listen: ## the RESP door beside redis-server
	cargo build --release --features cli --bin moonkv
	benches/listen.sh

$(VENV)/.installed: $(shell find src bindings/python/src bindings/python/python -name '*.rs' -o -name '*.py*') Cargo.lock
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet ./bindings/python
	@touch $@

bench: all $(VENV)/.installed ## speed and memory beside the bare limit and redis-server
	PYTHON=$(CURDIR)/$(VENV)/bin/python cargo bench --bench scripts
	cargo bench --bench families
	cargo bench --bench compute
	cargo bench --bench keyspace
	cargo bench --bench patterns

header: ## include/moonkv.h, generated anew
	UPDATE=1 cargo test --test header

docs: ## the documentation of the Rust API
	cargo doc --no-deps

install: all ## library and headers below PREFIX
	install -d $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include
	install -m 644 include/moonkv.h include/moonkv.hpp $(DESTDIR)$(PREFIX)/include
	install -m 755 target/release/libmoonkv.so $(DESTDIR)$(PREFIX)/lib
	install -m 644 target/release/libmoonkv.a $(DESTDIR)$(PREFIX)/lib

clean: ## what was built
	cargo clean
