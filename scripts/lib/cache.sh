# shellcheck shell=bash
# Where what is built once for the tests is kept, and which Go builds it. Sourced.

# shellcheck disable=SC2034 # for those who source this
# Outside the tree, so that a fresh clone does not build Kubernetes again.
cache_dir=${PODSNAP_CACHE:-/var/cache/podsnap-tests}

# The toolchain that an older Go (1.21 or newer) fetches as a module.
go_toolchain=go1.25.3

# Prints the newest usable go command's path; fails without a word if there is none.
find_go() {
	local go
	for go in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-1.*/bin/go; do
		[ -x "$go" ] && go_is_usable "$go" && echo "$go" && return 0
	done
	return 1
}

# Go 1.25 builds our modules as it is; from 1.21 on it can fetch such a toolchain.
go_is_usable() {
	local version
	version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
	[[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 21 ]
}

# Sets GO and exports GOTOOLCHAIN so that "$GO" is at least 1.25.
use_go() {
	local version
	GO=$(find_go) || {
		echo "no Go 1.21 or newer found; run: make test-deps" >&2
		return 1
	}
	version=$(GOTOOLCHAIN=local "$GO" env GOVERSION)
	if [[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 25 ]; then
		export GOTOOLCHAIN=local
	else
		export GOTOOLCHAIN=$go_toolchain
	fi
	export GOFLAGS=-buildvcs=false
}
