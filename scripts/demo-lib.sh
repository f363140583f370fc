# shellcheck shell=bash
# What the demos have in common; sourced. It sets here, build and work (a directory that goes with
# the demo).
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
here=$PWD
build=$(realpath "${BUILD:-build}")
cluster=$here/tests/cluster/cluster
work=$(mktemp -d)

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# typed COMMAND...: prints it as a user would type it
typed() {
	local word
	printf '$ podsnap'
	for word; do
		case $word in
		*[!A-Za-z0-9_./:=@,-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	echo
}

show() {
	typed "$@"
	"$build/podsnap" "$@"
}

# The same in the network of the cluster.
show_in_cluster() {
	typed "$@"
	"$cluster" sh "$build/podsnap" "$@"
}

# start_service IMAGE NAME: a cluster with that image and tests/cluster/NAME.yaml, whose deployment
# has the name NAME; it ends with the demo
start_service() {
	trap '"$cluster" down >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
	say "Starting a real one-node Kubernetes"
	"$cluster" up
	PODSNAP_BUILD=$build "$cluster" test-image "$1" >/dev/null
	"$cluster" kubectl apply -f "tests/cluster/$2.yaml"
	"$cluster" kubectl rollout status deployment "$2" --timeout=60s
}
