#include "dumpers/runtime/runtime.h"
#include "tests/unit/dumpers/proc/child.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

/* --- facts made by hand ----------------------------------------------------------------------- */

struct given {
	const char *exe, *map, *argv0;
};

static struct runtime_guess guess(const struct given *given)
{
	_cleanup_facts_ struct runtime_facts facts = {0};
	struct runtime_guess ret;
	char text[512];

	if (given->exe) snprintf(facts.exe, sizeof(facts.exe), "%s", given->exe);
	if (given->map) {
		snprintf(text, sizeof(text), "1000-2000 r-xp 00000000 00:01 5 %s\n", given->map);
		assert_int_equal(maps_parse(text, strlen(text), &facts.maps, NULL), 0);
		facts.maps_readable = true;
	}
	if (given->argv0)
		assert_int_equal(
		    cmdline_split(given->argv0, strlen(given->argv0), true, &facts.argv, NULL), 0);
	runtime_detect_facts(&facts, &ret);
	return ret;
}

static void by_map_or_name(void **state)
{
	static const struct {
		struct given given;
		const char *runtime, *version, *evidence;
		enum runtime_confidence confidence;
	} cases[] = {
	    {{"/usr/bin/java", "/usr/lib/jvm/x/lib/server/libjvm.so", "java"},
	     "jvm",
	     "",
	     "maps /usr/lib/jvm/x/lib/server/libjvm.so",
	     RUNTIME_PROGRAM},
	    {{"/usr/bin/jsvc", "/j/libjvm.so", NULL}, "jvm", "", "maps", RUNTIME_MAPPED},
	    {{"/app/web", "/d/shared/Microsoft.NETCore.App/8.0.1/libcoreclr.so", NULL},
	     "dotnet",
	     "8.0.1",
	     "maps /d/shared",
	     RUNTIME_PROGRAM},
	    {{"/app/web", "/app/libcoreclr.so", NULL}, "dotnet", "", "maps", RUNTIME_PROGRAM},
	    {{"/usr/bin/python3.11", "/usr/lib/libc.so.6", NULL},
	     "python",
	     "3.11",
	     "runs /usr/bin/python3.11",
	     RUNTIME_PROGRAM},
	    {{"/usr/bin/uwsgi", "/l/libpython3.9.so.1.0", NULL},
	     "python",
	     "3.9",
	     "maps /l/libpython3.9.so.1.0",
	     RUNTIME_MAPPED},
	    {{"/usr/bin/python-launcher", "/l/libc.so.6", NULL},
	     "native",
	     "",
	     "/usr/bin/python-launcher",
	     RUNTIME_MAPPED},
	    {{"/usr/bin/node", "/l/libnode.so.108", NULL},
	     "node",
	     "",
	     "maps /l/libnode.so.108",
	     RUNTIME_PROGRAM},
	    {{"/usr/sbin/nginx", "/usr/sbin/nginx", NULL},
	     "native",
	     "",
	     "/usr/sbin/nginx maps no library of another runtime",
	     RUNTIME_MAPPED},
	    /* A map that can be read and shows no JVM beats the name. */
	    {{"/opt/java", "/l/libc.so.6", "java"}, "native", "", "", RUNTIME_MAPPED},
	    {{NULL, NULL, "/usr/bin/java"}, "jvm", "", "not readable", RUNTIME_BY_NAME},
	    {{NULL, NULL, "dotnet"}, "dotnet", "", "is called dotnet", RUNTIME_BY_NAME},
	    {{NULL, NULL, "python3.12"}, "python", "3.12", "is called", RUNTIME_BY_NAME},
	    {{NULL, NULL, "node"}, "node", "", "is called", RUNTIME_BY_NAME},
	    {{NULL, NULL, "/usr/bin/node server /x/java"},
	     "node",
	     "",
	     "is called node",
	     RUNTIME_BY_NAME},
	    {{NULL, NULL, "postgres"}, "native", "", "not readable", RUNTIME_BY_NAME},
	    {{NULL, NULL, NULL}, "native", "", "not readable", RUNTIME_BY_NAME},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct runtime_guess g = guess(&cases[i].given);

		assert_string_equal(g.runtime->name, cases[i].runtime);
		assert_string_equal(g.version, cases[i].version);
		assert_contains(g.evidence, cases[i].evidence);
		assert_int_equal(g.confidence, cases[i].confidence);
	}
}

