#include "collector/dotnet_source.h"
#include "tests/unit/base/unit.h"

#define FILE_A                                                                                     \
	"{\"path\": \"/app/a.dll\", \"build_id\": null, \"size\": 7, \"entry\": "                  \
	"\"modules/sha256-00/a.dll\", \"reason\": null}"
#define FILE_NONE                                                                                  \
	"{\"path\": null, \"build_id\": \"0aff\", \"size\": 0, \"entry\": null, \"reason\": "      \
	"\"why not\"}"

static void document(char *ret, size_t size, const char *head, const char *coreclr,
		     const char *assemblies)
{
	snprintf(ret, size, "{%s, \"coreclr\": %s, \"dac\": " FILE_NONE ", \"assemblies\": %s}",
		 head, coreclr, assemblies);
}

static const char head[] = "\"schema\": \"podsnap.dotnet/1\", \"kind\": \"self-contained\", "
			   "\"version\": \"9.0.1\", \"file_version\": \"9.0.124.61010\", "
			   "\"commit\": null";

static void a_document_is_read(void **state)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	struct err e = {0};
	char text[2000];

	document(text, sizeof text, head, FILE_A, "[" FILE_A ", " FILE_NONE "]");
	if (dotnet_files_parse(text, strlen(text), &files, &e)) fail_msg("%s", e.text);
	assert_int_equal(files.kind, DOTNET_SELF_CONTAINED);
	assert_string_equal(files.version, "9.0.1");
	assert_string_equal(files.files_say.file, "9.0.124.61010");
	assert_string_equal(files.files_say.commit, "");
	assert_string_equal(files.runtime.entry, "modules/sha256-00/a.dll");
	assert_int_equal(files.runtime.size, 7);
	assert_int_equal(files.runtime.build_id_len, 0);
	assert_null(files.dac.path);
	assert_string_equal(files.dac.reason, "why not");
	assert_int_equal(files.dac.build_id_len, 2);
	assert_int_equal(files.dac.build_id[1], 0xff);
	assert_int_equal(files.assembly_count, 2);
	assert_ptr_equal(dotnet_files_at(&files, "/app/a.dll"), &files.runtime);
	assert_null(dotnet_files_at(&files, "/app/b.dll"));
}

/* What was written is read, and written once more the same. */
static void a_document_survives_a_round(void **state)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0}, again = {0};
	_cleanup_buf_ struct buf first = BUF_INIT(1 << 20), second = BUF_INIT(1 << 20);
	char text[2000];

	document(text, sizeof text, head, FILE_A, "[" FILE_A ", " FILE_NONE "]");
	assert_int_equal(dotnet_files_parse(text, strlen(text), &files, NULL), 0);
	assert_int_equal(dotnet_files_json(&files, &first, NULL), 0);
	assert_int_equal(dotnet_files_parse(first.data, first.len, &again, NULL), 0);
	assert_int_equal(dotnet_files_json(&again, &second, NULL), 0);
	assert_string_equal(first.data, second.data);
}

