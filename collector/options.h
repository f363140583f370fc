/* podsnap's one table of options. The probe reads its request by the same table. */
#ifndef COLLECTOR_OPTIONS_H
#define COLLECTOR_OPTIONS_H

#include "base/options.h"

/* Verbs as bits: which options each takes. */
enum verb {
	VERB_CAPTURE = 1 << 0,
	VERB_STACKS = 1 << 1,
	VERB_PS = 1 << 2,
	VERB_SHOW = 1 << 3,
	VERB_VERIFY = 1 << 4,
	VERB_VERSION = 1 << 5,
	VERB_CONFIG = 1 << 6,
	VERB_PROBE = 1 << 7, /* the probe's own: read from a request, never from a command line */
	VERB_DOCTOR = 1 << 8,
	VERB_HEAP = 1 << 9,
	VERB_OBJECTS = 1 << 10,
	VERB_OBJECT = 1 << 11,
	VERB_ROOTS = 1 << 12,
	VERB_EXCEPTIONS = 1 << 13,
	VERB_LOCKS = 1 << 14,
};
/* Managed objects, read at the user's side. */
#define VERBS_LISTING (VERB_HEAP | VERB_OBJECTS | VERB_OBJECT | VERB_ROOTS | VERB_EXCEPTIONS)
/* Those, and what else a runtime has. */
#define VERBS_OBJECTS (VERBS_LISTING | VERB_LOCKS)
/* A probe is asked; a pod is named. */
#define VERBS_PROBED (VERB_CAPTURE | VERB_STACKS | VERB_PS)
#define VERBS_LIVE (VERBS_PROBED | VERB_DOCTOR | VERBS_OBJECTS)

enum { PARALLEL_MAX = 32 };

enum option_id {
	OPT_VERB,
	OPT_CONTAINER_ID,
	OPT_PID,
	OPT_PROCESS,
	OPT_ALL,
	OPT_NAMESPACE,
	OPT_CONTAINER,
	OPT_ALL_CONTAINERS,
	OPT_SELECTOR,
	OPT_ALL_NAMESPACES,
	OPT_NODE,
	OPT_PARALLEL,
	OPT_ROUTE,
	OPT_PROBE_IMAGE,
	OPT_PTRACE,
	OPT_AGENT_NAMESPACE,
	OPT_NO_EXEC,
	OPT_RESUME_WINDOW,
	OPT_HOLD,
	OPT_OUTPUT,
	OPT_FORCE,
	OPT_JSON,
	OPT_FULL,
	OPT_ASYNC,
	OPT_WIDE,
	OPT_SNAPSHOT,
	OPT_MAX_PAUSE,
	OPT_MAX_MEMORY,
	OPT_CORE,
	OPT_COREDUMP_FILTER,
	OPT_EXCLUDE_FILES,
	OPT_MODULES,
	OPT_SHOW_SECRETS,
	OPT_REASON,
	OPT_EVENT,
	OPT_KUBE,
	OPT_LOG_LINES,
	OPT_LEVEL,
	OPT_THREADS,
	OPT_CPU_LIMIT,
	OPT_SYSROOT,
	OPT_DAC,
	OPT_DAC_TIMEOUT,
	OPT_TYPE,
	OPT_WHERE,
	OPT_LIMIT,
	OPT_DEPTH,
	OPT_DIFF,
	OPT_PATH,
	OPT_KUBECONFIG,
	OPT_CONTEXT,
	OPT_CLUSTER,
	OPT_USER,
	OPT_SERVER,
	OPT_TOKEN,
	OPT_CLIENT_CERTIFICATE,
	OPT_CLIENT_KEY,
	OPT_AS,
	OPT_AS_GROUP,
	OPT_AS_UID,
	OPT_AS_USER_EXTRA,
	OPT_CERTIFICATE_AUTHORITY,
	OPT_TLS_SERVER_NAME,
	OPT_INSECURE_SKIP_TLS_VERIFY,
	OPT_REQUEST_TIMEOUT,
	OPT_S3_ENDPOINT,
	OPT_S3_REGION,
	OPT_S3_PROFILE,
	OPT_S3_PATH_STYLE,
	OPT_CA_FILE,
	OPT_RETRIES,
	OPT_VERBOSE,
	OPT_TRACE,
	OPT_QUIET,
	OPT_CONFIG,
	OPT_HELP,
	OPT_COUNT,
};

extern const struct option_def option_table[OPT_COUNT];

/* The options a probe needs of its client, for options_write_request. */
extern const size_t probe_option_ids[];
extern const size_t probe_option_count;

#endif
