# shellcheck shell=bash
# What a cluster is made of before it starts: certificates, configuration, cgroups. Sourced by
# cluster and init, which run with errexit; $state is the cluster's directory.
# shellcheck disable=SC2034,SC2154 # for and from those who source this

node="node-1"
node_ip=10.97.0.2
service_ip=10.96.0.1
service_range=10.96.0.0/24
pod_range=10.98.0.0/24
# One cgroup per cluster, named by its state directory, so that two can run side by side.
cgroup_name=podsnap-test-$(printf %s "$state" | sha256sum | cut -c1-8)

# make_key_pair NAME SUBJECT [SUBJECT_ALT_NAME] [DAYS]: pki/NAME.key and a certificate by our CA.
make_key_pair() {
	(
		cd "$state/pki" || exit
		openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
		openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
		{
			echo "extendedKeyUsage=clientAuth,serverAuth"
			[ -z "${3:-}" ] || echo "subjectAltName=$3"
		} >"$1.ext"
		openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial \
			-days "${4:-30}" -extfile "$1.ext" -out "$1.crt" 2>/dev/null
		rm "$1.csr" "$1.ext"
	)
}

make_pki() {
	mkdir -p "$state/pki"
	(
		cd "$state/pki" || exit
		openssl ecparam -name prime256v1 -genkey -noout -out ca.key
		openssl req -x509 -new -key ca.key -subj /CN=podsnap-test-ca -days 30 -out ca.crt
		openssl ecparam -name prime256v1 -genkey -noout -out sa.key
		openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
	)
	make_key_pair apiserver /CN=kube-apiserver \
		"IP:$service_ip,IP:$node_ip,IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"
	make_key_pair admin /O=system:masters/CN=admin
	make_key_pair kubelet "/O=system:nodes/CN=system:node:$node" "IP:$node_ip,DNS:$node"
	make_key_pair apiserver-kubelet /O=system:masters/CN=apiserver-kubelet-client
}

# write_kubeconfig NAME: state/NAME.kubeconfig for the key pair of that name.
write_kubeconfig() {
	cat >"$state/$1.kubeconfig" <<-EOF
		apiVersion: v1
		kind: Config
		current-context: podsnap-test
		contexts:
		- name: podsnap-test
		  context: {cluster: podsnap-test, user: $1, namespace: default}
		clusters:
		- name: podsnap-test
		  cluster:
		    server: https://$service_ip
		    certificate-authority: $state/pki/ca.crt
		users:
		- name: $1
		  user: {client-certificate: $state/pki/$1.crt, client-key: $state/pki/$1.key}
	EOF
	chmod 600 "$state/$1.kubeconfig"
}

# overlayfs cannot stand on another overlay (a container's root, say); copying always works.
choose_snapshotter() {
	local probe=$state/overlay-probe
	mkdir -p "$probe"/{lower,upper,work,merged}
	if unshare --mount mount -t overlay overlay "$probe/merged" \
		-o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" 2>/dev/null; then
		echo overlayfs
	else
		echo native
	fi
	rm -rf "$probe"
}

# An OOM score below the caller's own needs CAP_SYS_RESOURCE (bit 24); runc fails without it.
lacks_sys_resource() {
	local caps
	caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
	[ $((0x$caps >> 24 & 1)) -eq 0 ]
}

write_containerd_config() {
	local restrict=false
	if lacks_sys_resource; then restrict=true; fi
	choose_snapshotter >"$state/snapshotter"
	cat >"$state/containerd.toml" <<-EOF
		version = 2
		root = "$state/containerd"
		state = "$state/run/containerd"
		[grpc]
		  address = "$state/containerd.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "podsnap-test/pause:1"
		  restrict_oom_score_adj = $restrict
		  [plugins."io.containerd.grpc.v1.cri".containerd]
		    snapshotter = "$(cat "$state/snapshotter")"
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$state/cni"
	EOF
	cat >"$state/cni/10-pods.conflist" <<-EOF
		{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": {
		  "type": "host-local", "dataDir": "$state/cni-data",
		  "ranges": [[{"subnet": "$pod_range"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
	EOF
}

write_kubelet_config() {
	cat >"$state/kubelet.yaml" <<-EOF
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		failCgroupV1: false
		failSwapOn: false
		cgroupDriver: cgroupfs
		cgroupRoot: /$cgroup_name
		containerRuntimeEndpoint: unix://$state/containerd.sock
		tlsCertFile: $state/pki/kubelet.crt
		tlsPrivateKeyFile: $state/pki/kubelet.key
		authentication:
		  anonymous: {enabled: false}
		  webhook: {enabled: true}
		  x509: {clientCAFile: $state/pki/ca.crt}
		authorization: {mode: Webhook}
		resolvConf: ""
		evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
		# On a disk that is nearly full, images would go that the next pod needs: nothing pulls them.
		imageGCHighThresholdPercent: 100
		podLogsDir: $state/podlogs
		volumePluginDir: $state/volume-plugins
		maxPods: 60
	EOF
}

is_cgroup_v2() {
	[ -e /sys/fs/cgroup/cgroup.controllers ]
}

# Prints the directory of this cluster's cgroup in each hierarchy.
cgroup_dirs() {
	local procs
	if is_cgroup_v2; then
		echo "/sys/fs/cgroup/$cgroup_name"
		return
	fi
	for procs in /sys/fs/cgroup/*/cgroup.procs; do echo "${procs%/*}/$cgroup_name"; done
}

make_cgroups() {
	local dir controller
	if is_cgroup_v2; then
		for controller in cpuset cpu io memory pids; do
			echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
		done
	fi
	cgroup_dirs | while read -r dir; do
		mkdir -p "$dir"
		# A new v1 cpuset is empty, and no process may enter it.
		for file in cpuset.cpus cpuset.mems; do
			if ! is_cgroup_v2 && [ -e "$dir/$file" ]; then
				cat "${dir%/*}/$file" >"$dir/$file"
			fi
		done
	done
}

# Names the first cgroup controller that Kubernetes needs and this machine lacks.
missing_cgroup_controller() {
	local controller
	for controller in cpu cpuacct cpuset memory pids devices freezer; do
		if is_cgroup_v2; then
			case $controller in cpuacct | devices | freezer) continue ;; esac
			grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers && continue
		else
			grep -qE " /sys/fs/cgroup/\S* cgroup \S*\b$controller\b" /proc/self/mounts && continue
		fi
		echo "$controller"
		return
	done
}

# Fails while a process of the cluster is still dying.
remove_cgroups() {
	local dir
	cgroup_dirs | while read -r dir; do
		[ -d "$dir" ] || continue
		find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || return 1
	done
}
