# Everything goes through cargo; make adds the real servers which the tests and the demo start.
CARGO ?= cargo

.PHONY: help assets build test lint crds demo image

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

assets: ## Build etcd, kube-apiserver, kube-controller-manager, kubectl (once; KUBEBUILDER_ASSETS is used if set), helm, Keystone and Glance
	@tests/assets/build
	@tests/openstack/build

# With all targets, everything is built with the features which the tests need too, and no dependency twice.
build: ## Build the operator, the cloud simulator, the harness and the tests
	$(CARGO) build --workspace --all-targets

test: assets build ## Run all tests, against real servers
	$(CARGO) test --workspace

lint: ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets --workspace -- -D warnings

crds: ## Write the custom resource definitions, here and into the chart
	$(CARGO) run -- crds crds
	cp crds/*.yaml charts/imageshare-operator/files/crds/

demo: assets build ## Run the demo (ONCE=1 ends by itself)
	$(or $(CARGO_TARGET_DIR),target)/debug/demo $(if $(ONCE),--once)

image: ## Build the container image, with buildah, podman or docker (IMAGE=name:tag)
	@.ci/image
