/* Loads the library and brings it up over the target. */
#include "dumpers/dotnet/dac_host_internal.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef uint32_t (*entry_fn)(void *library, uint32_t reason, void *reserved);
typedef hresult (*create_fn)(const struct guid *id, void *target, void **ret);

static void *query(void *object, const struct guid *id)
{
	void *ret = NULL;
	hresult hr = DAC_CALL(object, 0, const struct guid *, void **)(object, id, &ret);
	return hr < 0 ? NULL : ret;
}

static bool needs_entry(void *library)
{
	return dlsym(library, "DAC_PAL_InitializeDLL") || dlsym(library, "PAL_InitializeDLL");
}

/* The library takes signals for itself when it comes up. A crash of it must stay one. */
static void take_signals_back(void)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
		signal(crashes[i], SIG_DFL);
}

static int create(void *library, void *target, void **ret, hresult *ret_hr, struct err *e)
{
	static const struct guid id = GUID_PROCESS;
	create_fn fn = (create_fn)dlsym(library, "CLRDataCreateInstance");
	entry_fn entry = (entry_fn)dlsym(library, "DllMain");
	if (!fn) return err_set(e, ERR_CORRUPT, "it has no CLRDataCreateInstance");
	if (entry && needs_entry(library) && !entry(library, 1, NULL))
		return err_set(e, ERR_CORRUPT, "its DllMain failed");
	take_signals_back();
	hresult hr = fn(&id, target, ret);
	return hr < 0 || !*ret ? dac_refused(hr, "it does not accept the process", ret_hr, e) : 0;
}

int dac_load(uint64_t runtime_base, struct dac *ret, hresult *ret_hr, struct err *e)
{
	static const struct guid sos = GUID_SOS, sos6 = GUID_SOS6, sos8 = GUID_SOS8,
				 sos12 = GUID_SOS12, sos14 = GUID_SOS14;
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", DAC_LIBRARY_FD);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	*ret_hr = HR_FAIL;
	if (!library) return err_set(e, ERR_CORRUPT, "it cannot be loaded: %s", dlerror());
	int r = create(library, dac_target(runtime_base), &ret->process, ret_hr, e);
	if (r) return r;
	ret->sos = query(ret->process, &sos);
	if (!ret->sos) return err_set(e, ERR_CORRUPT, "it has no ISOSDacInterface");
	ret->sos6 = query(ret->process, &sos6);
	ret->sos8 = query(ret->process, &sos8);
	ret->sos12 = query(ret->process, &sos12);
	ret->sos14 = query(ret->process, &sos14);
	hresult hr = DAC_CALL(ret->sos, SOS_GLOBALS, struct dac_globals *)(ret->sos, &ret->globals);
	return hr < 0 ? dac_refused(hr, "it finds no runtime that is up", ret_hr, e) : 0;
}
