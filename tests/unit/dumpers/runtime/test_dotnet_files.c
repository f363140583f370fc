/* The files of a .NET process, which is this test: it maps files that look like .NET's. */
#include "dumpers/runtime/dotnet_files.h"

#include "base/hash.h"
#include "base/json.h"
#include "tests/unit/dumpers/runtime/dotnet_elf.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define VERSION_8 "@(#)Version 8.0.1124.51707 @Commit: 9cb3b725e3ad2b57ddc9fb2dd48d2d170563a8f5"

enum { PE_SIZE = 8192, MAPS_MAX = 16 << 20 };

/* --- a place with files --- */

struct place {
	char root[64], folder[192]; /* folder: where the runtime lies */
	void *mapped[16];
	size_t mapped_count;
};

static void make_folder(const char *path)
{
	if (mkdir(path, 0700)) fail_msg("mkdir %s", path);
}

/* below: folders to make, each ending with '/'. */
static void place_init(struct place *p, const char *below)
{
	*p = (struct place){.root = "/tmp/podsnap-dotnet-XXXXXX"};
	assert_non_null(mkdtemp(p->root));
	snprintf(p->folder, sizeof(p->folder), "%s/%s", p->root, below);
	for (char *c = p->folder + strlen(p->root) + 1; *c; c++) {
		if (*c != '/') continue;
		*c = '\0';
		make_folder(p->folder);
		*c = '/';
	}
}

static const char *place_path(const struct place *p, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s%s", p->folder, name);
	return path;
}

static void place_write(const struct place *p, const char *name, const void *data, size_t len)
{
	int fd = open(place_path(p, name), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void place_map(struct place *p, const char *name, off_t offset)
{
	int fd = open(place_path(p, name), O_RDONLY | O_CLOEXEC);
	void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, offset);

	assert_true(fd >= 0 && at != MAP_FAILED);
	close(fd);
	p->mapped[p->mapped_count++] = at;
}

static void place_write_lib(const struct place *p, const char *name, uint8_t build_id)
{
	struct lib *lib = lib_new(VERSION_8, build_id);

	place_write(p, name, lib->bytes, sizeof(lib->bytes));
	free(lib);
}

static void place_write_assembly(const struct place *p, const char *name, uint8_t fill)
{
	uint8_t pe[PE_SIZE];

	memset(pe, fill, sizeof(pe));
	memset(pe, 0, 0x200);
	memcpy(pe, "MZ", 2);
	pe[0x3c] = 0x80;
	memcpy(pe + 0x80, "PE\0\0", 4);
	pe[0x94] = 0xf0;
	memcpy(pe + 0x98, "\x0b\x02", 2);
	pe[0x98 + 112 + 14 * 8] = 8;
	pe[0x98 + 112 + 14 * 8 + 4] = 0x48;
	place_write(p, name, pe, sizeof(pe));
}

static void remove_all(const char *folder)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static void place_done(struct place *p)
{
	for (size_t i = 0; i < p->mapped_count; i++)
		munmap(p->mapped[i], 4096);
	remove_all(p->root);
}

/* What is found in our own maps. */
static int find(struct dotnet_files *ret, struct err *e)
{
	_cleanup_process_ struct process self = PROCESS_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT(MAPS_MAX);
	_cleanup_maps_ struct maps maps = {0};

	assert_int_equal(process_open(getpid(), &self, NULL), 0);
	assert_int_equal(process_read(&self, "maps", &text, NULL), 0);
	assert_int_equal(maps_parse(text.data, text.len, &maps, NULL), 0);
	return dotnet_files_find(&self, &maps, ret, e);
}

/* --- tests --- */

static void a_process_without_the_runtime(void **state)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	struct err e = {0};

	assert_int_equal(find(&files, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "has no .NET runtime");
}

static void an_installation(void **state)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	struct place p;
	struct err e = {0};

	place_init(&p, "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.11/");
	place_write_lib(&p, "libcoreclr.so", 1);
	place_write_lib(&p, "libmscordaccore.so", 40);
	place_write_assembly(&p, "System.Runtime.dll", 3);
	place_write_assembly(&p, "no-extension", 4);
	place_write(&p, "data.dll", "MZ is not enough to be an assembly", 34);
	place_map(&p, "libcoreclr.so", 0);
	place_map(&p, "System.Runtime.dll", 0);
	place_map(&p, "System.Runtime.dll", 4096);
	place_map(&p, "System.Runtime.dll", 0);
	place_map(&p, "no-extension", 0);
	place_map(&p, "data.dll", 0);
	if (find(&files, &e)) fail_msg("%s", e.text);

	assert_int_equal(files.kind, DOTNET_FRAMEWORK_DEPENDENT);
	assert_string_equal(files.version, "8.0.11");
	assert_string_equal(files.files_say.file, "8.0.1124.51707");
	assert_string_equal(files.runtime.path, place_path(&p, "libcoreclr.so"));
	assert_int_equal(files.runtime.size, LIB_SIZE);
	assert_int_equal(files.runtime.build_id_len, LIB_BUILD_ID);
	assert_int_equal(files.runtime.build_id[0], 1);
	assert_null(files.runtime.reason);
	assert_string_equal(files.dac.path, place_path(&p, "libmscordaccore.so"));
	assert_int_equal(files.dac.build_id[0], 40);
	assert_null(files.dac.reason);
	assert_int_equal(files.assembly_count, 2);
	assert_non_null(dotnet_files_at(&files, place_path(&p, "System.Runtime.dll")));
	assert_non_null(dotnet_files_at(&files, place_path(&p, "no-extension")));
	assert_null(dotnet_files_at(&files, place_path(&p, "data.dll")));
	assert_int_equal(dotnet_files_at(&files, place_path(&p, "no-extension"))->size, PE_SIZE);
	place_done(&p);
}