static void a_directory_name_is_no_library(void **state)
{
	struct given given = {"/x", "/libjvm.so.d/other.so", NULL};

	assert_string_equal(guess(&given).runtime->name, "native");
}

/* --- program files made by hand --------------------------------------------------------------- */

/* An ELF file with one named section at offset 0x200, its string table at 0x300. */
static struct runtime_guess guess_of_section(const char *name, const void *data, size_t len,
					     uint64_t declared_len)
{
	_cleanup_facts_ struct runtime_facts facts = {.exe_tried = true, .maps_readable = true};
	uint8_t image[0x600] = {0};
	Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_shoff = 0x400,
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shnum = 3,
			 .e_shstrndx = 2};
	Elf64_Shdr sh[3] = {
	    {.sh_type = SHT_NULL},
	    {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = 0x200, .sh_size = declared_len},
	    {.sh_type = SHT_STRTAB, .sh_offset = 0x300, .sh_size = 0x40}};
	struct runtime_guess ret;

	memcpy(image, &eh, sizeof(eh));
	assert_true(len <= 0x100);
	memcpy(image + 0x200, data, len);
	memcpy(image + 0x301, name, strlen(name));
	memcpy(image + 0x400, sh, sizeof(sh));
	assert_int_equal(blob_from_memory(image, sizeof(image), &facts.exe_file, NULL), 0);
	snprintf(facts.exe, sizeof(facts.exe), "/app/server");
	runtime_detect_facts(&facts, &ret);
	return ret;
}

static void go_and_its_version(void **state)
{
	static const char info[] = "\xff Go buildinf:\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				   "\x08go1.22.3....";
	static const char old[] = "\xff Go buildinf:\x08\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				  "\x08go1.22.3....";
	static const char lying[] = "\xff Go buildinf:\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				    "\x2ego1.22.3";
	struct runtime_guess g =
	    guess_of_section(".go.buildinfo", info, sizeof(info), sizeof(info));

	assert_int_equal(g.runtime->kind, RUNTIME_GO);
	assert_string_equal(g.version, "go1.22.3");
	assert_string_equal(g.evidence, "/app/server has the section .go.buildinfo");
	assert_string_equal(
	    guess_of_section(".go.buildinfo", old, sizeof(old), sizeof(old)).version, "");
	assert_string_equal(
	    guess_of_section(".go.buildinfo", lying, sizeof(lying), sizeof(lying)).version, "");
	assert_int_equal(guess_of_section(".go.buildinfo", info, sizeof(info), 3).runtime->kind,
			 RUNTIME_GO);
	assert_int_equal(
	    guess_of_section(".go.buildinfo", info, sizeof(info), UINT64_MAX).runtime->kind,
	    RUNTIME_GO);
}

static void symbols_and_sections_of_a_program(void **state)
{
	static const char node[] = "\0strlen\0node_module_register\0";
	static const char longer[] = "\0xnode_module_register\0node_module_register2\0";
	static const char dotnet[] = "\0DotNetRuntimeInfo\0";

	assert_int_equal(
	    guess_of_section(".dynstr", node, sizeof(node), sizeof(node)).runtime->kind,
	    RUNTIME_NODE);
	assert_int_equal(
	    guess_of_section(".dynstr", longer, sizeof(longer), sizeof(longer)).runtime->kind,
	    RUNTIME_NATIVE);
	assert_int_equal(
	    guess_of_section(".dynstr", dotnet, sizeof(dotnet), sizeof(dotnet)).runtime->kind,
	    RUNTIME_DOTNET);
	assert_int_equal(guess_of_section(".dynstr", node, sizeof(node), UINT64_MAX).runtime->kind,
			 RUNTIME_NATIVE);
	assert_int_equal(guess_of_section(".PyRuntime", "", 1, 1).runtime->kind, RUNTIME_PYTHON);
	assert_int_equal(guess_of_section(".text", "", 1, 1).runtime->kind, RUNTIME_NATIVE);
}

