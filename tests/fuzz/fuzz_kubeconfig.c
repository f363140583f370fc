/*
 * A kubeconfig file: YAML to a tree, and the tree to server and credentials; and the answer of a
 * credential plugin, which is YAML, too. No plugin is run, and no file that the input names is
 * opened: it is only parsed as a tree where it names one.
 */
#include "exec/kubeconfig.h"
#include "exec/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Depth and keys are as promised. */
static void check(const struct yaml_node *node, const struct yaml_node *parent, int depth)
{
	if (depth > YAML_DEPTH_MAX) abort();
	for (; node; node = node->next) {
		if ((parent && parent->kind == YAML_MAPPING) != (node->key != NULL)) abort();
		if (node->kind != YAML_SCALAR && node->text) abort();
		if (node->kind == YAML_SCALAR && node->child) abort();
		if (node->key && !yaml_get(parent, node->key)) abort();
		check(node->child, node, depth + 1);
	}
}

static void load(const uint8_t *data, size_t size)
{
	struct kube_options options = {0};
	struct kube_access access;
	char path[64];
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	options.kubeconfig = path;
	if (kubeconfig_load(&options, &access, NULL) == 0) {
		if (!access.server || !strstr(access.server, "://") ||
		    strpbrk(access.server, "\r\n ?#"))
			abort();
		if (access.token && strpbrk(access.token, "\r\n")) abort();
		kube_access_done(&access);
	}
	close(fd);
}

static void answer(const uint8_t *data, size_t size)
{
	static char command[] = "p", version[] = "client.authentication.k8s.io/v1",
		    origin[] = "user";
	struct plugin plugin = {.command = command, .api_version = version, .origin = origin};
	struct plugin_credential c;

	if (plugin_parse(&plugin, (const char *)data, size, &c, NULL) != 0) return;
	if (!c.token && c.cert.len == 0) abort();
	if ((c.cert.len > 0) != (c.key.len > 0)) abort();
	if (c.token && strpbrk(c.token, "\r\n")) abort();
	plugin_credential_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names_files[] = {"tokenFile", "certificate-authority",
						  "client-certificate", "client-key", "\\"};
	struct yaml_node *root;
	bool opens = false;

	if (size > (1 << 16)) return 0;
	if (yaml_parse(data, size, "fuzz", &root, NULL) == 0) {
		check(root, NULL, 1);
		yaml_node_free(root);
	}
	answer(data, size);
	for (size_t i = 0; i < ARRAY_SIZE(names_files); i++) {
		const uint8_t *at = memmem(data, size, names_files[i], strlen(names_files[i]));

		/* "client-key-data" and its like are fine. */
		while (at) {
			size_t left = size - (size_t)(at - data), len = strlen(names_files[i]);

			opens |= left < len + 5 || memcmp(at + len, "-data", 5) != 0;
			at = memmem(at + len, left - len, names_files[i], len);
		}
	}
	if (!opens) load(data, size);
	return 0;
}