/* The folder's name says nothing, so the file does. A FIFO beside it must not hold us up. */
static void a_program_with_its_own_runtime(void **state)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	struct place p;
	struct err e = {0};

	place_init(&p, "app/");
	place_write_lib(&p, "libcoreclr.so", 1);
	assert_int_equal(mkfifo(place_path(&p, "libmscordaccore.so"), 0600), 0);
	place_map(&p, "libcoreclr.so", 0);
	if (find(&files, &e)) fail_msg("%s", e.text);

	assert_int_equal(files.kind, DOTNET_SELF_CONTAINED);
	assert_string_equal(files.version, "8.0.11");
	assert_contains(files.dac.reason, "libmscordaccore.so is not a regular file");
	assert_int_equal(files.dac.size, 0);
	assert_int_equal(files.assembly_count, 0);
	place_done(&p);
}

static void what_is_missing_has_a_reason(void **state)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	struct place p;
	struct err e = {0};

	place_init(&p, "app/");
	place_write_lib(&p, "libcoreclr.so", 1);
	place_map(&p, "libcoreclr.so", 0);
	if (find(&files, &e)) fail_msg("%s", e.text);
	assert_contains(files.dac.reason, "No such file");
	assert_string_equal(files.dac.path, place_path(&p, "libmscordaccore.so"));
	place_done(&p);
}

/* What has the path of a mapped file that was deleted is another file. */
static void a_replaced_assembly_is_not_taken_for_the_mapped_one(void **state)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	_cleanup_process_ struct process self = PROCESS_INIT;
	_cleanup_blob_ struct blob *blob = NULL, *none = NULL;
	const struct dotnet_file *file;
	struct dotnet_file by_path;
	struct place p;
	uint8_t last;
	struct err e = {0};

	place_init(&p, "app/");
	place_write_lib(&p, "libcoreclr.so", 1);
	place_map(&p, "libcoreclr.so", 0);
	place_write_assembly(&p, "Shop.dll", 5);
	place_map(&p, "Shop.dll", 0);
	unlink(place_path(&p, "Shop.dll"));
	place_write_assembly(&p, "Shop.dll", 6);
	if (find(&files, &e)) fail_msg("%s", e.text);

	file = dotnet_files_at(&files, place_path(&p, "Shop.dll"));
	assert_non_null(file);
	assert_int_equal(process_open(getpid(), &self, NULL), 0);
	if (dotnet_file_open(&self, file, &blob, &e) == 0) {
		assert_int_equal(blob_read_at(blob, PE_SIZE - 1, &last, 1, NULL), 0);
		assert_int_equal(last, 5);
	} else {
		assert_contains(file->reason, "was deleted or replaced");
	}
	/* As where the kernel does not let us open what is mapped. */
	by_path = *file;
	by_path.end = 0;
	assert_int_equal(dotnet_file_open(&self, &by_path, &none, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "was deleted or replaced");
	place_done(&p);
}

static void the_document(void **state)
{
	static const char want[] = "{\n"
				   "  \"schema\": \"podsnap.dotnet/1\",\n"
				   "  \"kind\": \"single-file\",\n"
				   "  \"version\": \"10.0.9\",\n"
				   "  \"file_version\": null,\n"
				   "  \"commit\": null,\n"
				   "  \"coreclr\": {\n"
				   "    \"path\": \"/app/shop\",\n"
				   "    \"build_id\": \"abcd\",\n"
				   "    \"size\": 12,\n"
				   "    \"entry\": \"modules/abcd/shop\",\n"
				   "    \"reason\": null\n"
				   "  },\n"
				   "  \"dac\": {\n"
				   "    \"path\": null,\n"
				   "    \"build_id\": null,\n"
				   "    \"size\": 0,\n"
				   "    \"entry\": null,\n"
				   "    \"reason\": \"none\"\n"
				   "  },\n"
				   "  \"assemblies\": []\n"
				   "}\n";
	char path[] = "/app/shop", entry[] = "modules/abcd/shop", reason[] = "none";
	struct dotnet_files files = {
	    .kind = DOTNET_SINGLE_FILE,
	    .version = "10.0.9",
	    .runtime = {.path = path,
			.build_id = {0xab, 0xcd},
			.build_id_len = 2,
			.size = 12,
			.entry = entry},
	    .dac = {.reason = reason},
	};
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);

	assert_int_equal(dotnet_files_json(&files, &text, NULL), 0);
	assert_string_equal(text.data, want);
}

static void a_long_reason_is_cut(void **state)
{
	struct dotnet_file file = {.entry = strdup("modules/x/y")};
	char reason[1000];

	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	assert_int_equal(dotnet_file_set_reason(&file, reason, NULL), 0);
	assert_int_equal(strlen(file.reason), DOTNET_REASON_MAX - 1);
	assert_null(file.entry);
	free(file.reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_process_without_the_runtime),
	    cmocka_unit_test(an_installation),
	    cmocka_unit_test(a_program_with_its_own_runtime),
	    cmocka_unit_test(what_is_missing_has_a_reason),
	    cmocka_unit_test(a_replaced_assembly_is_not_taken_for_the_mapped_one),
	    cmocka_unit_test(the_document),
	    cmocka_unit_test(a_long_reason_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