/* --- live processes --------------------------------------------------------------------------- */

/* Starts a program that prints a line when it runs its own code, and waits for that line. */
static pid_t start(const char *const argv[])
{
	int out[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	if (read(out[0], &byte, 1) != 1) fail_msg("%s did not start", argv[0]);
	close(out[0]);
	return pid;
}

static struct runtime_guess guess_live(pid_t pid)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct runtime_guess g;

	assert_int_equal(process_open(pid, &p, NULL), 0);
	runtime_detect(&p, &g);
	print_message("%s %s: %s\n", g.runtime->name, g.version, g.evidence);
	return g;
}

static struct runtime_guess guess_program(const char *const argv[])
{
	pid_t pid = start(argv);
	struct runtime_guess g = guess_live(pid);

	end_child(pid);
	assert_int_equal(g.confidence, RUNTIME_PROGRAM);
	return g;
}

static void live_python(void **state)
{
	const char *argv[] = {"/usr/bin/python3", "-c",
			      "import sys, time; print(); sys.stdout.flush(); time.sleep(600)",
			      NULL};
	struct runtime_guess g;

	g = guess_program(argv);
	assert_int_equal(g.runtime->kind, RUNTIME_PYTHON);
	assert_int_equal(g.version[0], '3');
}

static const char *file_to_map;
static void map_file(void)
{
	int fd = open(file_to_map, O_RDONLY | O_CLOEXEC);

	if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED) _exit(1);
	close(fd);
}

/* A child that maps a file of that name: what a JVM or .NET looks like from outside. */
static struct runtime_guess guess_mapping(const char *library)
{
	char dir[] = "/tmp/podsnap-XXXXXX", path[64];
	struct runtime_guess g;
	pid_t child;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, library);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	close(fd);
	file_to_map = path;
	child = start_child(map_file);
	g = guess_live(child);
	end_child(child);
	unlink(path);
	rmdir(dir);
	return g;
}

static void live_mapped_libraries(void **state)
{
	struct runtime_guess g = guess_mapping("libjvm.so");

	assert_int_equal(g.runtime->kind, RUNTIME_JVM);
	assert_int_equal(g.confidence, RUNTIME_MAPPED);
	assert_contains(g.evidence, "/libjvm.so");
	assert_int_equal(guess_mapping("libcoreclr.so").runtime->kind, RUNTIME_DOTNET);
	assert_int_equal(guess_mapping("libnode.so.108").runtime->kind, RUNTIME_NODE);
	assert_int_equal(guess_mapping("libjvm_other.so").runtime->kind, RUNTIME_NATIVE);
}

/* The diagnostics socket adds to the evidence; a plain file of its name does here. */
static void live_dotnet_socket(void **state)
{
	char path[96];
	pid_t child = start_child(NULL);
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_facts_ struct runtime_facts facts = {0};
	static const char map[] = "1000-2000 r-xp 00000000 00:01 5 /x/libcoreclr.so\n";
	struct runtime_guess g;
	int fd;

	snprintf(path, sizeof(path), "/tmp/dotnet-diagnostic-%d-1-socket", child);
	fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_RDWR, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(process_open(child, &p, NULL), 0);
	facts.process = &p;
	assert_int_equal(maps_parse(map, sizeof(map) - 1, &facts.maps, NULL), 0);
	runtime_detect_facts(&facts, &g);
	unlink(path);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_contains(g.evidence,
			"maps /x/libcoreclr.so, has the socket /tmp/dotnet-diagnostic-");
}

static void live_native(void **state)
{
	struct runtime_guess g = guess_live(getpid());

	assert_int_equal(g.runtime->kind, RUNTIME_NATIVE);
	assert_contains(g.evidence, program_invocation_short_name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(by_map_or_name),
	    cmocka_unit_test(a_directory_name_is_no_library),
	    cmocka_unit_test(go_and_its_version),
	    cmocka_unit_test(symbols_and_sections_of_a_program),
	    cmocka_unit_test(live_python),
	    cmocka_unit_test(live_mapped_libraries),
	    cmocka_unit_test(live_dotnet_socket),
	    cmocka_unit_test(live_native),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
