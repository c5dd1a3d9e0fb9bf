# Everything goes through cargo; make adds the real servers which the tests and the demo start.
CARGO ?= cargo

TARGET = $(or $(CARGO_TARGET_DIR),target)
# Two builds at the same time: one compiles while the other one waits for a download or a linker.
SIDE_BY_SIDE = $(MAKE) --no-print-directory -j2

.PHONY: help assets build test soak fuzz conformance chaos chaos-score mutants bench lint crds rights docs deny sbom demo demo-servers demo-programs \
	image plugin

# After two #: what a target does; how long it takes on two cores from nothing, with the downloads; how long when all is built;
# ~ where that is estimated, ? where nobody knows.
help: ## Show this list | |
	@awk -F ' *(:.*## |[|]) *' ' \
		BEGIN { printf "  %-16s %-10s %-10s %s\n", "on two cores:", "from zero", "when built", "(~: estimated, ?: unknown)" } \
		/^[a-z-]+:.*## / { printf "  make %-11s %-10s %-10s %s\n", $$1, $$3, $$4, $$2 }' $(firstword $(MAKEFILE_LIST))

assets: ## Build the servers of the tests (etcd, Kubernetes, Keystone, Glance), helm and the GitOps judge; KUBEBUILDER_ASSETS=folder holds servers to use | ~12 min | 1 s
	@tests/assets/build
	@tests/openstack/build

# With all targets, everything is built with the features which the tests need too, and no dependency twice.
build: ## Build the operator, the cloud simulator, the harness and the tests | ~10 min | 2 s
	$(CARGO) build --workspace --all-targets

test: ## Run all tests, against real servers (ONLY=sharing: those with this in the path of their source) | ~40 min | ~20 min
	@$(SIDE_BY_SIDE) assets build
	@$(TARGET)/debug/suite $(ONLY)

# For each test of hostile input; in the suite there are few.
ROUNDS ?= 20000

fuzz: ## Try every parser of outside bytes with hostile ones, long (ROUNDS=n for each test) | ? | ?
	PROPTEST_CASES=$(ROUNDS) $(CARGO) test --workspace --lib -- adversarial no_request_makes_the_cloud_panic whatever_a_secret_holds
	PROPTEST_CASES=$(ROUNDS) HOSTILE_ROUNDS=$$(($(ROUNDS) / 10 + 1)) \
		$(CARGO) test --workspace --test hostile_objects --test hostile --test hostile_answers

# What the suite has no time for: SDKs in Go and for Node, OpenTofu and two Terraform providers (tests/conformance/build). TERRAFORM
# is a program to run in OpenTofu's place; CLIENTS are those of go, node, alicloud and huaweicloud that may not be missing.
conformance: ## Drive the simulator with clients that nobody here wrote, those that are not in Python as well, and tell which did which step | ~60 min | 5 min
	programs=$$(tests/conformance/build $(CLIENTS)) && CONFORMANCE_PROGRAMS="$$programs" \
		TERRAFORM="$(or $(TERRAFORM),$(abspath target/conformance/tofu))" PROVIDERS="$(abspath target/conformance/providers)" \
		$(CARGO) test -p cloud-simulator --test conformance -- --nocapture every_client_lives_the_same_life

soak: assets build ## Run an operator for longer than its tokens live, renewed ones and one that nobody renews | ~35 min | 15 min
	$(CARGO) test -p imageshare-operator -p operator-tests -p imageshare-harness --test api_server -- --ignored --nocapture

chaos: assets build ## Run a fault campaign: SEED=1 MINUTES=1, and OPERATOR=path for another binary (docs/chaos.md) | ~20 min | MINUTES
	$(TARGET)/debug/chaos --seed $(or $(SEED),1) --minutes $(or $(MINUTES),1) \
		$(if $(OPERATOR),--operator $(OPERATOR))

lint: ## Check format and lints | ? | ?
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets --workspace -- -D warnings
	$(CARGO) clippy --features planted -- -D warnings

