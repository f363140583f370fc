/* What the files that read kubeconfigs share. */
#ifndef EXEC_KUBECONFIG_INTERNAL_H
#define EXEC_KUBECONFIG_INTERNAL_H

#include "exec/kubeconfig.h"
#include "exec/yaml.h"

enum { KUBECONFIG_PATH_SIZE = 4096 };

struct config_file {
	char *path;
	struct yaml_node *root; /* NULL: empty */
};

/* A named cluster, user or context, and the file it is from. */
struct config_entry {
	const char *name; /* as asked for */
	const struct yaml_node *node;
	const struct config_file *file; /* NULL without a node */
};

/* Replaces *ret by a copy, unless value is NULL. */
int config_set_text(char **ret, const char *value, struct err *e);
/* path relative to the directory of the file that holds it; what: for the error. */
int config_path(const char *path, const char *what, const struct config_entry *from,
		char ret[KUBECONFIG_PATH_SIZE], struct err *e);
/* A PEM that is given inline (KEY-data, which wins) or as a file (KEY). */
int config_load_pem(const struct config_entry *from, const char *key, struct buf *ret,
		    struct err *e);

/* A user's ways to authenticate and whom it impersonates; what the options name comes first. from:
 * without a node where there is no user. cluster: its entry, or NULL. */
int config_load_user(const struct config_entry *from, const struct yaml_node *cluster,
		     const struct kube_options *options, struct kube_access *ret, struct err *e);

#endif
