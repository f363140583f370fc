#include "base/hash.h"
#include "base/io.h"
#include "base/json.h"
#include "bundle/wire.h"
#include "collector/command.h"
#include "collector/pod.h"

#include <elf.h>

static int run(struct command_call *call, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(64 * KIB);
	size_t len;
	const void *probe = embedded_probe(EM_X86_64, &len);
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX];
	sha256_of(probe, len, sum);
	hex_encode(sum, sizeof sum, hex);
	int r;
	if (option_bool(call->options, OPT_JSON)) {
		struct json j;
		json_init(&j, &text, true);
		json_object(&j);
		json_kv_string(&j, "schema", "podsnap.version/1");
		json_kv_string(&j, "podsnap", PODSNAP_VERSION);
		json_kv_uint(&j, "wire", WIRE_VERSION);
		json_kv_string(&j, "manifest", "podsnap.manifest/1");
		json_kv_string(&j, "probe_x86_64_sha256", hex);
		json_kv_uint(&j, "probe_x86_64_bytes", len);
		json_object_end(&j);
		r = json_finish(&j, e);
	} else {
		r = buf_printf(
		    &text, e,
		    "podsnap %s\nprobe   x86-64, %zu bytes, sha256 %s\nformats wire %d, bundle "
		    "podsnap.manifest/1\n",
		    PODSNAP_VERSION, len, hex, WIRE_VERSION);
	}
	return r ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

const struct command cmd_version = {
    .name = "version",
    .verb = VERB_VERSION,
    .usage = "",
    .summary = "versions of podsnap, its probe and its formats",
    .run = run,
};
