#include "dumpers/runtime/dotnet_dac.h"

#include "base/hash.h"
#include "dumpers/proc/elf_search.h"
#include "dumpers/runtime/dotnet_image.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

static const char the_dac[] = "the data-access library", the_runtime[] = "the runtime";

static bool is_for_musl(struct blob *dac)
{
	static const char needed[] = "libc.musl-";
	uint64_t at;

	return elf_search(dac, ".dynstr", needed, sizeof(needed) - 1, &at, NULL) == 0;
}

static int check_loadable(struct blob *dac, const struct elf_id *runtime, const struct elf_id *id,
			  struct err *e)
{
	if (id->e_type != ET_DYN || !elf_has_dynamic_name(dac, "CLRDataCreateInstance"))
		return err_set(e, ERR_UNSUPPORTED,
			       "%s is another library: it has no CLRDataCreateInstance", the_dac);
	if (id->e_machine != runtime->e_machine || id->elf_class != runtime->elf_class)
		return err_set(e, ERR_UNSUPPORTED, "%s is for another CPU than %s (%u, %u)",
			       the_dac, the_runtime, id->e_machine, runtime->e_machine);
	if (is_for_musl(dac)) {
		err_set(e, ERR_UNSUPPORTED, "%s is made for musl, and cannot be loaded here",
			the_dac);
		return err_hint(e, "take the libmscordaccore.so of the same version for glibc: "
				   "--dac FILE");
	}
	return 0;
}

/* "9.0.1 (files 9.0.124.61010)" */
static const char *describe(const struct dotnet_version *v, char *ret, size_t size)
{
	char product[DOTNET_VERSION_MAX];

	dotnet_product_version(v->file, product, sizeof(product));
	snprintf(ret, size, "%s (files %s)", product[0] ? product : "an unknown version", v->file);
	return ret;
}

static int check_build_id(const struct elf_id *id, const struct dotnet_build_id *wanted,
			  struct err *e)
{
	char want[2 * DOTNET_BUILD_ID_MAX + 1], have[2 * ELF_ID_BUILD_ID_MAX + 1];

	if (id->build_id_len == wanted->len &&
	    memcmp(id->build_id, wanted->bytes, wanted->len) == 0)
		return 0;
	hex_encode(wanted->bytes, wanted->len, want);
	hex_encode(id->build_id, id->build_id_len, have);
	return err_set(e, ERR_NOT_FOUND, "%s has the build-id %s, and %s takes the one with %s",
		       the_dac, id->build_id_len ? have : "(none)", the_runtime, want);
}

static int read_version(struct blob *file, const char *which, struct dotnet_version *ret,
			struct err *e)
{
	struct err why = {0};

	if (dotnet_version_read(file, ret, &why) == 0) return 0;
	return err_set(e, ERR_UNSUPPORTED, "%s says no version: %s", which, why.text);
}

static int check_version(struct blob *runtime, struct blob *dac, struct err *e)
{
	struct dotnet_version of_runtime, of_dac;
	char want[128], have[128];
	int r = read_version(runtime, the_runtime, &of_runtime, e);

	if (!r) r = read_version(dac, the_dac, &of_dac, e);
	if (r < 0) return r;
	if (strcmp(of_runtime.file, of_dac.file) != 0)
		return err_set(e, ERR_NOT_FOUND, "%s is of .NET %s, and %s is %s", the_dac,
			       describe(&of_dac, have, sizeof(have)), the_runtime,
			       describe(&of_runtime, want, sizeof(want)));
	if (strcmp(of_runtime.commit, of_dac.commit) != 0)
		return err_set(e, ERR_NOT_FOUND,
			       "%s is of another build of .NET %s: commit %s, and that of %s is %s",
			       the_dac, describe(&of_dac, have, sizeof(have)),
			       of_dac.commit[0] ? of_dac.commit : "(none)", the_runtime,
			       of_runtime.commit[0] ? of_runtime.commit : "(none)");
	return 0;
}

int dotnet_dac_check(struct blob *runtime, struct blob *dac, struct err *e)
{
	struct elf_id runtime_id, dac_id;
	struct dotnet_build_id wanted;
	int r = elf_id_of_blob(runtime, &runtime_id, e);

	if (r < 0) return err_wrap(e, "%s", the_runtime);
	r = elf_id_of_blob(dac, &dac_id, e);
	if (r < 0) return err_wrap(e, "%s", the_dac);
	r = check_loadable(dac, &runtime_id, &dac_id, e);
	if (r < 0) return r;
	if (dotnet_wanted_dac(runtime, &wanted, NULL) == 0)
		return check_build_id(&dac_id, &wanted, e);
	return check_version(runtime, dac, e);
}