crds: ## Write the custom resource definitions, here and into the chart | ? | ?
	$(CARGO) run -- crds crds
	cp crds/*.yaml charts/imageshare-operator/crds/

rights: assets ## Write the demo's copy of the rights that the chart gives the operator | ~12 min | 1 s
	target/assets/helm template imageshare-operator charts/imageshare-operator --namespace imageshare-system \
		--show-only templates/serviceaccount.yaml --show-only templates/rbac.yaml >tests/harness/src/bin/demo/rights.yaml

docs: build ## Write the reference pages of docs/reference | ~10 min | 2 s
	$(TARGET)/debug/reference

# Tools of cargo, each built once for each of its versions; without optimisation, since they are built more often than run.
DENY = target/tools/cargo-deny@0.20.2/bin/cargo-deny
CYCLONEDX = target/tools/cargo-cyclonedx@0.5.9/bin/cargo-cyclonedx
MUTANTS = target/tools/cargo-mutants@27.1.0/bin/cargo-mutants

$(DENY) $(CYCLONEDX) $(MUTANTS): crate = $(patsubst target/tools/%/bin/,%,$(dir $@))
$(DENY) $(CYCLONEDX) $(MUTANTS):
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --locked --debug --no-default-features \
		--root target/tools/$(crate) --target-dir target/tools/build $(crate)

deny: $(DENY) ## Check licences, sources and bans of all dependencies | ? | ?
	$(DENY) --locked --log-level error check bans licenses sources

sbom: $(CYCLONEDX) ## Write the bill of materials of the operator (CycloneDX) into target/sbom | ? | ?
	$(CYCLONEDX) cyclonedx --manifest-path Cargo.toml --no-default-features --format json --spec-version 1.5 \
		--override-filename imageshare-operator.cdx
	@mkdir -p target/sbom && mv imageshare-operator.cdx.json target/sbom/ && rm -f tests/harness/imageshare-operator.cdx.json
	@echo target/sbom/imageshare-operator.cdx.json

# Only what it shows: no helm, no controller manager, no test.
demo: ## Run the demo (ONCE=1 ends by itself) | 9 min | 12 s
	@$(SIDE_BY_SIDE) demo-servers demo-programs
	@$(TARGET)/demo/demo $(if $(ONCE),--once)

demo-servers:
	@tests/assets/build etcd kube-apiserver kubectl

demo-programs:
	@tests/assets/demo-programs

bench: assets ## Run the benchmark (CASES=100x20,edit SCALE=0.1 LATENCIES=0 SECONDS=60; writes target/bench/bench.json) | ? | ~40 min
	$(CARGO) build --release -p imageshare-operator -p cloud-simulator --bins -p imageshare-harness --bin bench
	$(TARGET)/release/bench $(if $(CASES),--cases '$(CASES)') $(if $(SCALE),--scale '$(SCALE)') \
		$(if $(LATENCIES),--latencies '$(LATENCIES)') $(if $(SECONDS),--seconds '$(SECONDS)')

chaos-score: assets build ## Tell for each known bug which seed of the fault campaign finds it (BUG=name, SEEDS=n, MINUTES=m) | ? | ?
	$(TARGET)/debug/chaos-score $(if $(BUG),--bug $(BUG)) $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(MINUTES),--minutes $(MINUTES))

# One folder of results for each module. What was caught is not tried again, so that a run goes on where the last one ended.
MODULE ?= src/planning
TESTS ?= --lib --test planning --test projection
results = target/mutants/$(subst /,-,$(MODULE))

mutants: $(MUTANTS) ## Change the sources in many small ways and tell which change no test notices (MODULE=src/planning SHARD=0/50 TESTS='--lib') | ? | ?
	@mkdir -p $(results)
	-$(MUTANTS) mutants --package imageshare-operator --test-package imageshare-operator,operator-tests --file '$(MODULE)/**' --file '$(MODULE).rs' --iterate --output $(results) \
		$(if $(SHARD),--shard $(SHARD)) --cap-lints true --minimum-test-timeout 120 -- $(TESTS)
	@cd $(results)/mutants.out && cat caught.txt previously_caught.txt 2>/dev/null | sort -u | wc -l | \
		awk -v missed=$$(cat missed.txt timeout.txt | wc -l) '{ print $$1 " noticed, " missed " not: " int(100 * $$1 / ($$1 + missed + !($$1 + missed))) " %" }'

image: ## Build the container image, with buildah, podman or docker (IMAGE=name:tag) | ? | ?
	@.ci/image

plugin: ## Build the kubectl plugin for this platform, as an archive with its krew manifest (URI=where it is published; writes target/plugin) | ? | ?
	@.ci/plugin