static void what_is_no_document(void **state)
{
	static const struct {
		const char *head, *coreclr, *assemblies, *say;
	} cases[] = {
	    {"\"schema\": \"podsnap.dotnet/2\"", FILE_A, "[]", "schema"},
	    {"\"schema\": \"podsnap.dotnet/1\", \"kind\": \"wasm\"", FILE_A, "[]", "kind"},
	    {"\"schema\": 1", FILE_A, "[]", "schema"},
	    {head, "null", "[]", "a file is no object"},
	    {head, "{\"path\": 5, \"size\": 1}", "[]", "path"},
	    {head, "{\"path\": \"/a\"}", "[]", "size"},
	    {head, "{\"path\": \"/a\", \"size\": -1}", "[]", "size"},
	    {head, "{\"path\": \"/a\", \"size\": 1e300}", "[]", "size"},
	    {head, "{\"build_id\": \"abc\", \"size\": 1}", "[]", "build_id"},
	    {head, "{\"build_id\": \"zz\", \"size\": 1}", "[]", "build_id"},
	    {head, "{\"entry\": \"../../etc/passwd\", \"size\": 1}", "[]", "entry"},
	    {head, FILE_A, "{}", "assemblies"},
	    {head, FILE_A, "[1]", "a file is no object"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dotnet_files files = {0};
		struct err e = {0};
		char text[2000];

		document(text, sizeof text, cases[i].head, cases[i].coreclr, cases[i].assemblies);
		assert_int_equal(dotnet_files_parse(text, strlen(text), &files, &e), -ERR_CORRUPT);
		assert_contains(e.text, cases[i].say);
		assert_null(files.runtime.path);
	}
}

static void a_long_build_id_and_many_assemblies(void **state)
{
	static char text[1 << 20];
	struct dotnet_files files = {0};
	struct err e = {0};
	size_t at;

	at = (size_t)snprintf(text, sizeof text, "{%s, \"coreclr\": {\"size\": 1, \"build_id\": \"",
			      head);
	memset(text + at, 'a', 200);
	snprintf(text + at + 200, sizeof text - at - 200, "\"}, \"assemblies\": []}");
	assert_int_equal(dotnet_files_parse(text, strlen(text), &files, &e), -ERR_CORRUPT);
	assert_contains(e.text, "build_id");

	at = (size_t)snprintf(text, sizeof text,
			      "{%s, \"coreclr\": %s, \"dac\": %s, "
			      "\"assemblies\": [{\"size\":1}",
			      head, FILE_A, FILE_NONE);
	for (int i = 0; i < DOTNET_FILES_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, ",{\"size\":1}");
	snprintf(text + at, sizeof text - at, "]}");
	assert_int_equal(dotnet_files_parse(text, strlen(text), &files, &e), -ERR_LIMIT);
}

/* --- archives --- */

static struct bundle_entry entries[3];

static const struct bundle_entry *entry_at(void *ctx, size_t index)
{
	return &entries[index];
}

static int open_entry(void *ctx, const struct bundle_entry *entry, struct blob **ret, struct err *e)
{
	return blob_from_memory(entry->reason, strlen(entry->reason), ret, e);
}

/* The bytes of these entries are their reasons. */
static struct archive make_archive(const char *text)
{
	static const char *const names[] = {"1-shop/core", "1-shop/runtime/dotnet.json",
					    "modules/sha256-00/a.dll"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		entries[i] = (struct bundle_entry){.in_tar = true};
		snprintf(entries[i].name, sizeof entries[i].name, "%s", names[i]);
	}
	snprintf(entries[1].reason, sizeof entries[1].reason, "%s", text);
	snprintf(entries[2].reason, sizeof entries[2].reason, "bytes of a.dll");
	return (struct archive){.count = ARRAY_SIZE(names), .at = entry_at, .open = open_entry};
}

static void files_of_an_archive(void **state)
{
	char name[] = "modules/sha256-00/a.dll", other[] = "modules/sha256-00/b.dll";
	char path[] = "/app/a.dll", reason[] = "was deleted", got[5] = "";
	struct dotnet_file file = {.path = path, .entry = name};
	struct dotnet_file elsewhere = {.path = path, .entry = other};
	struct dotnet_file missing = {.path = path, .reason = reason};
	struct archive a = make_archive("");
	struct range lost = {0, 1};
	struct err e = {0};
	_cleanup_blob_ struct blob *blob = NULL, *none = NULL;

	assert_int_equal(archive_dotnet_file(&a, &file, &blob, NULL), 0);
	assert_int_equal(blob_read_at(blob, 0, got, 5, NULL), 0);
	assert_memory_equal(got, "bytes", 5);
	assert_int_equal(archive_dotnet_file(&a, &elsewhere, &none, &e), -ERR_NOT_FOUND);
	assert_string_equal(e.text, "/app/a.dll is not carried along");
	assert_int_equal(archive_dotnet_file(&a, &missing, &none, &e), -ERR_NOT_FOUND);
	assert_string_equal(e.text, "/app/a.dll: was deleted");
	entries[2].lost = &lost;
	entries[2].lost_count = 1;
	assert_int_equal(archive_dotnet_file(&a, &file, &none, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "is incomplete");
}

static void an_archive_without_the_document(void **state)
{
	struct dotnet_files files = {0};
	struct archive a = make_archive("a read failed");
	struct err e = {0};

	assert_int_equal(archive_dotnet_files(&a, "1-shop", &files, &e), -ERR_CORRUPT);
	assert_int_equal(archive_dotnet_files(&a, "2-other", &files, &e), -ERR_NOT_FOUND);
	assert_string_equal(e.text, "2-other is of no .NET process");
	entries[1].in_tar = false;
	assert_int_equal(archive_dotnet_files(&a, "1-shop", &files, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "a read failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_document_is_read),
	    cmocka_unit_test(a_document_survives_a_round),
	    cmocka_unit_test(what_is_no_document),
	    cmocka_unit_test(a_long_build_id_and_many_assemblies),
	    cmocka_unit_test(files_of_an_archive),
	    cmocka_unit_test(an_archive_without_the_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
